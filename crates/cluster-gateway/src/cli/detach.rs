//! `cluster-gateway detach`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::interactive::{self, agreed, plan_text, stopped_by_signals};
use super::output::{self, Exit, OutputOptions, Progress};
use super::target::TargetOptions;
use crate::hub::Operator;
use crate::lifecycle::{Detach, Detached};

mod ocm;

/// Flags of `detach`.
#[derive(Debug, Args)]
pub(super) struct DetachOptions {
    /// The cluster
    name: String,

    /// Detach it even if Applications still name it
    #[arg(long)]
    force: bool,

    /// Kubeconfig of the cluster, from which the agent of Open Cluster Management is to be removed
    #[arg(short = 'p', long, value_name = "FILE")]
    kubeconfig_path: Option<PathBuf>,

    /// Show what would be done, and do nothing
    #[arg(long)]
    plan: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    target: TargetOptions,

    #[command(flatten)]
    output: OutputOptions,
}

pub(super) fn run(options: &DetachOptions) -> ExitCode {
    interactive::run("detach", detach(options))
}

async fn detach(options: &DetachOptions) -> anyhow::Result<Exit> {
    let target = options.target.open().await?;
    if let Some(exit) = ocm::detach(options, &target).await? {
        return Ok(exit);
    }
    let progress = Progress::start("looking for what refers to the cluster");
    let hub = target.hub.as_ref().map(Operator::client);
    let detach = Detach::prepare(&target.store, hub.as_ref(), &options.name).await;
    drop(progress);
    let detach = detach?;
    if options.plan {
        interactive::print(options.output.format, detach.plan(), &options.name, &plan_text(detach.plan()))?;
        return Ok(Exit::Done);
    }
    if !agreed(detach.plan(), options.yes)? {
        return Ok(Exit::Failed);
    }
    for note in &detach.plan().notes {
        output::note(&format!("note: {note}"));
    }
    let stop = stopped_by_signals()?;
    let detached = detach.commit(&target.store, options.force, &stop).await?;
    interactive::print(options.output.format, &detached, &detached.cluster, &sentence(&detached))?;
    Ok(Exit::Done)
}

fn sentence(detached: &Detached) -> String {
    let cleaned = match detached.cleaned.len() {
        0 => String::new(),
        number => format!("; taken out of {number} ResourceTrackers"),
    };
    format!("cluster {} detached{cleaned}\n", detached.cluster)
}
