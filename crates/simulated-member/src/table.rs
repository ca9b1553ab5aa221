//! Objects as rows, with the columns that kubectl's users know.

mod cells;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::object;
use crate::resources::Resource;
use crate::status::{Result, Status};

/// What each row carries beside its cells (`includeObject`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Include {
    None,
    Metadata,
    Object,
}

impl Include {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => Err(Status::bad_request(format!("unrecognized includeObject value: {other:?}"))),
        }
    }
}

/// A column of a resource; those that `-o wide` adds have priority 1.
struct Column {
    name: &'static str,
    kind: &'static str,
    wide: bool,
}

/// The columns as one text: `+` before those that only `-o wide` shows, `#` before those that are numbers.
fn titles(resource: &Resource) -> &'static str {
    match resource.kind {
        "Pod" => "Name|Ready|Status|Restarts|Age|+IP|+Node|+Nominated Node|+Readiness Gates",
        "Deployment" => "Name|Ready|#Up-to-date|#Available|Age|+Containers|+Images|+Selector",
        "ReplicaSet" => "Name|#Desired|#Current|#Ready|Age|+Containers|+Images|+Selector",
        "Service" => "Name|Type|Cluster-IP|External-IP|Port(s)|Age|+Selector",
        "Node" => {
            "Name|Status|Roles|Age|Version|+Internal-IP|+External-IP|+OS-Image|+Kernel-Version|+Container-Runtime"
        }
        "Event" => "Last Seen|Type|Reason|Object|+Subobject|+Source|Message|+First Seen|+Count|+Name",
        "Namespace" => "Name|Status|Age",
        "ConfigMap" => "Name|#Data|Age",
        "Secret" => "Name|Type|#Data|Age",
        "ServiceAccount" => "Name|#Secrets|Age",
        _ => "Name|Age",
    }
}

fn columns(resource: &Resource) -> impl Iterator<Item = Column> {
    titles(resource).split('|').map(|title| {
        let kind = if title.starts_with('#') { "integer" } else { "string" };
        Column { name: title.trim_start_matches(['+', '#']), kind, wide: title.starts_with('+') }
    })
}

/// A table of some objects, without metadata of its own.
pub(crate) fn table<'o>(
    resource: &Resource,
    objects: impl IntoIterator<Item = &'o Value>,
    include: Include,
    now: OffsetDateTime,
) -> Value {
    let definitions: Vec<Value> = columns(resource).map(|column| definition(&column)).collect();
    let rows: Vec<Value> = objects.into_iter().map(|object| row(resource, object, include, now)).collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {},
        "columnDefinitions": definitions, "rows": rows,
    })
}

/// The metadata of an object as an object of its own.
pub(crate) fn metadata(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

fn definition(column: &Column) -> Value {
    let format = if column.name == "Name" { "name" } else { "" };
    let priority = i32::from(column.wide);
    json!({"name": column.name, "type": column.kind, "format": format, "description": "", "priority": priority})
}

fn row(resource: &Resource, object: &Value, include: Include, now: OffsetDateTime) -> Value {
    let mut row = json!({"cells": cells::cells(resource, object, now)});
    match include {
        Include::None => {}
        Include::Metadata => row["object"] = metadata(object),
        Include::Object => row["object"] = object.clone(),
    }
    debug_assert_eq!(object::items(&row["cells"]).len(), columns(resource).count(), "{}", resource.plural);
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{RESOURCES, named};

    fn cells_of(plural: &str, object: &Value) -> Vec<Value> {
        let now = crate::clock::parse("2026-01-01T00:05:00Z").unwrap();
        let table = table(named(plural), [object], Include::None, now);
        table["rows"][0]["cells"].as_array().unwrap().clone()
    }

    #[test]
    fn every_row_has_a_cell_for_every_column() {
        for resource in RESOURCES {
            let columns = columns(resource).count();
            assert_eq!(cells_of(resource.plural, &json!({})).len(), columns, "{}", resource.plural);
        }
    }

    #[test]
    fn rows_show_what_people_look_for() {
        let pod = json!({
            "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"containers": [{}, {}], "nodeName": "n"},
            "status": {"phase": "Running", "podIP": "1.2.3.4", "containerStatuses": [{"ready": true, "restartCount": 2}, {"ready": false}]},
        });
        assert_eq!(
            cells_of("pods", &pod)[..7],
            ["p", "1/2", "Running", "2", "5m", "1.2.3.4", "n"].map(Value::from)
        );
        let deployment = json!({
            "metadata": {"name": "d"},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}},
            "status": {"readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 2},
        });
        assert_eq!(
            cells_of("deployments", &deployment),
            [
                json!("d"),
                json!("2/3"),
                json!(1),
                json!(2),
                json!("<unknown>"),
                json!("c"),
                json!("i"),
                json!("a=b")
            ]
        );
        let service = json!({"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": [{"port": 80, "protocol": "TCP"}, {"port": 81, "nodePort": 30081, "protocol": "UDP"}]}});
        assert_eq!(
            cells_of("services", &service)[1..5],
            ["ClusterIP", "10.0.0.1", "<none>", "80/TCP,81:30081/UDP"].map(Value::from)
        );
        assert_eq!(
            cells_of("secrets", &json!({"type": "Opaque", "data": {"a": "", "b": ""}}))[1..3],
            [json!("Opaque"), json!(2)]
        );
    }

    #[test]
    fn objects_come_along_as_asked() {
        let object = json!({"kind": "ConfigMap", "metadata": {"name": "x"}, "data": {}});
        let row = |include| {
            table(named("configmaps"), [&object], include, OffsetDateTime::UNIX_EPOCH)["rows"][0]["object"]
                .clone()
        };
        assert_eq!(row(Include::None), Value::Null);
        assert_eq!(row(Include::Metadata)["kind"], "PartialObjectMetadata");
        assert_eq!(row(Include::Object), object);
        assert!(Include::parse("Some").is_err());
    }
}
