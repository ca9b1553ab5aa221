//! Everything that goes wrong at the members, one thing after the other.

use std::sync::Arc;
use std::time::Duration;

use simulated_member::{Certificate, Fault, Faults};
use tokio_util::sync::CancellationToken;

use super::check::Tally;
use super::dice::Dice;
use super::world::{MEMBERS, World};

/// What can go wrong at a member, and how it is named in the report.
const KINDS: [(&str, Wrong); 12] = [
    ("stall before headers", Wrong::Request(Fault::StallBeforeHeaders)),
    ("stall in the body", Wrong::Request(Fault::StallMidBody { after: 700 })),
    ("reset before headers", Wrong::Request(Fault::Reset { after: None })),
    ("reset in the body", Wrong::Request(Fault::Reset { after: Some(900) })),
    ("body breaks off", Wrong::Request(Fault::Abort { after: 500 })),
    ("body breaks off late", Wrong::Request(Fault::Abort { after: 100_000 })),
    ("429", Wrong::Request(Fault::TooManyRequests { retry_after: 1 })),
    ("slow bytes", Wrong::Request(Fault::SlowBytes { chunk: 4096, every: Duration::from_millis(5) })),
    ("all connections reset", Wrong::Disconnect),
    ("GOAWAY", Wrong::GoAway),
    ("dead port", Wrong::DeadPort),
    ("expired certificate", Wrong::Expired),
];

#[derive(Clone, Copy, Debug)]
enum Wrong {
    Request(Fault),
    Disconnect,
    GoAway,
    DeadPort,
    Expired,
}

/// Breaks and mends members until told to stop. Between two faults there is a moment without.
pub(super) async fn run(world: Arc<World>, tally: Arc<Tally>, stop: CancellationToken, seed: u64) {
    let mut dice = Dice::new(seed);
    let mut turn = dice.below(KINDS.len());
    while !stop.is_cancelled() {
        let (name, wrong) = KINDS[turn % KINDS.len()];
        turn += 1;
        let member = &world.members[dice.below(MEMBERS.len())];
        tally.count(&format!("fault: {name}"));
        let lasting = Duration::from_millis(200 + dice.next() % 500);
        if let Err(error) = one(member.faults(), wrong, lasting).await {
            tally.violation(format!("the fault {name:?} could not be made: {error:#}"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn one(faults: &Faults, wrong: Wrong, lasting: Duration) -> anyhow::Result<()> {
    match wrong {
        Wrong::Request(fault) => faults.set(fault),
        Wrong::Disconnect => faults.disconnect(),
        Wrong::GoAway => faults.go_away(),
        Wrong::DeadPort => {
            faults.refuse_connections(true).await;
            faults.disconnect();
        }
        Wrong::Expired => {
            faults.show_certificate(Certificate::Expired)?;
            faults.disconnect();
        }
    }
    tokio::time::sleep(lasting).await;
    match wrong {
        Wrong::Request(_) => faults.clear(),
        Wrong::Disconnect | Wrong::GoAway => {}
        Wrong::DeadPort => faults.refuse_connections(false).await,
        Wrong::Expired => faults.show_certificate(Certificate::Good)?,
    }
    Ok(())
}
