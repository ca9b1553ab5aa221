//! Reading and changing objects, which are plain JSON here.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::clock;

/// A field of the metadata, empty when absent.
pub(crate) fn meta<'o>(object: &'o Value, field: &str) -> &'o str {
    object["metadata"][field].as_str().unwrap_or_default()
}

pub(crate) fn name(object: &Value) -> &str {
    meta(object, "name")
}

pub(crate) fn namespace(object: &Value) -> &str {
    meta(object, "namespace")
}

/// Sets a field of the metadata, which is made when it is not there.
pub(crate) fn set_meta(object: &mut Value, field: &str, value: impl Into<Value>) {
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    object["metadata"][field] = value.into();
}

/// Takes a field of an object away.
pub(crate) fn unset(object: &mut Value, field: &str) {
    if let Some(map) = object.as_object_mut() {
        map.remove(field);
    }
}

/// What stands at a path like `spec.nodeName`, as text; empty when absent.
pub(crate) fn field(object: &Value, path: &str) -> String {
    let value = path.split('.').fold(object, |value, step| &value[step]);
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A map of strings, as labels are; what is no string is left out.
pub(crate) fn strings(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

pub(crate) fn labels(object: &Value) -> BTreeMap<String, String> {
    strings(&object["metadata"]["labels"])
}

/// Elements of a list, none when it is not there.
pub(crate) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn created(object: &Value) -> Option<OffsetDateTime> {
    clock::parse(meta(object, "creationTimestamp"))
}

/// Gives a field a value where it has none.
pub(crate) fn default(object: &mut Value, field: &str, value: impl Into<Value>) {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    if object[field].is_null() {
        object[field] = value.into();
    }
}

/// Who made it and answers for it: `uid` of the owner that is its controller.
pub(crate) fn controller_uid(object: &Value) -> Option<&str> {
    let owners = items(&object["metadata"]["ownerReferences"]);
    owners.iter().find(|owner| owner["controller"] == true)?["uid"].as_str()
}

/// Whether one of the owners has this `uid`.
pub(crate) fn is_owned_by(object: &Value, uid: &str) -> bool {
    items(&object["metadata"]["ownerReferences"]).iter().any(|owner| owner["uid"] == uid)
}
