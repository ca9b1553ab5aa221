//! A gateway behind the hub's aggregation: what it says of clusters, and what members answer through it.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::State;

const ALL: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
const NAMESPACE: &str = "vela-system";

/// What a gateway does.
#[derive(Debug, Clone)]
pub struct Aggregated {
    /// What `/version` of a member answers.
    pub version: u16,
    /// What the creation of a namespace answers.
    pub create_namespace: u16,
    /// Namespaces that all members have.
    pub namespaces: Vec<String>,
    /// Whether it knows only what was there when it was last asked and did not know: for ever behind.
    pub blind: bool,
    /// Whether it records a member's health in its Secret whenever that is asked for its version.
    pub records: bool,
}

impl Default for Aggregated {
    fn default() -> Self {
        Self { version: 200, create_namespace: 201, namespaces: Vec::new(), blind: false, records: false }
    }
}

pub(super) fn is_for(path: &str) -> bool {
    path.starts_with(ALL)
}

impl State {
    pub(super) fn aggregated(&mut self, method: &Method, path: &str, body: &[u8]) -> (StatusCode, Value) {
        let Some(gateway) = self.gateway.clone() else {
            return failure(404, "the server could not find the requested resource");
        };
        let rest = path.strip_prefix(ALL).unwrap_or_default().trim_start_matches('/');
        let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let Some(mut secret) = self.objects.get("secrets", NAMESPACE, name).filter(|_| !gateway.blind) else {
            return failure(404, &format!("clustergateways.cluster.core.oam.dev \"{name}\" not found"));
        };
        match (method, rest.strip_prefix("proxy")) {
            (_, None) => (
                StatusCode::OK,
                json!({"metadata": {"name": name,
                "resourceVersion": secret["metadata"]["resourceVersion"]}}),
            ),
            (_, Some("/version")) => {
                if gateway.records {
                    secret["metadata"]["annotations"]["status.cluster.core.oam.dev/healthy"] = json!("true");
                    self.objects.put("secrets", secret);
                }
                match gateway.version {
                    200 => (StatusCode::OK, json!({"major": "1", "minor": "34", "gitVersion": "v1.34.1"})),
                    code => failure(code, "what the member says"),
                }
            }
            (&Method::POST, Some("/api/v1/namespaces")) => self.create_namespace(&gateway, body),
            (_, Some(path)) => match path.strip_prefix("/api/v1/namespaces/") {
                Some(namespace) if gateway.namespaces.iter().any(|known| known == namespace) => {
                    (StatusCode::OK, json!({"kind": "Namespace", "metadata": {"name": namespace}}))
                }
                _ => failure(404, "namespaces not found"),
            },
        }
    }

    fn create_namespace(&mut self, gateway: &Aggregated, body: &[u8]) -> (StatusCode, Value) {
        if gateway.create_namespace != 201 {
            return failure(gateway.create_namespace, "namespaces is forbidden");
        }
        let object: Value = serde_json::from_slice(body).unwrap();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        self.gateway.as_mut().unwrap().namespaces.push(name);
        (StatusCode::CREATED, object)
    }
}

fn failure(code: u16, message: &str) -> (StatusCode, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code, "message": message});
    (StatusCode::from_u16(code).unwrap(), status)
}
