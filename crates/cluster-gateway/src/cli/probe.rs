//! `cluster-gateway probe`

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::list::{SelectorOptions, clusters};
use super::output::{Cell, Column, Exit, Mood, OutputOptions, Progress, Table, print};
use super::process;
use super::target::{Target, TargetOptions};
use crate::inventory::{self, Probe};

/// Flags of `probe`.
#[derive(Debug, Args)]
pub(super) struct ProbeOptions {
    /// Clusters to ask; local is the hub itself
    #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all")]
    names: Vec<String>,

    /// All clusters, but for the hub itself
    #[arg(long)]
    all: bool,

    /// How long a cluster may take to answer
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = crate::request::duration)]
    timeout: Duration,

    #[command(flatten)]
    target: TargetOptions,

    #[command(flatten)]
    selector: SelectorOptions,

    #[command(flatten)]
    output: OutputOptions,
}

pub(super) fn run(options: &ProbeOptions) -> ExitCode {
    process::run("probe", probe(options))
}

async fn probe(options: &ProbeOptions) -> anyhow::Result<Exit> {
    let target = options.target.open().await?;
    let names =
        if options.all { all(&target, &options.selector.selector).await? } else { options.names.clone() };
    let what = match names.as_slice() {
        [name] => format!("asking {name}"),
        names => format!("asking {} clusters", names.len()),
    };
    let progress = Progress::start(&what);
    let probes = match &target.hub {
        Some(hub) => inventory::probe(&hub.client(), names, options.timeout).await,
        None if names.is_empty() => Vec::new(),
        None => inventory::probe_directly(&target.store, &names, options.timeout).await?,
    };
    drop(progress);
    let shown = || probes.iter().map(|probe| probe.name.clone()).collect();
    print(options.output.format, &probes, || table(&probes), shown)?;
    Ok(if probes.iter().all(|probe| probe.ready) { Exit::Done } else { Exit::Failed })
}

async fn all(target: &Target, selector: &str) -> anyhow::Result<Vec<String>> {
    let mut names: Vec<_> = clusters(target, selector)
        .await?
        .into_iter()
        .filter(|cluster| cluster.credential_type != "Internal")
        .map(|cluster| cluster.name)
        .collect();
    names.sort();
    Ok(names)
}

const COLUMNS: &[Column] = &[
    Column::new("NAME"),
    Column::new("READY"),
    Column::new("VERSION"),
    Column::new("LATENCY"),
    Column::new("REASON"),
];

fn table(probes: &[Probe]) -> Table {
    let mut table = Table::new(COLUMNS, "There is no such cluster.");
    for probe in probes {
        let ready = if probe.ready { Cell::with(Mood::Good, "yes") } else { Cell::with(Mood::Bad, "no") };
        table.row(vec![
            probe.name.as_str().into(),
            ready,
            probe.version.clone().unwrap_or_default().into(),
            probe.latency_microseconds.map(latency).unwrap_or_default().into(),
            probe.reason.clone().unwrap_or_default().into(),
        ]);
    }
    table
}

fn latency(microseconds: u64) -> String {
    match microseconds {
        0..10_000 => format!("{}.{}ms", microseconds / 1000, microseconds % 1000 / 100),
        10_000..10_000_000 => format!("{}ms", microseconds / 1000),
        _ => format!("{}s", microseconds / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_two_digits_that_matter() {
        assert_eq!(
            [950, 1_250, 12_900, 9_999_000, 12_000_000].map(latency),
            ["0.9ms", "1.2ms", "12ms", "9999ms", "12s"]
        );
    }
}
