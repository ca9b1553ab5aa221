//! What has been made, so that it can be unmade.
//!
//! Each object that is made carries the number of the attempt. So one that was made by a request whose answer never came is
//! found again, and one that somebody else has made meanwhile is left alone.

use std::time::Duration;

use cluster_gateway_client::v1alpha1::ANNOTATION_JOIN_ATTEMPT;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions};
use kube::core::metadata::PartialObjectMeta;
use serde_json::json;

use super::kind::{Kind, find};
use super::plan::{Action, PlannedObject};
use super::wait::{Look, until};
use super::{OcmError, Side, Sides, at};
use crate::hub::{CallError, call};

/// How long a Klusterlet may take to go by itself when it is undone.
const FAREWELL: Duration = Duration::from_secs(20);

/// An object to make: its kind, and the rest.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) side: Side,
    pub(super) kind: Kind,
    pub(super) object: DynamicObject,
}

/// Where an object is.
#[derive(Debug, Clone)]
struct Place {
    side: Side,
    kind: Kind,
    namespace: Option<String>,
    name: String,
}

enum Entry {
    Made(Place),
    /// There was another, which is put back.
    Replaced(Place, Box<DynamicObject>),
}

/// Everything that one attempt has written.
pub(super) struct Journal {
    attempt: String,
    entries: Vec<Entry>,
}

impl Manifest {
    fn place(&self) -> Place {
        let metadata = &self.object.metadata;
        Place {
            side: self.side,
            kind: self.kind,
            namespace: metadata.namespace.clone(),
            name: metadata.name.clone().unwrap_or_default(),
        }
    }

    pub(super) fn planned(&self, action: Action) -> PlannedObject {
        let place = self.place();
        PlannedObject {
            side: place.side,
            kind: place.kind.name().to_owned(),
            namespace: place.namespace,
            name: place.name,
            action,
        }
    }

    /// What is there under its name.
    pub(super) async fn found(&self, sides: &Sides) -> Result<Option<DynamicObject>, OcmError> {
        self.place().get(sides).await
    }
}

impl Place {
    fn api(&self, sides: &Sides) -> Api<DynamicObject> {
        self.kind.api(sides, self.side, self.namespace.as_deref())
    }

    async fn get(&self, sides: &Sides) -> Result<Option<DynamicObject>, OcmError> {
        find(&self.api(sides), self.side, &self.name).await
    }

    fn describe(&self) -> String {
        let namespace = self.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
        format!("{} {namespace}{} at {}", self.kind.name(), self.name, self.side.as_str())
    }
}

impl Journal {
    pub(super) fn new() -> Self {
        Self { attempt: uuid::Uuid::new_v4().to_string(), entries: Vec::new() }
    }

    /// Makes an object unless one of its name is there, which is left as it is. Whether it was made.
    pub(super) async fn ensure(&mut self, sides: &Sides, manifest: &Manifest) -> Result<bool, OcmError> {
        let place = manifest.place();
        if place.get(sides).await?.is_some() {
            return Ok(false);
        }
        let api = place.api(sides);
        let object = self.marked(manifest);
        // Written down first: an answer that does not come says nothing about what was done.
        self.entries.push(Entry::Made(place));
        match call(api.create(&PostParams::default(), &object)).await {
            Ok(_) => Ok(true),
            Err(error) => {
                if !matches!(error, CallError::Unreachable(_)) {
                    self.entries.pop();
                }
                match error {
                    CallError::Conflict(_) => Ok(false),
                    error => Err(at(manifest.side)(error)),
                }
            }
        }
    }

    /// Makes an object, or puts it in the place of the one that is there.
    pub(super) async fn replace(&mut self, sides: &Sides, manifest: &Manifest) -> Result<(), OcmError> {
        let place = manifest.place();
        let Some(former) = place.get(sides).await? else {
            return self.ensure(sides, manifest).await.map(drop);
        };
        let mut object = self.marked(manifest);
        object.metadata.resource_version.clone_from(&former.metadata.resource_version);
        let api = place.api(sides);
        self.entries.push(Entry::Replaced(place, Box::new(former)));
        let name = manifest.object.metadata.name.clone().unwrap_or_default();
        call(api.replace(&name, &PostParams::default(), &object)).await.map(drop).map_err(at(manifest.side))
    }

    fn marked(&self, manifest: &Manifest) -> DynamicObject {
        let mut object = manifest.object.clone();
        let annotations = object.metadata.annotations.get_or_insert_default();
        annotations.insert(ANNOTATION_JOIN_ATTEMPT.to_owned(), self.attempt.clone());
        object
    }

    /// What was made and stays.
    pub(super) fn made(&self) -> Vec<PlannedObject> {
        let entry = |entry: &Entry| {
            let (place, action) = match entry {
                Entry::Made(place) => (place, Action::Create),
                Entry::Replaced(place, _) => (place, Action::Replace),
            };
            PlannedObject {
                side: place.side,
                kind: place.kind.name().to_owned(),
                namespace: place.namespace.clone(),
                name: place.name.clone(),
                action,
            }
        };
        self.entries.iter().map(entry).collect()
    }

    /// Unmakes everything, the last first. What could not be unmade comes back, each with the reason.
    pub(super) async fn undo(&mut self, sides: &Sides) -> Vec<String> {
        self.undo_some(sides, |_| true).await
    }

    /// Unmakes what is at one end.
    pub(super) async fn undo_at(&mut self, sides: &Sides, side: Side) -> Vec<String> {
        self.undo_some(sides, |place| place.side == side).await
    }

    async fn undo_some(&mut self, sides: &Sides, which: impl Fn(&Place) -> bool) -> Vec<String> {
        let mut left = Vec::new();
        let (now, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.entries).into_iter().partition(|entry| {
                let (Entry::Made(place) | Entry::Replaced(place, _)) = entry;
                which(place)
            });
        self.entries = later;
        for entry in now.into_iter().rev() {
            let (Entry::Made(place) | Entry::Replaced(place, _)) = &entry;
            let described = place.describe();
            let undone = match entry {
                Entry::Made(place) => self.remove(sides, &place).await,
                Entry::Replaced(place, former) => self.put_back(sides, &place, *former).await,
            };
            if let Err(error) = undone {
                left.push(format!("{described} ({error})"));
            }
        }
        left
    }

    /// The object, if it is still the one that this attempt has made.
    async fn ours(&self, sides: &Sides, place: &Place) -> Result<Option<DynamicObject>, OcmError> {
        let found = place.get(sides).await?;
        Ok(found.filter(|object| {
            object.metadata.annotations.as_ref().and_then(|all| all.get(ANNOTATION_JOIN_ATTEMPT))
                == Some(&self.attempt)
        }))
    }

    async fn remove(&self, sides: &Sides, place: &Place) -> Result<(), OcmError> {
        let Some(found) = self.ours(sides, place).await? else { return Ok(()) };
        let api = place.api(sides);
        let uid = found.metadata.uid;
        delete(&api, place.side, &place.name, uid.clone()).await?;
        if place.kind != Kind::Klusterlet {
            return Ok(());
        }
        // Its operator removes the agent and lets it go; one that never ran never will.
        if gone(&api, place.side, &place.name, uid.as_deref(), FAREWELL).await.is_err() {
            release(&api, place.side, &place.name).await?;
        }
        Ok(())
    }

    async fn put_back(
        &self,
        sides: &Sides,
        place: &Place,
        mut former: DynamicObject,
    ) -> Result<(), OcmError> {
        let Some(found) = self.ours(sides, place).await? else { return Ok(()) };
        former.metadata.resource_version = found.metadata.resource_version;
        former.metadata.managed_fields = None;
        let api = place.api(sides);
        call(api.replace(&place.name, &PostParams::default(), &former))
            .await
            .map(drop)
            .map_err(at(place.side))
    }
}

/// Deletes an object if it is still that one; one that is gone already is fine.
pub(super) async fn delete(
    api: &Api<DynamicObject>,
    side: Side,
    name: &str,
    uid: Option<String>,
) -> Result<(), OcmError> {
    let preconditions = Some(Preconditions { uid, resource_version: None });
    let parameters = DeleteParams { preconditions, ..DeleteParams::background() };
    match call(api.delete(name, &parameters)).await {
        Ok(_) | Err(CallError::NotFound(_)) => Ok(()),
        Err(error) => Err(at(side)(error)),
    }
}

/// Waits until an object is gone, or another has its name.
pub(super) async fn gone(
    api: &Api<DynamicObject>,
    side: Side,
    name: &str,
    uid: Option<&str>,
    patience: Duration,
) -> Result<(), OcmError> {
    until(patience, async || {
        let found: Option<PartialObjectMeta<DynamicObject>> =
            call(api.get_metadata_opt(name)).await.map_err(at(side))?;
        let still = found.filter(|object| object.metadata.uid.as_deref() == uid);
        Ok(match still {
            None => Look::Done(()),
            Some(object) => {
                let finalizers = object.metadata.finalizers.unwrap_or_default().join(", ");
                Look::NotYet(format!("it is being deleted and waits for its finalizers: {finalizers}"))
            }
        })
    })
    .await
}

/// Takes the finalizers from an object that is being deleted.
pub(super) async fn release(api: &Api<DynamicObject>, side: Side, name: &str) -> Result<(), OcmError> {
    let nobody = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    match call(api.patch_metadata(name, &PatchParams::default(), &nobody)).await {
        Ok(_) | Err(CallError::NotFound(_)) => Ok(()),
        Err(error) => Err(at(side)(error)),
    }
}
