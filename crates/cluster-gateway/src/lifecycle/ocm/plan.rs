//! What joining would write, and why it could not: only reading.

use kube::api::DynamicObject;
use serde::Serialize;

use super::kind::{CLUSTER_GROUP, Kind, OPERATOR_GROUP, find};
use super::{OcmError, OcmRequest, Side, Sides, at, manifests};
use crate::hub::{CallError, call};

/// What is done about an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// It is made.
    Create,
    /// One of its name is there and stays as it is.
    Keep,
    /// One of its name is there and is replaced.
    Replace,
    /// It is changed, once the agent has made it.
    Accept,
}

/// An object, without what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedObject {
    /// At which end.
    pub side: Side,
    /// Kind.
    pub kind: String,
    /// Namespace, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// What is done.
    pub action: Action,
}

/// What joining would write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OcmPlan {
    /// Name of the cluster.
    pub cluster: String,
    /// The objects, in their order.
    pub objects: Vec<PlannedObject>,
}

/// Looks at both ends and says what joining would write.
///
/// # Errors
/// [`OcmError`]: the cluster cannot be joined, and why.
pub async fn look(sides: &Sides, request: &OcmRequest) -> Result<OcmPlan, OcmError> {
    request.check()?;
    hub_has_ocm(sides).await?;
    name_is_free(sides, &request.name).await?;
    member_is_free(sides).await?;
    let mut objects = Vec::new();
    let identity = manifests::bootstrap(&request.name);
    for manifest in identity.iter().chain(&manifests::operator(&request.images)) {
        let action = if manifest.found(sides).await?.is_some() { Action::Keep } else { Action::Create };
        objects.push(manifest.planned(action));
    }
    let secret = manifests::hub_kubeconfig("");
    let there = secret.found(sides).await?.is_some();
    objects.push(secret.planned(if there { Action::Replace } else { Action::Create }));
    objects.push(manifests::klusterlet(request).planned(Action::Create));
    objects.push(PlannedObject {
        side: Side::Hub,
        kind: Kind::ManagedCluster.name().to_owned(),
        namespace: None,
        name: request.name.clone(),
        action: Action::Accept,
    });
    Ok(OcmPlan { cluster: request.name.clone(), objects })
}

async fn hub_has_ocm(sides: &Sides) -> Result<(), OcmError> {
    let group_version = format!("{CLUSTER_GROUP}/v1");
    let resources = call(sides.hub.list_api_group_resources(&group_version)).await;
    let served = match resources {
        Ok(resources) => resources.resources.iter().any(|resource| resource.kind == "ManagedCluster"),
        Err(CallError::NotFound(_)) => false,
        Err(error) => return Err(at(Side::Hub)(error)),
    };
    if served {
        Ok(())
    } else {
        Err(OcmError::Refused(format!(
            "the hub has no Open Cluster Management: it does not serve ManagedCluster of {group_version}; install OCM's cluster \
         manager there (clusteradm init), or join with --engine cluster-gateway"
        )))
    }
}

async fn name_is_free(sides: &Sides, name: &str) -> Result<(), OcmError> {
    let api = Kind::ManagedCluster.api(sides, Side::Hub, None);
    let Some(there) = find(&api, Side::Hub, name).await? else { return Ok(()) };
    let accepted = there.data["spec"]["hubAcceptsClient"] == true;
    Err(OcmError::Refused(format!(
        "the hub has a ManagedCluster {name} already, which it {}; choose another name, or detach that one first",
        if accepted { "accepts" } else { "does not accept yet" }
    )))
}

/// A member whose agent is registered somewhere must leave there first.
async fn member_is_free(sides: &Sides) -> Result<(), OcmError> {
    let Some(there) = klusterlet(sides).await? else { return Ok(()) };
    let cluster = there.data["spec"]["clusterName"].as_str().unwrap_or_default().escape_debug();
    Err(OcmError::Refused(format!(
        "the member has a Klusterlet already (klusterlets.{OPERATOR_GROUP}/{}): it is registered as \"{cluster}\"; detach it from \
         its hub first",
        manifests::KLUSTERLET
    )))
}

/// The member's Klusterlet, if it has one; a kind that it does not know has none.
pub(super) async fn klusterlet(sides: &Sides) -> Result<Option<DynamicObject>, OcmError> {
    let api = Kind::Klusterlet.api(sides, Side::Member, None);
    find(&api, Side::Member, manifests::KLUSTERLET).await
}
