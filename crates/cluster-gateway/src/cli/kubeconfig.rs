//! `cluster-gateway kubeconfig`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::list::SelectorOptions;
use super::output::Exit;
use super::process;
use super::target::TargetOptions;
use crate::config::ContextsOption;

mod file;
mod hub;
mod standalone;

pub(super) use file::save;
pub(super) use standalone::{OWN, kubeconfig};

/// Heading of the flags that only mean something without a hub.
const STANDALONE: &str = "For a standalone server (with --clusters-dir)";
/// Heading of the flags that only mean something with a hub.
const HUB: &str = "For a hub";

/// Flags of `kubeconfig`.
#[derive(Debug, Args)]
pub(super) struct KubeconfigOptions {
    #[command(flatten)]
    target: TargetOptions,

    #[command(flatten)]
    selector: SelectorOptions,

    /// Contexts of a kubeconfig that become clusters [default: all]
    #[arg(long, value_name = "WHICH", value_enum, requires = "clusters_dir", help_heading = STANDALONE)]
    kubeconfig_contexts: Option<ContextsOption>,

    /// User that the certificate names [default: admin, in the group system:masters]
    #[arg(long, value_name = "NAME", requires = "clusters_dir", help_heading = STANDALONE)]
    user: Option<String>,

    /// Group of the user; may be given several times
    #[arg(long = "group", value_name = "NAME", requires = "user", help_heading = STANDALONE)]
    groups: Vec<String>,

    /// How long the certificate holds
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = crate::request::duration, help_heading = STANDALONE)]
    ttl: Duration,

    /// Lead straight to the gateway's own address instead of through the hub
    #[arg(long, conflicts_with = "clusters_dir", help_heading = HUB)]
    direct: bool,

    /// URL at which clients reach the server: of a standalone one [default: https://localhost:9443], or with --direct
    /// [default: annotation cluster.core.oam.dev/external-address of the gateway's Service]
    #[arg(long, value_name = "URL")]
    server: Option<String>,

    /// CA bundle of the server [default: a standalone server's own CA; with --direct the caBundle of the APIService]
    #[arg(long, value_name = "FILE")]
    certificate_authority: Option<PathBuf>,

    /// File to write, for your eyes only; - for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,

    /// Replace the file if it is there
    #[arg(long)]
    overwrite: bool,
}

pub(super) fn run(options: &KubeconfigOptions) -> ExitCode {
    process::run("kubeconfig", write(options))
}

async fn write(options: &KubeconfigOptions) -> anyhow::Result<Exit> {
    match &options.target.clusters_dir {
        Some(directory) => standalone::write(options, directory)?,
        None => hub::write(options).await?,
    }
    Ok(Exit::Done)
}
