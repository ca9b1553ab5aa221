//! What changes at the hub: Secrets all the time, the API server itself once, and the gateway's serving certificate.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

use super::check::Tally;
use super::world::{CLUSTERS, TOKENS, World, user};

const PAUSE: Duration = Duration::from_millis(300);
/// How long the hub stays away.
const OUTAGE: Duration = Duration::from_secs(3);
/// Requests that are tried while it is away.
const TRIES: usize = 200;

/// Changes Secrets and certificates until told to stop, and leaves every cluster registered.
pub(super) async fn run(world: Arc<World>, tally: Arc<Tally>, stop: CancellationToken) {
    let mut step = 0;
    while !stop.is_cancelled() {
        step += 1;
        let (world, tally) = (world.clone(), tally.clone());
        // The requests to the hub are those of a program that is waited for.
        let changed = tokio::task::spawn_blocking(move || change(&world, &tally, step)).await;
        debug_assert!(changed.is_ok(), "a change does not panic");
        tokio::time::sleep(PAUSE).await;
    }
    let restored = tokio::task::spawn_blocking(move || world.register("passing", "m2", 0)).await;
    if !matches!(restored, Ok(Ok(()))) {
        tally.violation("the last Secret could not be written".to_owned());
    }
}

fn change(world: &World, tally: &Tally, step: usize) {
    let (what, changed) = match step % 6 {
        0 => ("certificate of the gateway", world.renew_serving_certificate()),
        1 => {
            let member = CLUSTERS[4].members[step / 6 % 2];
            ("endpoint moved", world.register("roving", member, step))
        }
        2 => ("cluster deleted", world.remove("passing")),
        3 => ("cluster made again", world.register("passing", "m2", step)),
        _ => {
            let cluster = &CLUSTERS[step % 4];
            ("token rotated", world.register(cluster.name, cluster.members[0], step % TOKENS))
        }
    };
    tally.count(&format!("change: {what}{}", if changed.is_ok() { "" } else { ", refused" }));
}

/// Kills the hub's API server after `when`, keeps asking the members meanwhile, and starts it again.
pub(super) async fn restart_hub(world: Arc<World>, tally: Arc<Tally>, when: Duration) -> Result<()> {
    tokio::time::sleep(when).await;
    let hub = world.clone();
    // Nobody else asks the hub while it is away: the lock is held by the thread that restarts it.
    let restarting = tokio::task::spawn_blocking(move || {
        let mut hub = hub.hub();
        hub.kill_apiserver()?;
        std::thread::sleep(OUTAGE);
        hub.start_apiserver()
    });
    let mut answered = 0;
    for _ in 0..TRIES {
        if restarting.is_finished() {
            break;
        }
        answered += usize::from(world.answers(&user(1)).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    restarting.await.context("the thread that restarts the hub panicked")??;
    tally.count("change: hub restarted");
    if answered > 0 {
        tally.count("get: 200 while the hub is down");
    }
    Ok(())
}
