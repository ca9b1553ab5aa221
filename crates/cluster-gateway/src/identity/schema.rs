//! `ClusterGatewayProxyConfiguration` as it is written. A field that is not known is refused: it may mean something.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cluster_gateway_client::{GROUP, VERSION};
use serde::Deserialize;

/// The kind that stands in the document.
const KIND: &str = "ClusterGatewayProxyConfiguration";
/// Characters of a document that a message repeats.
const MAX_WORDS: usize = 300;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Document {
    #[serde(default)]
    api_version: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(rename = "metadata", default)]
    _metadata: serde::de::IgnoredAny,
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    #[serde(default)]
    client_identity_exchanger: Exchanger,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchanger {
    #[serde(default)]
    rules: Vec<RawRule>,
}

/// One rule.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawRule {
    #[serde(default)]
    pub(super) name: String,
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    pub(super) source: Option<RawSource>,
    pub(super) target: Option<RawTarget>,
    url: Option<String>,
    ca_bundle: Option<String>,
    ca_file: Option<PathBuf>,
    client_certificate_file: Option<PathBuf>,
    client_key_file: Option<PathBuf>,
    timeout: Option<String>,
    #[serde(rename = "cacheTTL")]
    cache_ttl: Option<String>,
}

/// Of whom a rule speaks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RawSource {
    pub(super) user: Option<String>,
    pub(super) group: Option<String>,
    pub(super) uid: Option<String>,
    pub(super) cluster: Option<String>,
    pub(super) user_pattern: Option<String>,
    pub(super) group_pattern: Option<String>,
    pub(super) cluster_pattern: Option<String>,
}

/// Whom a static mapping makes of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTarget {
    #[serde(default)]
    pub(super) user: String,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    #[serde(default)]
    pub(super) uid: String,
    #[serde(default)]
    pub(super) extra: BTreeMap<String, Vec<String>>,
}

/// The fields of an external rule's webhook.
pub(super) struct RawWebhook {
    pub(super) url: Option<String>,
    pub(super) ca_bundle: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) client_certificate_file: Option<PathBuf>,
    pub(super) client_key_file: Option<PathBuf>,
    pub(super) timeout: Option<String>,
    pub(super) cache_ttl: Option<String>,
}

impl Document {
    /// The rules of a document.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn parse(yaml: &str) -> Result<Vec<RawRule>, String> {
        let document: Self = serde_saphyr::from_str(yaml).map_err(|error| {
            // The parser's report quotes the text; its first line says what is wrong and where.
            error.to_string().lines().next().unwrap_or_default().chars().take(MAX_WORDS).collect::<String>()
        })?;
        let version = format!("{GROUP}/{VERSION}");
        for (field, given, expected) in
            [("apiVersion", &document.api_version, version.as_str()), ("kind", &document.kind, KIND)]
        {
            if let Some(given) = given.as_deref().filter(|given| !given.is_empty() && *given != expected) {
                let given: String = given.chars().take(MAX_WORDS).collect();
                return Err(format!("its {field} is {given:?}; expected {expected}"));
            }
        }
        Ok(document.spec.client_identity_exchanger.rules)
    }
}

impl RawRule {
    /// Takes out what concerns a webhook.
    pub(super) fn take_webhook(&mut self) -> RawWebhook {
        RawWebhook {
            url: self.url.take(),
            ca_bundle: self.ca_bundle.take(),
            ca_file: self.ca_file.take(),
            client_certificate_file: self.client_certificate_file.take(),
            client_key_file: self.client_key_file.take(),
            timeout: self.timeout.take(),
            cache_ttl: self.cache_ttl.take(),
        }
    }
}

impl RawWebhook {
    /// The first field that is given, by its name.
    pub(super) fn first_given(&self) -> Option<&'static str> {
        let fields = [
            ("url", self.url.is_some()),
            ("caBundle", self.ca_bundle.is_some()),
            ("caFile", self.ca_file.is_some()),
            ("clientCertificateFile", self.client_certificate_file.is_some()),
            ("clientKeyFile", self.client_key_file.is_some()),
            ("timeout", self.timeout.is_some()),
            ("cacheTTL", self.cache_ttl.is_some()),
        ];
        fields.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }
}
