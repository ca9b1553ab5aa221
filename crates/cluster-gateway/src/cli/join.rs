//! `cluster-gateway join`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::account::AccountOptions;
use super::interactive::{self, agreed, plan_text, stopped_by_signals, warnings};
use super::output::{self, Exit, OutputOptions, Progress};
use super::standalone_access::StandaloneOptions;
use super::target::{Target, TargetOptions};
use crate::config;
use crate::lifecycle::{
    AccountChoice, Gateway, Join, JoinRequest, Joined, KubeconfigSource, NamespaceOutcome, parse_labels,
};

/// How long the gateway may take to learn of the cluster.
const PATIENCE: Duration = Duration::from_secs(30);
/// The namespace that KubeVela keeps its own things in, on hub and members alike.
const KUBEVELA: &str = "vela-system";

mod ocm;

/// Flags of `join`.
#[derive(Debug, Args)]
pub(super) struct JoinOptions {
    /// Kubeconfig of the cluster; - reads it from standard input
    #[arg(value_name = "KUBECONFIG", required_unless_present = "from_stdin")]
    kubeconfig_of_cluster: Option<PathBuf>,

    /// Read the kubeconfig from standard input
    #[arg(long, conflicts_with = "kubeconfig_of_cluster")]
    from_stdin: bool,

    /// Context of that kubeconfig [default: its current-context]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// Name of the cluster [default: made of what the kubeconfig calls it]
    #[arg(short, long, value_name = "NAME")]
    name: Option<String>,

    /// Labels of the cluster
    #[arg(long, value_name = "KEY=VALUE,…", default_value = "", hide_default_value = true)]
    labels: String,

    /// Name of the cluster for people
    #[arg(long, value_name = "TEXT")]
    alias: Option<String>,

    /// Namespace to make in the cluster; empty for none [default: vela-system with a hub, else none]
    #[arg(long, value_name = "NAME")]
    create_namespace: Option<String>,

    /// How the cluster is managed
    #[arg(short = 't', long, value_name = "ENGINE", value_enum, default_value_t = Engine::ClusterGateway)]
    engine: Engine,

    #[command(flatten)]
    account: AccountOptions,

    /// Replace a cluster of this name; its labels, alias and identity rules stay
    #[arg(long)]
    overwrite: bool,

    /// Register the cluster unverified, if its kubeconfig says insecure-skip-tls-verify
    #[arg(long)]
    insecure_skip_tls_verify: bool,

    /// Do not look at the cluster from here: only the gateway can reach it
    #[arg(long)]
    skip_preflight: bool,

    /// Do not look whether the cluster answers through the gateway; makes no namespace
    #[arg(long)]
    skip_post_check: bool,

    /// Show what would be done, and do nothing
    #[arg(long)]
    plan: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    #[command(flatten)]
    ocm: ocm::OcmOptions,

    #[command(flatten)]
    standalone: StandaloneOptions,

    #[command(flatten)]
    target: TargetOptions,

    #[command(flatten)]
    output: OutputOptions,
}

/// How a cluster is managed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    /// By a Secret that holds its address and credential
    ClusterGateway,
    /// By Open Cluster Management
    Ocm,
}

pub(super) fn run(options: &JoinOptions) -> ExitCode {
    interactive::run("join", join(options))
}

async fn join(options: &JoinOptions) -> anyhow::Result<Exit> {
    match options.engine {
        Engine::ClusterGateway => by_secret(options).await,
        Engine::Ocm => ocm::join(options).await,
    }
}

async fn by_secret(options: &JoinOptions) -> anyhow::Result<Exit> {
    let target = options.target.open().await?;
    let gateway = options.gateway(&target).await?;
    let request = options.request(&target, gateway.is_some())?;
    let program = program(&request)?;
    let policy = config::operator_policy(options.insecure_skip_tls_verify, program);
    let progress = Progress::start("looking at the cluster");
    let join = Join::prepare(&target.store, &policy, &request, &CancellationToken::new()).await;
    drop(progress);
    let join = join.context("nothing has been changed")?;
    if options.plan {
        interactive::print(
            options.output.format,
            join.plan(),
            &join.plan().cluster,
            &plan_text(join.plan()),
        )?;
        return Ok(Exit::Done);
    }
    if !agreed(join.plan(), options.yes)? {
        return Ok(Exit::Failed);
    }
    tell(&join);
    let stop = stopped_by_signals()?;
    let progress = Progress::start("writing, and waiting for the cluster to answer through the gateway");
    let joined = join.commit(&target.store, gateway.as_ref(), &stop).await;
    drop(progress);
    let joined = joined?;
    interactive::print(options.output.format, &joined, &joined.cluster, &sentence(&joined))?;
    Ok(Exit::Done)
}

/// The program that gives the credential, where it is here.
fn program(request: &JoinRequest) -> anyhow::Result<Option<PathBuf>> {
    let member = request.kubeconfig.member(request.context.as_deref());
    let member = member.map_err(|reason| anyhow!("kubeconfig: {reason}"))?;
    let Some(exec) = member.data("exec").filter(|_| request.preflight) else { return Ok(None) };
    let exec: Value = serde_json::from_slice(&exec.0).unwrap_or_default();
    let command = exec["command"].as_str().unwrap_or_default();
    let found = config::find_program(command).with_context(|| {
        format!(
            "the credential comes from the program \"{}\", which is not here (an absolute path, or found in PATH); the gateway \
             runs it itself: --skip-preflight does without it here",
            command.escape_debug()
        )
    })?;
    Ok(Some(found))
}

/// What should be known even by those who are not asked.
fn tell(join: &Join) {
    let plan = join.plan();
    let notes: String = plan.notes.iter().map(|note| format!("note: {note}\n")).collect();
    for line in (notes + &plan.preflight.as_ref().map(warnings).unwrap_or_default()).lines() {
        output::note(line);
    }
}

fn sentence(joined: &Joined) -> String {
    let Joined { cluster, endpoint, replaced, answers, .. } = joined;
    let verb = if *replaced { "replaced" } else { "joined" };
    let version = joined
        .version
        .as_ref()
        .map_or_else(String::new, |version| format!(", Kubernetes {}", version.git_version));
    let answers = if *answers {
        "it answers through the gateway"
    } else {
        "not yet seen to answer through the gateway"
    };
    let namespace = match joined.namespace {
        NamespaceOutcome::Created => "; its namespace has been made",
        NamespaceOutcome::NotAsked | NamespaceOutcome::Existed => "",
    };
    let account = joined.service_account.as_ref().map_or_else(String::new, |account| {
        format!("; its credential is a token of service account {account}, which the gateway renews")
    });
    format!("cluster {cluster} {verb} ({endpoint}{version}): {answers}{namespace}{account}\n")
}

impl JoinOptions {
    fn request(&self, target: &Target, asks: bool) -> anyhow::Result<JoinRequest> {
        let namespace = match (&self.create_namespace, &target.hub) {
            (Some(namespace), _) => Some(namespace.clone()),
            (None, Some(_)) => Some(KUBEVELA.to_owned()),
            (None, None) => None,
        };
        Ok(JoinRequest {
            kubeconfig: self.source()?,
            context: self.context.clone(),
            name: self.name.clone(),
            labels: parse_labels(&self.labels).context("--labels")?,
            alias: self.alias.clone(),
            create_namespace: namespace.filter(|_| !self.skip_post_check),
            overwrite: self.overwrite,
            allow_insecure: self.insecure_skip_tls_verify,
            account: self.account.request(Some(AccountChoice::WhereAllowed), asks)?,
            preflight: !self.skip_preflight,
        })
    }

    fn source(&self) -> anyhow::Result<KubeconfigSource> {
        let source = match &self.kubeconfig_of_cluster {
            Some(path) if path != Path::new("-") => KubeconfigSource::open(path),
            _ => KubeconfigSource::read(std::io::stdin().lock(), "standard input", None),
        };
        source.map_err(|reason| anyhow!("kubeconfig: {reason}"))
    }

    /// The gateway to look through; `None`: nobody wants that, or no server runs.
    async fn gateway(&self, target: &Target) -> anyhow::Result<Option<Gateway>> {
        if self.skip_post_check {
            return Ok(None);
        }
        if let Some(hub) = &target.hub {
            return Ok(Some(Gateway::new(hub.client(), PATIENCE)));
        }
        let client = self.standalone.client(&self.target).await?;
        if client.is_none() {
            output::note("note: no standalone server answers; it takes the cluster up when it starts");
        }
        Ok(client.map(|client| Gateway::new(client, PATIENCE)))
    }
}
