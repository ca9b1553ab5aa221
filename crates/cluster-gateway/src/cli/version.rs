//! `cluster-gateway version`

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::output::{self, Exit};
use super::process;
use super::target::TargetOptions;
use crate::api::VersionInfo;
use crate::inventory::{self, ServerVersion};

/// Flags of `version`.
#[derive(Debug, Args)]
pub(super) struct VersionOptions {
    /// Form of the output
    #[arg(short, long, value_name = "FORM", value_enum, default_value_t)]
    output: Form,

    /// Ask the hub and the gateway behind it for theirs, too
    #[arg(long)]
    server: bool,

    #[command(flatten)]
    target: TargetOptions,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Form {
    /// A line for each
    #[default]
    Text,
    /// What `/version` answers; with --server below client, hub and gateway
    Json,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions<'v> {
    client: &'v VersionInfo,
    hub: Result<&'v str, &'v str>,
    gateway: Result<&'v str, &'v str>,
}

pub(super) fn run(options: &VersionOptions) -> ExitCode {
    process::run("version", version(options))
}

async fn version(options: &VersionOptions) -> anyhow::Result<Exit> {
    let client = VersionInfo::current();
    let server = if options.server { Some(ask(options).await?) } else { None };
    match (options.output, &server) {
        (Form::Json, None) => output::write(&(serde_json::to_string_pretty(&client)? + "\n"))?,
        (Form::Json, Some(ServerVersion { hub, gateway })) => {
            fn plain(version: &Result<String, String>) -> Result<&str, &str> {
                version.as_deref().map_err(String::as_str)
            }
            let versions = Versions { client: &client, hub: plain(hub), gateway: plain(gateway) };
            output::write(&(serde_json::to_string_pretty(&versions)? + "\n"))?;
        }
        (Form::Text, server) => {
            let commit = if client.git_commit.is_empty() { "unknown commit" } else { &client.git_commit };
            output::write(&format!(
                "cluster-gateway {} ({commit}, {})\n",
                client.git_version, client.platform
            ))?;
            if let Some(ServerVersion { hub, gateway }) = server {
                let shown = |version: &Result<String, String>| match version {
                    Ok(version) => version.clone(),
                    Err(why) => format!("unknown: {why}"),
                };
                output::write(&format!("gateway {}\nhub {}\n", shown(gateway), shown(hub)))?;
            }
        }
    }
    Ok(match server {
        Some(ServerVersion { gateway: Err(_), .. }) => Exit::Failed,
        _ => Exit::Done,
    })
}

async fn ask(options: &VersionOptions) -> anyhow::Result<ServerVersion> {
    let target = options.target.open().await?;
    match &target.hub {
        Some(hub) => Ok(inventory::server_version(&hub.client()).await),
        None => anyhow::bail!(
            "--server asks a hub; for a standalone server name its kubeconfig: --kubeconfig FILE"
        ),
    }
}
