//! Comparing an object with its schema.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Kind, Schemas};
use crate::clock;

impl Schemas {
    /// Takes the fields that `kind` does not have out of an object, and names them by their paths.
    ///
    /// # Errors
    /// With the path and what it must be, when a field holds something else.
    pub(crate) fn prune(&self, kind: &'static str, object: &mut Value) -> Result<Vec<String>, String> {
        let mut unknown = Vec::new();
        for key in self.message(kind, object, "", &mut unknown)? {
            if !matches!(key.as_str(), "apiVersion" | "kind") {
                unknown.push(key);
            }
        }
        if let Some(map) = object.as_object_mut() {
            map.retain(|key, _| !unknown.contains(key));
        }
        Ok(unknown)
    }

    /// The keys of the outermost object that `name` does not have; those further below are taken out.
    fn message(
        &self,
        name: &str,
        value: &mut Value,
        path: &str,
        unknown: &mut Vec<String>,
    ) -> Result<Vec<String>, String> {
        let Some(map) = value.as_object_mut() else {
            return Err(format!("{path}: must be an object"));
        };
        // What is null is not there.
        map.retain(|_, value| !value.is_null());
        let fields = self.fields(name);
        let mut strange = Vec::new();
        for (key, value) in map.iter_mut() {
            match fields.iter().find(|(_, field)| field.name == key) {
                Some((_, field)) => self.value(&field.kind, value, &join(path, key), unknown)?,
                None => strange.push(key.clone()),
            }
        }
        Ok(strange)
    }

    fn value(
        &self,
        kind: &Kind,
        value: &mut Value,
        path: &str,
        unknown: &mut Vec<String>,
    ) -> Result<(), String> {
        if value.is_null() {
            return Ok(());
        }
        match kind {
            Kind::Message(name) => {
                for key in self.message(name, value, path, unknown)? {
                    unknown.push(join(path, &key));
                    crate::object::unset(value, &key);
                }
                return Ok(());
            }
            Kind::List(element) => {
                let Some(list) = value.as_array_mut() else { return Err(format!("{path}: must be a list")) };
                let mut elements = list.iter_mut().enumerate();
                return elements.try_for_each(|(index, one)| {
                    self.value(element, one, &format!("{path}[{index}]"), unknown)
                });
            }
            Kind::Map(inner) => {
                let Some(map) = value.as_object_mut() else { return Err(format!("{path}: must be a map")) };
                return map
                    .iter_mut()
                    .try_for_each(|(key, one)| self.value(inner, one, &join(path, key), unknown));
            }
            _ => {}
        }
        scalar(kind, value).map_or(Ok(()), |wanted| Err(format!("{path}: must be {wanted}")))
    }
}

/// What a plain value must be, if it is not that.
fn scalar(kind: &Kind, value: &Value) -> Option<&'static str> {
    let text = value.as_str();
    let (good, wanted) = match kind {
        Kind::String => (text.is_some(), "a string"),
        Kind::Int => (value.is_i64(), "an integer"),
        Kind::Bool => (value.is_boolean(), "true or false"),
        Kind::Bytes => (text.is_some_and(|text| STANDARD.decode(text).is_ok()), "base64"),
        Kind::Time | Kind::MicroTime => {
            (text.is_some_and(|text| clock::parse(text).is_some()), "a time as in RFC 3339")
        }
        Kind::Quantity => (text.is_some() || value.is_number(), "a quantity"),
        Kind::IntOrString => (text.is_some() || value.is_i64(), "an integer or a string"),
        _ => (true, ""),
    };
    (!good).then_some(wanted)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_are_named_and_taken_out() {
        let mut pod = json!({
            "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p", "labels": {"any": "thing"}}, "odd": 1,
            "spec": {"containers": [{"name": "c", "imag": "x", "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}], "foo": {}},
        });
        let unknown = Schemas::load().prune("Pod", &mut pod).unwrap();
        assert_eq!(unknown, ["spec.containers[0].imag", "spec.foo", "odd"]);
        assert_eq!(
            pod,
            json!({
                "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p", "labels": {"any": "thing"}},
                "spec": {"containers": [{"name": "c", "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}]},
            })
        );
    }

    #[test]
    fn values_have_their_types() {
        let schemas = Schemas::load();
        for (kind, mut object, wrong) in [
            ("Deployment", json!({"spec": {"replicas": "3"}}), "spec.replicas: must be an integer"),
            ("Pod", json!({"spec": {"containers": {}}}), "spec.containers: must be a list"),
            ("Pod", json!({"spec": {"containers": [1]}}), "spec.containers[0]: must be an object"),
            ("Pod", json!({"spec": {"hostNetwork": 1}}), "spec.hostNetwork: must be true or false"),
            ("Secret", json!({"data": {"a": "%"}}), "data.a: must be base64"),
            ("ConfigMap", json!({"metadata": {"labels": {"a": 1}}}), "metadata.labels.a: must be a string"),
            (
                "ConfigMap",
                json!({"metadata": {"creationTimestamp": "now"}}),
                "metadata.creationTimestamp: must be a time as in RFC 3339",
            ),
            (
                "Service",
                json!({"spec": {"ports": [{"targetPort": true}]}}),
                "spec.ports[0].targetPort: must be an integer or a string",
            ),
        ] {
            assert_eq!(schemas.prune(kind, &mut object).unwrap_err(), wrong);
        }
        let mut object = json!({"metadata": {"creationTimestamp": null}, "data": {"a": "b"}});
        assert_eq!(schemas.prune("ConfigMap", &mut object).unwrap(), [""; 0]);
        assert_eq!(object, json!({"metadata": {}, "data": {"a": "b"}}));
    }
}
