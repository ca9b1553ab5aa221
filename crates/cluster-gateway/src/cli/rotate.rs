//! `cluster-gateway rotate`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::account::AccountOptions;
use super::interactive::{self, agreed, plan_text, stopped_by_signals};
use super::output::{self, Exit, OutputOptions, Progress};
use super::standalone_access::StandaloneOptions;
use super::target::{Target, TargetOptions};
use crate::config;
use crate::lifecycle::{Gateway, KubeconfigSource, NewCredential, Rotate, Rotated};

/// How long the gateway may take to learn of the credential.
const PATIENCE: Duration = Duration::from_secs(30);

/// Flags of `rotate`.
#[derive(Debug, Args)]
pub(super) struct RotateOptions {
    /// The cluster
    name: String,

    /// Kubeconfig whose credential it gets; with --service-account, who makes that account. - reads standard input
    #[arg(value_name = "KUBECONFIG")]
    kubeconfig_of_cluster: Option<PathBuf>,

    /// Context of that kubeconfig [default: its current-context]
    #[arg(long, value_name = "NAME", requires = "kubeconfig_of_cluster")]
    context: Option<String>,

    #[command(flatten)]
    account: AccountOptions,

    /// Do not look whether the cluster answers through the gateway
    #[arg(long)]
    skip_post_check: bool,

    /// Show what would be done, and do nothing
    #[arg(long)]
    plan: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    standalone: StandaloneOptions,

    #[command(flatten)]
    target: TargetOptions,

    #[command(flatten)]
    output: OutputOptions,
}

pub(super) fn run(options: &RotateOptions) -> ExitCode {
    interactive::run("rotate", rotate(options))
}

async fn rotate(options: &RotateOptions) -> anyhow::Result<Exit> {
    let target = options.target.open().await?;
    let gateway = options.gateway(&target).await?;
    let new = options.credential(gateway.is_some())?;
    // What the cluster was registered with has been allowed once.
    let policy = config::operator_policy(true, None);
    let progress = Progress::start("looking at the cluster");
    let rotate =
        Rotate::prepare(&target.store, &policy, &options.name, &new, &CancellationToken::new()).await;
    drop(progress);
    let rotate = rotate.context("nothing has been changed")?;
    if options.plan {
        interactive::print(options.output.format, rotate.plan(), &options.name, &plan_text(rotate.plan()))?;
        return Ok(Exit::Done);
    }
    // Another token of the same account takes nothing away from anybody.
    let harmless = matches!(new, NewCredential::Renewed { .. });
    if !agreed(rotate.plan(), options.yes || harmless)? {
        return Ok(Exit::Failed);
    }
    for note in &rotate.plan().notes {
        output::note(&format!("note: {note}"));
    }
    let stop = stopped_by_signals()?;
    let progress = Progress::start("writing, and waiting for the cluster to answer through the gateway");
    let rotated = rotate.commit(&target.store, gateway.as_ref(), &stop).await;
    drop(progress);
    let rotated = rotated?;
    interactive::print(options.output.format, &rotated, &rotated.cluster, &sentence(&rotated))?;
    Ok(Exit::Done)
}

fn sentence(rotated: &Rotated) -> String {
    let Rotated { cluster, credential_type, service_account, answers } = rotated;
    let what = match service_account {
        Some(account) => format!("a token of service account {account}, which the gateway renews"),
        None => format!("a credential of type {credential_type}, which nobody renews"),
    };
    let answers = if *answers {
        "it answers through the gateway"
    } else {
        "not yet seen to answer through the gateway"
    };
    format!("cluster {cluster} has {what}: {answers}\n")
}

impl RotateOptions {
    fn credential(&self, asks: bool) -> anyhow::Result<NewCredential> {
        let kubeconfig = self.source()?.map(|source| (source, self.context.clone()));
        Ok(match (self.account.request(None, asks)?, kubeconfig) {
            (Some(request), kubeconfig) => NewCredential::Account { request, kubeconfig },
            (None, Some((kubeconfig, context))) => NewCredential::Kubeconfig { kubeconfig, context },
            (None, None) if self.account.service_account.is_some() => {
                bail!("--service-account=none needs a KUBECONFIG: without either there is no credential")
            }
            (None, None) => NewCredential::Renewed { lifetime: self.account.credential_lifetime },
        })
    }

    fn source(&self) -> anyhow::Result<Option<KubeconfigSource>> {
        let source = match &self.kubeconfig_of_cluster {
            None => return Ok(None),
            Some(path) if path == Path::new("-") => {
                KubeconfigSource::read(std::io::stdin().lock(), "standard input", None)
            }
            Some(path) => KubeconfigSource::open(path),
        };
        source.map(Some).map_err(|reason| anyhow!("kubeconfig: {reason}"))
    }

    /// The gateway to look through; `None`: nobody wants that, or no server runs.
    async fn gateway(&self, target: &Target) -> anyhow::Result<Option<Gateway>> {
        if self.skip_post_check {
            return Ok(None);
        }
        let client = match &target.hub {
            Some(hub) => Some(hub.client()),
            None => self.standalone.client(&self.target).await?,
        };
        if client.is_none() {
            output::note("note: no standalone server answers; it takes the credential up when it starts");
        }
        Ok(client.map(|client| Gateway::new(client, PATIENCE)))
    }
}
