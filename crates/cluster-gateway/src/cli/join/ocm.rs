//! `join --engine=ocm`

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use clap::{ArgAction, Args};
use kube::config::Kubeconfig;

use super::super::interactive::{self, agreed, plan_text, stopped_by_signals};
use super::super::output::{Exit, Progress};
use super::super::target::Target;
use super::JoinOptions;
use crate::hub::Operator;
use crate::lifecycle::ocm::{
    self, Action, HubAddress, Images, OcmJoined, OcmPlan, OcmRequest, Server, Sides,
};
use crate::lifecycle::{Change, Detail, LOCAL, Plan, Verb, is_cluster, parse_labels};
use crate::registry;

/// Size of a kubeconfig, in bytes, from which on it is refused.
const MAX_KUBECONFIG: u64 = 4 * 1024 * 1024;

/// Flags of `join --engine=ocm`.
#[derive(Debug, Args)]
#[command(next_help_heading = "With --engine=ocm")]
pub(super) struct OcmOptions {
    /// The cluster finds the hub by the address in the ConfigMap kube-public/cluster-info, if there is one; else by that of the
    /// hub's kubeconfig
    #[arg(long, alias = "in-cluster-boostrap", value_name = "BOOL", default_value = "true", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    in_cluster_bootstrap: bool,

    /// Where the images of OCM's operator and agent are
    #[arg(long, value_name = "REGISTRY", default_value = "quay.io/open-cluster-management")]
    ocm_registry: String,

    /// Their tag
    #[arg(long, value_name = "TAG", default_value = "v1.3.1")]
    ocm_tag: String,

    /// How long each step may wait for OCM's programs
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = crate::request::duration)]
    ocm_timeout: Duration,
}

pub(super) async fn join(options: &JoinOptions) -> anyhow::Result<Exit> {
    refuse(options)?;
    let target = options.target.open().await?;
    let hub = target.hub.as_ref().context("--engine=ocm needs a hub; a standalone server has none")?;
    let kubeconfig = kubeconfig(options)?;
    let request = request(options, &kubeconfig, hub)?;
    name_is_free(&target, &request.name).await?;
    let member = Operator::of(kubeconfig, "of the cluster", options.context.as_deref()).await?;
    let sides = Sides { hub: hub.client(), member: member.client() };
    let progress = Progress::start(ocm::Step::Look.describe());
    let plan = ocm::look(&sides, &request).await;
    drop(progress);
    let plan = plan.context("nothing has been changed")?;
    let text = in_words(&plan);
    if options.plan {
        interactive::print(options.output.format, &plan, &plan.cluster, &plan_text(&text))?;
        return Ok(Exit::Done);
    }
    if !agreed(&text, options.yes)? {
        return Ok(Exit::Failed);
    }
    let stop = stopped_by_signals()?;
    let progress = Progress::start(ocm::Step::Look.describe());
    let joined = ocm::join(&sides, &request, &|step| progress.step(step.describe()), stop.cancelled()).await;
    drop(progress);
    let joined = joined?;
    interactive::print(options.output.format, &joined, &joined.cluster, &sentence(&joined))?;
    Ok(Exit::Done)
}

/// What means nothing here is no silent default.
fn refuse(options: &JoinOptions) -> anyhow::Result<()> {
    for (given, flag, instead) in [
        (options.overwrite, "--overwrite", "detach the cluster first"),
        (options.insecure_skip_tls_verify, "--insecure-skip-tls-verify", "give the kubeconfig a CA"),
        (options.create_namespace.is_some(), "--create-namespace", "make it with kubectl"),
        (options.skip_preflight, "--skip-preflight", "this engine must reach the cluster from here"),
    ] {
        ensure!(!given, "{flag} is not for --engine=ocm: {instead}");
    }
    Ok(())
}

/// The kubeconfig, with relative paths made absolute.
fn kubeconfig(options: &JoinOptions) -> anyhow::Result<Kubeconfig> {
    let (name, read) = match &options.kubeconfig_of_cluster {
        Some(path) if path != Path::new("-") => {
            let size = fs::metadata(path).map(|metadata| metadata.len());
            let shown = path.display().to_string();
            ensure!(size.is_ok_and(|size| size <= MAX_KUBECONFIG), "cannot read {shown}, or it is too large");
            (shown, Kubeconfig::read_from(path))
        }
        _ => {
            let mut text = String::new();
            std::io::stdin().lock().take(MAX_KUBECONFIG).read_to_string(&mut text)?;
            ("standard input".to_owned(), Kubeconfig::from_yaml(&text))
        }
    };
    // The parser's own words may quote a part of it.
    read.map_err(|_| anyhow!("{name} holds no kubeconfig"))
}

fn request(options: &JoinOptions, kubeconfig: &Kubeconfig, hub: &Operator) -> anyhow::Result<OcmRequest> {
    let context = options.context.as_deref();
    let member = Server::of_context(kubeconfig, context);
    let member = member.map_err(|reason| anyhow!("kubeconfig of the cluster: {reason}"))?;
    let of_hub = hub.kubeconfig().map(|kubeconfig| Server::of_context(kubeconfig, hub.context()));
    let of_hub = of_hub.transpose().map_err(|reason| anyhow!("kubeconfig of the hub: {reason}"));
    let address = match (options.ocm.in_cluster_bootstrap, of_hub) {
        // The hub's own ConfigMap may do.
        (true, of_hub) => HubAddress::ClusterInfo(of_hub.ok().flatten()),
        (false, of_hub) => HubAddress::Given(of_hub?.context(
            "--in-cluster-bootstrap=false takes the hub's address from a kubeconfig: use --kubeconfig",
        )?),
    };
    Ok(OcmRequest {
        name: options.name.clone().map_or_else(|| name(kubeconfig, context), Ok)?,
        labels: parse_labels(&options.labels).context("--labels")?,
        alias: options.alias.clone(),
        member,
        hub: address,
        images: Images { registry: options.ocm.ocm_registry.clone(), tag: options.ocm.ocm_tag.clone() },
        patience: options.ocm.ocm_timeout,
    })
}

/// A name made of what the kubeconfig calls the cluster.
fn name(kubeconfig: &Kubeconfig, context: Option<&str>) -> anyhow::Result<String> {
    let wanted = context.or(kubeconfig.current_context.as_deref());
    let mut contexts = kubeconfig.contexts.iter().filter(|context| Some(context.name.as_str()) == wanted);
    let cluster =
        contexts.next().and_then(|context| context.context.as_ref()).map(|context| &context.cluster);
    cluster
        .and_then(|name| registry::name_of(name))
        .context("the kubeconfig calls the cluster nothing usable: add --name")
}

/// No Secret makes a cluster of this name already; one that holds nothing but its credential is meant for it.
async fn name_is_free(target: &Target, name: &str) -> anyhow::Result<()> {
    ensure!(name != LOCAL, "\"{LOCAL}\" is reserved: it means the hub itself; choose another name");
    let Some(entry) = target.store.get(name).await? else { return Ok(()) };
    let endpoint = entry.secret.data.as_ref().is_some_and(|data| data.contains_key("endpoint"));
    if is_cluster(&entry.secret) && endpoint {
        bail!(
            "there is a cluster {name} already ({}); choose another name, or detach that one",
            target.store.place(name)
        );
    }
    Ok(())
}

fn in_words(plan: &OcmPlan) -> Plan {
    let change = |object: &ocm::PlannedObject| {
        let verb = match object.action {
            Action::Keep => return None,
            Action::Create => Verb::Create,
            Action::Replace | Action::Accept => Verb::Replace,
        };
        let namespace =
            object.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let details = match object.action {
            Action::Accept => vec![Detail::only("which the agent makes: it is accepted")],
            Action::Keep | Action::Create | Action::Replace => Vec::new(),
        };
        let words = format!("{} {namespace}{}", object.kind, object.name);
        Some(Change { details, ..Change::plain(verb, words, Some(object.side)) })
    };
    let mut text = Plan::new(&plan.cluster, plan.objects.iter().filter_map(change).collect());
    text.notes.push(
        "what is made at the hub, but for the ManagedCluster, goes again as soon as the agent has its own certificate".to_owned(),
    );
    text
}

fn sentence(joined: &OcmJoined) -> String {
    let OcmJoined { cluster, endpoint, reported, .. } = joined;
    let reported = match reported {
        true => "its agent reports",
        false => {
            "its agent has not reported yet; what let it in stays at the hub, with a token that ends within the hour"
        }
    };
    format!(
        "cluster {cluster} joined by Open Cluster Management ({endpoint}): the hub accepts it, {reported}\n\
         for requests through the gateway it needs a credential: a Secret of its name (docs/ocm.md)\n"
    )
}
