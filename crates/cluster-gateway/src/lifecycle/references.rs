//! What of KubeVela still refers to a cluster, where KubeVela is installed.

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use serde::Serialize;
use serde_json::Value;

use super::trackers::Tracked;
use crate::hub::{CallError, call};

/// Objects in one answer of the hub.
const PAGE: u32 = 100;
/// Objects of one kind that are looked at, at most.
const MOST: usize = 20_000;
/// Names in a message.
const MOST_NAMED: usize = 10;

/// What still refers to a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct References {
    /// Applications that name it in a topology or environment policy, `NAMESPACE/NAME`.
    pub applications: Vec<String>,
    /// ResourceTrackers that hold resources in it.
    pub trackers: Vec<TrackerUse>,
    /// What could not be looked at, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A ResourceTracker.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackerUse {
    /// Its name.
    pub name: String,
    /// Resources in the cluster that it holds.
    pub resources: usize,
    /// It as it was read.
    #[serde(skip)]
    pub(super) object: DynamicObject,
}

impl std::fmt::Debug for TrackerUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What it tracks may hold anything.
        f.debug_struct("TrackerUse").field("name", &self.name).finish_non_exhaustive()
    }
}

impl References {
    /// Looks for them at a hub. Where KubeVela is not installed there are none; what may not be read is a note.
    pub async fn find(client: &Client, cluster: &str) -> Self {
        let mut references = Self::default();
        references.find_applications(client, cluster).await;
        references.find_trackers(client, cluster).await;
        references
    }

    async fn find_applications(&mut self, client: &Client, cluster: &str) {
        for object in self.list(client, "Application", "applications").await {
            if uses(&object.data, cluster) {
                let metadata = object.metadata;
                let (namespace, name) =
                    (metadata.namespace.unwrap_or_default(), metadata.name.unwrap_or_default());
                self.applications.push(format!("{namespace}/{name}"));
            }
        }
    }

    async fn find_trackers(&mut self, client: &Client, cluster: &str) {
        for object in self.list(client, "ResourceTracker", "resourcetrackers").await {
            let name = object.metadata.name.clone().unwrap_or_default();
            match Tracked::read(&object).map(|tracked| tracked.count(cluster)) {
                Ok(0) => {}
                Ok(resources) => self.trackers.push(TrackerUse { name, resources, object }),
                Err(why) => self.notes.push(format!("ResourceTracker {name} is left as it is: {why}")),
            }
        }
    }

    async fn list(&mut self, client: &Client, kind: &str, plural: &str) -> Vec<DynamicObject> {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(kind, plural));
        let mut parameters = ListParams::default().limit(PAGE);
        let mut objects = Vec::new();
        loop {
            match call(api.list(&parameters)).await {
                Ok(page) => {
                    objects.extend(page.items);
                    let next = page.metadata.continue_.filter(|token| !token.is_empty());
                    match next {
                        Some(token) if objects.len() < MOST => parameters = parameters.continue_token(&token),
                        Some(_) => {
                            self.notes.push(format!("only {MOST} {plural} have been looked at"));
                            break;
                        }
                        None => break,
                    }
                }
                // KubeVela is not installed.
                Err(CallError::NotFound(_)) => break,
                Err(error) => {
                    self.notes.push(format!("{plural} cannot be looked at: {error}"));
                    break;
                }
            }
        }
        objects
    }

    /// Whether nothing refers to the cluster.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.applications.is_empty() && self.trackers.is_empty()
    }

    /// In one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let listed = |names: Vec<String>| {
            let more = names.len().saturating_sub(MOST_NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{}{more}", names.into_iter().take(MOST_NAMED).collect::<Vec<_>>().join(", "))
        };
        let mut parts = Vec::new();
        if !self.applications.is_empty() {
            parts.push(format!("Applications name it in a policy: {}", listed(self.applications.clone())));
        }
        if !self.trackers.is_empty() {
            let trackers =
                self.trackers.iter().map(|tracker| format!("{} ({})", tracker.name, tracker.resources));
            parts.push(format!("ResourceTrackers hold resources in it: {}", listed(trackers.collect())));
        }
        parts.join("; ")
    }
}

/// A kind of KubeVela's.
pub(super) fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "core.oam.dev".to_owned(),
        version: "v1beta1".to_owned(),
        api_version: "core.oam.dev/v1beta1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// Whether an Application names a cluster: in a topology policy, or in one of the older kind.
fn uses(application: &Value, cluster: &str) -> bool {
    let policies = application["spec"]["policies"].as_array();
    policies.into_iter().flatten().any(|policy| {
        let properties = &policy["properties"];
        match policy["type"].as_str() {
            Some("topology") => {
                let clusters = properties["clusters"].as_array();
                clusters.into_iter().flatten().any(|named| named == cluster)
            }
            Some("env-binding") => {
                let environments = properties["envs"].as_array();
                environments
                    .into_iter()
                    .flatten()
                    .any(|environment| environment["placement"]["clusterSelector"]["name"] == cluster)
            }
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_application_names_a_cluster_in_a_policy() {
        let of = |policy: Value| uses(&json!({"spec": {"policies": [{"type": "override"}, policy]}}), "edge");
        assert!(of(json!({"type": "topology", "properties": {"clusters": ["a", "edge"]}})));
        let environment = json!({"name": "prod", "placement": {"clusterSelector": {"name": "edge"}}});
        assert!(of(json!({"type": "env-binding", "properties": {"envs": [environment]}})));
        for other in [
            json!({"type": "topology", "properties": {"clusters": ["edges"]}}),
            json!({"type": "topology", "properties": {"namespace": "edge"}}),
            json!({"type": "override", "properties": {"clusters": ["edge"]}}),
            json!({"type": "topology"}),
        ] {
            assert!(!of(other.clone()), "{other}");
        }
        assert!(!uses(&json!({}), "edge"));
    }
}
