//! ID tokens, asked of an issuer on loopback.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cluster_gateway::authn::{
    Authenticator, GROUP_AUTHENTICATED, OidcConfig, StandaloneAuthentication, UserInfo,
};
use cluster_gateway::status::Error;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{connection, request, user};
use crate::support::fake_issuer::{DISCOVERY, FakeIssuer, KEYS, SigningKey, message};
use crate::support::fake_member::TestCa;

const HOUR: Duration = Duration::from_secs(3600);

fn seconds_from_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() + seconds
}

/// Settings that never look again by themselves, so that every look is one that a test causes.
fn config(issuer: &FakeIssuer) -> OidcConfig {
    OidcConfig {
        issuer_url: issuer.url.clone(),
        client_id: "gateway".to_owned(),
        username_prefix: Some("-".to_owned()),
        ca_file: Some(issuer.ca_file()),
        key_refresh: HOUR,
        key_pause: Duration::ZERO,
        ..OidcConfig::default()
    }
}

fn authenticator(config: OidcConfig) -> Arc<Authenticator> {
    let config = StandaloneAuthentication { oidc: Some(config), ..StandaloneAuthentication::default() };
    Arc::new(Authenticator::standalone(config).unwrap())
}

/// Claims that are believed, with some changed; `null` takes one away.
fn claims(issuer: &FakeIssuer, changes: &Value) -> Value {
    let mut claims = json!({
        "iss": issuer.url, "aud": "gateway", "sub": "alice",
        "exp": seconds_from_now(3600), "iat": seconds_from_now(0),
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

/// Who has the token, or why nobody does.
async fn whose(authenticator: &Authenticator, token: &str) -> Result<UserInfo, String> {
    let bearer = format!("Bearer {token}");
    let mut parts = request(&[("authorization", &bearer)]);
    match authenticator.authenticate(&connection(&[]), &mut parts).await {
        Ok(user) => Ok(Arc::unwrap_or_clone(user)),
        Err(Error::UnauthorizedWithAdvice { cause, .. }) => Err(cause),
        Err(other) => panic!("{other:?}"),
    }
}

async fn name(authenticator: &Authenticator, token: &str) -> Result<String, String> {
    whose(authenticator, token).await.map(|user| user.name)
}

fn assert_refused(found: Result<String, String>, expected: &str) {
    match found {
        Err(reason) => assert!(reason.contains(expected), "{expected:?} is not in {reason:?}"),
        Ok(name) => panic!("{name} is believed, {expected:?} was expected"),
    }
}

#[tokio::test]
async fn tokens_of_every_algorithm_of_the_family_are_believed() {
    let algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"];
    let keys: Vec<_> = algorithms.iter().map(|&algorithm| SigningKey::new(algorithm, algorithm)).collect();
    let issuer = FakeIssuer::start(&keys.iter().collect::<Vec<_>>()).await;
    let settings = OidcConfig { signing_algs: algorithms.map(str::to_owned).into(), ..config(&issuer) };
    let all = authenticator(settings);
    let default = authenticator(config(&issuer));
    for key in &keys {
        let token = key.sign(&claims(&issuer, &json!({})));
        assert_eq!(whose(&all, &token).await, Ok(user("alice", &[GROUP_AUTHENTICATED])), "{}", key.algorithm);
        // RS256 is all that is believed without a word.
        match key.algorithm {
            "RS256" => assert_eq!(name(&default, &token).await.unwrap(), "alice"),
            _ => assert_refused(name(&default, &token).await, "--oidc-signing-algs"),
        }
        // One bit of the claims or of the signature changed.
        let other = key.sign(&claims(&issuer, &json!({ "sub": "mallory" })));
        let (other_message, signature) =
            (other.rsplit_once('.').unwrap().0, token.rsplit_once('.').unwrap().1);
        let forged = format!("{other_message}.{signature}");
        assert_refused(name(&all, &forged).await, "the signature does not match");
    }
}

#[tokio::test]
async fn a_token_that_the_issuer_has_not_signed_is_refused() {
    let (key, stranger) = (SigningKey::new("k", "RS256"), SigningKey::new("k", "RS256"));
    let curve = SigningKey::new("ec", "ES256");
    let issuer = FakeIssuer::start(&[&key, &curve]).await;
    let algorithms = ["RS256", "PS256", "ES256", "ES384"].map(str::to_owned).into();
    let authenticator = authenticator(OidcConfig { signing_algs: algorithms, ..config(&issuer) });
    let good = claims(&issuer, &json!({}));
    assert_eq!(name(&authenticator, &key.sign(&good)).await.unwrap(), "alice");
    assert_refused(name(&authenticator, &stranger.sign(&good)).await, "the signature does not match");

    let none = format!("{}.", message(&json!({ "alg": "none" }), &good));
    assert_refused(name(&authenticator, &none).await, "signed with \"none\"");
    for alg in ["HS256", "HS384", "rs256", ""] {
        let message = message(&json!({ "alg": alg, "kid": "k" }), &good);
        let secret = hmac::Key::new(hmac::HMAC_SHA256, key.public());
        let signature = hmac::sign(&secret, message.as_bytes());
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
        assert_refused(name(&authenticator, &token).await, &format!("signed with {alg:?}"));
    }
    // A key is taken for its own kind and curve only.
    for (alg, kid) in [("ES256", "k"), ("RS256", "ec"), ("ES384", "ec")] {
        let token = key.sign_with(&json!({ "alg": alg, "kid": kid }), &good);
        assert_refused(name(&authenticator, &token).await, "no key of the issuer has signed it");
    }
    let critical =
        key.sign_with(&json!({ "alg": "RS256", "kid": "k", "crit": ["b64"], "b64": false }), &good);
    assert_refused(name(&authenticator, &critical).await, "critical extensions");
    let cut = key.sign(&good);
    assert_refused(name(&authenticator, &cut[..cut.len() - 6]).await, "the signature does not match");
}

#[tokio::test]
async fn a_key_for_another_use_or_algorithm_signs_no_token() {
    let key = SigningKey::new("k", "RS256");
    let issuer = FakeIssuer::start(&[]).await;
    let authenticator = authenticator(config(&issuer));
    let token = key.sign(&claims(&issuer, &json!({})));
    for (member, value, believed) in [
        ("use", json!("enc"), false),
        ("alg", json!("PS256"), false),
        ("n", json!("not base64!"), false),
        ("kty", json!("oct"), false),
        ("alg", json!("RS256"), true),
        ("use", Value::Null, true),
    ] {
        let mut jwk = key.jwk();
        jwk[member] = value;
        // Another key beside it keeps the set from being empty.
        issuer.publish_json(&[jwk.clone(), json!("garbage"), SigningKey::new("other", "ES256").jwk()]);
        let found = name(&authenticator, &token).await;
        assert_eq!(found.is_ok(), believed, "{jwk}: {found:?}");
    }
}

#[tokio::test]
async fn what_is_no_signed_token_is_nobodys() {
    let issuer = FakeIssuer::start(&[&SigningKey::new("k", "RS256")]).await;
    let authenticator = authenticator(config(&issuer));
    let long = format!("{0}.{0}.{0}", "x".repeat(100_000));
    for token in ["opaque", "a.b", "a.b.c", "e30.e30.e30", "..", "a.b.c.d.e", long.as_str()] {
        assert_refused(name(&authenticator, token).await, "nobody knows it");
    }
    assert_eq!(issuer.requests(DISCOVERY), 0);
}

#[tokio::test]
async fn issuer_audience_and_required_claims_must_be_ours() {
    let key = SigningKey::new("k", "RS256");
    let issuer = FakeIssuer::start(&[&key]).await;
    let required = [("hd".to_owned(), "example.com".to_owned())].into();
    let authenticator = authenticator(OidcConfig { required_claims: required, ..config(&issuer) });
    for (changes, expected) in [
        (json!({}), Ok(())),
        (json!({ "aud": ["other", "gateway"] }), Ok(())),
        (json!({ "iss": "https://evil.example" }), Err("issued by \"https://evil.example\", not by")),
        (json!({ "iss": format!("{}/", issuer.url) }), Err("issued by")),
        (json!({ "iss": null }), Err("names no issuer")),
        (json!({ "aud": "gateway2" }), Err("not for \"gateway\"")),
        (json!({ "aud": ["other"] }), Err("not for \"gateway\"")),
        (json!({ "aud": null }), Err("not for \"gateway\"")),
        (json!({ "hd": null }), Err("claim \"hd\" is not \"example.com\"")),
        (json!({ "hd": "evil.example" }), Err("claim \"hd\"")),
        (json!({ "hd": ["example.com"] }), Err("claim \"hd\"")),
    ] {
        let mut all = json!({ "hd": "example.com" });
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let found = name(&authenticator, &key.sign(&claims(&issuer, &all))).await;
        match expected {
            Ok(()) => assert_eq!(found.unwrap(), "alice", "{changes}"),
            Err(text) => assert_refused(found, text),
        }
    }
    // A foreign issuer's tokens are none of ours to look up.
    assert_eq!(issuer.requests(KEYS), 1);
}

#[tokio::test]
async fn a_token_holds_in_its_time() {
    let key = SigningKey::new("k", "ES256");
    let issuer = FakeIssuer::start(&[&key]).await;
    let algorithms = vec!["ES256".to_owned()];
    let authenticator = authenticator(OidcConfig { signing_algs: algorithms, ..config(&issuer) });
    let (past, future) = (seconds_from_now(-600), seconds_from_now(600));
    for (changes, expected) in [
        (json!({ "exp": past }), Some("has expired at")),
        (json!({ "exp": null }), Some("does not say when it expires")),
        (json!({ "nbf": past }), None),
        (json!({ "nbf": future }), Some("will be valid only at")),
        (json!({ "iat": future }), Some("will be issued only at")),
        (json!({ "iat": null }), None),
    ] {
        let found = name(&authenticator, &key.sign(&claims(&issuer, &changes))).await;
        match expected {
            None => assert_eq!(found.unwrap(), "alice", "{changes}"),
            Some(text) => assert_refused(found, text),
        }
    }
}

#[tokio::test]
async fn names_and_groups_are_made_of_claims_and_prefixes_as_kube_apiserver_makes_them() {
    let key = SigningKey::new("k", "ES256");
    let issuer = FakeIssuer::start(&[&key]).await;
    let more = json!({
        "email": "a@example.com", "email_verified": true, "roles": ["dev", "ops"], "one": "dev", "none": [],
    });
    let token = key.sign(&claims(&issuer, &more));
    let some = |text: &str| Some(text.to_owned());
    let default = format!("{}#alice", issuer.url);
    for (claim, prefix, groups_claim, groups_prefix, expected, groups) in [
        ("sub", None, None, "", default.as_str(), &[][..]),
        ("sub", some(""), None, "", &default, &[]),
        ("sub", some("-"), None, "", "alice", &[]),
        ("sub", some("oidc:"), None, "oidc:", "oidc:alice", &[]),
        ("email", None, None, "", "a@example.com", &[]),
        ("email", some("oidc:"), None, "", "oidc:a@example.com", &[]),
        ("sub", some("-"), some("roles"), "", "alice", &["dev", "ops"]),
        ("sub", some("-"), some("roles"), "oidc:", "alice", &["oidc:dev", "oidc:ops"]),
        ("sub", some("-"), some("one"), "oidc:", "alice", &["oidc:dev"]),
        ("sub", some("-"), some("none"), "oidc:", "alice", &[]),
        ("sub", some("-"), some("absent"), "oidc:", "alice", &[]),
    ] {
        let config = OidcConfig {
            signing_algs: vec!["ES256".to_owned()],
            username_claim: claim.to_owned(),
            username_prefix: prefix,
            groups_claim,
            groups_prefix: groups_prefix.to_owned(),
            ..config(&issuer)
        };
        let expected = user(expected, &[groups, &[GROUP_AUTHENTICATED]].concat());
        assert_eq!(whose(&authenticator(config.clone()), &token).await, Ok(expected), "{config:?}");
    }
}

#[tokio::test]
async fn claims_that_name_nobody_or_somebody_of_the_system_are_refused() {
    let key = SigningKey::new("k", "ES256");
    let issuer = FakeIssuer::start(&[&key]).await;
    let settings = |claim: &str, prefix: &str| OidcConfig {
        signing_algs: vec!["ES256".to_owned()],
        username_claim: claim.to_owned(),
        groups_claim: Some("groups".to_owned()),
        groups_prefix: prefix.to_owned(),
        ..config(&issuer)
    };
    let (plain, mail) = (authenticator(settings("sub", "")), authenticator(settings("email", "")));
    let prefixed = authenticator(settings("sub", "oidc:"));
    for (asked, changes, expected) in [
        (&plain, json!({ "sub": null }), "claim \"sub\" holds no name"),
        (&plain, json!({ "sub": "" }), "claim \"sub\" holds no name"),
        (&plain, json!({ "sub": 7 }), "claim \"sub\" holds no name"),
        (&plain, json!({ "groups": 7 }), "not a list of strings"),
        (&plain, json!({ "groups": ["a", 7] }), "not a list of strings"),
        (&plain, json!({ "sub": "system:admin" }), "set --oidc-username-prefix"),
        (&plain, json!({ "groups": ["dev", "system:masters"] }), "set --oidc-groups-prefix"),
        (&mail, json!({ "email": "a@b", "email_verified": false }), "is not verified"),
        (&mail, json!({ "email": "a@b", "email_verified": "true" }), "is not verified"),
    ] {
        assert_refused(name(asked, &key.sign(&claims(&issuer, &changes))).await, expected);
    }
    let unsaid = key.sign(&claims(&issuer, &json!({ "email": "a@b" })));
    assert_eq!(name(&mail, &unsaid).await.unwrap(), "a@b");
    // Only the address that names the user has to be verified.
    let other = key.sign(&claims(&issuer, &json!({ "email": "a@b", "email_verified": false })));
    assert_eq!(name(&plain, &other).await.unwrap(), "alice");
    let masters = key.sign(&claims(&issuer, &json!({ "groups": ["system:masters"] })));
    assert_eq!(whose(&prefixed, &masters).await.unwrap().groups[0], "oidc:system:masters");
}

#[tokio::test]
async fn a_new_key_is_fetched_when_it_is_first_seen_and_a_withdrawn_one_is_believed_no_longer() {
    let (old, new) = (SigningKey::new("old", "RS256"), SigningKey::new("new", "RS256"));
    let issuer = FakeIssuer::start(&[&old]).await;
    let authenticator = authenticator(config(&issuer));
    let good = claims(&issuer, &json!({}));
    assert_eq!(name(&authenticator, &old.sign(&good)).await.unwrap(), "alice");
    assert_refused(name(&authenticator, &new.sign(&good)).await, "no key of the issuer has signed it");
    issuer.publish(&[&new]);
    assert_eq!(name(&authenticator, &old.sign(&good)).await.unwrap(), "alice");
    assert_eq!(name(&authenticator, &new.sign(&good)).await.unwrap(), "alice");
    assert_refused(name(&authenticator, &old.sign(&good)).await, "no key of the issuer has signed it");
}

#[tokio::test]
async fn a_withdrawn_key_is_noticed_without_any_new_token() {
    let (old, new) = (SigningKey::new("old", "RS256"), SigningKey::new("new", "RS256"));
    let issuer = FakeIssuer::start(&[&old]).await;
    let settings = OidcConfig { key_refresh: Duration::from_millis(10), key_pause: HOUR, ..config(&issuer) };
    let pausing = authenticator(settings.clone());
    let authenticator = authenticator(OidcConfig { key_pause: Duration::ZERO, ..settings });
    let token = old.sign(&claims(&issuer, &json!({})));
    assert_eq!(name(&authenticator, &token).await.unwrap(), "alice");
    assert_eq!(name(&pausing, &token).await.unwrap(), "alice");
    let watching = Arc::clone(&authenticator);
    tokio::spawn(async move { watching.watch().await });
    issuer.publish(&[&new]);
    let reached = async {
        while name(&authenticator, &token).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reached).await.expect("the key is forgotten");
    assert_eq!(name(&pausing, &token).await.unwrap(), "alice");
}

#[tokio::test]
async fn tokens_without_a_key_id_are_tried_with_every_key() {
    let (mut first, mut second) = (SigningKey::new("a", "RS256"), SigningKey::new("b", "RS256"));
    let issuer = FakeIssuer::start(&[&first, &second]).await;
    let authenticator = authenticator(config(&issuer));
    let mut stranger = SigningKey::new("c", "RS256");
    (first.id, second.id, stranger.id) = (None, None, None);
    for key in [&first, &second] {
        assert_eq!(name(&authenticator, &key.sign(&claims(&issuer, &json!({})))).await.unwrap(), "alice");
    }
    let token = stranger.sign(&claims(&issuer, &json!({})));
    assert_refused(name(&authenticator, &token).await, "no key of the issuer has signed it");
}

#[tokio::test]
async fn an_issuer_that_is_away_does_not_matter_for_keys_that_are_known() {
    let (key, other) = (SigningKey::new("k", "RS256"), SigningKey::new("other", "RS256"));
    let issuer = FakeIssuer::start(&[&key]).await;
    let authenticator = authenticator(config(&issuer));
    let (good, unknown) = (key.sign(&claims(&issuer, &json!({}))), other.sign(&claims(&issuer, &json!({}))));
    assert_eq!(name(&authenticator, &good).await.unwrap(), "alice");
    issuer.answer(DISCOVERY, 503, "");
    assert_refused(name(&authenticator, &unknown).await, "no key of the issuer has signed it");
    assert_eq!(name(&authenticator, &good).await.unwrap(), "alice");
    // Nor does one that keeps everybody waiting: whoever has a known key does not wait.
    issuer.hang();
    let waiting = Arc::clone(&authenticator);
    let waiting = tokio::spawn(async move { name(&waiting, &unknown).await });
    let before = issuer.requests(DISCOVERY);
    while issuer.requests(DISCOVERY) == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(name(&authenticator, &good).await.unwrap(), "alice");
    assert!(!waiting.is_finished());
}

#[tokio::test]
async fn an_issuer_that_cannot_be_believed_is_not() {
    let key = SigningKey::new("k", "RS256");
    let issuer = FakeIssuer::start(&[&key]).await;
    let good = key.sign(&claims(&issuer, &json!({})));
    let keys = format!("{}{KEYS}", issuer.url);
    let asked = authenticator(config(&issuer));
    let plain = keys.replace("https://", "http://");
    let broken = [
        (issuer.url.as_str(), plain.as_str()),
        ("https://other", &keys),
        (&issuer.url, "https://u@localhost/"),
    ];
    for (named, keys) in broken {
        issuer.describe(named, keys);
        assert_refused(name(&asked, &good).await, "the keys of the issuer could not be read yet");
    }
    issuer.describe(&issuer.url, &keys);
    let huge = json!({ "keys": [key.jwk()], "filler": "x".repeat(2 * 1024 * 1024) }).to_string();
    for (code, body) in [(200, "no JSON"), (200, "{\"keys\":[]}"), (200, &huge), (404, ""), (302, "")] {
        issuer.answer(KEYS, code, body);
        assert_refused(name(&asked, &good).await, "the keys of the issuer could not be read yet");
    }
    issuer.publish(&[&key]);
    // Its server's certificate comes from somebody else.
    let strange = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(strange.path(), TestCa::new("strange").pem()).unwrap();
    for ca_file in [Some(strange.path().to_owned()), None] {
        let strict = authenticator(OidcConfig { ca_file, ..config(&issuer) });
        assert_refused(name(&strict, &good).await, "the keys of the issuer could not be read yet");
    }
    assert_eq!(name(&asked, &good).await.unwrap(), "alice");
}

#[tokio::test]
async fn a_server_starts_while_its_issuer_is_away_and_believes_tokens_when_it_is_there() {
    let key = SigningKey::new("k", "RS256");
    let issuer = FakeIssuer::start(&[&key]).await;
    issuer.answer(DISCOVERY, 503, "");
    let authenticator = authenticator(OidcConfig { key_pause: Duration::from_millis(10), ..config(&issuer) });
    authenticator.load().await.unwrap();
    let watching = Arc::clone(&authenticator);
    tokio::spawn(async move { watching.watch().await });
    while issuer.requests(DISCOVERY) < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    issuer.describe(&issuer.url, &format!("{}{KEYS}", issuer.url));
    // It looks by itself, before any token comes.
    while issuer.requests(KEYS) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(name(&authenticator, &key.sign(&claims(&issuer, &json!({})))).await.unwrap(), "alice");
}

#[tokio::test]
async fn a_storm_of_unknown_keys_causes_one_look_and_then_none_for_a_while() {
    let (key, other) = (SigningKey::new("k", "RS256"), SigningKey::new("other", "RS256"));
    let issuer = FakeIssuer::start(&[&key]).await;
    let authenticator = authenticator(OidcConfig { key_pause: HOUR, ..config(&issuer) });
    let unknown = other.sign(&claims(&issuer, &json!({})));
    for found in join_all((0..50).map(|_| name(&authenticator, &unknown))).await {
        assert_refused(found, "no key of the issuer has signed it");
    }
    issuer.publish(&[&key, &other]);
    assert_refused(name(&authenticator, &unknown).await, "no key of the issuer has signed it");
    assert_eq!((issuer.requests(DISCOVERY), issuer.requests(KEYS)), (1, 1));
    assert_eq!(name(&authenticator, &key.sign(&claims(&issuer, &json!({})))).await.unwrap(), "alice");
}
