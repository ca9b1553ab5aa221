//! Paths and what can be done there.

use serde_json::{Map, Value, json};

use super::{Dialect, root, types};
use crate::resources::Resource;
use crate::schema::Schemas;

/// Those parameters by which kubectl tells whether the server checks fields and rehearses writes.
const OF_WRITES: &[&str] = &["dryRun", "fieldManager", "fieldValidation"];
const OF_LISTS: &[&str] = &[
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "watch",
];

/// The paths of the objects of some resources.
pub(super) fn paths(schemas: &Schemas, resources: &[&Resource], dialect: Dialect) -> Map<String, Value> {
    let mut paths = Map::new();
    for resource in resources {
        let operation = Operations { schemas, resource, dialect };
        let root = root(resource.group);
        let scope = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
        let collection = format!("{root}{scope}/{}", resource.plural);
        paths.insert(format!("{collection}/{{name}}"), operation.of_object());
        paths.insert(collection, operation.of_collection());
        if resource.namespaced {
            paths.insert(format!("{root}/{}", resource.plural), operation.of_all());
        }
    }
    paths
}

#[derive(Clone, Copy)]
struct Operations<'s> {
    schemas: &'s Schemas,
    resource: &'s Resource,
    dialect: Dialect,
}

impl Operations<'_> {
    fn of_all(self) -> Value {
        json!({"get": self.operation("list", OF_LISTS)})
    }

    fn of_collection(self) -> Value {
        json!({
            "get": self.operation("list", OF_LISTS),
            "post": self.operation("post", OF_WRITES),
            "delete": self.operation("deletecollection", OF_LISTS),
            "parameters": self.of_path(false),
        })
    }

    fn of_object(self) -> Value {
        json!({
            "get": self.operation("get", &[]),
            "put": self.operation("put", OF_WRITES),
            "patch": self.operation("patch", OF_WRITES),
            "delete": self.operation("delete", &["dryRun"]),
            "parameters": self.of_path(true),
        })
    }

    fn operation(self, action: &str, query: &[&str]) -> Value {
        let kind = self.resource.kind;
        let body = types::reference(self.schemas, kind, self.dialect);
        let scope = if self.resource.namespaced { "Namespaced" } else { "" };
        let answer = match self.dialect {
            Dialect::V2 => json!({"description": "OK", "schema": body}),
            Dialect::V3 => json!({"description": "OK", "content": {"application/json": {"schema": body}}}),
        };
        json!({
            "operationId": format!("{action}{}{scope}{kind}", self.resource.group),
            "parameters": query.iter().map(|name| self.parameter(name, "query")).collect::<Vec<_>>(),
            "responses": {"200": answer},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": types::gvk(self.resource.group, kind),
        })
    }

    fn of_path(self, name: bool) -> Vec<Value> {
        let namespace = self.resource.namespaced.then_some("namespace");
        let parameters = [namespace, name.then_some("name")].into_iter().flatten();
        parameters.map(|parameter| self.parameter(parameter, "path")).collect()
    }

    fn parameter(self, name: &str, place: &str) -> Value {
        let mut parameter = json!({"name": name, "in": place});
        if place == "path" {
            parameter["required"] = true.into();
        }
        match self.dialect {
            Dialect::V2 => parameter["type"] = "string".into(),
            Dialect::V3 => parameter["schema"] = json!({"type": "string"}),
        }
        parameter
    }
}
