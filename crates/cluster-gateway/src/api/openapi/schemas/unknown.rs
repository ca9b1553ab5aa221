//! Which fields of an object no model describes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Model, Type, models, own};

/// Fields that are named, at most; the rest of a senseless object is not worth reading.
const MAX_NAMED: usize = 20;

/// Paths of the fields of an object of this kind that its model does not have, twenty at most.
pub(in crate::api) fn unknown_fields(kind: &str, object: &Value) -> Vec<String> {
    let models = models().into_iter().map(|model| (model.name.clone(), model)).collect();
    let mut found = Vec::new();
    walk(&models, &own(kind), object, "", &mut found);
    found
}

fn walk(models: &BTreeMap<String, Model>, name: &str, value: &Value, path: &str, found: &mut Vec<String>) {
    let (Some(model), Some(map)) = (models.get(name), value.as_object()) else { return };
    for (key, value) in map {
        if found.len() >= MAX_NAMED {
            return;
        }
        let key: String = key.chars().take(100).collect();
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match model.fields.iter().find(|field| field.name == key).map(|field| &field.value) {
            None => found.push(path),
            Some(Type::One(name)) => walk(models, name, value, &path, found),
            Some(Type::Many(name)) => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    walk(models, name, item, &format!("{path}[{index}]"), found);
                }
            }
            Some(_) => {}
        }
    }
}
