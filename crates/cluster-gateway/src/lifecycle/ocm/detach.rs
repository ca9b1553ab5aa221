//! Detaching a cluster that OCM manages.

use std::time::Duration;

use cluster_gateway_client::v1alpha1::ANNOTATION_JOIN_ATTEMPT;
use kube::Client;
use kube::api::ListParams;
use serde::Serialize;

use super::journal::{delete, gone};
use super::kind::{Kind, find};
use super::{Images, OcmError, OcmFailure, Progress, Side, Sides, Step, at, manifests, plan, signing};
use crate::hub::{CallError, call};

/// How many names of what is still there are told.
const TOLD: u32 = 10;

/// What is to be detached.
#[derive(Debug, Clone)]
pub struct OcmDetach {
    /// Name of the ManagedCluster.
    pub name: String,
    /// Also if work is still deployed there, and also without a way to the member: what runs there then stays.
    pub force: bool,
    /// How long the removal of the Klusterlet, and of the ManagedCluster, may take each.
    pub patience: Duration,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OcmDetached {
    /// The cluster.
    pub cluster: String,
    /// Whether the agent was removed from the member.
    pub agent_removed: bool,
    /// What is still there, each with the reason.
    pub left: Vec<String>,
}

/// Whether the hub has a ManagedCluster of this name, as far as it lets itself be asked: without the kind, or without the
/// right to read it, it has none.
///
/// # Errors
/// [`OcmError::Call`]: the hub does not answer.
pub async fn is_managed(hub: &Client, name: &str) -> Result<bool, OcmError> {
    let sides = Sides { hub: hub.clone(), member: hub.clone() };
    let api = Kind::ManagedCluster.api(&sides, Side::Hub, None);
    match call(api.get_metadata_opt(name)).await {
        Ok(found) => Ok(found.is_some()),
        Err(CallError::Forbidden(_) | CallError::NotFound(_)) => Ok(false),
        Err(error) => Err(at(Side::Hub)(error)),
    }
}

/// Detaches a cluster: the agent first, so that it does not register again, then the ManagedCluster.
///
/// # Errors
/// [`OcmFailure`]. What was removed before it stays removed; doing it again goes on from there.
pub async fn detach(
    hub: &Client,
    member: Option<&Client>,
    request: &OcmDetach,
    progress: Progress<'_>,
) -> Result<OcmDetached, OcmFailure> {
    let enter = |step| {
        progress(step);
        move |error| OcmFailure { step, error, left: Vec::new() }
    };
    // Without a member its side is never asked.
    let sides = Sides { hub: hub.clone(), member: member.unwrap_or(hub).clone() };
    let failed = enter(Step::Look);
    check(&sides, member.is_some(), request).await.map_err(failed)?;
    let mut left = Vec::new();
    if member.is_some() {
        let failed = enter(Step::Uninstall);
        left = uninstall(&sides, request).await.map_err(failed)?;
    } else {
        left.push("whatever OCM has installed at the member: it was not asked".to_owned());
    }
    let failed = enter(Step::Remove);
    left.extend(remove(&sides, request).await.map_err(failed)?);
    Ok(OcmDetached { cluster: request.name.clone(), agent_removed: member.is_some(), left })
}

async fn check(sides: &Sides, member: bool, request: &OcmDetach) -> Result<(), OcmError> {
    let name = &request.name;
    let api = Kind::ManagedCluster.api(sides, Side::Hub, None);
    if find(&api, Side::Hub, name).await?.is_none() {
        return Err(OcmError::Refused(format!("the hub has no ManagedCluster {name}")));
    }
    if !member && !request.force {
        return Err(OcmError::Refused(format!(
            "the agent of {name} must be removed from the member: give its kubeconfig with --kubeconfig-path; or use --force to \
             remove the cluster from the hub alone, if the member no longer exists"
        )));
    }
    if member {
        is_member(sides, name).await?;
    }
    if request.force {
        return Ok(());
    }
    let works = names(sides, Side::Hub, Kind::ManifestWork, Some(name)).await?;
    let applied = names(sides, Side::Member, Kind::AppliedManifestWork, None).await?;
    if !works.is_empty() || !applied.is_empty() {
        return Err(OcmError::Refused(format!(
            "OCM still has work deployed in {name}: {}; remove it first, or use --force",
            [works, applied].concat().join(", ")
        )));
    }
    Ok(())
}

/// That the agent is this cluster's, if there is one.
async fn is_member(sides: &Sides, name: &str) -> Result<(), OcmError> {
    let klusterlet = plan::klusterlet(sides).await?;
    let of = klusterlet.as_ref().map(|found| found.data["spec"]["clusterName"].as_str().unwrap_or_default());
    match of {
        Some(other) if other != name => Err(OcmError::Refused(format!(
            "the kubeconfig leads to another cluster: its Klusterlet is registered as \"{}\", not as {name}",
            other.escape_debug()
        ))),
        _ => Ok(()),
    }
}

/// Names of objects; a kind that is not served has none.
async fn names(
    sides: &Sides,
    side: Side,
    kind: Kind,
    namespace: Option<&str>,
) -> Result<Vec<String>, OcmError> {
    let api = kind.api(sides, side, namespace);
    match call(api.list_metadata(&ListParams::default().limit(TOLD))).await {
        Ok(list) => {
            let name = |name: String| format!("{} {name}", kind.name());
            Ok(list.items.into_iter().filter_map(|object| object.metadata.name.map(name)).collect())
        }
        Err(CallError::NotFound(_)) => Ok(Vec::new()),
        Err(error) => Err(at(side)(error)),
    }
}

/// Removes the Klusterlet, then of the rest what joining has made here. What others have installed is told.
async fn uninstall(sides: &Sides, request: &OcmDetach) -> Result<Vec<String>, OcmError> {
    let api = Kind::Klusterlet.api(sides, Side::Member, None);
    if let Some(found) = plan::klusterlet(sides).await? {
        let uid = found.metadata.uid;
        delete(&api, Side::Member, manifests::KLUSTERLET, uid.clone()).await?;
        let patience = request.patience;
        gone(&api, Side::Member, manifests::KLUSTERLET, uid.as_deref(), patience).await?;
    }
    let mut left = Vec::new();
    let secret = manifests::hub_kubeconfig("");
    for manifest in manifests::operator(&Images::default()).iter().chain([&secret]).rev() {
        let Some(found) = manifest.found(sides).await? else { continue };
        let ours =
            found.metadata.annotations.as_ref().is_some_and(|all| all.contains_key(ANNOTATION_JOIN_ATTEMPT));
        let (namespace, name) = (found.metadata.namespace, found.metadata.name.unwrap_or_default());
        if ours {
            let api = manifest.kind.api(sides, Side::Member, namespace.as_deref());
            delete(&api, Side::Member, &name, found.metadata.uid).await?;
        } else {
            left.push(format!(
                "{} {name} at the member: it was installed by somebody else",
                manifest.kind.name()
            ));
        }
    }
    Ok(left)
}

async fn remove(sides: &Sides, request: &OcmDetach) -> Result<Vec<String>, OcmError> {
    let name = &request.name;
    let api = Kind::ManagedCluster.api(sides, Side::Hub, None);
    let found = find(&api, Side::Hub, name).await?;
    let mut left = Vec::new();
    if let Some(uid) = found.map(|found| found.metadata.uid) {
        delete(&api, Side::Hub, name, uid.clone()).await?;
        if let Err(error) = gone(&api, Side::Hub, name, uid.as_deref(), request.patience).await {
            left.push(format!("ManagedCluster {name} at the hub: {error}"));
        }
    }
    signing::remove(sides, name).await?;
    // The namespace is shared by all clusters.
    for manifest in manifests::bootstrap(name).into_iter().filter(|manifest| manifest.kind != Kind::Namespace)
    {
        if let Some(found) = manifest.found(sides).await? {
            let api = manifest.kind.api(sides, Side::Hub, found.metadata.namespace.as_deref());
            delete(&api, Side::Hub, &found.metadata.name.unwrap_or_default(), found.metadata.uid).await?;
        }
    }
    Ok(left)
}
