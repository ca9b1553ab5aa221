//! Nobody keeps the hub from answering for others.

use std::sync::Arc;
use std::time::Duration;

use cluster_gateway::authn::UserInfo;
use cluster_gateway::authz::{AuthorizationConfig, Authorizer};
use cluster_gateway::status::Error;
use tokio::task::JoinSet;

use super::{PROXY, authorizer, get, user};
use crate::support::fake_hub::{FakeHub, Fault};

/// A hub that allows everything.
async fn world() -> (FakeHub, Arc<Authorizer>) {
    let hub = FakeHub::start().await;
    hub.allow_if(|_| true);
    let authorizer = Arc::new(authorizer(&hub, &AuthorizationConfig::default()).await);
    (hub, authorizer)
}

/// Asks `count` different questions and waits for none of them.
fn storm(authorizer: &Arc<Authorizer>, user: &UserInfo, count: usize) -> JoinSet<Result<(), Error>> {
    let mut tasks = JoinSet::new();
    for number in 0..count {
        let (authorizer, user) = (Arc::clone(authorizer), user.clone());
        tasks.spawn(async move { get(&authorizer, &user, &format!("/storm/{number}")).await });
    }
    tasks
}

async fn until(condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the condition never held");
}

const REVIEWS: &str = "subjectaccessreviews";

#[tokio::test]
async fn rule_094_a_storm_of_one_caller_leaves_the_hub_to_others() {
    for (caller, at_once, accepted) in [(UserInfo::anonymous(), 8, 256), (user("eve", &["x"]), 32, 1024)] {
        let (hub, authorizer) = world().await;
        hub.fault(REVIEWS, Fault::Hang);
        let mut storm = storm(&authorizer, &caller, accepted + 200);
        // What is beyond the share is refused at once, and the caller is told so.
        for _ in 0..200 {
            let refused = storm.join_next().await.unwrap().unwrap().unwrap_err();
            assert!(matches!(refused, Error::TooManyRequests(_)), "{refused:?}");
            assert_eq!(refused.code(), 429);
        }
        until(|| hub.requests(REVIEWS) == at_once).await;
        hub.heal();
        get(&authorizer, &user("bob", &[]), PROXY).await.unwrap();
        assert_eq!(hub.requests(REVIEWS), at_once + 1, "the storm waits for its turn, and nobody else does");
    }
}

#[tokio::test]
async fn rule_094_words_beyond_all_measure_are_not_asked_about() {
    let (hub, authorizer) = world().await;
    let bob = user("bob", &[]);
    get(&authorizer, &bob, &format!("/{}", "x".repeat(16_000))).await.unwrap();
    let name = "x".repeat(16_400);
    for uri in [
        format!("/{name}"),
        format!("/api/v1/namespaces/{name}/pods"),
        format!("/api/v1/pods?fieldSelector=metadata.name%3D{name}"),
        PROXY.replace("/c/", &format!("/{name}/")),
    ] {
        let error = get(&authorizer, &bob, &uri).await.unwrap_err();
        assert!(matches!(&error, Error::BadRequest(text) if text.contains("16384")), "{error:?}");
    }
    assert_eq!(hub.requests(REVIEWS), 1);
    // A long query is nobody's business here: label selectors are.
    get(&authorizer, &bob, &format!("{PROXY}/api/v1/pods?labelSelector={name}")).await.unwrap();
}
