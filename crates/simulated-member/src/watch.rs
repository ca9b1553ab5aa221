//! Watches: what is there, what changes, and how far that goes.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use serde_json::{Value, json};
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::negotiate::Form;
use crate::object::set_meta;
use crate::query::Query;
use crate::resources::Resource;
use crate::selector::Selector;
use crate::status::{Result, Status};
use crate::store::{Change, Store};
use crate::table::{self, Include};

/// How long a watch lasts when the client does not say.
const DURATION: Duration = Duration::from_secs(30 * 60);
/// How often a watch says how far it is.
const BOOKMARKS: Duration = Duration::from_secs(60);

/// Says that the objects that were there at the beginning have all been sent.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// Which objects are watched and how they are shown.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) resource: &'static Resource,
    pub(crate) namespace: Option<String>,
    pub(crate) selector: Selector,
    pub(crate) form: Form,
    pub(crate) include: Include,
}

/// A watch between two of its events.
#[derive(Debug)]
struct Watch {
    store: Arc<Store>,
    bell: Receiver<u64>,
    view: View,
    /// Everything up to here has been sent.
    version: u64,
    ready: VecDeque<Bytes>,
    bookmarks: Option<Interval>,
    end: Instant,
    ended: bool,
    /// Tables name their columns in the first event only.
    columns_sent: bool,
}

/// The lines of a watch.
pub(crate) fn watch(
    store: &Arc<Store>,
    view: View,
    query: &Query,
) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
    let watch = Watch::begin(Arc::clone(store), view, query)?;
    Ok(stream::unfold(watch, |mut watch| async { watch.next().await.map(|line| (Ok(line), watch)) }))
}

impl Watch {
    fn begin(store: Arc<Store>, view: View, query: &Query) -> Result<Self> {
        let initial = check_initial_events(query)?;
        let from = match query.text("resourceVersion") {
            "" | "0" => None,
            text => Some(
                text.parse()
                    .map_err(|_| Status::bad_request(format!("invalid resource version {text:?}")))?,
            ),
        };
        let seconds = query.number("timeoutSeconds").filter(|seconds| *seconds > 0);
        let bookmarks = query.flag("allowWatchBookmarks").then(|| {
            let mut interval = tokio::time::interval_at(Instant::now() + BOOKMARKS, BOOKMARKS);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        let mut watch = Self {
            bell: store.subscribe(),
            store,
            view,
            version: from.unwrap_or_default(),
            ready: VecDeque::new(),
            bookmarks,
            end: Instant::now()
                + seconds.map_or(DURATION, |seconds| Duration::from_secs(seconds.min(86_400))),
            ended: false,
            columns_sent: false,
        };
        if initial || (from.is_none() && query.text("sendInitialEvents").is_empty()) {
            watch.send_present();
        } else if from.is_none() {
            watch.version = watch.store.transact(|state| state.version);
        }
        if initial {
            watch.bookmark(Some(INITIAL_EVENTS_END));
        }
        Ok(watch)
    }

    /// The next line, when there is one.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            if self.ended {
                return None;
            }
            self.bell.borrow_and_update();
            self.catch_up();
            if self.ready.is_empty() && !self.ended {
                self.wait().await;
            }
        }
    }

    async fn wait(&mut self) {
        let Self { bell, bookmarks, end, .. } = self;
        let tick = async {
            match bookmarks {
                Some(interval) => drop(interval.tick().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            rung = bell.changed() => self.ended = rung.is_err(),
            () = tokio::time::sleep_until(*end) => {
                self.ended = true;
                self.last_bookmark();
            }
            () = tick => self.bookmark(None),
        }
    }

    fn last_bookmark(&mut self) {
        if self.bookmarks.is_some() {
            self.bookmark(None);
        }
    }

    fn send_present(&mut self) {
        let (resource, namespace) = (self.view.resource, self.view.namespace.clone());
        let (version, objects) =
            self.store.transact(|state| (state.version, state.list(resource, namespace.as_deref())));
        for object in &objects {
            if self.view.selector.matches(object) {
                self.send("ADDED", object);
            }
        }
        self.version = version;
    }

    /// Sends what has changed since.
    fn catch_up(&mut self) {
        let version = self.version;
        match self.store.transact(|state| state.changes_after(version)) {
            Ok(changes) => changes.iter().for_each(|change| self.tell(change)),
            Err(status) => {
                self.ended = true;
                self.ready.push_back(line("ERROR", &status.document()));
            }
        }
    }

    fn tell(&mut self, change: &Change) {
        self.version = change.version;
        let view = &self.view;
        let elsewhere = view.namespace.as_ref().is_some_and(|namespace| *namespace != change.key.namespace);
        if change.key.plural != view.resource.plural || elsewhere {
            return;
        }
        let selected =
            |object: &Option<Arc<Value>>| object.clone().filter(|object| view.selector.matches(object));
        match (selected(&change.previous), selected(&change.object)) {
            (None, None) => {}
            (None, Some(object)) => self.send("ADDED", &object),
            (Some(_), Some(object)) => self.send("MODIFIED", &object),
            (Some(last), None) => {
                let mut gone = (*last).clone();
                set_meta(&mut gone, "resourceVersion", change.version.to_string());
                self.send("DELETED", &gone);
            }
        }
    }

    fn send(&mut self, event: &str, object: &Value) {
        let shown = match self.view.form {
            Form::Object => line(event, object),
            Form::Metadata => line(event, &table::metadata(object)),
            Form::Table => line(event, &self.row(object)),
        };
        self.ready.push_back(shown);
    }

    fn row(&mut self, object: &Value) -> Value {
        let mut table = table::table(self.view.resource, [object], self.view.include, self.store.clock.now());
        table["metadata"]["resourceVersion"] = object["metadata"]["resourceVersion"].clone();
        if std::mem::replace(&mut self.columns_sent, true) {
            table["columnDefinitions"] = json!([]);
        }
        table
    }

    fn bookmark(&mut self, annotation: Option<&str>) {
        let resource = self.view.resource;
        let mut object = match self.view.form {
            Form::Object => json!({"kind": resource.kind, "apiVersion": resource.api_version()}),
            Form::Metadata => json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}),
            Form::Table => {
                json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": [], "rows": []})
            }
        };
        object["metadata"] = json!({"resourceVersion": self.version.to_string(), "creationTimestamp": null});
        if let Some(annotation) = annotation {
            object["metadata"]["annotations"] = json!({annotation: "true"});
        }
        self.ready.push_back(line("BOOKMARK", &object));
    }
}

/// Whether the objects that are there are asked for, with a sign that they have all been sent.
fn check_initial_events(query: &Query) -> Result<bool> {
    if query.text("sendInitialEvents").is_empty() {
        return Ok(false);
    }
    if query.text("resourceVersionMatch") != "NotOlderThan" {
        let message = "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: \
             sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        return Err(Status::unprocessable(message));
    }
    Ok(query.flag("sendInitialEvents"))
}

fn line(event: &str, object: &Value) -> Bytes {
    format!("{{\"type\":\"{event}\",\"object\":{object}}}\n").into()
}

#[cfg(test)]
mod tests;
