//! OpenAPI, versions 2 and 3: enough for `kubectl explain` and for what `kubectl apply` looks up.

mod paths;
mod types;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};

use crate::negotiate;
use crate::resources::{GROUPS, RESOURCES, Resource, group_version};
use crate::respond::{Body, json};
use crate::schema::Schemas;
use crate::status::Status;

/// The two ways to write it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    V2,
    V3,
}

impl Dialect {
    /// What references to types begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::V2 => "#/definitions/",
            Self::V3 => "#/components/schemas/",
        }
    }
}

/// Answers what is below `/openapi`; `None` where nothing is.
pub(crate) fn document(schemas: &Schemas, request: &Request<Incoming>) -> Option<Response<Body>> {
    let path = request.uri().path();
    let value = match path.strip_prefix("/openapi/")?.trim_end_matches('/') {
        "v2" => v2(schemas),
        "v3" => index(),
        "v3/api/v1" => v3(schemas, ""),
        other => {
            let group = other.strip_prefix("v3/apis/")?.strip_suffix("/v1")?;
            let known = !group.is_empty() && GROUPS.contains(&group);
            known.then(|| v3(schemas, group))?
        }
    };
    // client-go asks for version 2 in protobuf only, and gets on without it.
    match negotiate::form(request.headers()) {
        Ok(_) => Some(json(StatusCode::OK, &value)),
        Err(_) => Some(Status::not_acceptable().response()),
    }
}

fn index() -> Value {
    let paths = GROUPS.iter().map(|group| {
        let path = root(group).trim_start_matches('/').to_owned();
        let address = json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash=1")});
        (path, address)
    });
    json!({"paths": paths.collect::<Map<String, Value>>()})
}

/// Where a group's version 1 is served.
fn root(group: &str) -> String {
    if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}", group_version(group)) }
}

fn v3(schemas: &Schemas, group: &str) -> Value {
    let resources: Vec<&Resource> = RESOURCES.iter().filter(|resource| resource.group == group).collect();
    let definitions = types::definitions(schemas, &resources, Dialect::V3);
    json!({
        "openapi": "3.0.0", "info": info(),
        "paths": paths::paths(schemas, &resources, Dialect::V3), "components": {"schemas": definitions},
    })
}

fn v2(schemas: &Schemas) -> Value {
    let resources: Vec<&Resource> = RESOURCES.iter().collect();
    json!({
        "swagger": "2.0", "info": info(), "paths": paths::paths(schemas, &resources, Dialect::V2),
        "definitions": types::definitions(schemas, &resources, Dialect::V2),
    })
}

fn info() -> Value {
    json!({"title": "Simulated member", "version": crate::cluster::VERSION})
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every reference in a document.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    match (key.as_str(), value.as_str()) {
                        ("$ref", Some(text)) => found.push(text.to_owned()),
                        _ => references(value, found),
                    }
                }
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let schemas = Schemas::load();
        let documents = [(v2(&schemas), "#/definitions/", "/definitions")];
        let v3 =
            GROUPS.iter().map(|group| (v3(&schemas, group), "#/components/schemas/", "/components/schemas"));
        for (document, prefix, pointer) in documents.into_iter().chain(v3) {
            let mut found = Vec::new();
            references(&document, &mut found);
            for reference in found {
                let name = reference.strip_prefix(prefix).unwrap();
                assert!(document.pointer(pointer).unwrap().get(name).is_some(), "{reference}");
            }
        }
    }

    #[test]
    fn what_kubectl_looks_up_is_there() {
        let document = v3(&Schemas::load(), "");
        let patch = &document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"];
        assert_eq!(
            patch["x-kubernetes-group-version-kind"],
            json!({"group": "", "version": "v1", "kind": "Pod"})
        );
        let parameters: Vec<&str> =
            patch["parameters"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert!(parameters.contains(&"fieldValidation") && parameters.contains(&"dryRun"), "{parameters:?}");
        let pod = &document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"];
        assert_eq!(pod["containers"]["x-kubernetes-patch-merge-key"], "name");
        assert_eq!(index()["paths"]["apis/apps/v1"]["serverRelativeURL"], "/openapi/v3/apis/apps/v1?hash=1");
    }
}
