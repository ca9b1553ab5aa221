//! What is seen of the agent while it is waited for.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::Value;

use super::kind::{Kind, find};
use super::wait::{Look, until};
use super::{OcmError, OcmRequest, Side, Sides, at, manifests};
use crate::hub::{CallError, call};

/// Waits until the member serves the kind Klusterlet.
pub(super) async fn definition(sides: &Sides, request: &OcmRequest) -> Result<(), OcmError> {
    let api = Kind::CustomResourceDefinition.api(sides, Side::Member, None);
    let name = manifests::definition_name();
    until(request.patience, async || {
        let found = find(&api, Side::Member, &name).await?;
        let served = found.is_some_and(|found| condition(&found, "Established"));
        Ok(match served {
            true => Look::Done(()),
            false => Look::NotYet(format!("the member does not serve {name}")),
        })
    })
    .await
}

/// Waits until the operator runs.
pub(super) async fn operator(sides: &Sides, request: &OcmRequest) -> Result<(), OcmError> {
    let api = Kind::Deployment.api(sides, Side::Member, Some(manifests::NAMESPACE));
    until(request.patience, async || {
        let found = find(&api, Side::Member, manifests::KLUSTERLET).await?;
        let available =
            found.is_some_and(|found| found.data["status"]["availableReplicas"].as_i64() > Some(0));
        if available {
            return Ok(Look::Done(()));
        }
        let (namespace, name) = (manifests::NAMESPACE, manifests::KLUSTERLET);
        let pods = pods(sides).await;
        Ok(Look::NotYet(format!("Deployment {namespace}/{name} has no available replica{pods}")))
    })
    .await
}

/// Why the operator's pods do not run; nothing if nobody says.
async fn pods(sides: &Sides) -> String {
    let api = Api::<Pod>::namespaced(sides.member.clone(), manifests::NAMESPACE);
    let own = ListParams::default().labels("app=klusterlet").limit(10);
    let pods = call(api.list(&own)).await.map(|list| list.items).unwrap_or_default();
    let waiting = pods.iter().find_map(|pod| {
        let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
        let waiting = containers.iter().find_map(|container| container.state.as_ref()?.waiting.as_ref())?;
        let (reason, message) = (waiting.reason.as_deref()?, waiting.message.as_deref().unwrap_or_default());
        let message: String = message.escape_debug().take(300).collect();
        Some(format!(": its pod waits: {reason} {message}"))
    });
    waiting.unwrap_or_default()
}

/// Waits until the agent has made the ManagedCluster, and checks that it names the member's address.
pub(super) async fn managed_cluster(sides: &Sides, request: &OcmRequest) -> Result<DynamicObject, OcmError> {
    let api = Kind::ManagedCluster.api(sides, Side::Hub, None);
    let found = until(request.patience, async || {
        let found = find(&api, Side::Hub, &request.name).await?;
        let nothing = || Look::NotYet(format!("there is no ManagedCluster {}", request.name));
        Ok(found.map_or_else(nothing, Look::Done))
    })
    .await?;
    let named = endpoint(&found);
    if named != request.member.url {
        return Err(OcmError::Refused(format!(
            "the ManagedCluster {} that the agent has made names the address \"{}\" instead of {}; the gateway would send the \
             cluster's credential there, so it is not accepted",
            request.name,
            named.escape_debug(),
            request.member.url
        )));
    }
    Ok(found)
}

/// The address that the gateway would use.
pub(super) fn endpoint(managed: &DynamicObject) -> &str {
    managed.data["spec"]["managedClusterClientConfigs"][0]["url"].as_str().unwrap_or_default()
}

/// Waits until the agent has reported with its own certificate.
pub(super) async fn reported(sides: &Sides, request: &OcmRequest) -> Result<(), OcmError> {
    let api = Kind::ManagedCluster.api(sides, Side::Hub, None);
    until(request.patience, async || {
        let found = match call(api.get(&request.name)).await {
            Ok(found) => found,
            Err(error @ CallError::NotFound(_)) => return Ok(Look::NotYet(error.to_string())),
            Err(error) => return Err(at(Side::Hub)(error)),
        };
        let joined = condition(&found, "ManagedClusterJoined")
            || condition(&found, "ManagedClusterConditionAvailable");
        Ok(if joined { Look::Done(()) } else { Look::NotYet("the agent has not reported".to_owned()) })
    })
    .await
}

/// Whether a condition of an object is `True`.
fn condition(object: &DynamicObject, kind: &str) -> bool {
    let conditions = object.data["status"]["conditions"].as_array();
    let is = |condition: &Value| condition["type"] == kind && condition["status"] == "True";
    conditions.is_some_and(|conditions| conditions.iter().any(is))
}
