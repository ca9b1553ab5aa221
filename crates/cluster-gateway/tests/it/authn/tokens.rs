//! Bearer tokens.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use cluster_gateway::authn::{AuthenticationConfig, Connection, GROUP_AUTHENTICATED, UserInfo, Warning};
use cluster_gateway::status::Error;
use futures_util::future::join_all;
use serde_json::json;
use tokio::task::JoinSet;

use super::{World, connection, request, user};
use crate::support::fake_hub::Fault;

#[tokio::test]
async fn rule_076_which_authorization_headers_are_bearer_tokens() {
    let world = World::new().await;
    world.hub.token("t", user("carol", &[]));
    for (value, expected) in [
        ("Bearer t", "carol"),
        ("bEARER t", "carol"),
        ("Bearer t and more", "carol"),
        ("Bearer  t", "system:anonymous"),
        ("Bearer", "system:anonymous"),
        ("Bearer ", "system:anonymous"),
        ("Basic t", "system:anonymous"),
        ("", "system:anonymous"),
    ] {
        let found = world.who(&[], &[("authorization", value)]).await.unwrap();
        assert_eq!(found.name, expected, "{value:?}");
    }
    let second = [("authorization", "Basic x"), ("authorization", "Bearer t")];
    assert!(world.who(&[], &second).await.unwrap().is_anonymous());
}

#[tokio::test]
async fn rule_076_two_spaces_before_a_token_leave_a_warning() {
    let world = World::new().await;
    for (value, warned) in [("Bearer  t", true), ("Bearer t", false), ("Basic  t", false), ("Bearer ", false)]
    {
        let mut parts = request(&[("authorization", value)]);
        let _ = world.authenticator.authenticate(&connection(&[]), &mut parts).await;
        assert_eq!(parts.extensions.get::<Warning>().is_some(), warned, "{value:?}");
    }
}

#[tokio::test]
async fn rule_077_a_token_review_carries_the_token_and_nothing_else() {
    let world = World::new().await;
    let extra = BTreeMap::from([("example.com/scope".to_owned(), vec!["a".to_owned()])]);
    let carol = UserInfo { uid: "7".to_owned(), extra, ..user("carol", &["x"]) };
    world.hub.token("t", carol.clone());
    let groups = user("", &["x", GROUP_AUTHENTICATED]).groups;
    assert_eq!(world.who_has_token("t").await.unwrap(), UserInfo { groups, ..carol });
    let reviews = world.hub.token_reviews();
    assert_eq!(reviews.len(), 1);
    assert_eq!((reviews[0].token.as_deref(), &reviews[0].audiences), (Some("t"), &None));
}

#[tokio::test]
async fn rule_077_a_review_is_repeated_after_an_internal_error_and_a_broken_connection() {
    let world = World::new().await;
    world.hub.token("t", user("carol", &[]));
    world.hub.fault_once("tokenreviews", Fault::Status(500));
    world.hub.fault_once("tokenreviews", Fault::Reset);
    assert_eq!(world.who_has_token("t").await.unwrap().name, "carol");
    assert_eq!(world.hub.requests("POST /apis/authentication.k8s.io/v1/tokenreviews"), 3);
}

#[tokio::test]
async fn rule_078_rule_256_only_an_explicit_success_with_a_name_authenticates() {
    let someone = json!({"username": "admin", "groups": ["system:masters"]});
    for status in [
        json!({"authenticated": false, "user": someone}),
        json!({"user": someone}),
        json!({"authenticated": true, "user": someone, "error": "expired"}),
        json!({"authenticated": true, "user": {"username": ""}}),
        json!({"authenticated": true}),
        json!({}),
        json!(null),
    ] {
        let world = World::new().await;
        world.hub.answer_token_reviews(status.clone());
        let found = world.who_has_token("t").await;
        assert!(matches!(found, Err(Error::Unauthorized(_))), "{status}: {found:?}");
    }
}

#[tokio::test]
async fn rule_079_rule_080_rule_257_one_review_per_token_whatever_its_answer() {
    let world = World::new().await;
    world.hub.token("good", user("carol", &[]));
    for token in ["good", "bad"] {
        let answers = join_all((0..200).map(|_| world.who_has_token(token))).await;
        assert!(answers.iter().all(|answer| answer.is_ok() == (token == "good")));
    }
    assert_eq!(world.hub.token_reviews().len(), 2);
    assert!(world.who_has_token("other").await.is_err());
    assert_eq!(world.hub.token_reviews().len(), 3);
}

async fn from(world: &World, peer: &str, token: &str) -> Result<UserInfo, Error> {
    let connection = Connection::new((peer.parse::<IpAddr>().unwrap(), 4711).into(), Vec::new());
    let mut parts = request(&[("authorization", &format!("Bearer {token}"))]);
    world.authenticator.authenticate(&connection, &mut parts).await.map(Arc::unwrap_or_clone)
}

#[tokio::test]
async fn rule_080_a_storm_of_wrong_tokens_starves_neither_other_addresses_nor_tokens_that_are_known() {
    let config = AuthenticationConfig { token_cache_ttl: std::time::Duration::ZERO, ..Default::default() };
    let world = Arc::new(World::with(config).await);
    for (token, name) in [("known", "carol"), ("new", "dave")] {
        world.hub.token(token, user(name, &[]));
    }
    from(&world, "2001:db8::1", "known").await.unwrap();
    world.hub.fault("tokenreviews", Fault::Hang);
    let mut storm = JoinSet::new();
    for number in 0..300_u32 {
        let world = Arc::clone(&world);
        // One network, as many addresses as there are questions.
        let peer = format!("2001:db8::{number:x}");
        storm.spawn(async move { from(&world, &peer, &format!("wrong-{number}")).await });
    }
    for _ in 0..300 - 256 {
        let refused = storm.join_next().await.unwrap().unwrap();
        assert!(matches!(&refused, Err(Error::Unauthorized(why)) if why.contains("too many")), "{refused:?}");
    }
    while world.hub.requests("tokenreviews") < 1 + 8 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    world.hub.heal();
    assert_eq!(from(&world, "2001:db8::1", "known").await.unwrap().name, "carol");
    assert_eq!(from(&world, "2001:db8:0:1::1", "new").await.unwrap().name, "dave");
    assert_eq!(world.hub.requests("tokenreviews"), 1 + 8 + 2);
}

#[tokio::test]
async fn rule_079_errors_are_not_remembered_and_a_ttl_of_zero_remembers_nothing() {
    let world = World::new().await;
    world.hub.token("t", user("carol", &[]));
    world.hub.fault_once("tokenreviews", Fault::Status(403));
    let failed = world.who_has_token("t").await;
    assert!(matches!(&failed, Err(Error::Unauthorized(why)) if why.contains("injected 403")), "{failed:?}");
    assert_eq!(world.who_has_token("t").await.unwrap().name, "carol");

    let config = AuthenticationConfig { token_cache_ttl: std::time::Duration::ZERO, ..Default::default() };
    let world = World::with(config).await;
    world.hub.token("t", user("carol", &[]));
    for _ in 0..3 {
        assert_eq!(world.who_has_token("t").await.unwrap().name, "carol");
    }
    assert_eq!(world.hub.token_reviews().len(), 3);
}

#[tokio::test]
async fn rule_079_no_text_holds_a_token() {
    let world = World::new().await;
    let failed = world.who_has_token("s3cr3t").await.unwrap_err();
    let texts = format!("{failed:?} {failed} {:?}", world.authenticator);
    assert!(!texts.contains("s3cr3t"), "{texts}");
}

const SOCKET: [(&str, &str); 2] = [("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")];

/// Authenticates a WebSocket request with these protocols; also returns those that are left.
async fn web_socket(world: &World, protocols: &[&str]) -> (Result<UserInfo, Error>, Vec<String>) {
    let mut headers = SOCKET.to_vec();
    headers.extend(protocols.iter().map(|&protocol| ("sec-websocket-protocol", protocol)));
    let mut parts = request(&headers);
    let answer = world.authenticator.authenticate(&connection(&[]), &mut parts).await;
    let left = parts.headers.get_all("sec-websocket-protocol").iter();
    (answer.map(Arc::unwrap_or_clone), left.map(|value| value.to_str().unwrap().to_owned()).collect())
}

#[tokio::test]
async fn rule_081_a_token_among_the_web_socket_protocols_authenticates_and_is_removed() {
    let world = World::new().await;
    world.hub.token("t?>~", user("carol", &[]));
    let token = "base64url.bearer.authorization.k8s.io.dD8-fg";
    for (protocols, left) in [
        (
            vec![format!("{token}, v5.channel.k8s.io,v4.channel.k8s.io")],
            "v5.channel.k8s.io,v4.channel.k8s.io",
        ),
        (vec!["v5.channel.k8s.io".to_owned(), token.to_owned()], "v5.channel.k8s.io"),
    ] {
        let protocols: Vec<_> = protocols.iter().map(String::as_str).collect();
        let (answer, found) = web_socket(&world, &protocols).await;
        assert_eq!((answer.unwrap().name.as_str(), found), ("carol", vec![left.to_owned()]));
    }
    // Without an upgrade it is no WebSocket request; the token does not go on all the same.
    let mut parts = request(&[("sec-websocket-protocol", token)]);
    let found = world.authenticator.authenticate(&connection(&[]), &mut parts).await.unwrap();
    assert!(found.is_anonymous() && parts.headers.is_empty());
}

#[tokio::test]
async fn rule_081_unclear_web_socket_tokens_are_refused() {
    let world = World::new().await;
    world.hub.token("t", user("carol", &[]));
    let token = |encoded: &str| format!("base64url.bearer.authorization.k8s.io.{encoded}");
    for protocols in [
        format!("{}, {}, v5", token("dA"), token("dA")),
        format!("{}, v5", token("dA==")),
        format!("{}, v5", token("!")),
        format!("{}, v5", token("_w")),
        token("dA"),
        format!("{}, v5", token("YmFk")),
    ] {
        let (answer, _) = web_socket(&world, &[&protocols]).await;
        assert!(matches!(answer, Err(Error::Unauthorized(_))), "{protocols}");
    }
    let (answer, left) = web_socket(&world, &["v5, v4"]).await;
    assert!(answer.unwrap().is_anonymous());
    assert_eq!(left, ["v5, v4"]);
}

#[tokio::test]
async fn rule_060_a_front_proxy_s_word_comes_before_a_token() {
    let world = World::new().await;
    world.hub.token("t", user("carol", &[]));
    let front_proxy = world.front.client("front-proxy", &[]);
    let headers = [("x-remote-user", "alice"), ("authorization", "Bearer t")];
    assert_eq!(world.who(&[&front_proxy], &headers).await.unwrap().name, "alice");
    assert!(world.hub.token_reviews().is_empty());
}
