//! `cargo xtask bench`: what a proxied request costs, beside HAProxy and beside the member itself, in one run.
//!
//! Everything is up at once and takes turns, so that a machine whose clock wanders wanders for all of them. The proxies
//! have one core, the member and the load the other. Only loopback is used, for as long as the options say.

mod contender;
mod load;
mod memory;
mod process;
mod report;
mod rig;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::workspace;
use contender::Contender;
use load::Protocol;
use report::{Measurement, Report};
use rig::Rig;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Rounds, in each of which everybody has a turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Seconds of load in a turn
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=10))]
    seconds: u64,
    /// Clusters to register before memory is read; 0 leaves that out
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    clusters: u32,
    /// This binary instead of one that is built with the release profile
    #[arg(long, value_name = "FILE", conflicts_with = "without_gateway")]
    gateway: Option<PathBuf>,
    /// HAProxy and the member only
    #[arg(long)]
    without_gateway: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let gateway = match (&options.gateway, options.without_gateway) {
        (_, true) => None,
        (Some(binary), _) => Some(binary.clone()),
        (None, false) => Some(build()?),
    };
    process::install_missing()?;
    let load_before = fs::read_to_string("/proc/loadavg").context("read the load average")?;
    let mut rig = Rig::start(gateway.as_deref())?;
    let mut report = Report::default();
    report.memory("idle", &rig.contenders)?;
    let turn = Duration::from_secs(options.seconds);
    // The first round opens connections and fills caches, and does not count.
    eprintln!("bench: warming up");
    measure(&rig.contenders, 1, Duration::from_secs(1), &mut Report::default())?;
    measure(&rig.contenders, options.rounds, turn, &mut report)?;
    report.memory("after the load", &rig.contenders)?;
    if options.clusters > 0 && gateway.is_some() {
        memory::register_clusters(&mut rig, options.clusters)?;
        report.memory(&format!("with {} clusters", options.clusters), &rig.contenders)?;
    }
    print!("{report}\n{}", conditions(&load_before)?);
    Ok(())
}

/// What the reader must know before comparing these numbers with others.
fn conditions(load_before: &str) -> Result<String> {
    let processors = fs::read_to_string("/proc/cpuinfo").context("read what processor this is")?;
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let load = load_before.split(' ').next().unwrap_or_default();
    Ok(format!(
        "Processor: {}. Load average before the run: {load}; with other work on the machine only the ratios mean \
         something.\n",
        model.trim_start_matches([' ', '\t', ':'])
    ))
}

fn measure(contenders: &[Contender], rounds: u32, turn: Duration, report: &mut Report) -> Result<()> {
    for round in 0..rounds {
        eprintln!("bench: round {} of {rounds}", round + 1);
        for protocol in Protocol::ALL {
            for index in 0..contenders.len() {
                // Nobody always comes after the same one.
                let contender = &contenders[(index + round as usize) % contenders.len()];
                let before = contender.cpu()?;
                let requests = load::run(protocol, &contender.target(protocol), turn)
                    .with_context(|| format!("{protocol} against {}", contender.name))?;
                let cpu = contender.cpu()?.saturating_sub(before);
                report.add(Measurement { contender: contender.name, protocol, requests, turn, cpu });
            }
        }
    }
    Ok(())
}

fn build() -> Result<PathBuf> {
    eprintln!("bench: building the gateway with the release profile");
    let mut build = workspace::cargo();
    build.args([
        "build",
        "--release",
        "--locked",
        "--package",
        "cluster-gateway",
        "--bin",
        "cluster-gateway",
    ]);
    let status = build.status().context("start cargo")?;
    ensure!(status.success(), "cargo build: {status}");
    Ok(workspace::target().join("release/cluster-gateway"))
}
