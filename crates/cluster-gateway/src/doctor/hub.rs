//! The hub, and the gateway behind it.

use cluster_gateway_client::{GROUP, VERSION};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec};
use kube::Client;
use kube::api::{Api, PostParams};
use serde::Deserialize;

use super::Check;
use super::gateway::get;
use crate::diagnosis::Outcome;
use crate::hub::{CallError, Operator, call};
use crate::lifecycle::{Store, StoreError};

mod certificate;
mod direct;

const CLUSTER_GATEWAYS: &str = "clustergateways";
const DIAGNOSIS: &str = "diagnosis";

/// Everything, in the order in which it depends on each other.
pub(super) async fn look(hub: &Operator, store: &Store) -> Vec<Check> {
    let client = hub.client();
    let mut checks = vec![version(hub).await];
    if checks.iter().any(|check| check.outcome == Outcome::Failed) {
        return checks;
    }
    checks.push(secrets(store).await);
    let (found, check) = api_service(&client).await;
    let available = check.outcome == Outcome::Passed;
    checks.push(check);
    if let Some(spec) = found.as_ref().and_then(|found| found.spec.as_ref()) {
        checks.push(service(&client, spec).await);
        checks.push(certificate::look(spec, available));
    }
    checks.push(gateway(&client).await);
    checks.extend(direct::look(&client).await);
    checks.push(rights(&client).await);
    checks
}

async fn version(hub: &Operator) -> Check {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        git_version: String,
    }
    match get::<Version>(&hub.client(), "/version").await {
        Ok(Version { git_version }) => Check::passed("Hub", format!("{}, {git_version}", hub.url())),
        Err(CallError::Forbidden(text)) => Check::passed("Hub", format!("{} answers ({text})", hub.url())),
        Err(error) => Check::failed(
            "Hub",
            format!("{} cannot be asked: {error}", hub.url()),
            "see that kubectl reaches the hub with the same kubeconfig and context (--kubeconfig, --hub-context)",
        ),
    }
}

async fn secrets(store: &Store) -> Check {
    match store.list().await {
        Ok(entries) => {
            Check::passed("Secrets", format!("{} clusters in {}", entries.len(), store.place("*")))
        }
        Err(error @ StoreError::Forbidden(_)) => Check::warned(
            "Secrets",
            format!("you may not list them: {error}"),
            "look from the gateway only (--from gateway), or ask for the right to get and list secrets in that namespace",
        ),
        Err(error) => Check::failed(
            "Secrets",
            format!("they cannot be listed: {error}"),
            "see that the namespace is the one of the gateway's --secret-namespace",
        ),
    }
}

fn name() -> String {
    format!("{VERSION}.{GROUP}")
}

async fn api_service(client: &Client) -> (Option<APIService>, Check) {
    let found = call(Api::<APIService>::all(client.clone()).get_opt(&name())).await;
    let check = match &found {
        Ok(Some(found)) => available(found),
        Ok(None) => Check::failed(
            "APIService",
            format!("the hub has no APIService {}, so it does not know the gateway", name()),
            "apply that of deploy/cluster-gateway.yaml",
        ),
        Err(error) => Check::warned(
            "APIService",
            format!("it cannot be read: {error}"),
            "ask for the right to get apiservices.apiregistration.k8s.io",
        ),
    };
    (found.ok().flatten(), check)
}

fn available(found: &APIService) -> Check {
    let status = found.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let Some(condition) = conditions.iter().find(|condition| condition.type_ == "Available") else {
        return Check::warned("APIService", "the hub has not looked at it yet", "wait for half a minute");
    };
    let message = condition.message.as_deref().unwrap_or_default();
    if condition.status == "True" {
        return Check::passed("APIService", format!("{} is available: {message}", name()));
    }
    let reason = condition.reason.as_deref().unwrap_or_default();
    Check::failed(
        "APIService",
        format!("{} is not available: {reason}: {message}", name()),
        advice(reason, message),
    )
}

/// What to do, by the reasons of kube-aggregator (contract rule 39).
fn advice(reason: &str, message: &str) -> &'static str {
    match reason {
        "ServiceNotFound" | "ServiceAccessError" => {
            "make the Service that the APIService names, or correct spec.service"
        }
        "ServicePortError" => "correct spec.service.port: the Service has no such port",
        "EndpointsNotFound" | "EndpointsAccessError" | "MissingEndpoints" => {
            "see that the gateway's pods are ready (kubectl get pods, /readyz?verbose) and that the Service selects them"
        }
        _ if message.contains("x509") => {
            "see the certificate below: caBundle must hold the CA of the certificate that the gateway serves with"
        }
        _ if message.contains("403") => "see the gateway's log: it refuses the hub's front proxy",
        _ => {
            "see the gateway's log, and that the hub's API server reaches the pods (NetworkPolicy, firewall)"
        }
    }
}

async fn service(client: &Client, spec: &APIServiceSpec) -> Check {
    let Some(reference) = &spec.service else {
        return Check::failed(
            "Service",
            "the APIService names none, so the hub itself is asked",
            "give it spec.service",
        );
    };
    let (namespace, name) =
        (reference.namespace.as_deref().unwrap_or_default(), reference.name.as_deref().unwrap_or_default());
    match call(Api::<Service>::namespaced(client.clone(), namespace).get_opt(name)).await {
        Ok(Some(_)) => Check::passed("Service", format!("{namespace}/{name}")),
        Ok(None) => Check::failed(
            "Service",
            format!("there is no Service {namespace}/{name}"),
            "make it, or correct spec.service of the APIService",
        ),
        Err(error) => Check::warned(
            "Service",
            format!("it cannot be read: {error}"),
            "ask for the right to get services there",
        ),
    }
}

/// Whether requests come through to the gateway.
async fn gateway(client: &Client) -> Check {
    match get::<serde_json::Value>(client, &format!("/apis/{GROUP}/{VERSION}")).await {
        Ok(_) => Check::passed("Gateway", "it answers through the hub"),
        Err(error) => Check::failed(
            "Gateway",
            format!("it does not answer through the hub: {error}"),
            "see APIService above, and the gateway's log",
        ),
    }
}

/// What the operator may do with clusters.
async fn rights(client: &Client) -> Check {
    let mut missing = Vec::new();
    for (subresource, verb) in [("", "list"), ("proxy", "get"), ("proxy", "create"), (DIAGNOSIS, "get")] {
        match may(client, subresource, verb).await {
            Ok(true) => {}
            Ok(false) if subresource.is_empty() => missing.push(format!("{verb} {CLUSTER_GATEWAYS}")),
            Ok(false) => missing.push(format!("{verb} {CLUSTER_GATEWAYS}/{subresource}")),
            Err(error) => {
                return Check::warned(
                    "Rights",
                    format!("the hub does not say what you may do: {error}"),
                    "see its answer",
                );
            }
        }
    }
    if missing.is_empty() {
        return Check::passed("Rights", "you may list clusters, send requests there and have them diagnosed");
    }
    Check::warned(
        "Rights",
        format!("you may not {}", missing.join(", nor ")),
        format!("ask for a ClusterRole with these in group {GROUP} (deploy/example-roles.yaml)"),
    )
}

async fn may(client: &Client, subresource: &str, verb: &str) -> Result<bool, CallError> {
    let attributes = ResourceAttributes {
        group: Some(GROUP.to_owned()),
        resource: Some(CLUSTER_GATEWAYS.to_owned()),
        subresource: Some(subresource.to_owned()),
        verb: Some(verb.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..Default::default() };
    let answer = call(Api::all(client.clone()).create(&PostParams::default(), &review)).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
