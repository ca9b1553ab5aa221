//! The hops before the network: the Secret, and what it says.

use std::collections::BTreeMap;

use cluster_gateway_client::v1alpha1::{
    CredentialType, EndpointType, LABEL_CREDENTIAL_TYPE, LABEL_ENDPOINT_TYPE,
};
use k8s_openapi::ByteString;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::finding::Verdict;
use crate::registry::{Cluster, Entry, Unusable};

/// The Secret as its source gives it.
pub(super) fn of_entry(entry: &Entry) -> Verdict {
    let metadata = &entry.secret.metadata;
    let labels = metadata.labels.clone().unwrap_or_default();
    let Some(kind) = labels.get(LABEL_CREDENTIAL_TYPE) else {
        return Verdict::failed(
            format!("the Secret has no label {LABEL_CREDENTIAL_TYPE}, so it is no cluster's"),
            format!(
                "label it with {LABEL_CREDENTIAL_TYPE}=ServiceAccountToken, X509Certificate or Dynamic, if it is meant to be \
                 a cluster"
            ),
        );
    };
    let none = BTreeMap::new();
    let data = entry.secret.data.as_ref().unwrap_or(&none);
    let keys: Vec<_> =
        data.iter().filter(|(_, value)| !value.0.is_empty()).map(|(key, _)| key.as_str()).collect();
    // What a kubeconfig cannot say, the reader of kubeconfigs has said better.
    let missing = if entry.unusable.is_some() { Vec::new() } else { missing(entry, &labels, data) };
    if !missing.is_empty() {
        return Verdict::failed(
            format!("key {} is missing or empty; there are: {}", missing.join(", "), list(&keys)),
            format!("add it to the Secret: credential type {kind} needs it"),
        );
    }
    let place = metadata
        .namespace
        .as_deref()
        .map(|namespace| format!(" in namespace {namespace}"))
        .unwrap_or_default();
    Verdict::passed(format!("Secret{place}, credential type {kind}, keys {}", list(&keys)))
}

fn missing(
    entry: &Entry,
    labels: &BTreeMap<String, String>,
    data: &BTreeMap<String, ByteString>,
) -> Vec<String> {
    let kind = labels.get(LABEL_CREDENTIAL_TYPE).and_then(|value| CredentialType::parse(value));
    let mut needed = match kind {
        Some(CredentialType::ServiceAccountToken) => vec!["token"],
        Some(CredentialType::X509Certificate) => vec!["tls.crt", "tls.key"],
        Some(CredentialType::Dynamic) => vec!["exec"],
        None => Vec::new(),
    };
    let behind_agent = labels.get(LABEL_ENDPOINT_TYPE).and_then(|value| EndpointType::parse(value))
        == Some(EndpointType::ClusterProxy);
    if !behind_agent && entry.managed_cluster.is_none() {
        needed.push("endpoint");
    }
    let there = |key: &&str| data.get(*key).is_some_and(|value| !value.0.is_empty());
    needed.iter().filter(|key| !there(key)).map(|key| format!("\"{key}\"")).collect()
}

fn list(keys: &[&str]) -> String {
    if keys.is_empty() { "none".to_owned() } else { keys.join(", ") }
}

/// The Secret as the gateway has read it.
pub(super) fn of_cluster(cluster: &Cluster) -> Verdict {
    if !cluster.registered {
        return Verdict::failed(
            "there is a ManagedCluster of this name, and no Secret with a credential",
            "join the cluster, so that the gateway has a credential for it",
        );
    }
    let version = &cluster.resource_version;
    let read = if version.is_empty() { String::new() } else { format!(" at resourceVersion {version}") };
    Verdict::passed(format!("the gateway has read it{read}"))
}

/// What the Secret says, as the one reader of Secrets understands it.
pub(super) fn parse(cluster: &Cluster, impersonates: bool) -> Verdict {
    let upstream = match &cluster.upstream {
        Ok(upstream) => upstream,
        Err(Unusable(reason)) => {
            return Verdict::failed(
                reason,
                "correct the Secret (or the file that stands for it) as the reason says; it is read again by itself",
            );
        }
    };
    let kind = cluster.credential_type.map(|kind| kind.as_str()).unwrap_or_default();
    let proxy = cluster.proxy_url.as_ref().map(|url| format!(" through {url}")).unwrap_or_default();
    let found = format!("{}{}{proxy}, {kind}{}", upstream.origin, upstream.base_path, facts(cluster));
    match &cluster.identity_rules {
        Ok(_) => Verdict::passed(found),
        Err(error) => {
            let found = format!("{found}; its identity rules cannot be understood: {error}");
            let remedy = "correct the annotation with the identity rules: while callers' identities are passed on, every \
                          request is refused";
            if impersonates { Verdict::failed(found, remedy) } else { Verdict::warned(found, remedy) }
        }
    }
}

fn facts(cluster: &Cluster) -> String {
    let facts = &cluster.credential_facts;
    let fingerprint = facts.fingerprint.as_ref().map(|fingerprint| {
        let short: String = fingerprint.chars().take("sha256:".len() + 16).collect();
        format!(" {short}")
    });
    let end = facts.not_after.map(|end| format!(" until {}", timestamp(end)));
    [fingerprint, end].into_iter().flatten().collect()
}

/// RFC 3339, to the second.
pub(super) fn timestamp(time: OffsetDateTime) -> String {
    time.replace_nanosecond(0)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| time.to_string())
}
