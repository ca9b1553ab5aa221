//! A file of tokens.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cluster_gateway::authn::{
    Authenticator, GROUP_AUTHENTICATED, LoadError, StandaloneAuthentication, UserInfo,
};

use super::{connection, request, user};

/// An authenticator that knows a file of this text, and the file.
async fn with(text: &str) -> (tempfile::NamedTempFile, Arc<Authenticator>, Result<(), LoadError>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let config = StandaloneAuthentication {
        token_file: Some(file.path().to_owned()),
        file_poll: Duration::from_millis(10),
        ..StandaloneAuthentication::default()
    };
    let authenticator = Arc::new(Authenticator::standalone(config).unwrap());
    let loaded = authenticator.load().await;
    (file, authenticator, loaded)
}

async fn whose(authenticator: &Authenticator, token: &str) -> Option<UserInfo> {
    let bearer = format!("Bearer {token}");
    let mut parts = request(&[("authorization", &bearer)]);
    authenticator.authenticate(&connection(&[]), &mut parts).await.ok().map(Arc::unwrap_or_clone)
}

async fn until(authenticator: &Authenticator, token: &str, expected: Option<&str>) {
    let reached = async {
        while whose(authenticator, token).await.map(|user| user.name).as_deref() != expected {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reached).await.expect("the change arrives");
}

#[tokio::test]
async fn the_lines_of_a_file_are_read_as_kube_apiserver_reads_them() {
    let text = "\u{feff}one,alice,1\r\n\ntwo,bob,,\"dev, ops\"\nthree,\"Doe, \"\"Jane\"\"\",3,dev\nfour,dan,4,\nfive,eve,5";
    let (_file, authenticator, loaded) = with(text).await;
    assert_eq!(loaded, Ok(()));
    let expected = |name: &str, uid: &str, groups: &[&str]| {
        let groups = [groups, &[GROUP_AUTHENTICATED]].concat();
        Some(UserInfo { uid: uid.to_owned(), ..user(name, &groups) })
    };
    for (token, found) in [
        ("one", expected("alice", "1", &[])),
        ("two", expected("bob", "", &["dev", "ops"])),
        ("three", expected("Doe, \"Jane\"", "3", &["dev"])),
        ("four", expected("dan", "4", &[])),
        ("five", expected("eve", "5", &[])),
        ("six", None),
        ("on", None),
        ("onee", None),
    ] {
        assert_eq!(whose(&authenticator, token).await, found, "{token}");
    }
    let token = URL_SAFE_NO_PAD.encode("two");
    let protocols = format!("base64url.bearer.authorization.k8s.io.{token}, v4.channel.k8s.io");
    let headers =
        [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-protocol", protocols.as_str())];
    let found = authenticator.authenticate(&connection(&[]), &mut request(&headers)).await.unwrap();
    assert_eq!(found.name, "bob");
}

#[tokio::test]
async fn every_bad_line_is_named_with_its_place_and_without_its_token() {
    let text = "good,alice,1\nsecret1\nsecret2,bob\n,carol,1\nsecret3,,1\nsecret4,dan,1,a,b\n\
        secret5,\"eve,1\nsecret6,\"frank\"x,1\nse cret7,gina,1\nsecret8,h\"i,1\n";
    let (file, authenticator, loaded) = with(text).await;
    let Err(LoadError::Fatal(text)) = loaded else { panic!("lines are bad") };
    let place = |line: usize| format!("{}:{line}: ", file.path().display());
    for (line, reason) in [
        (2, "has 1 of at least 3 columns"),
        (3, "has 2 of at least 3 columns"),
        (4, "has no token"),
        (5, "has no user"),
        (6, "has 5 columns; several groups must stand in one pair of quotes"),
        (7, "has a quote that is not closed"),
        (8, "has text between a closing quote and the next comma"),
        (9, "has a token with spaces"),
        (10, "has a quote inside a field"),
    ] {
        assert!(text.contains(&format!("{}{reason}", place(line))), "{line}: {text}");
    }
    assert!(!text.contains(&place(1)) && !text.contains("secret") && !text.contains("cret7"), "{text}");
    // The file is taken as a whole or not at all.
    assert_eq!(whose(&authenticator, "good").await, None);
    let shown = format!("{authenticator:?}");
    assert!(!shown.contains("secret") && !shown.contains("good"), "{shown}");
}

#[tokio::test]
async fn of_hundreds_of_bad_lines_some_are_named_and_the_others_counted() {
    let (_file, _, loaded) = with(&"x\n".repeat(500)).await;
    let Err(LoadError::Fatal(text)) = loaded else { panic!("lines are bad") };
    assert_eq!(text.matches("columns:").count(), 20);
    assert!(text.ends_with("and 480 more"), "{text}");
}

#[tokio::test]
async fn a_line_that_is_no_text_and_a_file_that_is_too_large_are_refused() {
    let (file, authenticator, _) = with("").await;
    std::fs::write(file.path(), b"good,alice,1\nt,\xff,1\n").unwrap();
    assert!(authenticator.load().await.unwrap_err().to_string().contains(":2: is not UTF-8"));
    std::fs::write(file.path(), "x".repeat(4 * 1024 * 1024 + 1)).unwrap();
    assert!(authenticator.load().await.unwrap_err().to_string().contains("is larger than"));
}

#[tokio::test]
async fn of_lines_with_the_same_token_the_first_counts() {
    let (_file, authenticator, loaded) = with("t,alice,1\nt,bob,2,system:masters\nu,bob,2\n").await;
    assert_eq!(loaded, Ok(()));
    assert_eq!(whose(&authenticator, "t").await.unwrap().name, "alice");
    assert_eq!(whose(&authenticator, "u").await.unwrap().name, "bob");
}

#[tokio::test]
async fn a_changed_file_acts_and_a_damaged_one_leaves_the_last_good() {
    let (file, authenticator, _) = with("t,alice,1\n").await;
    let watching = Arc::clone(&authenticator);
    tokio::spawn(async move { watching.watch().await });
    std::fs::write(file.path(), "t,bob,1\nu,carol,2\n").unwrap();
    until(&authenticator, "u", Some("carol")).await;
    assert_eq!(whose(&authenticator, "t").await.unwrap().name, "bob");

    replace(file.path(), "t,mallory,1\nu\n");
    let text = authenticator.load().await.unwrap_err().to_string();
    assert!(text.contains(":2: "), "{text}");
    assert_eq!(whose(&authenticator, "t").await.unwrap().name, "bob");
    std::fs::remove_file(file.path()).unwrap();
    assert!(authenticator.load().await.is_err());
    assert_eq!(whose(&authenticator, "u").await.unwrap().name, "carol");

    replace(file.path(), "");
    until(&authenticator, "u", None).await;
    assert_eq!(whose(&authenticator, "t").await, None);
}

fn replace(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(draft, path).unwrap();
}
