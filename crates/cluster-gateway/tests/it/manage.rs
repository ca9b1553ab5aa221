//! Management: its own listener, beside the gateway's, with and without a hub.

mod doctor;
mod fleet;
mod join;
mod kubeconfig;
mod login;
mod openapi;
mod velaux;

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

use crate::standalone::Alone;
use crate::support::caller::{Answer, Caller};
use crate::support::world::{Setup, World, management};

/// A hub with one member `m`, and management.
pub(crate) async fn hub() -> World {
    World::with(Setup { manage: true, ..Setup::default() }).await
}

/// A standalone server with one member `m`, and management; and its administrator.
pub(crate) async fn alone() -> (Alone, Caller) {
    let alone =
        Alone::with(|files, config| config.manage = Some(management(&files.path("clusters.db")))).await;
    let admin = alone.admin().at(alone.server.management_address().unwrap());
    (alone, admin)
}

/// Code and message of a refusal.
pub(crate) fn refusal(answer: &Answer) -> (u64, String) {
    let body = answer.json();
    (body["BusinessCode"].as_u64().unwrap(), body["Message"].as_str().unwrap().to_owned())
}

/// Server-sent events as they come.
pub(crate) struct Events {
    body: Incoming,
    text: String,
}

impl Events {
    pub(crate) async fn get(caller: &Caller, path: &str) -> Self {
        Self::open(caller, Method::GET, path, "").await
    }

    pub(crate) async fn open(caller: &Caller, method: Method, path: &str, body: &str) -> Self {
        let caller = caller.clone().header("accept", "text/event-stream");
        let answer = caller.open(method, path, body).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        assert_eq!(answer.headers()["cache-control"], "no-store");
        Self { body: answer.into_body(), text: String::new() }
    }

    /// The next one; `None`: it has ended.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        while !self.text.contains("\n\n") {
            let frame = tokio::time::timeout(Duration::from_secs(30), self.body.frame());
            let frame = frame.await.expect("an event in time")?.unwrap();
            self.text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
        let (event, rest) = self.text.split_once("\n\n").unwrap();
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let event = (name.strip_prefix("event: ").unwrap().to_owned(), serde_json::from_str(data).unwrap());
        self.text = rest.to_owned();
        Some(event)
    }

    /// The data of the next event of this name that is wanted; what comes before is passed over.
    pub(crate) async fn find(&mut self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let (event, data) = self.next().await.expect("an event");
            if event == name && wanted(&data) {
                return data;
            }
        }
    }

    /// All that are left.
    pub(crate) async fn rest(mut self) -> Vec<(String, Value)> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

/// The same caller, whose bodies are JSON.
pub(crate) fn json(caller: Caller) -> Caller {
    caller.header("content-type", "application/json")
}

#[tokio::test]
async fn what_is_not_there_is_said_in_the_api_s_own_form() {
    let world = hub().await;
    let answer = world.managing(world.masters()).get("/api/v1/nothing").await;
    assert_eq!((answer.status, refusal(&answer).0), (404, 404));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn a_wrong_credential_is_not_nobody() {
    let (alone, admin) = alone().await;
    assert_eq!(admin.get("/api/v1/nothing").await.status, 404);
    let wrong =
        alone.nobody().at(alone.server.management_address().unwrap()).header("authorization", "Bearer wrong");
    let answer = wrong.get("/api/v1/nothing").await;
    assert_eq!((answer.status, refusal(&answer).0), (401, 41401));
}

#[tokio::test]
async fn whoever_looks_after_the_process_can_ask_the_listener_of_management() {
    let world = hub().await;
    let nobody = world.managing(world.nobody());
    assert_eq!(nobody.get("/readyz").await.text(), "ok");
    assert_eq!(nobody.get("/metrics").await.status, 403);
}
