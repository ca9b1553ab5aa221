//! `cluster-gateway export-config`

use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Args;
use kube::config::Kubeconfig;

use super::list::{SelectorOptions, clusters};
use super::output::{self, Exit};
use super::process;
use super::target::{Target, TargetOptions};
use crate::hub::Operator;
use crate::inventory::{Route, contexts};
use crate::lifecycle::LOCAL;

/// Flags of `export-config`.
#[derive(Debug, Args)]
pub(super) struct ExportConfigOptions {
    #[command(flatten)]
    target: TargetOptions,

    #[command(flatten)]
    selector: SelectorOptions,
}

pub(super) fn run(options: &ExportConfigOptions) -> ExitCode {
    process::run("export-config", export(options))
}

async fn export(options: &ExportConfigOptions) -> anyhow::Result<Exit> {
    let target = options.target.open().await?;
    let hub = target.hub.as_ref().context(
        "there is no hub in --clusters-dir; `cluster-gateway kubeconfig` writes one for a standalone server",
    )?;
    let names = names(&target, &options.selector.selector).await?;
    let written = contexts(of(hub)?, hub.context(), &names, &Route::Hub)?;
    output::note(&format!("{} clusters: {}", names.len(), names.join(", ")));
    output::write(&serde_saphyr::to_string(&written).context("cannot write YAML")?)?;
    Ok(Exit::Done)
}

/// The clusters to write contexts for.
pub(super) async fn names(target: &Target, selector: &str) -> anyhow::Result<Vec<String>> {
    let clusters = clusters(target, selector).await?.into_iter().map(|cluster| cluster.name);
    let mut names: Vec<_> = clusters.filter(|name| name != LOCAL).collect();
    ensure!(!names.is_empty(), "there is no such cluster");
    names.sort();
    Ok(names)
}

/// The kubeconfig in which the user stands.
pub(super) fn of(hub: &Operator) -> anyhow::Result<&Kubeconfig> {
    hub.kubeconfig()
        .context("this pod has no kubeconfig whose user could be written down; give one with --kubeconfig")
}
