//! `detach` of a cluster that Open Cluster Management manages.

use anyhow::bail;
use kube::Client;

use super::super::interactive::{self, agreed};
use super::super::output::{self, Exit, Progress};
use super::super::target::Target;
use super::DetachOptions;
use crate::hub::{Operator, OperatorConfig};
use crate::lifecycle::ocm::{self, OcmDetach, OcmDetached, PATIENCE};
use crate::lifecycle::{Change, Detail, Plan, References, Side, Verb, is_cluster};

/// Detaches the cluster if OCM manages it. `None`: it does not, or a Secret of its name is to be detached as well. Whoever ends
/// it half-way goes on by doing it again.
pub(super) async fn detach(options: &DetachOptions, target: &Target) -> anyhow::Result<Option<Exit>> {
    let name = &options.name;
    let Some(hub) = target.hub.as_ref().map(Operator::client) else { return Ok(None) };
    if !ocm::is_managed(&hub, name).await? {
        return Ok(None);
    }
    let plan = plan(&hub, options).await?;
    if options.plan {
        interactive::print(options.output.format, &plan, name, &interactive::plan_text(&plan))?;
        return Ok(Some(Exit::Done));
    }
    if !agreed(&plan, options.yes)? {
        return Ok(Some(Exit::Failed));
    }
    let member = match &options.kubeconfig_path {
        Some(path) => {
            let settings = OperatorConfig { kubeconfigs: vec![path.clone()], context: None };
            Some(Operator::connect(&settings).await?.client())
        }
        None => None,
    };
    let request = OcmDetach { name: name.clone(), force: options.force, patience: PATIENCE };
    let progress = Progress::start(ocm::Step::Look.describe());
    let tell = |step: ocm::Step| progress.step(step.describe());
    let detached = ocm::detach(&hub, member.as_ref(), &request, &tell).await;
    drop(progress);
    let detached = detached?;
    if target.store.get(name).await?.is_some_and(|entry| is_cluster(&entry.secret)) {
        output::note(&sentence(&detached));
        return Ok(None);
    }
    interactive::print(options.output.format, &detached, name, &sentence(&detached))?;
    Ok(Some(Exit::Done))
}

async fn plan(hub: &Client, options: &DetachOptions) -> anyhow::Result<Plan> {
    let name = &options.name;
    let references = References::find(hub, name).await;
    if !references.applications.is_empty() && !options.force {
        let named = references.applications.join(", ");
        bail!(
            "{name} is still in use: Applications name it in a policy: {named}; change them first, or use --force"
        );
    }
    let delete = |object: String, side| Change::plain(Verb::Delete, object, Some(side));
    let mut changes = Vec::new();
    if options.kubeconfig_path.is_some() {
        let installed = Detail::only("with what joining has installed there");
        changes.push(Change {
            details: vec![installed],
            ..delete("Klusterlet klusterlet".to_owned(), Side::Member)
        });
    }
    changes.push(delete(format!("ManagedCluster {name}"), Side::Hub));
    let mut plan = Plan::new(name, changes);
    plan.notes = references.notes;
    Ok(plan)
}

fn sentence(detached: &OcmDetached) -> String {
    let left = detached.left.iter().map(|left| format!("still there: {left}\n")).collect::<String>();
    format!("cluster {} detached from Open Cluster Management\n{left}", detached.cluster)
}
