//! Types as JSON schema.

use serde_json::{Map, Value, json};

use super::Dialect;
use crate::resources::Resource;
use crate::schema::{Field, Kind, Schemas};

/// The kinds of these resources, their lists and everything that they are made of.
pub(super) fn definitions(
    schemas: &Schemas,
    resources: &[&Resource],
    dialect: Dialect,
) -> Map<String, Value> {
    let mut roots: Vec<&'static str> = resources.iter().map(|resource| resource.kind).collect();
    roots.extend(["DeleteOptions", "ListMeta", "Status"]);
    if resources.iter().any(|resource| resource.subresources.iter().any(|below| below.kind == "Scale")) {
        roots.push("Scale");
    }
    let mut all = Map::new();
    for name in schemas.reachable(&roots) {
        all.insert(full_name(schemas, name), definition(schemas, name, resources, dialect));
    }
    for resource in resources {
        all.insert(format!("{}List", full_name(schemas, resource.kind)), list(schemas, resource, dialect));
    }
    all
}

/// `io.k8s.api.core.v1.Pod`.
pub(super) fn full_name(schemas: &Schemas, name: &str) -> String {
    match schemas.get(name).map_or("core", |found| found.group) {
        "meta" => format!("io.k8s.apimachinery.pkg.apis.meta.v1.{name}"),
        group => format!("io.k8s.api.{group}.v1.{name}"),
    }
}

pub(super) fn reference(schemas: &Schemas, name: &str, dialect: Dialect) -> Value {
    json!({"$ref": format!("{}{}", dialect.prefix(), full_name(schemas, name))})
}

fn definition(schemas: &Schemas, name: &'static str, resources: &[&Resource], dialect: Dialect) -> Value {
    let mut properties = Map::new();
    for (owner, field) in schemas.fields(name) {
        let described = schemas.description(&format!("{owner}.{}", field.name));
        properties.insert(field.name.to_owned(), property(schemas, field, described, dialect));
    }
    let mut definition = json!({"type": "object", "description": schemas.description(name)});
    let resource = resources.iter().find(|resource| resource.kind == name);
    if resource.is_some() || matches!(name, "Scale" | "DeleteOptions" | "Status") {
        add_type_meta(&mut properties);
    }
    if let Some(resource) = resource {
        definition["x-kubernetes-group-version-kind"] = json!([gvk(resource.group, resource.kind)]);
    }
    definition["properties"] = properties.into();
    definition
}

/// How a kind is named in extensions.
pub(super) fn gvk(group: &str, kind: &str) -> Value {
    json!({"group": group, "version": "v1", "kind": kind})
}

fn add_type_meta(properties: &mut Map<String, Value>) {
    for (name, description) in
        [("apiVersion", "The group and version of the kind."), ("kind", "What kind of object it is.")]
    {
        properties.insert(name.to_owned(), json!({"type": "string", "description": description}));
    }
}

fn list(schemas: &Schemas, resource: &Resource, dialect: Dialect) -> Value {
    let mut properties = Map::new();
    add_type_meta(&mut properties);
    properties.insert(
        "items".to_owned(),
        json!({"type": "array", "items": reference(schemas, resource.kind, dialect)}),
    );
    properties.insert("metadata".to_owned(), reference(schemas, "ListMeta", dialect));
    json!({
        "type": "object", "description": format!("A list of {}.", resource.plural), "required": ["items"],
        "properties": properties,
        "x-kubernetes-group-version-kind": [gvk(resource.group, &format!("{}List", resource.kind))],
    })
}

fn property(schemas: &Schemas, field: &Field, description: &str, dialect: Dialect) -> Value {
    let mut property = schema(schemas, &field.kind, dialect);
    if property.get("$ref").is_some() && dialect == Dialect::V3 {
        // Version 3 allows nothing beside a reference.
        property = json!({"allOf": [property]});
    }
    property["description"] = description.into();
    if let Some(key) = field.merge_key {
        property["x-kubernetes-patch-merge-key"] = key.into();
        property["x-kubernetes-patch-strategy"] = "merge".into();
    }
    property
}

fn schema(schemas: &Schemas, kind: &Kind, dialect: Dialect) -> Value {
    match kind {
        Kind::String | Kind::Quantity => json!({"type": "string"}),
        Kind::Int => json!({"type": "integer", "format": "int64"}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Bytes => json!({"type": "string", "format": "byte"}),
        Kind::Time | Kind::MicroTime => json!({"type": "string", "format": "date-time"}),
        Kind::IntOrString => json!({"type": "string", "format": "int-or-string"}),
        Kind::Raw => json!({"type": "object"}),
        Kind::Message(name) => reference(schemas, name, dialect),
        Kind::List(element) => json!({"type": "array", "items": schema(schemas, element, dialect)}),
        Kind::Map(value) => {
            json!({"type": "object", "additionalProperties": schema(schemas, value, dialect)})
        }
    }
}
