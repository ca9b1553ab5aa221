//! Who may come in, and what they are told otherwise.

use std::time::Duration;

use cluster_gateway::authn::GROUP_MASTERS;

use super::{Alone, CLUSTERS, HOUR, answered, issue, proxy, standalone};
use crate::support::caller::{Answer, Caller};
use crate::support::fake_member::TestCa;

fn is_refused(answer: &Answer, expected: &str) {
    let status = answer.json();
    assert_eq!((answer.status, &status["kind"], &status["code"]), (401, &"Status".into(), &401.into()));
    assert_eq!(status["reason"], "Unauthorized");
    let message = answer.message();
    assert!(message.contains(expected) && message.contains("`cluster-gateway kubeconfig`"), "{message}");
}

fn bearer(alone: &Alone, token: &str) -> Caller {
    alone.nobody().header("authorization", &format!("Bearer {token}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_018_rule_064_without_a_credential_it_is_a_401_that_says_how_to_get_one() {
    let alone = Alone::start().await;
    for path in [CLUSTERS.to_owned(), proxy("m", "/plain"), "/apis".to_owned()] {
        is_refused(&alone.nobody().get(&path).await, "no credential was presented");
    }
    assert!(alone.member.recorder.requests().is_empty(), "the member was asked");
    // Whoever looks after the process has no credential.
    for path in ["/readyz", "/livez", "/healthz"] {
        assert_eq!(alone.nobody().get(path).await.status, 200, "{path}");
        is_refused(&bearer(&alone, "guess").get(path).await, "not accepted");
    }
    is_refused(&alone.nobody().get("/healthz/ping").await, "no credential was presented");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_061_certificates_of_strangers_and_those_that_ended_are_refused() {
    let alone = Alone::start().await;
    let stranger = TestCa::new("stranger").client("admin");
    is_refused(&alone.nobody().certificate(&stranger).get(CLUSTERS).await, "not accepted");
    // Certificates count seconds: this one ends with the second in which it is issued.
    let ending = issue(&alone.files.path("data"), "admin", &[GROUP_MASTERS], Duration::from_nanos(1));
    let ended = alone.nobody().certificate(&ending);
    answered(&ended, CLUSTERS, 401).await;
    is_refused(&ended.get(CLUSTERS).await, "not accepted");
    assert!(alone.member.recorder.requests().is_empty(), "the member was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_075_the_certificate_that_the_issuer_makes_is_the_admins() {
    let alone = Alone::start().await;
    let admin = alone.admin();
    assert_eq!(admin.get(&proxy("m", "/plain")).await.text(), "plain");
    assert_eq!(admin.clone().http2().get(&proxy("m", "/plain")).await.text(), "plain");
    // As the server was started before that, it was issued beside it, by another process as it were.
    let later = issue(&alone.files.path("data"), "later", &[GROUP_MASTERS], HOUR);
    assert_eq!(alone.nobody().certificate(&later).get(CLUSTERS).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_the_token_file_come_and_go_with_it() {
    let alone = Alone::with(|files, config| {
        files.write("tokens.csv", "t0ken,carol,1,\"system:masters\"\n");
        standalone(config).authentication.token_file = Some(files.path("tokens.csv"));
    })
    .await;
    assert_eq!(bearer(&alone, "t0ken").get(&proxy("m", "/plain")).await.status, 200);
    let member = alone.member.recorder.only_request();
    assert_eq!(member.headers["authorization"], "Bearer member-token", "the caller's token stays here");
    is_refused(&bearer(&alone, "guess").get(CLUSTERS).await, "not accepted");

    alone.files.write("tokens.csv", "newer,dave,2,\"system:masters\"\n");
    answered(&bearer(&alone, "newer"), CLUSTERS, 200).await;
    is_refused(&bearer(&alone, "t0ken").get(CLUSTERS).await, "not accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_063_anonymous_callers_have_no_rights_of_their_own() {
    let alone = Alone::with(|_, config| standalone(config).authentication.anonymous = true).await;
    let refused = alone.nobody().get(CLUSTERS).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.message().contains("User \"system:anonymous\" cannot list"), "{}", refused.text());
}
