//! Label values of a proxied request, from bounded sets (contract rules 6, 7).

use std::sync::Arc;

use http::{Method, StatusCode};
use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};

use crate::request::watches;

/// Labels of a proxied request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Labels {
    /// Resource, plural; `other` if Kubernetes has none of that name; empty for paths that are no resources.
    pub resource: &'static str,
    /// Kubernetes verb at the member.
    pub verb: &'static str,
    /// A registered cluster, or `other`.
    pub cluster: Arc<str>,
    /// HTTP status; 0 for one that has no name: a member could make up hundreds.
    pub code: u16,
}

/// Label value of everything outside a bounded set.
const OTHER: &str = "other";

impl Labels {
    /// Labels of a request for a member's path. Reads the path without allocating: it is on the way of every request.
    #[must_use]
    pub fn of(method: &Method, path: &str, query: &str, upgrade: bool) -> Self {
        let (resource, named) = resource(path);
        let verb = if upgrade { "connect" } else { verb(method, named, resource.is_empty(), query) };
        Self { resource, verb, cluster: Arc::from(OTHER), code: 0 }
    }

    pub(super) fn with_code(mut self, code: StatusCode) -> Self {
        self.code = code.canonical_reason().map_or(0, |_| code.as_u16());
        self
    }
}

/// Resource and whether one object of it is named.
fn resource(path: &str) -> (&'static str, bool) {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let known = match segments.next() {
        Some("api") => segments.next().is_some(),
        Some("apis") => segments.next().is_some() && segments.next().is_some(),
        _ => false,
    };
    let Some(mut resource) = segments.next().filter(|_| known) else { return ("", true) };
    let mut name = segments.next();
    if resource == "namespaces"
        && let Some(inner) = segments.next()
        && !matches!(inner, "status" | "finalize")
    {
        resource = inner;
        name = segments.next();
    }
    let index = RESOURCES.binary_search(&resource);
    (index.map_or(OTHER, |index| RESOURCES[index]), name.is_some())
}

fn verb(method: &Method, named: bool, no_resource: bool, query: &str) -> &'static str {
    match *method {
        Method::GET | Method::HEAD if named || no_resource => "get",
        Method::GET | Method::HEAD if watches(query) => "watch",
        Method::GET | Method::HEAD => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        _ => OTHER,
    }
}

/// Resources of Kubernetes' own APIs and of KubeVela's, sorted.
const RESOURCES: [&str; 69] = [
    "apiservices",
    "applicationrevisions",
    "applications",
    "bindings",
    "certificatesigningrequests",
    "clusterrolebindings",
    "clusterroles",
    "clustertrustbundles",
    "componentdefinitions",
    "componentstatuses",
    "configmaps",
    "controllerrevisions",
    "cronjobs",
    "csidrivers",
    "csinodes",
    "csistoragecapacities",
    "customresourcedefinitions",
    "daemonsets",
    "deployments",
    "deviceclasses",
    "endpoints",
    "endpointslices",
    "events",
    "flowschemas",
    "horizontalpodautoscalers",
    "ingressclasses",
    "ingresses",
    "ipaddresses",
    "jobs",
    "leases",
    "limitranges",
    "localsubjectaccessreviews",
    "mutatingwebhookconfigurations",
    "namespaces",
    "networkpolicies",
    "nodes",
    "persistentvolumeclaims",
    "persistentvolumes",
    "poddisruptionbudgets",
    "pods",
    "podtemplates",
    "policies",
    "priorityclasses",
    "prioritylevelconfigurations",
    "replicasets",
    "replicationcontrollers",
    "resourceclaims",
    "resourceclaimtemplates",
    "resourcequotas",
    "resourceslices",
    "resourcetrackers",
    "rolebindings",
    "roles",
    "runtimeclasses",
    "secrets",
    "selfsubjectaccessreviews",
    "selfsubjectreviews",
    "selfsubjectrulesreviews",
    "serviceaccounts",
    "servicecidrs",
    "services",
    "statefulsets",
    "storageclasses",
    "subjectaccessreviews",
    "tokenreviews",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "validatingwebhookconfigurations",
    "volumeattachments",
];

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        use prometheus_client::encoding::EncodeLabel;
        ("resource", self.resource).encode(encoder.encode_label())?;
        ("verb", self.verb).encode(encoder.encode_label())?;
        ("cluster", self.cluster.as_ref()).encode(encoder.encode_label())?;
        ("code", self.code).encode(encoder.encode_label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_006_resource_and_verb_come_from_the_members_path() {
        for (method, path, query, expected) in [
            ("GET", "/api/v1/pods", "", ("pods", "list")),
            ("GET", "/api/v1/pods", "watch=1", ("pods", "watch")),
            ("GET", "/api/v1/namespaces/n/pods/p", "", ("pods", "get")),
            ("GET", "/api/v1/namespaces/n", "", ("namespaces", "get")),
            ("PUT", "/api/v1/namespaces/n/finalize", "", ("namespaces", "update")),
            ("DELETE", "/apis/apps/v1/namespaces/n/deployments", "", ("deployments", "deletecollection")),
            ("POST", "/apis/apps/v1/namespaces/n/deployments", "", ("deployments", "create")),
            ("GET", "/healthz", "", ("", "get")),
            ("GET", "/apis/apps/v1", "", ("", "get")),
        ] {
            let labels = Labels::of(&Method::from_bytes(method.as_bytes()).unwrap(), path, query, false);
            assert_eq!((labels.resource, labels.verb), expected, "{method} {path}?{query}");
        }
    }

    #[test]
    fn rule_007_unknown_names_are_other() {
        let method = Method::from_bytes(b"BREW").unwrap();
        let labels = Labels::of(&method, "/apis/x.example/v1/coffees/1", "", false);
        assert_eq!((labels.resource, labels.verb, labels.cluster.as_ref()), ("other", "other", "other"));
    }

    #[test]
    fn the_resources_are_sorted() {
        assert!(RESOURCES.is_sorted());
    }
}
