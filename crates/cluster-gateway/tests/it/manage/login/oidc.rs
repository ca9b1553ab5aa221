//! Signing in at an OpenID Connect provider on loopback.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cluster_gateway::authn::OidcConfig;
use cluster_gateway::manage::login::{LoginConfig, LoginOidcConfig};
use cluster_gateway::request::query_value;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Browser, COOKIE, SESSION};
use crate::support::caller::Answer;
use crate::support::fake_issuer::{DISCOVERY, FakeIssuer, KEYS, SigningKey, TOKEN};
use crate::support::world::{Setup, World};

const START: &str = "/api/v1/login/oidc";
const CALLBACK: &str = "/api/v1/login/oidc/callback";
/// The cookie in which lies what must be known when somebody comes back.
const STATE: &str = "__Host-cluster-gateway-login";

struct Sso {
    world: World,
    issuer: FakeIssuer,
    key: SigningKey,
    browser: Browser,
}

/// What a browser that is sent to the provider brings there.
struct Asked {
    state: String,
    nonce: String,
    challenge: String,
}

fn config(issuer: &FakeIssuer) -> LoginOidcConfig {
    LoginOidcConfig {
        issuer: OidcConfig {
            issuer_url: issuer.url.clone(),
            client_id: "console".to_owned(),
            username_claim: "email".to_owned(),
            groups_claim: Some("groups".to_owned()),
            ca_file: Some(issuer.ca_file()),
            key_refresh: Duration::from_secs(3600),
            key_pause: Duration::ZERO,
            flags: "--login-oidc-",
            ..OidcConfig::default()
        },
        client_secret_file: None,
        scopes: vec!["email".to_owned(), "groups".to_owned()],
        redirect_url: None,
        name: "Example SSO".to_owned(),
    }
}

impl Sso {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut LoginOidcConfig)) -> Self {
        let key = SigningKey::new("k", "RS256");
        let issuer = FakeIssuer::start(&[&key]).await;
        let mut oidc = config(&issuer);
        change(&mut oidc);
        let login = LoginConfig { oidc: Some(oidc), ..LoginConfig::default() };
        let world = World::with(Setup { manage: true, login, ..Setup::default() }).await;
        let browser = Browser::new(world.managing(world.nobody()));
        Self { world, issuer, key, browser }
    }

    /// Goes to the provider.
    async fn start(&mut self, path: &str) -> Asked {
        let answer = self.browser.get(path).await;
        let location = answer.header("location").unwrap();
        assert_eq!(answer.status, 302);
        let query = location.strip_prefix(&format!("{}/authorize?", self.issuer.url)).expect(location);
        let value =
            |key: &str| query_value(query, key).unwrap_or_else(|| panic!("{key} in {query}")).into_owned();
        assert_eq!(
            [value("response_type"), value("client_id"), value("scope"), value("code_challenge_method")],
            ["code", "console", "openid email groups", "S256"]
        );
        Asked { state: value("state"), nonce: value("nonce"), challenge: value("code_challenge") }
    }

    /// A token that is believed, with some claims changed; `null` takes one away.
    fn token(&self, asked: &Asked, changes: &Value) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": self.issuer.url, "aud": "console", "sub": "1", "email": "alice@example.com", "nonce": asked.nonce,
            "groups": ["platform"], "iat": now, "exp": now + 3600,
        });
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        self.key.sign(&claims)
    }

    async fn callback(&mut self, query: &str) -> Answer {
        self.browser.get(&format!("{CALLBACK}?{query}")).await
    }

    /// Signs in with a token of these claims; what the page for signing in says if that does not work.
    async fn sign_in(&mut self, changes: &Value) -> Result<String, String> {
        let asked = self.start(START).await;
        self.issuer.code("c", &self.token(&asked, changes));
        let answer = self.callback(&format!("code=c&state={}", asked.state)).await;
        outcome(&answer)
    }
}

/// Where an answer leads to, or what the page for signing in says.
fn outcome(answer: &Answer) -> Result<String, String> {
    assert_eq!(answer.status, 302, "{}", answer.text());
    let location = answer.header("location").unwrap();
    match location.strip_prefix("/login?") {
        Some(query) => Err(query_value(query, "error").unwrap().into_owned()),
        None => Ok(location.to_owned()),
    }
}

fn assert_refused(found: Result<String, String>, expected: &str) {
    match found {
        Err(text) => assert!(text.contains(expected), "{expected:?} is not in {text:?}"),
        Ok(location) => panic!("led to {location}, {expected:?} was expected"),
    }
}

#[tokio::test]
async fn somebody_signs_in_at_the_provider_and_is_led_back_to_where_they_wanted_to_go() {
    let mut sso = Sso::new().await;
    let methods = sso.browser.get("/api/v1/login").await.json();
    assert_eq!(methods["oidc"], json!({ "name": "Example SSO", "start": START }));
    let answer = sso.browser.get(START).await;
    let line = answer.header("set-cookie").unwrap();
    assert!(line.contains("; HttpOnly; SameSite=Lax; Secure") && line.contains("Max-Age=600"), "{line}");
    let asked = sso.start(&format!("{START}?return=%2Fclusters%2Fa.b%3Fx%3D1")).await;
    sso.issuer.code("the code", &sso.token(&asked, &json!({})));
    let answer = sso.callback(&format!("code=the%20code&state={}", asked.state)).await;
    assert_eq!(outcome(&answer), Ok("/clusters/a.b?x=1".to_owned()));
    assert!(sso.browser.cookies.contains_key(COOKIE) && !sso.browser.cookies.contains_key(STATE));
    let session = sso.browser.get(SESSION).await.json();
    let groups = json!(["platform", "system:authenticated"]);
    assert_eq!(session["user"], json!({ "username": "alice@example.com", "groups": groups }));
    assert_eq!(session["method"], "OIDC");
    let age = answer.headers.get_all("set-cookie").iter().next().unwrap().to_str().unwrap().to_owned();
    assert!(!age.contains("Max-Age=28800"), "it ends with the ID token: {age}");

    let (authorization, form) = sso.issuer.forms().pop().unwrap();
    let value = |key: &str| query_value(&form, key).unwrap_or_default().into_owned();
    assert_eq!(authorization, None);
    assert_eq!(
        [value("grant_type"), value("code"), value("client_id"), value("redirect_uri")],
        ["authorization_code", "the code", "console", &format!("https://localhost{CALLBACK}")]
    );
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(value("code_verifier")));
    assert_eq!(challenge, asked.challenge, "the verifier is what the challenge was made of");
    // The hub has never heard of this user's token.
    assert!(sso.world.hub.token_reviews().is_empty());
}

#[tokio::test]
async fn a_client_with_a_secret_shows_it_to_the_provider_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    std::fs::write(&file, "hunter2+/\n").unwrap();
    let redirect = format!("https://console.example{CALLBACK}");
    let mut sso = Sso::with(|oidc| {
        oidc.client_secret_file = Some(file.clone());
        oidc.redirect_url = Some(redirect.clone());
    })
    .await;
    assert_eq!(sso.sign_in(&json!({})).await, Ok("/".to_owned()));
    let (authorization, form) = sso.issuer.forms().pop().unwrap();
    assert_eq!(authorization, Some(format!("Basic {}", STANDARD.encode("console:hunter2%2B%2F"))));
    assert_eq!(query_value(&form, "redirect_uri").as_deref(), Some(redirect.as_str()));
    assert!(!form.contains("hunter2"));
    // It may be gone while people work.
    std::fs::remove_file(&file).unwrap();
    let told = sso.sign_in(&json!({})).await.unwrap_err();
    assert!(told.contains("is not set up right") && !told.contains("secret"), "{told}");
}

#[tokio::test]
async fn one_comes_back_to_what_one_has_begun_oneself() {
    let mut sso = Sso::new().await;
    let begun = "was not begun in this browser";
    let asked = sso.start(START).await;
    sso.issuer.code("c", &sso.token(&asked, &json!({})));
    // Somebody else's browser, which an attacker leads to the callback with a code of their own.
    let good = format!("code=c&state={}", asked.state);
    let mut victim = Browser::new(sso.browser.caller.clone());
    assert_refused(outcome(&victim.get(&format!("{CALLBACK}?{good}")).await), begun);
    assert!(victim.cookies.is_empty());
    for query in ["", "code=c", "code=c&state=", "code=c&state=x", &format!("code=c&state={}", asked.nonce)] {
        let kept = sso.browser.cookies.clone();
        assert_refused(outcome(&sso.callback(query).await), begun);
        sso.browser.cookies = kept;
    }
    // A session is no state, and a state no session.
    let state = sso.browser.cookies[STATE].clone();
    let mut confused = Browser::new(sso.browser.caller.clone());
    confused.cookies.insert(COOKIE.to_owned(), state);
    assert_eq!(confused.who().await, Err(41401));
    assert!(sso.issuer.forms().is_empty(), "no code was shown to the provider");
    assert_eq!(outcome(&sso.callback(&good).await), Ok("/".to_owned()));
    let session = sso.browser.cookies[COOKIE].clone();
    let mut confused = Browser::new(sso.browser.caller.clone());
    confused.cookies.insert(STATE.to_owned(), session);
    assert_refused(outcome(&confused.get(&format!("{CALLBACK}?{good}")).await), begun);
}

#[tokio::test]
async fn a_code_is_good_once() {
    let mut sso = Sso::new().await;
    let asked = sso.start(START).await;
    sso.issuer.code("c", &sso.token(&asked, &json!({})));
    let good = format!("code=c&state={}", asked.state);
    let replayed = sso.browser.clone();
    assert_eq!(outcome(&sso.callback(&good).await), Ok("/".to_owned()));
    assert_refused(outcome(&sso.callback(&good).await), "was not begun in this browser");
    sso.browser = replayed;
    assert_refused(outcome(&sso.callback(&good).await), "the sign-in service refuses: invalid_grant");
    assert!(!sso.browser.cookies.contains_key(COOKIE));
}

#[tokio::test]
async fn a_token_for_somebody_else_lets_nobody_in() {
    let mut sso = Sso::new().await;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    for (changes, expected) in [
        (json!({ "nonce": "another" }), "made for another sign-in"),
        (json!({ "nonce": null }), "made for another sign-in"),
        (json!({ "aud": "other" }), "not for \"console\""),
        (json!({ "aud": ["console", "other"], "azp": "other" }), "made for another client"),
        (json!({ "iss": "https://evil.example" }), "issued by"),
        (json!({ "exp": now - 60 }), "has expired"),
        (json!({ "exp": null }), "does not say when it expires"),
        (json!({ "email": null }), "holds no name"),
        (json!({ "email_verified": false }), "not verified"),
    ] {
        // Failures of one address are counted; this is about what they are.
        if sso.issuer.forms().len() == 5 {
            sso = Sso::new().await;
        }
        assert_refused(sso.sign_in(&changes).await, expected);
        assert_eq!(sso.browser.who().await, Err(41401), "{changes}");
    }
    sso = Sso::new().await;
    let stranger = SigningKey::new("k", "RS256");
    let asked = sso.start(START).await;
    let forged = {
        let claims = json!({ "iss": sso.issuer.url, "aud": "console", "email": "a@b", "nonce": asked.nonce, "exp": now + 60 });
        stranger.sign(&claims)
    };
    sso.issuer.code("c", &forged);
    assert_refused(
        outcome(&sso.callback(&format!("code=c&state={}", asked.state)).await),
        "signature does not match",
    );
    assert_refused(
        sso.sign_in(&json!({ "email": "system:admin" })).await,
        "set --login-oidc-username-prefix",
    );
    assert_refused(
        sso.sign_in(&json!({ "groups": ["system:masters"] })).await,
        "set --login-oidc-groups-prefix",
    );
}

#[tokio::test]
async fn what_the_provider_says_is_passed_on_as_text() {
    let mut sso = Sso::new().await;
    let asked = sso.start(START).await;
    let refused = format!("error=access_denied&error_description=%3Cb%3Enot%0Ayou&state={}", asked.state);
    assert_refused(
        outcome(&sso.callback(&refused).await),
        "the sign-in service says: <b>not you (access_denied)",
    );
    // Who has begun nothing is told nothing of what somebody else's link says.
    let told = outcome(&sso.callback("error=x&error_description=call%20me").await).unwrap_err();
    assert!(!told.contains("call me"), "{told}");
}

#[tokio::test]
async fn a_provider_that_is_away_or_broken_says_so_on_the_page() {
    let mut sso = Sso::new().await;
    sso.issuer.answer(DISCOVERY, 503, "");
    assert_refused(outcome(&sso.browser.get(START).await), "cannot be asked");
    assert!(sso.browser.cookies.is_empty());

    let mut sso = Sso::new().await;
    sso.issuer.answer(TOKEN, 502, "<html>");
    assert_refused(sso.sign_in(&json!({})).await, "502 Bad Gateway");
    sso.issuer.answer(TOKEN, 200, "{}");
    assert_refused(sso.sign_in(&json!({})).await, "holds no ID token");
    sso.issuer.answer(TOKEN, 200, r#"{"id_token": "opaque"}"#);
    assert_refused(sso.sign_in(&json!({})).await, "it is no signed token");
    sso.issuer.answer(TOKEN, 302, "");
    assert_refused(sso.sign_in(&json!({})).await, "302");

    let mut sso = Sso::new().await;
    let document = json!({
        "issuer": sso.issuer.url, "jwks_uri": format!("{}{KEYS}", sso.issuer.url),
        "authorization_endpoint": "javascript:alert(1)", "token_endpoint": "https://x",
    });
    sso.issuer.answer(DISCOVERY, 200, &document.to_string());
    assert_refused(outcome(&sso.browser.get(START).await), "authorization_endpoint");
}

#[tokio::test]
async fn nobody_is_led_out_of_the_console() {
    let mut sso = Sso::new().await;
    for wanted in [
        "https%3A%2F%2Fevil.example",
        "%2F%2Fevil.example",
        "%2F%5Cevil.example",
        "%2F%09%2Fevil.example",
        "x",
    ] {
        let asked = sso.start(&format!("{START}?return={wanted}")).await;
        sso.issuer.code("c", &sso.token(&asked, &json!({})));
        let answer = sso.callback(&format!("code=c&state={}", asked.state)).await;
        assert_eq!(outcome(&answer), Ok("/".to_owned()), "{wanted}");
    }
}

#[tokio::test]
async fn a_user_of_too_many_groups_is_told_why_there_is_no_session() {
    let mut sso = Sso::new().await;
    let groups: Vec<_> = (0..200).map(|number| format!("group-with-a-long-name-{number}")).collect();
    let told = sso.sign_in(&json!({ "groups": groups })).await;
    assert_refused(told, "does not fit into a cookie, which holds 4096 bytes");
}

#[tokio::test]
async fn failures_at_the_provider_are_counted_and_its_absence_is_not() {
    let mut sso = Sso::new().await;
    for _ in 0..10 {
        assert_refused(sso.sign_in(&json!({ "nonce": "another" })).await, "another sign-in");
    }
    assert_refused(sso.sign_in(&json!({})).await, "too many attempts");
    let mut sso = Sso::new().await;
    sso.issuer.answer(TOKEN, 503, "");
    for _ in 0..12 {
        assert_refused(sso.sign_in(&json!({})).await, "503");
    }
}

#[tokio::test]
async fn without_a_provider_nobody_is_sent_anywhere() {
    let (_world, mut browser) = super::browser().await;
    assert_refused(outcome(&browser.get(START).await), "not set up here");
    assert_refused(outcome(&browser.get(&format!("{CALLBACK}?code=c&state=s")).await), "not set up here");
}
