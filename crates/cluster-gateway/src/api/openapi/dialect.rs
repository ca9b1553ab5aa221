//! Where OpenAPI 2 and 3 say the same in different ways.

use serde_json::{Map, Value, json};

/// A version of OpenAPI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    V2,
    V3,
}

/// What an operation takes and gives.
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) tag: &'static str,
    pub(super) description: String,
    pub(super) parameters: Vec<Value>,
    /// Media types of the answer.
    pub(super) produces: &'static [&'static str],
    /// Media types of the body, and its schema; no body: empty.
    pub(super) consumes: &'static [&'static str],
    pub(super) body: Option<Value>,
    /// Schema of the answer.
    pub(super) response: Value,
    /// `x-kubernetes-action` and kind.
    pub(super) action: Option<(&'static str, Value)>,
}

impl Dialect {
    /// A reference to the schema of this full name.
    pub(super) fn reference(self, name: &str) -> Value {
        match self {
            Self::V2 => json!({ "$ref": format!("#/definitions/{name}") }),
            Self::V3 => json!({ "$ref": format!("#/components/schemas/{name}") }),
        }
    }

    /// A reference that carries a description beside it: a sibling of `$ref` is not read in version 3.
    pub(super) fn described(self, name: &str, description: &str) -> Value {
        let mut schema = match self {
            Self::V2 => self.reference(name),
            Self::V3 => json!({ "allOf": [self.reference(name)], "default": {} }),
        };
        schema["description"] = description.into();
        schema
    }

    /// A parameter; `place` is `path` or `query`.
    pub(super) fn parameter(self, place: &str, name: &str, kind: &str, description: &str) -> Value {
        let mut parameter = json!({ "name": name, "in": place, "description": description });
        if place == "path" {
            parameter["required"] = true.into();
        }
        match self {
            Self::V2 => {
                parameter["type"] = kind.into();
                parameter["uniqueItems"] = true.into();
            }
            Self::V3 => parameter["schema"] = json!({ "type": kind, "uniqueItems": true }),
        }
        parameter
    }

    /// An operation.
    pub(super) fn operation(self, operation: Operation) -> Value {
        let Operation { id, tag, description, mut parameters, produces, consumes, body, response, action } =
            operation;
        let mut out = json!({ "operationId": id, "tags": [tag], "description": description });
        match self {
            Self::V2 => {
                out["produces"] = json!(produces);
                out["schemes"] = json!(["https"]);
                if !consumes.is_empty() {
                    out["consumes"] = json!(consumes);
                }
                if let Some(schema) = body {
                    parameters
                        .push(json!({ "name": "body", "in": "body", "required": true, "schema": schema }));
                }
                out["responses"] = json!({
                    "200": { "description": "OK", "schema": response },
                    "401": { "description": "Unauthorized" },
                });
            }
            Self::V3 => {
                if let Some(schema) = body {
                    out["requestBody"] = json!({ "required": true, "content": content(consumes, &schema) });
                }
                out["responses"] = json!({
                    "200": { "description": "OK", "content": content(produces, &response) },
                    "401": { "description": "Unauthorized" },
                });
            }
        }
        if !parameters.is_empty() {
            out["parameters"] = parameters.into();
        }
        if let Some((action, kind)) = action {
            out["x-kubernetes-action"] = action.into();
            out["x-kubernetes-group-version-kind"] = kind;
        }
        out
    }
}

fn content(types: &[&str], schema: &Value) -> Value {
    types.iter().map(|name| ((*name).to_owned(), json!({ "schema": schema }))).collect::<Map<_, _>>().into()
}
