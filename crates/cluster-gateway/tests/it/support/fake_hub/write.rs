//! Creating, replacing and patching objects, as far as the gateway does it: conflicts are those of a real hub.

use cluster_gateway::request::query_value;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::State;

/// The kinds that can be written, and what they are called in a path.
const KINDS: [&str; 7] =
    ["secrets", "configmaps", "leases", "apiservices", "events", "resourcetrackers", "applications"];

/// What a path names.
pub(super) struct Target {
    plural: &'static str,
    namespace: String,
    name: Option<String>,
}

impl Target {
    pub(super) fn of(path: &[&str]) -> Option<Self> {
        let (["api", _, rest @ ..] | ["apis", _, _, rest @ ..]) = path else { return None };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] => (*namespace, rest),
            rest => ("", rest),
        };
        let (plural, name) = match rest {
            [plural] => (plural, None),
            [plural, name] => (plural, Some((*name).to_owned())),
            _ => return None,
        };
        let plural = KINDS.into_iter().find(|kind| kind == plural)?;
        Some(Self { plural, namespace: namespace.to_owned(), name })
    }
}

/// Code and body of the answer; a failure is its message.
pub(super) type Outcome = Result<(StatusCode, Value), (StatusCode, String)>;

impl State {
    /// Whether something has changed is for the caller to find out by the method. As in kube-apiserver a
    /// `resourceVersion` that is sent is a condition, and `dryRun` stores nothing.
    pub(super) fn handle(&mut self, method: &Method, target: &Target, query: &str, body: &[u8]) -> Outcome {
        let Target { plural, namespace, name } = target;
        let sent: Value = serde_json::from_slice(body).unwrap_or_default();
        let name =
            name.as_deref().or_else(|| sent["metadata"]["name"].as_str()).unwrap_or_default().to_owned();
        if *method == Method::PATCH && *plural == "secrets" {
            self.patches.push((query.to_owned(), sent.clone()));
        }
        let found = self.objects.get(plural, namespace, &name);
        let missing = || (StatusCode::NOT_FOUND, format!("{plural} {name:?} not found"));
        let object = match (method, found) {
            (&Method::GET, found) => return Ok((StatusCode::OK, found.ok_or_else(missing)?)),
            (&Method::POST, Some(_)) => {
                return Err((StatusCode::CONFLICT, format!("{plural} {name:?} already exists")));
            }
            (&Method::POST, None) => sent,
            (&Method::PUT, found) => replaced(&found.ok_or_else(missing)?, sent)?,
            (&Method::DELETE, found) => {
                let found = found.ok_or_else(missing)?;
                for key in ["resourceVersion", "uid"] {
                    let wanted = &sent["preconditions"][key];
                    if !wanted.is_null() && *wanted != found["metadata"][key] {
                        return Err((StatusCode::CONFLICT, format!("the {key} is another one")));
                    }
                }
                self.objects.delete(plural, namespace, &name);
                let status =
                    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"});
                return Ok((StatusCode::OK, status));
            }
            (&Method::PATCH, found) => patched(found.ok_or_else(missing)?, &sent)?,
            _ => return Err((StatusCode::METHOD_NOT_ALLOWED, "not here".to_owned())),
        };
        let object = placed(object, namespace, &name);
        if query_value(query, "dryRun").is_some_and(|value| value == "All") {
            return Ok((StatusCode::OK, object));
        }
        self.objects.put(plural, object);
        let code = if *method == Method::POST { StatusCode::CREATED } else { StatusCode::OK };
        Ok((code, self.objects.get(plural, namespace, &name).ok_or_else(missing)?))
    }
}

fn replaced(found: &Value, sent: Value) -> Result<Value, (StatusCode, String)> {
    same_version(found, &sent)?;
    Ok(sent)
}

fn patched(mut found: Value, sent: &Value) -> Result<Value, (StatusCode, String)> {
    same_version(&found, sent)?;
    json_patch::merge(&mut found, sent);
    Ok(found)
}

fn same_version(found: &Value, sent: &Value) -> Result<(), (StatusCode, String)> {
    let version = &sent["metadata"]["resourceVersion"];
    if version.is_null() || *version == found["metadata"]["resourceVersion"] {
        return Ok(());
    }
    Err((StatusCode::CONFLICT, "the object has been modified".to_owned()))
}

fn placed(mut object: Value, namespace: &str, name: &str) -> Value {
    object["metadata"]["namespace"] = json!(namespace);
    object["metadata"]["name"] = json!(name);
    object
}
