//! Acting as somebody else.

use cluster_gateway::authn::{GROUP_AUTHENTICATED, GROUP_MASTERS, GROUP_UNAUTHENTICATED, UserInfo};
use cluster_gateway::authz::{AuthorizationConfig, Authorizer};
use cluster_gateway::status::Error;
use http::HeaderName;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::sync::Arc;

use super::{PROXY, authorizer, get, user};
use crate::support::fake_hub::FakeHub;

async fn impersonate(
    authorizer: &Authorizer,
    user: UserInfo,
    headers: &[(&str, &str)],
) -> (Result<UserInfo, Error>, Vec<String>) {
    let mut request = http::Request::get("/x?a=b");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut parts = request.body(()).unwrap().into_parts().0;
    let answer = authorizer.impersonate(user, &mut parts, "/x?a=b").await;
    (answer.map(Arc::unwrap_or_clone), parts.headers.keys().map(HeaderName::to_string).collect())
}

async fn world() -> (FakeHub, Authorizer) {
    let hub = FakeHub::start().await;
    let authorizer = authorizer(&hub, &AuthorizationConfig::default()).await;
    (hub, authorizer)
}

#[tokio::test]
async fn rule_146_rule_098_every_part_is_authorized_as_the_caller() {
    let (hub, authorizer) = world().await;
    hub.allow_if(|spec| spec.user.as_deref() == Some("bob"));
    let headers = [
        ("Impersonate-User", "alice"),
        ("Impersonate-Group", "dev"),
        ("impersonate-group", "ops"),
        ("Impersonate-Extra-Example.com%2fScope", "s1"),
        ("Impersonate-Uid", "42"),
    ];
    let (alice, left) = impersonate(&authorizer, user("bob", &[]), &headers).await;
    let alice = alice.unwrap();
    assert_eq!((alice.name.as_str(), alice.uid.as_str()), ("alice", "42"));
    assert_eq!(alice.groups, ["dev", "ops", GROUP_AUTHENTICATED]);
    assert_eq!(json!(alice.extra), json!({"example.com/scope": ["s1"]}));
    assert_eq!(left, Vec::<String>::new());
    let asked: Vec<Value> = hub
        .access_reviews()
        .iter()
        .map(|spec| {
            assert_eq!(spec.user.as_deref(), Some("bob"));
            serde_json::to_value(&spec.resource_attributes).unwrap()
        })
        .collect();
    let (verb, group, version) = ("impersonate", "authentication.k8s.io", "v1");
    assert_eq!(
        asked,
        [
            json!({"verb": verb, "resource": "users", "name": "alice"}),
            json!({"verb": verb, "resource": "groups", "name": "dev"}),
            json!({"verb": verb, "resource": "groups", "name": "ops"}),
            json!({"verb": verb, "group": group, "version": version, "resource": "userextras",
                "subresource": "example.com/scope", "name": "s1"}),
            json!({"verb": verb, "group": group, "version": version, "resource": "uids", "name": "42"}),
        ]
    );
    // And what follows is asked as whom the caller now is.
    assert!(get(&authorizer, &alice, PROXY).await.is_err());
}

#[tokio::test]
async fn rule_146_a_refusal_names_the_part_and_nothing_follows_it() {
    let (hub, authorizer) = world().await;
    let headers = [("Impersonate-User", "admin"), ("Impersonate-Group", "system:masters")];
    let (answer, left) = impersonate(&authorizer, user("bob", &[]), &headers).await;
    let response = answer.unwrap_err().into_response(false);
    assert_eq!(response.status(), 403);
    let status: Value =
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(
        status["message"],
        "users \"admin\" is forbidden: User \"bob\" cannot impersonate resource \"users\" in API group \"\" at the \
         cluster scope"
    );
    assert_eq!(status["details"], json!({"name": "admin", "kind": "users"}));
    assert_eq!((left.len(), hub.access_reviews().len()), (0, 1));
}

#[tokio::test]
async fn rule_146_each_part_alone_can_be_refused() {
    let (hub, authorizer) = world().await;
    hub.allow("bob", "impersonate", "users", "");
    for part in
        [("Impersonate-Group", GROUP_MASTERS), ("Impersonate-Uid", "1"), ("Impersonate-Extra-scopes", "all")]
    {
        let headers = [("Impersonate-User", "alice"), part];
        let (answer, _) = impersonate(&authorizer, user("bob", &[]), &headers).await;
        assert!(matches!(answer, Err(Error::Forbidden(_))), "{part:?}");
    }
}

#[tokio::test]
async fn rule_146_parts_without_a_user_are_a_500() {
    let (_hub, authorizer) = world().await;
    for (header, value, list) in [
        ("Impersonate-Group", "g", "[{Group  g    }]"),
        ("Impersonate-Uid", "1", "[{UID  1  authentication.k8s.io/v1  }]"),
        ("Impersonate-Extra-K", "v", "[{UserExtra  v  authentication.k8s.io/v1  k}]"),
    ] {
        let headers = [(header, value), ("Impersonate-User", "")];
        let (answer, left) = impersonate(&authorizer, user("admin", &[GROUP_MASTERS]), &headers).await;
        let error = answer.unwrap_err();
        let expected =
            format!("Internal Server Error: \"/x?a=b\": requested {list} without impersonating a user");
        assert_eq!((error.code().as_u16(), error.to_string(), left.len()), (500, expected, 0));
    }
}

#[tokio::test]
async fn rule_147_groups_that_belong_to_a_name() {
    let (_hub, authorizer) = world().await;
    let account = "system:serviceaccount:ns:sa";
    for (name, groups, expected) in [
        ("alice", vec![], vec![GROUP_AUTHENTICATED]),
        ("alice", vec!["a"], vec!["a", GROUP_AUTHENTICATED]),
        ("alice", vec![GROUP_UNAUTHENTICATED], vec![GROUP_UNAUTHENTICATED]),
        (account, vec![], vec!["system:serviceaccounts", "system:serviceaccounts:ns", GROUP_AUTHENTICATED]),
        (account, vec!["a"], vec!["a", GROUP_AUTHENTICATED]),
        ("system:anonymous", vec![], vec![GROUP_UNAUTHENTICATED]),
        ("system:anonymous", vec!["a"], vec!["a", GROUP_UNAUTHENTICATED]),
    ] {
        let mut headers = vec![("impersonate-user", name)];
        headers.extend(groups.iter().map(|&group| ("impersonate-group", group)));
        let (answer, _) = impersonate(&authorizer, user("admin", &[GROUP_MASTERS]), &headers).await;
        assert_eq!(answer.unwrap(), user(name, &expected));
    }
}

#[tokio::test]
async fn rule_146_a_service_account_is_asked_for_in_its_namespace() {
    let (hub, authorizer) = world().await;
    let headers = [("impersonate-user", "system:serviceaccount:ns:sa")];
    let (answer, _) = impersonate(&authorizer, user("bob", &[]), &headers).await;
    assert!(matches!(answer, Err(Error::Forbidden(_))));
    assert_eq!(
        json!(hub.access_reviews()[0].resource_attributes),
        json!({"verb": "impersonate", "resource": "serviceaccounts", "namespace": "ns", "name": "sa"})
    );
}

#[tokio::test]
async fn rule_149_no_impersonation_header_goes_on_whatever_was_asked() {
    let (hub, authorizer) = world().await;
    let (answer, left) = impersonate(
        &authorizer,
        user("bob", &["a"]),
        &[
            ("x-kept", "1"),
            ("Impersonate-User", ""),
            ("Impersonate-User", "system:admin"),
            ("impersonate-foo", "x"),
            ("Impersonate_User", "x"),
            ("IMPERSONATE_GROUP", "system:masters"),
            ("impersonate-", "x"),
        ],
    )
    .await;
    assert_eq!(answer.unwrap(), user("bob", &["a"]));
    assert_eq!(left, ["x-kept"]);
    assert!(hub.access_reviews().is_empty());
}

#[tokio::test]
async fn rule_148_constrained_grants_count_at_the_hub_and_not_here() {
    let (hub, authorizer) = world().await;
    hub.allow_if(|spec| {
        let asked = spec.resource_attributes.as_ref();
        asked.and_then(|asked| asked.verb.as_ref()).is_some_and(|verb| verb.starts_with("impersonate:"))
    });
    hub.allow_if(|spec| {
        let asked = spec.resource_attributes.as_ref();
        asked.and_then(|asked| asked.verb.as_ref()).is_some_and(|verb| verb.starts_with("impersonate-on:"))
    });
    let (answer, _) = impersonate(&authorizer, user("bob", &[]), &[("impersonate-user", "alice")]).await;
    let Err(Error::Forbidden(refused)) = answer else { panic!("{answer:?}") };
    assert_eq!(refused.verb, "impersonate");
    assert_eq!(hub.access_reviews().len(), 1);
}

#[tokio::test]
async fn rule_146_the_parts_are_bounded() {
    let (hub, authorizer) = world().await;
    hub.allow_if(|_| true);
    for (groups, allowed) in [(1023, true), (1024, false)] {
        let names: Vec<String> = (0..groups).map(|number| format!("g{number}")).collect();
        let mut headers = vec![("impersonate-user", "alice")];
        headers.extend(names.iter().map(|name| ("impersonate-group", name.as_str())));
        let (answer, left) = impersonate(&authorizer, user("bob", &[]), &headers).await;
        assert_eq!((answer.is_ok(), left.len()), (allowed, 0), "{groups}: {:?}", answer.err());
    }
}
