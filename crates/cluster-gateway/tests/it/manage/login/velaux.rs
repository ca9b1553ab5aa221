//! VelaUX' users, by the tokens of its front end.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cluster_gateway::manage::login::{LoginConfig, VelaUxConfig};
use cluster_gateway::manage::store::{StoreConfig, StoreType};
use cluster_gateway::serve::Server;
use serde_json::{Value, json};

use super::{SESSION, user};
use crate::manage::refusal;
use crate::support::caller::Caller;
use crate::support::fake_issuer::message;
use crate::support::world::{Setup, World};

const KEY: &str = "abcdefghijklmnopqrstuvwxyz012345";
const CLUSTERS: &str = "/api/v1/clusters";

/// A hub with VelaUX' record of the system, if there is a key in it, and management that lets its users in.
async fn world(signed_key: Option<&Value>) -> (World, Server) {
    let world = World::with(Setup { manage: true, ..Setup::default() }).await;
    if let Some(key) = signed_key {
        put_record(&world, key);
    }
    let mut config = world.config.clone();
    let manage = config.manage.as_mut().unwrap();
    manage.records = StoreConfig::new(StoreType::KubeApi, None, None).unwrap();
    let velaux = VelaUxConfig {
        key_file: None,
        username_prefix: "velaux:".to_owned(),
        groups: vec!["kubevela:ux".to_owned()],
    };
    manage.login = LoginConfig { velaux: Some(velaux), ..LoginConfig::default() };
    let server = Server::start(config).await.unwrap();
    server.ready().await;
    (world, server)
}

fn put_record(world: &World, signed_key: &Value) {
    let data = json!({ "signedKey": signed_key, "installID": "0123456789abcdef", "loginType": "local" });
    let metadata = json!({
        "namespace": "kubevela", "name": "sysi-0123456789abcdef", "labels": { "table": "vela_system_info" },
    });
    let data = json!({ "data": STANDARD.encode(data.to_string()) });
    world.hub.put("configmaps", json!({ "metadata": metadata, "binaryData": data }));
}

fn seconds_from_now(seconds: i64) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() + seconds
}

fn token(changes: &Value) -> String {
    let mut claims = json!({
        "username": "admin", "grantType": "access", "iss": "vela-issuer", "nbf": seconds_from_now(-5),
        "exp": seconds_from_now(3600),
    });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let message = message(&json!({ "alg": "HS256", "typ": "JWT" }), &claims);
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, KEY.as_bytes()), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn with(world: &World, server: &Server, authorization: &str) -> Caller {
    let caller = world.nobody().at(server.management_address().unwrap());
    if authorization.is_empty() { caller } else { caller.header("authorization", authorization) }
}

#[tokio::test]
async fn velauxs_users_come_in_by_its_key_and_what_they_may_is_the_hubs_to_say() {
    let (world, server) = world(None).await;
    let bearer = format!("Bearer {}", token(&json!({})));
    let answer = with(&world, &server, &bearer).get(SESSION).await;
    assert_eq!((answer.status, refusal(&answer).0), (503, 41500), "there is no key yet: {}", answer.text());
    put_record(&world, &json!(KEY));
    let caller = with(&world, &server, &bearer);
    crate::support::world::until(|| async { caller.get(SESSION).await.status == 200 }).await;
    let session = caller.get(SESSION).await.json();
    let groups = json!(["kubevela:ux", "system:authenticated"]);
    assert_eq!(session["user"], json!({ "username": "velaux:admin", "groups": groups }));
    assert_eq!((&session["method"], &session["permissions"]["join"]), (&json!("Token"), &json!(false)));
    assert!(session["expires"].is_string());
    let deleted = caller.send(http::Method::DELETE, SESSION, "").await;
    assert_eq!(deleted.status, 200, "no CSRF token is needed");
}

#[tokio::test]
async fn failures_have_velauxs_codes() {
    let (world, server) = world(Some(&json!(KEY))).await;
    world.hub.token("sesame", user("alice", &[]));
    let good = token(&json!({}));
    let cut = &good[..good.len() - 8];
    let expired = token(&json!({ "exp": seconds_from_now(-5) }));
    let future = token(&json!({ "nbf": seconds_from_now(600) }));
    let refresh = token(&json!({ "grantType": "refresh" }));
    let none = format!(
        "{}.",
        message(&json!({ "alg": "none" }), &json!({ "iss": "vela-issuer", "username": "admin" }))
    );
    for (authorization, status, code) in [
        (format!("Bearer {expired}"), 401, 12002),
        (format!("Bearer {future}"), 401, 12003),
        (format!("Bearer {cut}"), 401, 12004),
        (format!("Bearer {none}"), 401, 12004),
        ("Bearer garbage".to_owned(), 403, 12005),
        ("Basic YTpi".to_owned(), 403, 12005),
        (String::new(), 401, 12006),
        ("Bearer".to_owned(), 401, 12006),
        (format!("Bearer {good} x"), 401, 12006),
        (format!("Bearer {refresh}"), 401, 12007),
    ] {
        let answer = with(&world, &server, &authorization).get(CLUSTERS).await;
        let found = (answer.status, refusal(&answer).0);
        assert_eq!(found, (status, code), "{authorization:.60}: {}", answer.text());
    }
    assert_eq!(with(&world, &server, "Bearer sesame").get(SESSION).await.status, 200, "others come in, too");
    assert_eq!(with(&world, &server, &format!("Whatever {good}")).get(SESSION).await.status, 200);
    // On our own routes who shows nothing has not signed in.
    assert_eq!(refusal(&with(&world, &server, "").get(SESSION).await).0, 41401);
}

#[tokio::test]
async fn an_empty_key_lets_nobody_in() {
    // As VelaUX leaves it after some updates of its settings.
    for key in [json!(""), json!(null), json!("short")] {
        let (world, server) = world(Some(&key)).await;
        let message = message(
            &json!({ "alg": "HS256" }),
            &json!({ "username": "admin", "grantType": "access", "iss": "vela-issuer", "exp": seconds_from_now(60) }),
        );
        let secret = hmac::Key::new(hmac::HMAC_SHA256, key.as_str().unwrap_or_default().as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&secret, message.as_bytes()));
        let answer = with(&world, &server, &format!("Bearer {message}.{signature}")).get(SESSION).await;
        assert_eq!((answer.status, refusal(&answer).0), (503, 41500), "{key}: {}", answer.text());
    }
}

#[tokio::test]
async fn without_a_word_velauxs_tokens_are_nobodys() {
    let world = World::with(Setup { manage: true, ..Setup::default() }).await;
    put_record(&world, &json!(KEY));
    let caller =
        world.managing(world.nobody()).header("authorization", &format!("Bearer {}", token(&json!({}))));
    let answer = caller.get(CLUSTERS).await;
    assert_eq!((answer.status, refusal(&answer).0), (401, 41401));
}
