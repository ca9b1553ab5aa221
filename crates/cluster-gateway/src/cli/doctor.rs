//! `cluster-gateway doctor`

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use kube::config::Kubeconfig;

use super::output::{Exit, Format, OutputOptions, Progress, Table, Terminal, print, write};
use super::process;
use super::target::TargetOptions;
use crate::config;
use crate::credential::ExecPlugins;
use crate::diagnosis::Depth;
use crate::doctor::{ClusterReport, Doctor, Places, Report};
use crate::hub::{Operator, OperatorConfig};
use crate::registry::ClusterPolicy;
use crate::transport::{AddressPolicy, TransportOptions};

mod shown;

/// What the exit codes mean; documented in docs/doctor.md, too.
pub(super) const EXIT_CODES: &str = "Exit codes: 0 all is well, warnings included; 1 nothing could be looked at; 2 the command \
    line is wrong; 10 the hub or the gateway; else the first hop that fails: 11 Secret, 12 Parse, 13 Dns, 14 Connect, 15 Tunnel, \
    16 Tls, 17 Authentication, 18 Authorization, 19 Version, 20 Upgrade.";

/// Flags of `doctor`.
#[derive(Debug, Args)]
pub(super) struct DoctorOptions {
    /// Cluster to look at, hop by hop [default: the hub, and every cluster in short]
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// From where to look: from the gateway's place, from here, or both side by side [default: whatever can be asked]
    #[arg(long, value_name = "PLACE", value_enum)]
    from: Option<Place>,

    /// Kubeconfig of the standalone server itself (cluster-gateway kubeconfig), to look from its place as well
    #[arg(long, value_name = "FILE", requires = "clusters_dir")]
    gateway_kubeconfig: Option<PathBuf>,

    /// The gateway passes its callers' identities on: look for the right to impersonate, from here too
    #[arg(long)]
    impersonation: bool,

    /// Longest time for one hop, from here
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = crate::request::duration)]
    timeout: Duration,

    /// Program that clusters of credential type Dynamic may run here for a token or certificate, absolute path; may be
    /// repeated [default: none]
    #[arg(long, value_name = "PATH")]
    allow_exec_credential_command: Vec<PathBuf>,

    #[command(flatten)]
    target: TargetOptions,

    #[command(flatten)]
    output: OutputOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Place {
    /// From the gateway's place
    Gateway,
    /// From where this runs, with the credential in the store
    Here,
    /// Side by side
    Both,
}

pub(super) fn run(options: &DoctorOptions) -> ExitCode {
    process::run("doctor", look(options))
}

async fn look(options: &DoctorOptions) -> anyhow::Result<Exit> {
    let doctor = doctor(options).await?;
    let failing = match &options.name {
        Some(name) => {
            let progress = Progress::start(&format!("looking at {name}"));
            let report = doctor.cluster(name).await;
            drop(progress);
            show_cluster(options.output.format, &report)?;
            report.failing()
        }
        None => {
            let progress = Progress::start("looking at all clusters");
            let report = doctor.everything().await;
            drop(progress);
            show_all(options.output.format, &report)?;
            report.failing()
        }
    };
    Ok(failing.map_or(Exit::Done, Exit::Hop))
}

async fn doctor(options: &DoctorOptions) -> anyhow::Result<Doctor> {
    let target = options.target.open().await?;
    let gateway = match (&options.gateway_kubeconfig, &target.hub) {
        (Some(file), _) => Some(standalone(file).await?),
        (None, hub) => hub.clone(),
    };
    let from = match options.from {
        None | Some(Place::Both) if gateway.is_some() => Places::Both,
        None | Some(Place::Here) => Places::Here,
        Some(_) => Places::Gateway,
    };
    ensure!(
        from == Places::Here || gateway.is_some(),
        "without a hub, --gateway-kubeconfig says where the standalone server is asked (write one with cluster-gateway \
         kubeconfig)"
    );
    let depth = Depth { impersonates: options.impersonation, hop_limit: options.timeout, ..Depth::default() };
    Ok(Doctor { hub: target.hub, gateway, store: target.store, from, policy: policy(options)?, depth })
}

/// What is allowed from here is what can be found out: whether the gateway allows it, the gateway says.
fn policy(options: &DoctorOptions) -> anyhow::Result<ClusterPolicy> {
    let mut mistakes = Vec::new();
    let exec = config::exec_policy(&options.allow_exec_credential_command, &[], &mut mistakes);
    ensure!(mistakes.is_empty(), "{}", mistakes.join("; "));
    let transport =
        TransportOptions { addresses: AddressPolicy { allow_loopback: true }, ..TransportOptions::default() };
    Ok(ClusterPolicy {
        allow_insecure: true,
        exec: Arc::new(ExecPlugins::new(exec)),
        transport: Arc::new(transport),
        ..ClusterPolicy::default()
    })
}

/// The server itself, and none of the clusters in its kubeconfig.
async fn standalone(file: &PathBuf) -> anyhow::Result<Operator> {
    let known = Kubeconfig::read_from(file).with_context(|| format!("cannot read {}", file.display()))?;
    let context = super::kubeconfig::OWN
        .iter()
        .rev()
        .find(|own| known.contexts.iter().any(|context| context.name == **own))
        .with_context(|| {
            format!(
                "{} has no context cluster-gateway: write it with cluster-gateway kubeconfig",
                file.display()
            )
        })?;
    let settings = OperatorConfig { kubeconfigs: vec![file.clone()], context: Some((*context).to_owned()) };
    Ok(Operator::connect(&settings).await?)
}

fn show_cluster(format: Format, report: &ClusterReport) -> anyhow::Result<()> {
    match format {
        Format::Table | Format::Wide => {
            write(&shown::cluster(report, format == Format::Wide, Terminal::of_stdout().colour))
        }
        Format::Json | Format::Yaml | Format::Name => print(format, report, no_table, || {
            report.failing().map(|_| report.cluster.clone()).into_iter().collect()
        }),
    }
}

fn show_all(format: Format, report: &Report) -> anyhow::Result<()> {
    match format {
        Format::Table | Format::Wide => {
            write(&shown::report(report, format == Format::Wide, Terminal::of_stdout().colour))
        }
        Format::Json | Format::Yaml | Format::Name => {
            print(format, report, no_table, || shown::names_of_failing(report))
        }
    }
}

fn no_table() -> Table {
    Table::new(&[], "")
}
