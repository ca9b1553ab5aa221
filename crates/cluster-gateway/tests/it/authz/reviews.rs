//! SubjectAccessReviews and their answers.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster_gateway::authn::{GROUP_MASTERS, UserInfo};
use cluster_gateway::authz::{AuthorizationConfig, Authorizer, Policy};
use cluster_gateway::status::Error;
use futures_util::future::join_all;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::{PROXY, ask, authorizer, get, user};
use crate::support::fake_hub::{FakeHub, Fault};

const LIST: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";

async fn body(error: Error) -> (u16, Value) {
    let response = error.into_response(false);
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body))))
}

#[tokio::test]
async fn rule_085_administrators_and_open_paths_are_allowed_without_a_review() {
    let hub = FakeHub::start().await;
    let authorizer = authorizer(&hub, &AuthorizationConfig::default()).await;
    let admin = user("admin", &["x", GROUP_MASTERS]);
    for uri in [PROXY, LIST, "/metrics"] {
        get(&authorizer, &admin, uri).await.unwrap();
    }
    assert!(hub.access_reviews().is_empty());
    let bob = user("bob", &[]);
    assert!(matches!(get(&authorizer, &bob, "/metrics").await, Err(Error::Forbidden(_))));
    assert_eq!(hub.access_reviews().len(), 1);
}

#[tokio::test]
async fn rule_018_the_open_paths_are_the_three_roots_of_health() {
    let hub = FakeHub::start().await;
    let authorizer = authorizer(&hub, &AuthorizationConfig::default()).await;
    let anonymous = UserInfo::anonymous();
    for path in ["/healthz", "/readyz", "/livez", "/livez?verbose"] {
        get(&authorizer, &anonymous, path).await.unwrap();
    }
    assert!(hub.access_reviews().is_empty());
    for path in ["/healthz/ping", "/metrics", "/", "/readyzz"] {
        assert!(get(&authorizer, &anonymous, path).await.is_err(), "{path}");
    }
    let bad = AuthorizationConfig { always_allow_paths: vec!["/a*b".to_owned()], ..Default::default() };
    assert!(Authorizer::new(&bad, hub.hub().await).is_err());
}

#[tokio::test]
async fn rule_086_rule_087_a_review_says_who_and_what() {
    let hub = FakeHub::start().await;
    hub.allow("bob", "get", "clustergateways", "proxy");
    let authorizer = authorizer(&hub, &AuthorizationConfig::default()).await;
    let extra = BTreeMap::from([("scopes".to_owned(), vec!["a".to_owned(), "b".to_owned()])]);
    let bob = UserInfo { uid: "7".to_owned(), extra, ..user("bob", &["team"]) };
    get(&authorizer, &bob, &format!("{PROXY}/api/v1/pods?watch=true")).await.unwrap();
    assert_eq!(
        serde_json::to_value(hub.access_reviews()).unwrap(),
        json!([{
            "user": "bob", "uid": "7", "groups": ["team"], "extra": {"scopes": ["a", "b"]},
            "resourceAttributes": {"verb": "get", "group": "cluster.core.oam.dev", "version": "v1alpha1",
                "resource": "clustergateways", "subresource": "proxy", "name": "c"},
        }])
    );
}

#[tokio::test]
async fn rule_086_rule_093_a_document_is_asked_for_by_path_and_method() {
    let hub = FakeHub::start().await;
    hub.allow_if(|spec| spec.non_resource_attributes.is_some());
    let authorizer = authorizer(&hub, &AuthorizationConfig::default()).await;
    ask(&authorizer, &user("bob", &[]), http::Request::delete("/metrics?x=y")).await.unwrap();
    assert_eq!(
        serde_json::to_value(hub.access_reviews()).unwrap(),
        json!([{"user": "bob", "nonResourceAttributes": {"path": "/metrics", "verb": "delete"}}])
    );
}

#[tokio::test]
async fn rule_088_a_method_without_a_verb_is_asked_for_with_none() {
    let hub = FakeHub::start().await;
    let authorizer = authorizer(&hub, &AuthorizationConfig::default()).await;
    let options = http::Request::builder().method("OPTIONS").uri(PROXY);
    assert!(matches!(ask(&authorizer, &user("bob", &[]), options).await, Err(Error::Forbidden(_))));
    assert_eq!(hub.access_reviews()[0].resource_attributes.as_ref().unwrap().verb, None);
}

#[tokio::test]
async fn rule_090_an_upgrade_needs_create_besides_get_unless_switched_off() {
    let hub = FakeHub::start().await;
    hub.allow("bob", "get", "clustergateways", "proxy");
    let strict = authorizer(&hub, &AuthorizationConfig::default()).await;
    let exec = || {
        let uri = format!("{PROXY}/api/v1/namespaces/n/pods/p/exec?command=sh");
        http::Request::get(uri).header("connection", "Upgrade").header("upgrade", "websocket")
    };
    let bob = user("bob", &[]);
    get(&strict, &bob, PROXY).await.unwrap();
    let Err(Error::Forbidden(refused)) = ask(&strict, &bob, exec()).await else { panic!("exec is allowed") };
    assert_eq!(refused.verb, "create");
    hub.allow("carol", "get", "clustergateways", "proxy");
    hub.allow("carol", "create", "clustergateways", "proxy");
    ask(&strict, &user("carol", &[]), exec()).await.unwrap();
    // `create` alone does not replace `get`.
    hub.allow("dave", "create", "clustergateways", "proxy");
    assert!(ask(&strict, &user("dave", &[]), exec()).await.is_err());

    let policy = Policy { upgrade_needs_create: false, ..Policy::default() };
    let lenient = authorizer(&hub, &AuthorizationConfig { policy, ..Default::default() }).await;
    ask(&lenient, &bob, exec()).await.unwrap();
}

#[tokio::test]
async fn rule_094_answers_are_remembered_by_everything_that_was_asked() {
    let hub = FakeHub::start().await;
    hub.allow("bob", "get", "clustergateways", "proxy");
    let authorizer = authorizer(&hub, &AuthorizationConfig::default()).await;
    let bob = user("bob", &["a"]);
    for _ in 0..3 {
        get(&authorizer, &bob, PROXY).await.unwrap();
        assert!(get(&authorizer, &bob, LIST).await.is_err());
    }
    assert_eq!(hub.access_reviews().len(), 2, "allowed and denied alike");
    let extra = BTreeMap::from([("k".to_owned(), vec!["v".to_owned()])]);
    for other in [
        user("bob", &["a", "b"]),
        user("bob", &[]),
        UserInfo { uid: "1".to_owned(), ..bob.clone() },
        UserInfo { extra, ..bob.clone() },
        user("bo", &["a"]),
    ] {
        let _ = get(&authorizer, &other, PROXY).await;
    }
    assert_eq!(hub.access_reviews().len(), 7);
    get(&authorizer, &bob, &PROXY.replace("/c/", "/d/")).await.unwrap();
    assert_eq!(hub.access_reviews().len(), 8);
}

#[tokio::test]
async fn rule_094_callers_share_one_review_and_a_ttl_of_zero_remembers_nothing() {
    let hub = FakeHub::start().await;
    hub.allow("bob", "get", "clustergateways", "proxy");
    let sharing = authorizer(&hub, &AuthorizationConfig::default()).await;
    let bob = user("bob", &[]);
    let answers = join_all((0..100).map(|_| get(&sharing, &bob, PROXY))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(hub.access_reviews().len(), 1);

    let config = AuthorizationConfig { allowed_ttl: Duration::ZERO, ..Default::default() };
    let forgetful = authorizer(&hub, &config).await;
    for _ in 0..3 {
        get(&forgetful, &bob, PROXY).await.unwrap();
        assert!(get(&forgetful, &bob, "/metrics").await.is_err());
    }
    assert_eq!(hub.access_reviews().len(), 1 + 3 + 1, "denials are still remembered");
}

#[tokio::test]
async fn rule_094_long_attributes_are_not_remembered() {
    let hub = FakeHub::start().await;
    hub.allow_if(|_| true);
    let authorizer = authorizer(&hub, &AuthorizationConfig::default()).await;
    let bob = user("bob", &[]);
    for (length, reviews) in [(9_990, 1), (10_000, 3)] {
        let uri = format!("/{}", "x".repeat(length));
        get(&authorizer, &bob, &uri).await.unwrap();
        get(&authorizer, &bob, &uri).await.unwrap();
        assert_eq!(hub.access_reviews().len(), reviews, "{length}");
    }
}

#[tokio::test]
async fn rule_095_no_answer_is_a_500_that_says_why_and_is_not_remembered() {
    let hub = FakeHub::start().await;
    hub.allow("bob", "get", "clustergateways", "proxy");
    let authorizer = authorizer(&hub, &AuthorizationConfig::default()).await;
    let bob = user("bob", &[]);
    hub.fault_once("subjectaccessreviews", Fault::Status(403));
    let uri = format!("{PROXY}/a?b=%3C&c=<");
    let uri = uri.replace('<', "%3C");
    let (code, text) = body(get(&authorizer, &bob, &uri).await.unwrap_err()).await;
    let escaped = uri.replace('&', "&amp;");
    assert_eq!((code, text), (500, json!(format!("Internal Server Error: \"{escaped}\": injected 403"))));
    get(&authorizer, &bob, &uri).await.unwrap();
}

#[tokio::test]
async fn rule_095_a_contradiction_is_no_permission() {
    let hub = FakeHub::start().await;
    hub.answer_access_reviews(json!({"allowed": true, "denied": true}));
    let authorizer = authorizer(&hub, &AuthorizationConfig::default()).await;
    for _ in 0..2 {
        let refused = get(&authorizer, &user("bob", &[]), PROXY).await;
        assert!(matches!(refused, Err(Error::AuthorizationUnknown { .. })), "{refused:?}");
    }
    assert_eq!(hub.access_reviews().len(), 2);
    hub.answer_access_reviews(json!(null));
    assert!(matches!(get(&authorizer, &user("bob", &[]), PROXY).await, Err(Error::Forbidden(_))));
}

#[tokio::test]
async fn rule_096_rule_097_the_words_of_a_refusal() {
    let hub = FakeHub::start().await;
    let authorizer = authorizer(&hub, &AuthorizationConfig::default()).await;
    let bob = user("bob", &[]);
    let (code, status) = body(get(&authorizer, &bob, PROXY).await.unwrap_err()).await;
    assert_eq!(code, 403);
    assert_eq!(
        status["message"],
        "clustergateways.cluster.core.oam.dev \"c\" is forbidden: User \"bob\" cannot get resource \
         \"clustergateways/proxy\" in API group \"cluster.core.oam.dev\" at the cluster scope"
    );
    let details = json!({"name": "c", "group": "cluster.core.oam.dev", "kind": "clustergateways"});
    assert_eq!((&status["reason"], &status["details"]), (&json!("Forbidden"), &details));

    let (_, status) = body(get(&authorizer, &bob, LIST).await.unwrap_err()).await;
    let message = status["message"].as_str().unwrap();
    assert!(
        message.starts_with("clustergateways.cluster.core.oam.dev is forbidden: User \"bob\" cannot list")
    );
    let details = json!({"group": "cluster.core.oam.dev", "kind": "clustergateways"});
    assert_eq!(status["details"], details);

    hub.answer_access_reviews(json!({"allowed": false, "reason": "because"}));
    let (_, status) = body(get(&authorizer, &bob, "/metrics").await.unwrap_err()).await;
    assert_eq!(status["message"], "forbidden: User \"bob\" cannot get path \"/metrics\": because");
    assert_eq!(status["details"], json!({}));
}

#[tokio::test]
async fn rule_094_a_remembered_denial_outlives_a_new_grant_only_while_it_holds() {
    let hub = FakeHub::start().await;
    hub.allow("bob", "get", "clustergateways", "proxy");
    let config = AuthorizationConfig { denied_ttl: Duration::ZERO, ..Default::default() };
    let authorizer = authorizer(&hub, &config).await;
    let bob = user("bob", &[]);
    get(&authorizer, &bob, PROXY).await.unwrap();
    hub.deny_everything();
    get(&authorizer, &bob, PROXY).await.unwrap();
    assert!(get(&authorizer, &bob, LIST).await.is_err());
    hub.allow("bob", "list", "clustergateways", "");
    get(&authorizer, &bob, LIST).await.unwrap();
}
