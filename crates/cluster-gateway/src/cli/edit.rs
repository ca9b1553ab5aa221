//! `cluster-gateway labels` and `cluster-gateway alias`

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use cluster_gateway_client::v1alpha1::ANNOTATION_ALIAS;
use serde::Serialize;

use super::interactive;
use super::output::{Exit, OutputOptions};
use super::target::TargetOptions;
use crate::lifecycle::{Edit, check_label_key, edit, parse_labels};

/// What `labels` does.
#[derive(Debug, Subcommand)]
pub(super) enum LabelsCommand {
    /// Set labels of a cluster
    Add(LabelsOptions),
    /// Remove labels from a cluster
    #[command(visible_aliases = ["delete", "remove"])]
    Del(LabelsOptions),
}

/// Flags of `labels add` and `labels del`.
#[derive(Debug, Args)]
pub(super) struct LabelsOptions {
    /// The cluster
    name: String,

    /// KEY=VALUE,… to set; KEY,… to remove
    #[arg(required = true, value_name = "LABELS")]
    labels: Vec<String>,

    #[command(flatten)]
    target: TargetOptions,

    #[command(flatten)]
    output: OutputOptions,
}

/// Flags of `alias`.
#[derive(Debug, Args)]
pub(super) struct AliasOptions {
    /// The cluster
    name: String,

    /// Its name for people; empty to remove it
    alias: String,

    #[command(flatten)]
    target: TargetOptions,

    #[command(flatten)]
    output: OutputOptions,
}

/// A cluster after it was changed.
#[derive(Serialize)]
struct Edited {
    cluster: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
    labels: BTreeMap<String, String>,
}

pub(super) fn labels(command: &LabelsCommand) -> ExitCode {
    let (name, options) = match command {
        LabelsCommand::Add(options) => ("labels add", options),
        LabelsCommand::Del(options) => ("labels del", options),
    };
    let list = options.labels.join(",");
    let change = match command {
        LabelsCommand::Add(_) => parse_labels(&list).map(Edit::AddLabels),
        LabelsCommand::Del(_) => Ok(Edit::RemoveLabels(
            list.split(',').map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned).collect(),
        )),
    };
    interactive::run(name, async {
        change_cluster(&options.name, change?, &options.target, options.output).await
    })
}

pub(super) fn alias(options: &AliasOptions) -> ExitCode {
    let change = Edit::Alias(options.alias.clone());
    interactive::run("alias", change_cluster(&options.name, change, &options.target, options.output))
}

async fn change_cluster(
    name: &str,
    change: Edit,
    target: &TargetOptions,
    output: OutputOptions,
) -> anyhow::Result<Exit> {
    let target = target.open().await?;
    let metadata = edit(&target.store, name, &change).await?.metadata;
    // Those of the gateway's own API say how the cluster is reached, and are not shown, as in `vela`.
    let mut labels = metadata.labels.unwrap_or_default();
    labels.retain(|key, _| check_label_key(key).is_ok());
    let alias = metadata.annotations.unwrap_or_default().remove(ANNOTATION_ALIAS);
    let edited = Edited { cluster: name.to_owned(), alias, labels };
    interactive::print(output.format, &edited, name, &sentence(&edited, &change))?;
    Ok(Exit::Done)
}

fn sentence(edited: &Edited, change: &Edit) -> String {
    let Edited { cluster, alias, labels } = edited;
    match (change, alias) {
        (Edit::Alias(_), Some(alias)) => format!("cluster {cluster} is shown as {}\n", alias.escape_debug()),
        (Edit::Alias(_), None) => format!("cluster {cluster} has no alias\n"),
        _ if labels.is_empty() => format!("cluster {cluster} has no labels\n"),
        _ => labels.iter().map(|(key, value)| format!("{key}={value}\n")).collect(),
    }
}
