//! What changes at the hub: Secrets all the time, the API server itself once, and the gateway's serving certificate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

use super::check::Tally;
use super::world::{CLUSTERS, TOKENS, World, user};

const PAUSE: Duration = Duration::from_millis(300);
/// How long each cluster is asked before the hub goes away.
const WARMING: Duration = Duration::from_secs(5);
/// How long the hub stays away.
const OUTAGE: Duration = Duration::from_secs(3);
/// How long the last Secret may take to be written.
const RESTORING: Duration = Duration::from_secs(60);

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
    if let Err(error) = restore(&world).await {
        tally.violation(format!("the last Secret could not be written: {error:#}"));
    }
}

/// The hub may have been back for a moment only.
async fn restore(world: &Arc<World>) -> Result<()> {
    let begun = Instant::now();
    loop {
        let world = world.clone();
        let restoring = tokio::task::spawn_blocking(move || world.register("passing", "m2", 0));
        match restoring.await.context("the thread that writes a Secret panicked")? {
            Err(error) if begun.elapsed() > RESTORING => return Err(error),
            Err(_) => tokio::time::sleep(PAUSE).await,
            Ok(()) => return Ok(()),
        }
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
    // Whether they may has been decided before the hub goes away, however slow the machine.
    for cluster in &CLUSTERS {
        world.answers_within(cluster, WARMING).await;
    }
    let hub = world.clone();
    // Nobody else asks the hub while it is away: the lock is held by the thread that restarts it.
    let restarting = tokio::task::spawn_blocking(move || {
        let mut hub = hub.hub();
        hub.kill_apiserver()?;
        std::thread::sleep(OUTAGE);
        hub.start_apiserver()
    });
    let mut answered = 0;
    // Members have faults of their own meanwhile: all are asked in turn.
    for cluster in CLUSTERS.iter().cycle() {
        if restarting.is_finished() {
            break;
        }
        answered += usize::from(world.answers(cluster, &user(1)).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    restarting.await.context("the thread that restarts the hub panicked")??;
    tally.count("change: hub restarted");
    if answered > 0 {
        tally.count("get: 200 while the hub is down");
    }
    Ok(())
}
