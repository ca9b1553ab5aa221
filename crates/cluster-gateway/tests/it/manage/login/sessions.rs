//! Sessions: how they begin, what they are good for, and how they end.

use std::time::Duration;

use cluster_gateway::config::{Config, Mode};
use cluster_gateway::manage::login::{LoginConfig, SESSION_KEY};
use cluster_gateway::serve::Server;
use http::Method;
use serde_json::json;

use super::{Browser, COOKIE, SESSION, browser, user};
use crate::manage::refusal;
use crate::support::fake_hub::Fault;
use crate::support::world::{NAMESPACE, Setup, World, until};

/// Another replica of the world's server, which asks the hub about tokens each time.
async fn replica(world: &World) -> Server {
    let mut config: Config = world.config.clone();
    if let Mode::Hub(mode) = &mut config.mode {
        mode.authentication.token_cache_ttl = Duration::ZERO;
    }
    let manage = config.manage.as_mut().unwrap();
    manage.records = crate::support::world::management(&world.hub.dir().join("other.db")).records;
    let server = Server::start(config).await.unwrap();
    server.ready().await;
    server
}

fn at(browser: &Browser, server: &Server) -> Browser {
    let mut browser = browser.clone();
    browser.caller = browser.caller.at(server.management_address().unwrap());
    browser
}

#[tokio::test]
async fn a_session_begins_with_a_token_and_ends_with_signing_out() {
    let (world, mut browser) = browser().await;
    world.hub.token("sesame", user("alice", &["platform"]));
    let answer = browser.sign_in(" sesame\n").await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")), "{}", answer.text());
    let line = answer.header("set-cookie").unwrap();
    let attributes: Vec<_> = line.split("; ").skip(1).collect();
    assert!(line.starts_with(&format!("{COOKIE}=")) && !line.contains("sesame"), "{line}");
    assert_eq!(attributes, ["Path=/", "Max-Age=28800", "HttpOnly", "SameSite=Strict", "Secure"]);
    let session = answer.json();
    let version = format!("v{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        session["user"],
        json!({ "username": "alice", "groups": ["platform", "system:authenticated"] })
    );
    assert_eq!(session["method"], "Token");
    assert_eq!(
        session["server"],
        json!({ "name": "127.0.0.1", "version": version, "mode": "hub", "secretNamespace": "vela-system",
            "routes": ["hub", "direct"] })
    );
    let csrf = session["csrfToken"].as_str().unwrap().to_owned();
    assert!(csrf.len() >= 32);
    let again = browser.get(SESSION).await.json();
    assert_eq!((&again["csrfToken"], &again["expires"]), (&session["csrfToken"], &session["expires"]));

    for wrong in ["", "x", &csrf[1..], &format!("{csrf}x")] {
        let answer = browser.sign_out(wrong).await;
        assert_eq!((answer.status, refusal(&answer).0), (403, 41403), "{wrong:?}");
    }
    let answer = browser.send(Method::DELETE, SESSION, &[], "").await;
    assert_eq!((answer.status, refusal(&answer).0), (403, 41403));
    let mut stolen = browser.clone();
    let answer = browser.sign_out(&csrf).await;
    assert_eq!((answer.status, answer.json()), (200, json!({})));
    assert!(browser.cookies.is_empty());
    assert_eq!(browser.who().await, Err(41401));
    assert_eq!(stolen.who().await, Err(41401), "a copy is good for nothing more");
    assert!(stolen.cookies.is_empty(), "who shows what is no session any more is told to forget it");
}

#[tokio::test]
async fn a_body_that_is_no_sign_in_is_refused() {
    let (world, mut browser) = browser().await;
    world.hub.token("sesame", user("alice", &[]));
    world.hub.token("nobody", user("system:anonymous", &["system:unauthenticated"]));
    let json_type = ("content-type", "application/json");
    let long = json!({ "token": "x".repeat(5000) }).to_string();
    let good = r#"{"token": "sesame"}"#;
    for (headers, body, status, code) in [
        (&[][..], good, 415, 415),
        (&[("content-type", "text/plain")], good, 415, 415),
        (&[("content-type", "application/x-www-form-urlencoded")], "token=sesame", 415, 415),
        (&[json_type, ("sec-fetch-site", "cross-site")], good, 403, 41403),
        (&[json_type, ("sec-fetch-site", "same-site")], good, 403, 41403),
        (&[json_type, ("origin", "https://evil.example")], good, 403, 41403),
        (&[json_type], "", 400, 400),
        (&[json_type], "{}", 400, 400),
        (&[json_type], r#"{"token": 7}"#, 400, 400),
        (&[json_type], r#"{"token": " "}"#, 400, 41003),
        (&[json_type], r#"{"token": "a b"}"#, 400, 41003),
        (&[json_type], r#"{"token": "ü"}"#, 400, 41003),
        (&[json_type], &long, 400, 41003),
        (&[json_type], r#"{"token": "wrong"}"#, 401, 41401),
        (&[json_type], r#"{"token": "nobody"}"#, 401, 41401),
    ] {
        let answer = browser.send(Method::POST, SESSION, headers, body).await;
        assert_eq!(
            (answer.status, refusal(&answer).0),
            (status, code),
            "{headers:?} {body:.40}: {}",
            answer.text()
        );
        assert!(browser.cookies.is_empty());
        if code == 41003 || (code == 41401) {
            assert_eq!(answer.json()["Field"], "token");
        }
    }
    assert_eq!(browser.send(Method::POST, SESSION, &[json_type], good).await.status, 200, "a program may");
}

#[tokio::test]
async fn a_cookie_that_is_not_ours_is_no_session() {
    let (world, mut browser) = browser().await;
    world.hub.token("sesame", user("alice", &[]));
    assert_eq!(browser.sign_in("sesame").await.status, 200);
    let good = browser.cookies[COOKIE].clone();
    let swapped = |at: usize| {
        let mut text = good.clone().into_bytes();
        text[at] = if text[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(text).unwrap()
    };
    let other = {
        let other = super::browser().await;
        other.0.hub.token("sesame", user("alice", &[]));
        let mut browser = other.1;
        assert_eq!(browser.sign_in("sesame").await.status, 200);
        browser.cookies[COOKIE].clone()
    };
    for value in [
        "",
        "x",
        &good[..good.len() - 1],
        &good[..40],
        &swapped(3),
        &swapped(20),
        &swapped(good.len() / 2),
        &other,
    ] {
        let mut forged = browser.clone();
        forged.cookies.insert(COOKIE.to_owned(), value.to_owned());
        assert_eq!(forged.who().await, Err(41401), "{value}");
        assert!(forged.cookies.is_empty());
    }
    let twice = [("cookie", &*format!("{COOKIE}={good}; {COOKIE}={good}"))];
    let bare = Browser::new(browser.caller.clone());
    assert_eq!(bare.clone().send(Method::GET, SESSION, &twice, "").await.status, 401);
    // Without the prefix that only HTTPS and this very host can give, it is somebody else's.
    let tossed = [("cookie", &*format!("cluster-gateway-session={good}"))];
    assert_eq!(bare.clone().send(Method::GET, SESSION, &tossed, "").await.status, 401);
    assert_eq!(browser.who().await, Ok("alice".to_owned()));
}

#[tokio::test]
async fn a_session_ends_with_its_time() {
    let login = LoginConfig { session_lifetime: Duration::from_secs(1), ..LoginConfig::default() };
    let world = World::with(Setup { manage: true, login, ..Setup::default() }).await;
    world.hub.token("sesame", user("alice", &[]));
    let mut browser = Browser::new(world.managing(world.nobody()));
    let answer = browser.sign_in("sesame").await;
    assert!(answer.header("set-cookie").unwrap().contains("Max-Age=1;"));
    let kept = browser.clone();
    until(|| async { kept.clone().who().await == Err(41401) }).await;
    assert!(browser.get(SESSION).await.text().contains("its time is over"));
}

#[tokio::test]
async fn a_token_that_is_revoked_ends_its_sessions_and_a_hub_that_is_away_does_not() {
    let (world, mut browser) = browser().await;
    world.hub.token("sesame", user("alice", &[]));
    assert_eq!(browser.sign_in("sesame").await.status, 200);
    let server = replica(&world).await;
    let mut browser = at(&browser, &server);
    assert_eq!(browser.who().await, Ok("alice".to_owned()));
    world.hub.fault("tokenreviews", Fault::Status(403));
    assert_eq!(browser.who().await, Err(41500));
    assert!(!browser.cookies.is_empty());
    world.hub.heal();
    assert_eq!(browser.who().await, Ok("alice".to_owned()));
    // Whose the token is, is asked each time.
    world.hub.token("sesame", user("alice", &["new"]));
    assert_eq!(browser.get(SESSION).await.json()["user"]["groups"], json!(["new", "system:authenticated"]));
    world.hub.answer_token_reviews(json!({ "authenticated": false }));
    let answer = browser.get(SESSION).await;
    assert_eq!((answer.status, refusal(&answer).0), (401, 41401));
    assert!(answer.text().contains("its token is no longer accepted") && browser.cookies.is_empty());
}

#[tokio::test]
async fn replicas_share_a_key_that_the_first_sign_in_makes() {
    let (world, mut browser) = browser().await;
    let server = replica(&world).await;
    world.hub.token("sesame", user("alice", &[]));
    assert_eq!(browser.who().await, Err(41401));
    assert!(world.hub.secret(NAMESPACE, SESSION_KEY).is_none(), "nobody has needed it");
    let mut both = [browser.clone(), at(&browser, &server)];
    let [first, second] = &mut both;
    let (one, two) = tokio::join!(first.sign_in("sesame"), second.sign_in("sesame"));
    assert_eq!((one.status, two.status), (200, 200));
    for signed_in in &both {
        let elsewhere = Browser { caller: browser.caller.clone(), cookies: signed_in.cookies.clone() };
        for mut anywhere in [at(&elsewhere, &server), elsewhere] {
            until(|| async { anywhere.clone().who().await == Ok("alice".to_owned()) }).await;
            assert_eq!(anywhere.who().await, Ok("alice".to_owned()));
        }
    }
    let secret = world.hub.secret(NAMESPACE, SESSION_KEY).unwrap();
    assert_eq!(secret["type"], "Opaque");
}

#[tokio::test]
async fn a_secret_that_holds_no_key_is_not_overwritten() {
    let (world, mut browser) = browser().await;
    world.hub.token("sesame", user("alice", &[]));
    let broken = json!({
        "metadata": { "namespace": NAMESPACE, "name": SESSION_KEY }, "data": { "keys": "aHVudGVyMg==" },
    });
    world.hub.put("secrets", broken.clone());
    let answer = browser.sign_in("sesame").await;
    assert_eq!((answer.status, refusal(&answer).0), (503, 41500));
    let text = answer.text();
    assert!(text.contains("vela-system/cluster-gateway-session-key") && !text.contains("hunter2"), "{text}");
    assert_eq!(world.hub.secret(NAMESPACE, SESSION_KEY).unwrap()["data"], broken["data"]);
}

#[tokio::test]
async fn a_session_that_has_no_room_in_a_cookie_says_so() {
    let (world, mut browser) = browser().await;
    let token = "t".repeat(3900);
    world.hub.token(&token, user("alice", &[]));
    let answer = browser.sign_in(&token).await;
    assert_eq!((answer.status, refusal(&answer).0), (400, 41003));
    assert!(answer.text().contains("does not fit into a cookie") && !answer.text().contains(&token));
}

#[tokio::test]
async fn without_a_hub_the_key_lies_in_the_data_directory_and_tokens_in_a_file() {
    use std::os::unix::fs::PermissionsExt;

    let alone = crate::standalone::Alone::with(|files, config| {
        config.manage = Some(crate::support::world::management(&files.path("clusters.db")));
        files.write("tokens", "sesame,alice,7,\"platform\"\n");
        if let Mode::Standalone(mode) = &mut config.mode {
            mode.authentication.token_file = Some(files.path("tokens"));
        }
    })
    .await;
    let key = alone.files.path("data").join(SESSION_KEY);
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let mut browser = Browser::new(alone.nobody().at(alone.server.management_address().unwrap()));
    let session = browser.sign_in("sesame").await.json();
    assert_eq!(
        (&session["server"]["mode"], &session["server"]["secretNamespace"]),
        (&json!("standalone"), &json!(null))
    );
    assert_eq!(session["server"]["routes"], json!(["direct"]));
    assert_eq!(session["permissions"]["join"], false);
    assert_eq!(browser.who().await, Ok("alice".to_owned()));
    // The user leaves: the file is read again.
    alone.files.write("tokens", "other,bob,8\n");
    let kept = browser.clone();
    until(|| async { kept.clone().who().await == Err(41401) }).await;
}
