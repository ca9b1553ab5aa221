//! What outlives the replacement of a cluster, and what is to be known of one that is new.

use cluster_gateway_client::v1alpha1::{
    ANNOTATION_INSECURE, ANNOTATION_SERVICE_ACCOUNT, ANNOTATION_TLS_SERVER_NAME, ANNOTATION_TOKEN_ENDS,
    ANNOTATION_TOKEN_ISSUED, CredentialType, LABEL_CREDENTIAL_TYPE, LABEL_ENDPOINT_TYPE,
};
use k8s_openapi::api::core::v1::Secret;

use super::text;
use crate::lifecycle::preflight::ANNOTATION_VERSION;

/// Keeps what people have said of the cluster that is replaced: labels, rules, names. What was said of its way and its state
/// goes with them.
pub(super) fn keep(secret: &mut Secret, former: Option<&Secret>) {
    let Some(former) = former else { return };
    let stale = |key: &str| {
        let group = cluster_gateway_client::group!();
        [ANNOTATION_INSECURE, ANNOTATION_TLS_SERVER_NAME, ANNOTATION_VERSION, LABEL_ENDPOINT_TYPE]
            .contains(&key)
            || [ANNOTATION_SERVICE_ACCOUNT, ANNOTATION_TOKEN_ISSUED, ANNOTATION_TOKEN_ENDS].contains(&key)
            || key.strip_prefix("status.").is_some_and(|rest| rest.starts_with(group))
            || key.starts_with("kubectl.kubernetes.io/")
    };
    let metadata = &mut secret.metadata;
    for (key, value) in former.metadata.labels.iter().flatten().filter(|(key, _)| !stale(key)) {
        metadata.labels.get_or_insert_default().entry(key.clone()).or_insert_with(|| value.clone());
    }
    for (key, value) in former.metadata.annotations.iter().flatten().filter(|(key, _)| !stale(key)) {
        metadata.annotations.get_or_insert_default().entry(key.clone()).or_insert_with(|| value.clone());
    }
}

/// A program that gives the credential here must be there, and allowed, where the gateway runs.
pub(super) fn note_program(secret: &Secret, notes: &mut Vec<String>) {
    let dynamic = secret.metadata.labels.as_ref().is_some_and(|labels| {
        labels.get(LABEL_CREDENTIAL_TYPE).map(String::as_str) == Some(CredentialType::Dynamic.as_str())
    });
    if dynamic {
        let exec: serde_json::Value = serde_json::from_str(&text(secret, "exec")).unwrap_or_default();
        notes.push(format!(
            "the credential comes from the program \"{}\", which the gateway runs itself: it must be installed there and allowed \
             with --allow-exec-credential-command",
            exec["command"].as_str().unwrap_or_default().escape_debug().take(200).collect::<String>()
        ));
    }
}
