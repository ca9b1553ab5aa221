//! `cluster-gateway rename`

use std::process::ExitCode;

use clap::Args;

use super::interactive::{self, agreed, plan_text, stopped_by_signals};
use super::output::{self, Exit, OutputOptions};
use super::target::TargetOptions;
use crate::hub::Operator;
use crate::lifecycle::Rename;

/// Flags of `rename`.
#[derive(Debug, Args)]
pub(super) struct RenameOptions {
    /// The cluster
    old: String,

    /// Its new name
    new: String,

    /// Rename it even if KubeVela still refers to the old name
    #[arg(long)]
    force: bool,

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

pub(super) fn run(options: &RenameOptions) -> ExitCode {
    interactive::run("rename", rename(options))
}

async fn rename(options: &RenameOptions) -> anyhow::Result<Exit> {
    let target = options.target.open().await?;
    let hub = target.hub.as_ref().map(Operator::client);
    let rename = Rename::prepare(&target.store, hub.as_ref(), &options.old, &options.new).await?;
    if options.plan {
        interactive::print(options.output.format, rename.plan(), &options.new, &plan_text(rename.plan()))?;
        return Ok(Exit::Done);
    }
    if !agreed(rename.plan(), options.yes)? {
        return Ok(Exit::Failed);
    }
    for note in &rename.plan().notes {
        output::note(&format!("note: {note}"));
    }
    let stop = stopped_by_signals()?;
    let renamed = rename.commit(&target.store, options.force, &stop).await?;
    let sentence = format!("cluster {} is called {} now\n", renamed.former_name, renamed.cluster);
    interactive::print(options.output.format, &renamed, &renamed.cluster, &sentence)?;
    Ok(Exit::Done)
}
