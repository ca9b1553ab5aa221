//! The models of the documents (contract rules 47, 53), written once for both versions.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::dialect::Dialect;

mod group;
mod meta;
mod unknown;

pub(in crate::api) use unknown::unknown_fields;

/// Full names of the group's models begin so.
const OWN: &str = "com.github.oam-dev.cluster-gateway.pkg.apis.cluster.v1alpha1.";
/// Full names of Kubernetes' own models begin so.
pub(super) const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// A model of an object.
struct Model {
    name: String,
    description: &'static str,
    /// In API objects: whether it has kind and apiVersion, and is known by them.
    kind: Option<Value>,
    required: &'static [&'static str],
    fields: Vec<Field>,
}

/// A field of a [`Model`].
struct Field {
    name: &'static str,
    description: &'static str,
    value: Type,
}

/// The type of a [`Field`].
enum Type {
    String,
    Bytes,
    Boolean,
    Integer,
    Time,
    Strings,
    StringMap,
    One(String),
    Many(String),
}

/// Full name of one of the group's models.
pub(super) fn own(name: &str) -> String {
    format!("{OWN}{name}")
}

/// All models.
pub(super) fn all(dialect: Dialect) -> Map<String, Value> {
    let mut schemas: Map<_, _> =
        models().into_iter().map(|model| (model.name.clone(), model.schema(dialect))).collect();
    schemas.insert(
        format!("{META}Time"),
        json!({ "type": "string", "format": "date-time", "description": "A moment, in RFC 3339." }),
    );
    schemas.insert(
        format!("{META}FieldsV1"),
        json!({ "type": "object", "description": "Names of fields, as a tree." }),
    );
    schemas.insert(
        format!("{META}Patch"),
        json!({ "type": "object", "description": "A change, in the format that the media type names." }),
    );
    schemas
}

/// The models of version 3 that `paths` refers to, and those that they refer to.
pub(super) fn used(paths: &Map<String, Value>) -> Map<String, Value> {
    let all = all(Dialect::V3);
    let mut used = BTreeSet::new();
    let mut open: Vec<String> = references(&Value::Object(paths.clone()));
    while let Some(name) = open.pop() {
        if let Some(schema) = all.get(&name)
            && used.insert(name)
        {
            open.extend(references(schema));
        }
    }
    all.into_iter().filter(|(name, _)| used.contains(name)).collect()
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value.as_str()) {
                ("$ref", Some(target)) => target.rsplit('/').next().map(str::to_owned).into_iter().collect(),
                _ => references(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

impl Model {
    fn schema(&self, dialect: Dialect) -> Value {
        let properties: Map<_, _> =
            self.fields.iter().map(|field| (field.name.to_owned(), field.schema(dialect))).collect();
        let mut schema = json!({ "type": "object", "description": self.description });
        if !properties.is_empty() {
            schema["properties"] = properties.into();
        }
        if !self.required.is_empty() {
            schema["required"] = json!(self.required);
        }
        if let Some(kind) = &self.kind {
            schema["x-kubernetes-group-version-kind"] = json!([kind]);
        }
        schema
    }
}

impl Field {
    fn schema(&self, dialect: Dialect) -> Value {
        let mut schema = match &self.value {
            Type::String => json!({ "type": "string" }),
            Type::Bytes => json!({ "type": "string", "format": "byte" }),
            Type::Boolean => json!({ "type": "boolean" }),
            Type::Integer => json!({ "type": "integer", "format": "int64" }),
            Type::Strings => json!({ "type": "array", "items": { "type": "string" } }),
            Type::StringMap => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
            Type::Many(name) => json!({ "type": "array", "items": dialect.reference(name) }),
            Type::One(name) => return dialect.described(name, self.description),
            Type::Time => return dialect.described(&format!("{META}Time"), self.description),
        };
        schema["description"] = self.description.into();
        schema
    }
}

fn field(name: &'static str, value: Type, description: &'static str) -> Field {
    Field { name, description, value }
}

fn models() -> Vec<Model> {
    let mut models = group::models();
    models.extend(meta::models());
    models
}
