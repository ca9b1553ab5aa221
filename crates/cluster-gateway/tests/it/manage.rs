//! Management: its own listener, beside the gateway's, with and without a hub.

mod login;
mod openapi;
mod velaux;

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
