//! `cargo xtask bench`: what a proxied request costs, beside HAProxy, nginx and the member itself, in one run.
//!
//! Contenders take turns, so that a machine whose clock wanders wanders for all of them. The proxies have one core; the
//! member, the hub and the load have the other. Only loopback is used, for as long as the options say.

mod case;
mod cases;
mod contender;
mod drive;
mod load;
mod report;
mod rig;
mod stats;
mod turns;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::{process, workspace};
use case::Case;
use clap::ValueEnum as _;
use report::Report;
use rig::{Rig, Scale};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What to measure; everything when nothing is said
    #[arg(value_name = "CASE", hide_possible_values = true)]
    cases: Vec<Case>,
    /// Say what can be measured, and measure nothing
    #[arg(long)]
    list: bool,
    /// Rounds, in each of which everybody has a turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Seconds of load in a turn
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=10))]
    seconds: u64,
    /// How many clusters are many
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(20..=10_000))]
    clusters: u32,
    /// How many watches are many
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    watches: u32,
    /// This binary instead of one that is built
    #[arg(long, value_name = "FILE")]
    gateway: Option<PathBuf>,
    /// The cargo profile with which the gateway and this program are built
    #[arg(long, value_name = "NAME", default_value = "release")]
    profile: String,
    /// Also put the report into this document, between its marks
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// This program is optimized: measure with it
    #[arg(long, hide = true, requires = "gateway")]
    optimized: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.list {
        print!("{}", Case::list());
        return Ok(());
    }
    match &options.gateway {
        Some(gateway) if options.optimized => measure(options, gateway),
        Some(gateway) => run_optimized(options, gateway),
        None => run_optimized(options, &build("cluster-gateway", &options.profile)?),
    }
}

/// A client that is slow makes every proxy look alike: measures with an optimized build of this program.
fn run_optimized(options: &Options, gateway: &Path) -> Result<()> {
    let ourselves = build("xtask", &options.profile)?;
    let mut command = std::process::Command::new(ourselves);
    command.args(std::env::args_os().skip(1)).arg("--optimized");
    if options.gateway.is_none() {
        command.arg("--gateway").arg(gateway);
    }
    let status = command.status().context("start the optimized build of this program")?;
    ensure!(status.success(), "the run ended with {status}");
    Ok(())
}

fn build(package: &str, profile: &str) -> Result<PathBuf> {
    eprintln!("bench: building {package} with the profile {profile}");
    let mut build = workspace::cargo();
    build.args(["build", "--profile", profile, "--locked", "--package", package, "--bin", package]);
    let status = build.status().context("start cargo")?;
    ensure!(status.success(), "cargo build: {status}");
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(workspace::target().join(folder).join(package))
}

fn measure(options: &Options, gateway: &Path) -> Result<()> {
    let begun = Instant::now();
    process::install_missing()?;
    let mut report = Report::default();
    report.condition(conditions(options)?);
    process::leave_the_core_of_the_proxies()?;
    let turn = Duration::from_secs(options.seconds);
    let scale = Scale { rounds: options.rounds, turn, clusters: options.clusters, watches: options.watches };
    let rig = Rig::start(gateway, scale)?;
    let mut cases = options.cases.clone();
    if cases.is_empty() {
        cases = Case::value_variants().to_vec();
    }
    cases.sort_unstable();
    cases.dedup();
    let mut failed = Vec::new();
    for case in cases {
        // The others are worth having all the same.
        if let Err(error) = case.run(&rig, &mut report) {
            eprintln!("bench: case {case:?} failed: {error:#}");
            report.condition(format!("The case {case:?} failed, its part is missing or not whole: {error}."));
            failed.push(case);
        }
    }
    eprintln!("bench: done in {:.0?}", begun.elapsed());
    print!("{report}");
    options.report.as_deref().map_or(Ok(()), |file| report.write_into(file))?;
    ensure!(failed.is_empty(), "cases that failed: {failed:?}");
    Ok(())
}

/// What the reader must know before comparing these numbers with others.
fn conditions(options: &Options) -> Result<String> {
    let read = |file: &str| fs::read_to_string(file).with_context(|| format!("read {file}"));
    let processors = read("/proc/cpuinfo")?;
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
    let memory = read("/proc/meminfo")?;
    let kib = memory.lines().next().and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    let kernel = read("/proc/sys/kernel/osrelease")?;
    let load = read("/proc/loadavg")?;
    Ok(format!(
        "{cores} cores of {}, {} GiB, Linux {}. Load average before the run: {}; with other work on the machine only the \
         ratios mean something. Medians of {} rounds of {} s, interleaved. The gateway was built with the profile {}.",
        model.trim_start_matches([' ', '\t', ':']),
        kib.unwrap_or_default() >> 20,
        kernel.trim(),
        load.split(' ').take(3).collect::<Vec<_>>().join(" "),
        options.rounds,
        options.seconds,
        options.profile,
    ))
}
