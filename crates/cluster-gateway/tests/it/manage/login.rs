//! Who asks: sessions, tokens, certificates, and requests of other sites.

mod oidc;
mod sessions;
mod velaux;

use std::collections::BTreeMap;

use cluster_gateway::authn::{GROUP_AUTHENTICATED, UserInfo};
use http::Method;
use serde_json::{Value, json};

use super::refusal;
use crate::support::caller::{Answer, Caller};
use crate::support::fake_hub::Fault;
use crate::support::world::{Setup, World};

pub(super) const SESSION: &str = "/api/v1/session";
/// The name of the cookie over HTTPS.
const COOKIE: &str = "__Host-cluster-gateway-session";

/// What keeps cookies, and sends what pages of the console send.
#[derive(Clone)]
struct Browser {
    caller: Caller,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new(caller: Caller) -> Self {
        Self { caller, cookies: BTreeMap::new() }
    }

    async fn send(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut caller = self.caller.clone();
        if !cookies.is_empty() {
            caller = caller.header("cookie", &cookies.join("; "));
        }
        for (name, value) in headers {
            caller = caller.header(name, value);
        }
        let answer = caller.send(method, path, body).await;
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    async fn sign_in(&mut self, token: &str) -> Answer {
        let headers = [("content-type", "application/json"), ("sec-fetch-site", "same-origin")];
        self.send(Method::POST, SESSION, &headers, &json!({ "token": token }).to_string()).await
    }

    async fn sign_out(&mut self, csrf: &str) -> Answer {
        self.send(Method::DELETE, SESSION, &[("x-csrf-token", csrf)], "").await
    }

    /// The name of who is signed in; the number of the refusal if that is nobody.
    async fn who(&mut self) -> Result<String, u64> {
        let answer = self.get(SESSION).await;
        match answer.status {
            200 => Ok(answer.json()["user"]["username"].as_str().unwrap().to_owned()),
            _ => Err(refusal(&answer).0),
        }
    }
}

/// A hub with management, and a browser without a credential.
async fn browser() -> (World, Browser) {
    let world = super::hub().await;
    let browser = Browser::new(world.managing(world.nobody()));
    (world, browser)
}

fn user(name: &str, groups: &[&str]) -> UserInfo {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    UserInfo { name: name.to_owned(), groups, ..UserInfo::default() }
}

#[tokio::test]
async fn everybody_is_told_how_to_sign_in_and_nothing_else() {
    let (world, mut browser) = browser().await;
    let answer = browser.get("/api/v1/login").await;
    let version = format!("v{}", env!("CARGO_PKG_VERSION"));
    let server = json!({ "name": "127.0.0.1", "version": version });
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({ "oidc": null, "token": true, "server": server }))
    );
    for path in
        [SESSION, "/api/v1/nothing", "/api/v1/fleet", "/api/v1/clusters", "/api/v1/login/", "/api/v1/login/x"]
    {
        let answer = browser.get(path).await;
        assert_eq!((answer.status, refusal(&answer).0), (401, 41401), "{path}");
    }
    // Who is nobody at the gateway is nobody here, also if a front proxy says so.
    let anonymous = world.managing(world.user("system:anonymous", &["system:unauthenticated"]));
    assert_eq!(anonymous.get(SESSION).await.status, 401);
}

#[tokio::test]
async fn programs_need_neither_session_nor_csrf_token() {
    let (world, _) = browser().await;
    world.hub.token("sesame", user("alice", &["platform"]));
    let token = world.managing(world.nobody()).header("authorization", "Bearer sesame");
    let session = token.get(SESSION).await.json();
    assert_eq!(session["user"], json!({ "username": "alice", "groups": ["platform", GROUP_AUTHENTICATED] }));
    assert_eq!((&session["method"], &session["csrfToken"]), (&json!("Token"), &json!("")));
    assert_eq!(token.send(Method::DELETE, SESSION, "").await.status, 200);

    let certificate = world.managing(world.nobody().certificate(&world.clients.client("bob")));
    let session = certificate.get(SESSION).await.json();
    assert_eq!(
        (&session["user"]["username"], &session["method"]),
        (&json!("bob"), &json!("ClientCertificate"))
    );
    assert!(session["expires"].is_string());
    assert_eq!(certificate.send(Method::DELETE, SESSION, "").await.status, 200);

    let front_proxy = world.managing(world.user("carol", &["team"]));
    assert_eq!(front_proxy.get(SESSION).await.json()["user"]["username"], "carol");
    // Nobody but the front proxy may say so.
    let stranger = world.managing(world.nobody()).header("x-remote-user", "carol");
    assert_eq!(stranger.get(SESSION).await.status, 401);
    let stranger = certificate.header("x-remote-user", "carol");
    assert_eq!(stranger.get(SESSION).await.json()["user"]["username"], "bob");
}

#[tokio::test]
async fn what_is_shown_and_wrong_never_falls_through_to_a_weaker_way() {
    let (world, mut browser) = browser().await;
    world.hub.token("sesame", user("alice", &[]));
    assert_eq!(browser.sign_in("sesame").await.status, 200);
    assert_eq!(browser.who().await, Ok("alice".to_owned()));
    for value in ["Bearer wrong", "Bearer", "Bearer ", "Basic YTpi", "sesame", "Negotiate x"] {
        let answer = browser.send(Method::GET, SESSION, &[("authorization", value)], "").await;
        assert_eq!((answer.status, refusal(&answer).0), (401, 41401), "{value}");
        assert!(!answer.text().contains("wrong"), "{}", answer.text());
    }
    let two = [("authorization", "Bearer sesame"), ("authorization", "Bearer sesame")];
    assert_eq!(browser.send(Method::GET, SESSION, &two, "").await.status, 401);
    // A certificate that nobody has issued.
    let mut shown = browser.clone();
    let stranger = crate::support::fake_member::TestCa::new("stranger").client("mallory");
    shown.caller = shown.caller.certificate(&stranger);
    assert_eq!(shown.who().await, Err(41401));
    assert_eq!(browser.who().await, Ok("alice".to_owned()), "the session has no harm of it");
}

#[tokio::test]
async fn a_browser_that_another_site_makes_show_its_certificate_changes_nothing() {
    let (world, _) = browser().await;
    let certificate = world.managing(world.nobody().certificate(&world.clients.client("bob")));
    for (name, value, code) in [
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("sec-fetch-site", "same-origin", 200),
        ("sec-fetch-site", "none", 200),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "https://localhost", 200),
    ] {
        let browser = certificate.clone().header(name, value);
        let answer = browser.send(Method::DELETE, SESSION, "").await;
        assert_eq!(answer.status, code, "{name}: {value}: {}", answer.text());
        if code == 403 {
            assert_eq!(refusal(&answer).0, 41403);
        }
        assert_eq!(browser.get(SESSION).await.status, 200, "reading is for the same-origin policy to guard");
    }
    // A bearer token is shown by programs alone.
    world.hub.token("sesame", user("alice", &[]));
    let token = world.managing(world.nobody()).header("authorization", "Bearer sesame");
    let crossed = token.header("sec-fetch-site", "cross-site");
    assert_eq!(crossed.send(Method::DELETE, SESSION, "").await.status, 200);
}

#[tokio::test]
async fn nobody_is_impersonated_here() {
    let (world, _) = browser().await;
    for name in ["impersonate-user", "Impersonate-Group", "impersonate-extra-x", "impersonate_user"] {
        let caller = world.managing(world.masters()).header(name, "alice");
        let answer = caller.get(SESSION).await;
        assert_eq!((answer.status, refusal(&answer).0), (400, 41003), "{name}");
    }
}

#[tokio::test]
async fn permissions_are_what_the_hub_says_now() {
    let (world, _) = browser().await;
    world.hub.token("sesame", user("alice", &[]));
    let caller = world.managing(world.nobody()).header("authorization", "Bearer sesame");
    let permissions = async || caller.get(SESSION).await.json()["permissions"].clone();
    let all = |join, update, detach, get| json!({ "join": join, "update": update, "detach": detach, "diagnose": get, "kubeconfig": get });
    assert_eq!(permissions().await, all(false, false, false, false));
    let asked: Vec<_> = world
        .hub
        .access_reviews()
        .into_iter()
        .filter(|asked| asked.user.as_deref() == Some("alice"))
        .collect();
    let words: std::collections::BTreeSet<_> = asked
        .into_iter()
        .map(|asked| {
            let asked = asked.resource_attributes.unwrap();
            [asked.verb, asked.group, asked.resource, asked.namespace]
                .map(Option::unwrap_or_default)
                .join(" ")
        })
        .collect();
    let expected = [
        "create  secrets vela-system",
        "delete  secrets vela-system",
        "get cluster.core.oam.dev clustergateways ",
        "update  secrets vela-system",
    ];
    assert_eq!(words.iter().map(String::as_str).collect::<Vec<_>>(), expected);

    world.hub.token("open", user("bob", &[]));
    world.hub.allow("bob", "create", "secrets", "");
    world.hub.allow("bob", "get", "clustergateways", "");
    let bob = world.managing(world.nobody()).header("authorization", "Bearer open");
    assert_eq!(bob.get(SESSION).await.json()["permissions"], all(true, false, false, true));

    // What cannot be found out is not guessed.
    world.hub.token("other", user("carol", &[]));
    world.hub.fault("subjectaccessreviews", Fault::Status(500));
    let carol = world.managing(world.nobody()).header("authorization", "Bearer other");
    let answer = carol.get(SESSION).await;
    assert_eq!((answer.status, refusal(&answer).0), (503, 41500), "{}", answer.text());
}

#[tokio::test]
async fn too_many_failures_of_an_address_are_enough() {
    let (world, mut signed_in) = browser().await;
    world.hub.token("sesame", user("alice", &[]));
    world.hub.token("other", user("bob", &[]));
    assert_eq!(signed_in.sign_in("sesame").await.status, 200);
    let known = world.managing(world.nobody()).header("authorization", "Bearer sesame");
    assert_eq!(known.get(SESSION).await.status, 200);
    let certificate = world.managing(world.nobody().certificate(&world.clients.client("bob")));

    let mut codes = Vec::new();
    for number in 0..6 {
        let wrong = world.managing(world.nobody()).header("authorization", &format!("Bearer wrong{number}"));
        codes.push(wrong.get(SESSION).await.status);
        codes.push(Browser::new(world.managing(world.nobody())).sign_in("wrong").await.status);
    }
    assert_eq!(codes, [401, 401, 401, 401, 401, 401, 401, 401, 401, 401, 429, 429]);
    let answer = Browser::new(world.managing(world.nobody())).sign_in("other").await;
    assert_eq!((answer.status, refusal(&answer).0), (429, 41429));
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(refusal(&answer).1.contains(&format!("possible in {wait} s")), "{wait}: {}", answer.text());
    let asked = world.hub.token_reviews().len();
    let new = world.managing(world.nobody()).header("authorization", "Bearer other");
    assert_eq!(new.get(SESSION).await.status, 429);
    assert_eq!(world.hub.token_reviews().len(), asked, "the hub is not asked about what is not let in");
    // Whoever has shown before who they are is not locked out.
    assert_eq!(known.get(SESSION).await.status, 200);
    assert_eq!(certificate.get(SESSION).await.status, 200);
    assert_eq!(signed_in.who().await, Ok("alice".to_owned()));
}

#[tokio::test]
async fn a_hub_that_does_not_say_makes_nobody_a_failure() {
    let (world, mut browser) = browser().await;
    world.hub.token("sesame", user("alice", &[]));
    world.hub.fault("tokenreviews", Fault::Status(403));
    for _ in 0..12 {
        let answer = browser.sign_in("sesame").await;
        assert_eq!((answer.status, refusal(&answer).0), (503, 41500), "{}", answer.text());
    }
    let bearer = world.managing(world.nobody()).header("authorization", "Bearer sesame");
    assert_eq!(refusal(&bearer.get(SESSION).await).0, 41500);
    world.hub.heal();
    assert_eq!(browser.sign_in("sesame").await.status, 200);
}

#[tokio::test]
async fn each_request_is_audited_as_its_user_s() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("audit.log");
    let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- {level: Metadata, nonResourceURLs: [\"/api/*\"]}\n- {level: None}\n";
    let log = cluster_gateway::audit::LogConfig::to(cluster_gateway::audit::LogTarget::File(path.clone()));
    let policy = cluster_gateway::audit::Policy::parse("policy", policy).unwrap();
    let audit = cluster_gateway::audit::AuditConfig { policy, log: Some(log), webhook: None };
    let world = World::with(Setup { manage: true, audit: Some(audit), ..Setup::default() }).await;
    world.hub.token("sesame-canary", user("alice", &["platform"]));
    let mut browser = Browser::new(world.managing(world.nobody()));
    let signed_in = browser.sign_in("sesame-canary").await;
    let csrf = signed_in.json()["csrfToken"].as_str().unwrap().to_owned();
    assert_eq!(browser.sign_in("wrong-canary").await.status, 401);
    assert_eq!(browser.send(Method::DELETE, SESSION, &[], "").await.status, 403);
    assert_eq!(browser.get("/api/v1/nothing?secret=query-canary").await.status, 404);
    assert_eq!(browser.sign_out(&csrf).await.status, 200);
    let expected = [
        ("post", SESSION, "alice", 200),
        ("post", SESSION, "", 401),
        ("delete", SESSION, "alice", 403),
        ("get", "/api/v1/nothing?secret=REDACTED", "alice", 404),
        ("delete", SESSION, "alice", 200),
    ];
    let events = || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter(|event| event["stage"] != "RequestReceived").collect::<Vec<_>>()
    };
    crate::support::world::until(|| async { events().len() >= expected.len() }).await;
    for (event, (verb, uri, name, code)) in events().iter().zip(expected) {
        let told =
            (event["verb"].as_str(), event["requestURI"].as_str(), event["responseStatus"]["code"].as_u64());
        assert_eq!(told, (Some(verb), Some(uri), Some(code)), "{event:#}");
        assert_eq!(event["user"]["username"].as_str().unwrap_or_default(), name, "{event:#}");
    }
    let text = std::fs::read_to_string(&path).unwrap();
    for secret in ["canary", csrf.as_str(), browser.cookies.get(COOKIE).map_or("sesame", String::as_str)] {
        assert!(!text.contains(secret), "{secret}");
    }
}
