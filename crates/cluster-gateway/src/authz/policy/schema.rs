//! The objects as they stand in manifests. Unknown fields are errors; null means the default, as in Kubernetes.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use serde_json::Value;

pub(super) const GROUP: &str = "rbac.authorization.k8s.io";
pub(super) const API_VERSION: &str = "rbac.authorization.k8s.io/v1";

/// Which type an object is of.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TypeMeta {
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) api_version: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) kind: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct List {
    #[serde(default, rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(default, rename = "kind")]
    _kind: IgnoredAny,
    #[serde(default, rename = "metadata")]
    _metadata: IgnoredAny,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) items: Vec<Value>,
}

/// Only name and namespace have a meaning here; whatever an API server adds may stand beside it.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) namespace: String,
}

/// A `ClusterRole` or a `Role`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Role {
    #[serde(default, rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(default, rename = "kind")]
    _kind: IgnoredAny,
    pub(super) metadata: Metadata,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) rules: Vec<PolicyRule>,
    #[serde(default)]
    pub(super) aggregation_rule: Option<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PolicyRule {
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) verbs: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) api_groups: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) resources: Vec<String>,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) resource_names: Vec<String>,
    #[serde(default, rename = "nonResourceURLs", deserialize_with = "null_is_default")]
    pub(super) non_resource_urls: Vec<String>,
}

/// A `ClusterRoleBinding` or a `RoleBinding`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RoleBinding {
    #[serde(default, rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(default, rename = "kind")]
    _kind: IgnoredAny,
    pub(super) metadata: Metadata,
    pub(super) role_ref: RoleRef,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) subjects: Vec<Subject>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RoleRef {
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) api_group: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Subject {
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) api_group: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) name: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) namespace: String,
}

fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}
