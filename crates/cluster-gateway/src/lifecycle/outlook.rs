//! What is to be known of a cluster's credential: its kind, its end, and who sees to it that there is another by then.

use std::time::Duration;

use cluster_gateway_client::v1alpha1::{ANNOTATION_SERVICE_ACCOUNT, CredentialType};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::registry::Cluster;

/// The outlook of a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialOutlook {
    /// Its kind, as the label says it; `None`: the label names none that is known.
    #[serde(rename = "type")]
    pub kind: Option<&'static str>,
    /// When it ends, RFC 3339; `None`: never, or it is not known.
    pub expires: Option<String>,
    /// Who renews it.
    pub renewal: Renewer,
}

/// Who renews a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Renewer {
    /// The gateway: it is a token of the service account that an annotation names.
    Gateway,
    /// A program gives it whenever it is needed.
    Program,
    /// Nobody: it ends.
    None,
}

impl CredentialOutlook {
    /// The outlook of a cluster's credential.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        let renewal = match cluster.credential_type {
            Some(CredentialType::Dynamic) => Renewer::Program,
            Some(CredentialType::ServiceAccountToken)
                if cluster.annotations.contains_key(ANNOTATION_SERVICE_ACCOUNT) =>
            {
                Renewer::Gateway
            }
            _ => Renewer::None,
        };
        Self {
            kind: cluster.credential_type.map(|kind| kind.as_str()),
            expires: cluster.credential_facts.not_after.and_then(timestamp),
            renewal,
        }
    }

    /// That of a token that is made when the plan is carried out; the member may give it a shorter life.
    pub(super) fn of_new_token(lifetime: Duration) -> Self {
        Self {
            kind: Some(CredentialType::ServiceAccountToken.as_str()),
            expires: OffsetDateTime::now_utc()
                .checked_add(lifetime.try_into().unwrap_or_default())
                .and_then(timestamp),
            renewal: Renewer::Gateway,
        }
    }
}

fn timestamp(time: OffsetDateTime) -> Option<String> {
    time.replace_nanosecond(0).ok()?.format(&Rfc3339).ok()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Secret;
    use serde_json::json;

    use super::*;
    use crate::registry::{ClusterPolicy, Entry};

    #[test]
    fn a_credential_says_who_renews_it() {
        let of = |kind: &str, annotations: serde_json::Value| {
            let secret: Secret = serde_json::from_value(json!({
                "metadata": {"name": "c", "annotations": annotations,
                    "labels": {"cluster.core.oam.dev/cluster-credential-type": kind}},
                "data": {"endpoint": "aHR0cHM6Ly9o", "token": "ZXlKaGJHY2lPaUp1YjI1bEluMC5leUpsZUhBaU9qRTNOamN5TWpVMk1EQjkueA=="},
            }))
            .unwrap();
            CredentialOutlook::of(&ClusterPolicy::default().read(Entry::from(secret), None))
        };
        let account = json!({"cluster.core.oam.dev/service-account": "ns/name"});
        assert_eq!(ANNOTATION_SERVICE_ACCOUNT, "cluster.core.oam.dev/service-account");
        let token = of("ServiceAccountToken", json!({}));
        assert_eq!((token.kind, token.renewal), (Some("ServiceAccountToken"), Renewer::None));
        assert_eq!(token.expires.as_deref(), Some("2026-01-01T00:00:00Z"));
        assert_eq!(of("ServiceAccountToken", account.clone()).renewal, Renewer::Gateway);
        assert_eq!(of("X509Certificate", account).renewal, Renewer::None);
        assert_eq!(of("Dynamic", json!({})).renewal, Renewer::Program);
        assert_eq!(
            serde_json::to_value(of("Other", json!({}))).unwrap(),
            json!({"type": null, "expires": null, "renewal": "None"})
        );
    }
}
