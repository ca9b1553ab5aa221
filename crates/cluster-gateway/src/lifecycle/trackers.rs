//! KubeVela's ResourceTrackers: which resources an Application has in which cluster.

use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::{Value, json};

use super::TrackerUse;
use super::references::resource;
use super::step::Steps;
use crate::hub::{CallError, call};

/// Bytes of a ResourceTracker when it is unpacked, at most.
const MOST: u64 = 64 * 1024 * 1024;

/// The resources that a ResourceTracker holds, and how it packs them.
pub(super) struct Tracked {
    resources: Vec<Value>,
    packed: bool,
}

impl Tracked {
    /// # Errors
    /// Why it cannot be read.
    pub(super) fn read(object: &DynamicObject) -> Result<Self, String> {
        let spec = &object.data["spec"];
        let packing = &spec["compression"];
        let (value, packed) = match packing["type"].as_str().unwrap_or_default() {
            "" => (spec["managedResources"].clone(), false),
            "gzip" => (unpack(packing["data"].as_str().unwrap_or_default())?, true),
            other => {
                return Err(format!("its compression \"{}\" cannot be unpacked here", other.escape_debug()));
            }
        };
        match value {
            Value::Null => Ok(Self { resources: Vec::new(), packed }),
            Value::Array(resources) => Ok(Self { resources, packed }),
            _ => Err("managedResources is no list".to_owned()),
        }
    }

    /// Resources in a cluster.
    pub(super) fn count(&self, cluster: &str) -> usize {
        self.resources.iter().filter(|resource| resource["cluster"] == cluster).count()
    }

    /// Takes a cluster's resources out of `object`.
    fn without(mut self, cluster: &str, object: &mut DynamicObject) -> Result<(), String> {
        self.resources.retain(|resource| resource["cluster"] != cluster);
        let resources = Value::Array(self.resources);
        let spec = &mut object.data["spec"];
        if self.packed {
            spec["compression"]["data"] = json!(pack(&resources)?);
        } else {
            spec["managedResources"] = resources;
        }
        Ok(())
    }
}

/// ResourceTrackers from which a cluster has been taken out.
pub(super) struct Cleaned<'w> {
    api: Api<DynamicObject>,
    steps: Steps<'w>,
    done: Vec<Written>,
}

/// A write that was made, or may have been made.
struct Written {
    before: DynamicObject,
    after: DynamicObject,
}

impl<'w> Cleaned<'w> {
    pub(super) fn new(client: &Client, steps: Steps<'w>) -> Self {
        let api = Api::all_with(client.clone(), &resource("ResourceTracker", "resourcetrackers"));
        Self { api, steps, done: Vec::new() }
    }

    /// Takes the cluster out of a tracker. One that is gone meanwhile needs nothing.
    pub(super) async fn clean(&mut self, tracker: &TrackerUse, cluster: &str) -> Result<(), String> {
        let step = format!("Replace ResourceTracker {}", tracker.name);
        self.steps.make(step, Box::pin(self.take_out(tracker, cluster))).await
    }

    async fn take_out(&mut self, tracker: &TrackerUse, cluster: &str) -> Result<(), String> {
        let failed = |why: &dyn std::fmt::Display| format!("ResourceTracker {}: {why}", tracker.name);
        let (before, mut after) = (tracker.object.clone(), tracker.object.clone());
        Tracked::read(&before)
            .and_then(|tracked| tracked.without(cluster, &mut after))
            .map_err(|why| failed(&why))?;
        match call(self.api.replace(&tracker.name, &PostParams::default(), &after)).await {
            Ok(_) => {
                self.done.push(Written { before, after });
                Ok(())
            }
            Err(CallError::NotFound(_)) => Ok(()),
            Err(error) => {
                // Whether it was written is not known.
                if matches!(error, CallError::Unreachable(_)) {
                    self.done.push(Written { before, after });
                }
                Err(failed(&error))
            }
        }
    }

    /// Puts back what was taken out; says what could not be put back.
    pub(super) async fn undo(self) -> Vec<String> {
        let mut left = Vec::new();
        for written in &self.done {
            let object =
                format!("ResourceTracker {}", written.before.metadata.name.as_deref().unwrap_or_default());
            let step = format!("Put {object} back as it was");
            if let Err(why) = self.steps.make(step, self.put_back(written)).await {
                left.push(format!("{object}: {why}"));
            }
        }
        left
    }

    async fn put_back(&self, Written { before, after }: &Written) -> Result<(), String> {
        let name = before.metadata.name.as_deref().unwrap_or_default();
        let now = call(self.api.get_opt(name)).await.map_err(|error| error.to_string())?;
        let Some(now) = now.filter(|now| now.data["spec"] != before.data["spec"]) else { return Ok(()) };
        if now.data["spec"] != after.data["spec"] {
            return Err("it has been changed by somebody else meanwhile, and is left as it is now".to_owned());
        }
        let former = DynamicObject { metadata: now.metadata, ..before.clone() };
        let answer = call(self.api.replace(name, &PostParams::default(), &former)).await;
        answer.map(drop).map_err(|error| error.to_string())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.done.is_empty()
    }
}

fn unpack(text: &str) -> Result<Value, String> {
    let bytes = STANDARD.decode(text).map_err(|_| "its data is not base64".to_owned())?;
    let mut plain = Vec::new();
    let read = GzDecoder::new(bytes.as_slice()).take(MOST + 1).read_to_end(&mut plain);
    read.map_err(|_| "its data is not gzip".to_owned())?;
    if plain.len() as u64 > MOST {
        return Err(format!("it is larger than {} MiB", MOST / 1024 / 1024));
    }
    serde_json::from_slice(&plain).map_err(|_| "its data is not JSON".to_owned())
}

fn pack(value: &Value) -> Result<String, String> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let packed = encoder.write_all(value.to_string().as_bytes()).and_then(|()| encoder.finish());
    packed.map(|bytes| STANDARD.encode(bytes)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "it is called with json!")]
    fn tracker(spec: Value) -> DynamicObject {
        let mut object = DynamicObject::new("t", &resource("ResourceTracker", "resourcetrackers"));
        object.data = json!({"spec": spec});
        object
    }

    #[test]
    fn a_clusters_resources_are_taken_out_of_plain_and_packed_trackers() {
        let resources =
            json!([{"cluster": "edge", "name": "a"}, {"cluster": "other", "name": "b"}, {"name": "hub"}]);
        let left = json!([{"cluster": "other", "name": "b"}, {"name": "hub"}]);
        let mut plain = tracker(json!({"type": "root", "managedResources": resources}));
        let tracked = Tracked::read(&plain).unwrap();
        assert_eq!((tracked.count("edge"), tracked.count("nowhere")), (1, 0));
        tracked.without("edge", &mut plain).unwrap();
        assert_eq!(plain.data["spec"], json!({"type": "root", "managedResources": left}));

        let packed =
            json!({"type": "root", "compression": {"type": "gzip", "data": pack(&resources).unwrap()}});
        let mut packed = tracker(packed);
        let tracked = Tracked::read(&packed).unwrap();
        assert_eq!(tracked.count("edge"), 1);
        tracked.without("edge", &mut packed).unwrap();
        assert_eq!(Value::Array(Tracked::read(&packed).unwrap().resources), left);
        assert_eq!(packed.data["spec"]["compression"]["type"], "gzip");

        assert_eq!(Tracked::read(&tracker(json!({}))).unwrap().count("edge"), 0);
        for bad in [
            json!({"compression": {"type": "zstd", "data": "x"}}),
            json!({"compression": {"type": "gzip", "data": "!"}}),
            json!({"compression": {"type": "gzip", "data": "eHg="}}),
            json!({"managedResources": {}}),
        ] {
            assert!(Tracked::read(&tracker(bad.clone())).is_err(), "{bad}");
        }
    }
}
