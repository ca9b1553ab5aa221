//! `cargo xtask soak`: mixed load through the gateway, with a real hub and simulated members, while everything goes wrong
//! in turn. Bounded, and on loopback only.
//!
//! Each request carries a nonce; the member sends it back, with its own name and the user that it saw. What must hold:
//! no answer comes from another cluster, or under another identity, or to another request; no body ends as if it were
//! whole when it is not; memory and file descriptors stay flat; nothing panics; and when the faults end, everything works.

mod check;
mod churn;
mod dice;
mod faults;
mod load;
mod session;
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio_util::sync::CancellationToken;

use check::Tally;
use world::World;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Minutes of load; the short run of CI has one
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=600))]
    minutes: u64,
    /// What chance begins with: the same number lets the same things happen in the same order
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Options {
    /// The short run of `cargo xtask ci`: always the same one.
    pub(crate) fn short() -> Self {
        Self { minutes: 1, seed: 1 }
    }
}

/// After the faults have ended, everything must work within this time. A gateway that has asked a hub in vain for a while
/// waits for up to half a minute before it asks again.
const RECOVERY: Duration = Duration::from_secs(90);
/// Connections to members that nobody uses are closed after 90 s, or half as long again.
const CLOSING: Duration = Duration::from_secs(150);
/// What an allocator may keep beyond what it kept after the warm-up.
const SPARE_KIB: u64 = 24 << 10;
/// Sockets that may stay open: to each member, to the hub, and some that are just closing.
const SPARE_DESCRIPTORS: usize = 48;

pub(crate) fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("start a runtime")?;
    let world = Arc::new(runtime.block_on(World::start())?);
    let tally = Arc::new(Tally::default());
    let outcome = runtime.block_on(soak(options, &world, &tally));
    println!("{tally}");
    let judged = outcome.and_then(|()| tally.verdict());
    let log = world.log();
    ensure!(!log.contains("panicked"), "the gateway panicked; its log:\n{log}");
    judged.with_context(|| format!("the last lines of the gateway's log:\n{}", last_lines(&log)))
}

async fn soak(options: &Options, world: &Arc<World>, tally: &Arc<Tally>) -> Result<()> {
    let length = Duration::from_secs(options.minutes * 60);
    world.everything_works().await.context("before the load")?;
    let descriptors = world.descriptors()?;
    let stop = CancellationToken::new();
    let mut tasks = load::start(world, tally, &stop, options.seed);
    tasks.push(tokio::spawn(faults::run(world.clone(), tally.clone(), stop.clone(), options.seed)));
    tasks.push(tokio::spawn(churn::run(world.clone(), tally.clone(), stop.clone())));
    let hub = tokio::spawn(churn::restart_hub(world.clone(), tally.clone(), length / 3));
    let samples = sample(world, length).await;
    stop.cancel();
    for task in tasks {
        task.await.context("a task of the soak panicked")?;
    }
    hub.await.context("the task that restarts the hub panicked")??;
    judge_memory(&samples?)?;
    world.recovered(RECOVERY).await.context("after the faults")?;
    let limit = descriptors + SPARE_DESCRIPTORS;
    let begun = Instant::now();
    loop {
        let now = world.descriptors()?;
        if now <= limit {
            println!("file descriptors: {descriptors} before, {now} after");
            return Ok(());
        }
        ensure!(
            begun.elapsed() < CLOSING,
            "{now} file descriptors are open; before the load there were {descriptors}"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// How much memory the gateway occupies, in KiB, once a second.
async fn sample(world: &World, length: Duration) -> Result<Vec<u64>> {
    let (begun, mut samples) = (Instant::now(), Vec::new());
    while begun.elapsed() < length {
        samples.push(world.memory()?);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(samples)
}

/// The last quarter must not need much more than the second one did; the first is for warming up.
fn judge_memory(samples: &[u64]) -> Result<()> {
    let quarter = samples.len() / 4;
    let most = |samples: &[u64]| samples.iter().copied().max().unwrap_or_default();
    let (early, late) = (most(&samples[quarter..2 * quarter]), most(&samples[3 * quarter..]));
    println!("memory: at most {early} KiB in the second quarter, {late} KiB in the last");
    ensure!(late <= early + early / 4 + SPARE_KIB, "memory grows: {early} KiB, then {late} KiB");
    Ok(())
}

fn last_lines(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_grows_is_found() {
        let flat = [10_000, 50_000, 51_000, 50_500, 52_000, 51_000, 50_000, 60_000];
        assert!(judge_memory(&flat).is_ok());
        let growing = [10_000, 50_000, 51_000, 60_000, 80_000, 90_000, 100_000, 110_000];
        assert!(judge_memory(&growing).is_err());
    }
}
