//! Strategic merge: lists whose elements have a key are merged element by element.

use serde_json::{Map, Value};

use crate::status::{Result, Status};

/// The lists that are merged, and what tells their elements apart. A list of ports is one of containers when its
/// elements say `containerPort`, else one of services.
const KEYS: &[(&str, &[&str])] = &[
    ("conditions", &["type"]),
    ("containers", &["name"]),
    ("env", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("hostAliases", &["ip"]),
    ("imagePullSecrets", &["name"]),
    ("initContainers", &["name"]),
    ("ownerReferences", &["uid"]),
    ("ports", &["containerPort", "port"]),
    ("secrets", &["name"]),
    ("topologySpreadConstraints", &["topologyKey"]),
    ("volumeDevices", &["devicePath"]),
    ("volumeMounts", &["mountPath"]),
    ("volumes", &["name"]),
];
/// Lists of plain values that are merged as sets.
const SETS: &[&str] = &["finalizers"];

const DIRECTIVE: &str = "$patch";
const DELETE_FROM_SET: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";
const RETAIN: &str = "$retainKeys";

/// Merges with the directives that kubectl writes.
pub(super) fn merge(target: &mut Value, patch: &Value) -> Result<()> {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    match changes.get(DIRECTIVE).and_then(Value::as_str) {
        Some("delete") => {
            *target = Value::Null;
            return Ok(());
        }
        Some("replace") => {
            *target = without_directives(patch);
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => return Err(Status::bad_request(format!("Unknown patch type found: {other}"))),
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(map) = target.as_object_mut() else { return Ok(()) };
    retain(map, changes);
    for (key, change) in changes {
        merge_field(map, key, change)?;
    }
    reorder(map, changes);
    Ok(())
}

/// Merges as server-side apply does for one applier: no directives, and null is no removal.
pub(crate) fn merge_by_key(target: &mut Value, applied: &Value) {
    let Value::Object(fields) = applied else {
        *target = applied.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (key, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        let slot = &mut target[key];
        match (slot.as_array_mut(), value.as_array(), list_key(key, value)) {
            (Some(elements), Some(applied), Some(id)) => {
                for one in applied {
                    match elements.iter_mut().find(|element| element[id] == one[id]) {
                        Some(element) => merge_by_key(element, one),
                        None => elements.push(one.clone()),
                    }
                }
            }
            _ => merge_by_key(slot, value),
        }
    }
}

/// The field that tells the elements of a list apart, if it is one that is merged.
fn list_key(field: &str, list: &Value) -> Option<&'static str> {
    let (_, candidates) = KEYS.iter().find(|(name, _)| *name == field)?;
    let elements = list.as_array()?;
    let known = |key: &&&str| elements.iter().all(|element| !element[**key].is_null());
    candidates.iter().find(known).copied()
}

fn merge_field(map: &mut Map<String, Value>, key: &str, change: &Value) -> Result<()> {
    if let Some(set) = key.strip_prefix(DELETE_FROM_SET) {
        let gone = change.as_array().map_or(&[][..], Vec::as_slice);
        if let Some(list) = map.get_mut(set).and_then(Value::as_array_mut) {
            list.retain(|value| !gone.contains(value));
        }
        return Ok(());
    }
    if key.starts_with('$') {
        return Ok(());
    }
    match change {
        Value::Null => {
            map.remove(key);
        }
        Value::Array(elements) => merge_list(map, key, elements, change)?,
        Value::Object(_) => {
            let slot = map.entry(key).or_insert(Value::Null);
            merge(slot, change)?;
            if slot.is_null() {
                map.remove(key);
            }
        }
        scalar => {
            map.insert(key.to_owned(), scalar.clone());
        }
    }
    Ok(())
}

fn merge_list(map: &mut Map<String, Value>, key: &str, elements: &[Value], change: &Value) -> Result<()> {
    let replace = elements.iter().any(|element| element[DIRECTIVE] == "replace");
    let real: Vec<&Value> = elements.iter().filter(|element| !is_replace(element)).collect();
    if replace {
        map.insert(key.to_owned(), real.into_iter().map(without_directives).collect());
        return Ok(());
    }
    if SETS.contains(&key) {
        if let Some(list) = map.entry(key).or_insert_with(|| Value::Array(Vec::new())).as_array_mut() {
            list.extend(
                real.into_iter()
                    .filter(|value| !elements_of(list).contains(value))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
        }
        return Ok(());
    }
    let Some(id) = list_key(key, change) else {
        map.insert(key.to_owned(), change.clone());
        return Ok(());
    };
    let slot = map.entry(key).or_insert_with(|| Value::Array(Vec::new()));
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    let Some(list) = slot.as_array_mut() else { return Ok(()) };
    for element in real {
        let at = list.iter().position(|existing| existing[id] == element[id]);
        match at {
            _ if element[DIRECTIVE] == "delete" => list.retain(|existing| existing[id] != element[id]),
            Some(at) => merge(&mut list[at], element)?,
            None => list.push(without_directives(element)),
        }
    }
    Ok(())
}

fn elements_of(list: &[Value]) -> &[Value] {
    list
}

/// Whether it is only the sign that the list is to be replaced.
fn is_replace(element: &Value) -> bool {
    element[DIRECTIVE] == "replace" && element.as_object().is_some_and(|map| map.len() == 1)
}

/// Keeps only the fields that the patch lists, of those that are alternatives to each other.
fn retain(map: &mut Map<String, Value>, changes: &Map<String, Value>) {
    if let Some(keys) = changes.get(RETAIN).and_then(Value::as_array) {
        map.retain(|key, _| keys.iter().any(|kept| kept == key));
    }
}

/// Puts the elements of merged lists into the order that the patch wants; others follow as they stood.
fn reorder(map: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (key, order) in
        changes.iter().filter_map(|(key, order)| Some((key.strip_prefix(ORDER)?, order.as_array()?)))
    {
        let Some(list) = map.get_mut(key) else { continue };
        let id = list_key(key, list);
        let rank = |element: &Value| {
            let same = |wanted: &Value| match id {
                Some(id) => wanted[id] == element[id],
                None => wanted == element,
            };
            order.iter().position(same).unwrap_or(usize::MAX)
        };
        if let Some(list) = list.as_array_mut() {
            list.sort_by_key(rank);
        }
    }
}

fn without_directives(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, value)| !key.starts_with('$') && !value.is_null());
            kept.map(|(key, value)| (key.clone(), without_directives(value))).collect()
        }
        Value::Array(list) => list.iter().map(without_directives).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(mut target: Value, patch: &Value) -> Value {
        merge(&mut target, patch).unwrap();
        target
    }

    fn pod() -> Value {
        json!({"spec": {"containers": [
            {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}], "args": ["one", "two"],
             "ports": [{"containerPort": 80, "name": "http"}]},
            {"name": "b", "image": "b:1"},
        ]}})
    }

    #[test]
    fn containers_are_merged_by_name() {
        let patch = json!({"spec": {"containers": [
            {"name": "a", "image": "a:2", "env": [{"name": "Y", "value": "2"}], "args": ["three"],
             "ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 81}]},
            {"name": "c", "image": "c:1"},
        ]}});
        assert_eq!(
            merged(pod(), &patch),
            json!({"spec": {"containers": [
                {"name": "a", "image": "a:2", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}],
                 "args": ["three"], "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}, {"containerPort": 81}]},
                {"name": "b", "image": "b:1"},
                {"name": "c", "image": "c:1"},
            ]}})
        );
    }

    #[test]
    fn directives_delete_replace_and_order() {
        let patch = json!({"spec": {
            "$setElementOrder/containers": [{"name": "c"}, {"name": "b"}],
            "containers": [{"name": "a", "$patch": "delete"}, {"name": "c", "image": "c:1"}],
        }});
        let names: Vec<Value> = merged(pod(), &patch)["spec"]["containers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["name"].clone())
            .collect();
        assert_eq!(names, ["c", "b"]);

        let patch = json!({"spec": {"containers": [{"name": "z"}, {"$patch": "replace"}]}});
        assert_eq!(merged(pod(), &patch)["spec"]["containers"], json!([{"name": "z"}]));
        assert_eq!(merged(pod(), &json!({"spec": {"$patch": "replace", "x": 1}})), json!({"spec": {"x": 1}}));
        assert_eq!(merged(pod(), &json!({"spec": {"$patch": "delete"}})), json!({}));
        assert_eq!(merge(&mut pod(), &json!({"$patch": "no"})).unwrap_err().code, 400);
    }

    #[test]
    fn finalizers_are_a_set() {
        let object = json!({"metadata": {"finalizers": ["a", "b"]}});
        let patch =
            json!({"metadata": {"finalizers": ["b", "c"], "$deleteFromPrimitiveList/finalizers": ["a"]}});
        let mut finalizers: Vec<String> =
            serde_json::from_value(merged(object, &patch)["metadata"]["finalizers"].clone()).unwrap();
        finalizers.sort();
        assert_eq!(finalizers, ["b", "c"]);
    }

    #[test]
    fn alternatives_are_retained_as_told() {
        let object = json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}});
        let patch = json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}});
        assert_eq!(merged(object, &patch), json!({"strategy": {"type": "Recreate"}}));
    }

    #[test]
    fn null_removes_and_other_lists_are_replaced() {
        let object = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "list": [1, 2]});
        let patch = json!({"metadata": {"labels": {"a": null}}, "list": [3]});
        assert_eq!(merged(object, &patch), json!({"metadata": {"labels": {"b": "2"}}, "list": [3]}));
    }

    #[test]
    fn what_is_applied_is_merged_by_key_and_removes_nothing() {
        let mut target = pod();
        merge_by_key(
            &mut target,
            &json!({"spec": {"containers": [{"name": "b", "image": "b:2"}], "nodeName": null}}),
        );
        assert_eq!(target["spec"]["containers"][1], json!({"name": "b", "image": "b:2"}));
        assert_eq!(target["spec"]["containers"][0], pod()["spec"]["containers"][0]);
        assert!(target["spec"].get("nodeName").is_none());
    }
}
