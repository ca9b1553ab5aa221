//! The agent's certificate signing request: which one is approved.
//!
//! Approved is a request of the identity that was made for this very agent, for the client certificate of an agent of this
//! very cluster. The label alone says nothing: whoever may make signing requests may write any label.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;

use super::kind::Kind;
use super::wait::{Look, until};
use super::{OcmError, OcmRequest, Side, Sides, at, manifests};
use crate::hub::{CallError, call};

const SIGNER: &str = "kubernetes.io/kube-apiserver-client";
const USAGES: [&str; 3] = ["digital signature", "key encipherment", "client auth"];
const SUBJECT: &str = "system:open-cluster-management:";
/// Group of all agents; newer ones ask for it beside their cluster's own.
const ALL_CLUSTERS: &str = "system:open-cluster-management:managed-clusters";

/// Waits for the agent's request and approves it.
pub(super) async fn approve(sides: &Sides, request: &OcmRequest) -> Result<(), OcmError> {
    let found = until(request.patience, async || {
        let all = of_cluster(sides, &request.name).await?;
        let mut refused = String::new();
        for candidate in all {
            match judge(&candidate, &request.name) {
                Ok(Judgement::Pending) => return Ok(Look::Done(Some(candidate))),
                Ok(Judgement::Approved) => return Ok(Look::Done(None)),
                Err(reason) => refused = format!("; {} was not approved: {reason}", shown(&candidate)),
            }
        }
        let cluster = &request.name;
        Ok(Look::NotYet(format!(
            "the agent has made no signing request ({}={cluster}){refused}; does the agent in {} run, and does it reach the \
             hub at the address that it was given?",
            manifests::CLUSTER_LABEL,
            manifests::AGENT_NAMESPACE
        )))
    })
    .await?;
    let Some(found) = found else { return Ok(()) };
    match approve_one(sides, &found).await {
        // Somebody else has approved or denied it: look again who.
        Err(OcmError::Call { cause: CallError::Conflict(_), .. }) => {
            let all = of_cluster(sides, &request.name).await?;
            let approved = all.iter().any(|one| judge(one, &request.name) == Ok(Judgement::Approved));
            if approved {
                Ok(())
            } else {
                Err(OcmError::Refused(format!("{} was changed meanwhile", shown(&found))))
            }
        }
        result => result,
    }
}

/// The signing requests that carry the cluster's label.
async fn of_cluster(sides: &Sides, cluster: &str) -> Result<Vec<DynamicObject>, OcmError> {
    let labelled = ListParams::default().labels(&format!("{}={cluster}", manifests::CLUSTER_LABEL));
    let api = Kind::CertificateSigningRequest.api(sides, Side::Hub, None);
    call(api.list(&labelled)).await.map(|list| list.items).map_err(at(Side::Hub))
}

/// Removes the requests that the agent's first identity has made.
pub(super) async fn remove(sides: &Sides, cluster: &str) -> Result<(), OcmError> {
    let api = Kind::CertificateSigningRequest.api(sides, Side::Hub, None);
    let user = manifests::bootstrap_user(cluster);
    for request in of_cluster(sides, cluster).await? {
        if request.data["spec"]["username"] == *user {
            let name = request.metadata.name.unwrap_or_default();
            super::journal::delete(&api, Side::Hub, &name, request.metadata.uid).await?;
        }
    }
    Ok(())
}

async fn approve_one(sides: &Sides, request: &DynamicObject) -> Result<(), OcmError> {
    let api = Kind::CertificateSigningRequest.api(sides, Side::Hub, None);
    let change = Patch::Merge(json!({
        "metadata": {"resourceVersion": request.metadata.resource_version},
        "status": {"conditions": [{
            "type": "Approved", "status": "True", "reason": "ClusterGatewayJoin",
            "message": "Asked for by the identity that cluster-gateway join has made for this cluster's agent.",
        }]},
    }));
    let name = request.metadata.name.as_deref().unwrap_or_default();
    let parameters = PatchParams::default();
    call(api.patch_subresource("approval", name, &parameters, &change)).await.map(drop).map_err(at(Side::Hub))
}

/// What is to be done with a request that is in order.
#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    Pending,
    Approved,
}

/// An error is why it is not approved.
fn judge(request: &DynamicObject, cluster: &str) -> Result<Judgement, String> {
    let spec = &request.data["spec"];
    let user = spec["username"].as_str().unwrap_or_default();
    if user != manifests::bootstrap_user(cluster) {
        return Err(format!("it was made by {}, not by this agent's identity", escaped(user)));
    }
    if spec["signerName"] != SIGNER {
        return Err(format!("its signer is {}, not {SIGNER}", spec["signerName"]));
    }
    let usages = spec["usages"].as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(other) = usages.iter().find(|usage| !USAGES.iter().any(|known| *usage == known)) {
        return Err(format!("it asks for the usage {other}"));
    }
    check_subject(spec["request"].as_str().unwrap_or_default(), cluster)?;
    let conditions = request.data["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let has = |kind: &str| conditions.iter().any(|condition: &Value| condition["type"] == kind);
    match (has("Denied"), has("Failed"), has("Approved")) {
        (true, _, _) => Err("somebody has denied it".to_owned()),
        (_, true, _) => Err("the hub could not sign it".to_owned()),
        (_, _, true) => Ok(Judgement::Approved),
        _ => Ok(Judgement::Pending),
    }
}

fn check_subject(encoded: &str, cluster: &str) -> Result<(), String> {
    let unreadable = || "it holds no certificate request".to_owned();
    let text = STANDARD.decode(encoded).map_err(|_| unreadable())?;
    let (_, pem) = parse_x509_pem(&text).map_err(|_| unreadable())?;
    let (_, parsed) = X509CertificationRequest::from_der(&pem.contents).map_err(|_| unreadable())?;
    let subject = &parsed.certification_request_info.subject;
    let names: Vec<&str> = subject.iter_common_name().filter_map(|name| name.as_str().ok()).collect();
    let groups: Vec<&str> = subject.iter_organization().filter_map(|name| name.as_str().ok()).collect();
    let (own, prefix) = (format!("{SUBJECT}{cluster}"), format!("{SUBJECT}{cluster}:"));
    let readable = names.len() == subject.iter_common_name().count()
        && groups.len() == subject.iter_organization().count();
    if !readable
        || names.len() != 1
        || !names.iter().all(|name| name.len() > prefix.len() && name.starts_with(&prefix))
    {
        return Err(format!("it asks for the user {}, not for {prefix}AGENT", escaped(&names.join(", "))));
    }
    if !groups.contains(&own.as_str()) || groups.iter().any(|group| *group != own && *group != ALL_CLUSTERS) {
        return Err(format!("it asks for the groups {}, not for {own}", escaped(&groups.join(", "))));
    }
    Ok(())
}

fn shown(request: &DynamicObject) -> String {
    format!("CertificateSigningRequest {}", request.metadata.name.as_deref().unwrap_or_default())
}

fn escaped(text: &str) -> String {
    format!("\"{}\"", text.escape_debug().take(200).collect::<String>())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

    use super::*;

    fn csr(common_name: &str, groups: &[&str]) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        for group in groups {
            params.distinguished_name.push(DnType::OrganizationName, *group);
        }
        let request = params.serialize_request(&KeyPair::generate().unwrap()).unwrap();
        STANDARD.encode(request.pem().unwrap())
    }

    fn request(change: impl FnOnce(&mut Value)) -> DynamicObject {
        let mut object = json!({
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "metadata": {"name": "m1-x"},
            "spec": {
                "username": "system:serviceaccount:open-cluster-management:cluster-bootstrap-m1",
                "signerName": SIGNER, "usages": USAGES,
                "request": csr("system:open-cluster-management:m1:agent-1", &["system:open-cluster-management:m1"]),
            },
        });
        change(&mut object);
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn the_agents_own_request_is_approved() {
        assert_eq!(judge(&request(|_| ()), "m1"), Ok(Judgement::Pending));
        let approved = request(|object| object["status"]["conditions"] = json!([{"type": "Approved"}]));
        assert_eq!(judge(&approved, "m1"), Ok(Judgement::Approved));
    }

    #[test]
    fn nobody_elses_request_is_approved() {
        let subject = |name: &str, groups: &[&str]| {
            let encoded = csr(name, groups);
            request(|object| object["spec"]["request"] = json!(encoded))
        };
        let (agent, group) = ("system:open-cluster-management:m1:a", "system:open-cluster-management:m1");
        for (bad, why) in [
            (request(|object| object["spec"]["username"] = json!("mallory")), "\"mallory\""),
            (request(|object| object["spec"]["username"] = Value::Null), "not by this agent's"),
            (
                request(|object| object["spec"]["signerName"] = json!("kubernetes.io/kubelet-serving")),
                "signer",
            ),
            (request(|object| object["spec"]["usages"] = json!(["server auth"])), "server auth"),
            (request(|object| object["spec"]["request"] = json!("!")), "no certificate request"),
            (request(|object| object["status"]["conditions"] = json!([{"type": "Denied"}])), "denied"),
            (subject("admin", &[group]), "\"admin\""),
            (subject("system:open-cluster-management:m1:", &[group]), "user"),
            (subject("system:open-cluster-management:m2:a", &[group]), "user"),
            (subject(agent, &["system:open-cluster-management:m2"]), "groups"),
            (subject(agent, &[]), "groups"),
        ] {
            let reason = judge(&bad, "m1").unwrap_err();
            assert!(reason.contains(why), "{why}: {reason}");
        }
    }
}
