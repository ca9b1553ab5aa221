//! The proxied request itself, asked for besides `clustergateways/proxy`.

use std::collections::BTreeMap;

use cluster_gateway::authn::{GROUP_MASTERS, UserInfo};
use cluster_gateway::authz::{AuthorizationConfig, Authorizer, Policy};
use cluster_gateway::status::Error;
use http::{Request, request};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::{PROXY, ask, authorizer, get, user};
use crate::support::fake_hub::{FakeHub, Fault};

fn strict() -> AuthorizationConfig {
    let policy = Policy { proxied_requests: true, ..Policy::default() };
    AuthorizationConfig { policy, ..AuthorizationConfig::default() }
}

/// A hub at which `bob` may do everything with `clustergateways/proxy` and nothing else.
async fn world() -> (FakeHub, Authorizer) {
    let hub = FakeHub::start().await;
    hub.allow_if(|spec| {
        let asked = spec.resource_attributes.as_ref();
        spec.user.as_deref() == Some("bob")
            && asked.is_some_and(|asked| asked.resource.as_deref() == Some("clustergateways"))
    });
    let authorizer = authorizer(&hub, &strict()).await;
    (hub, authorizer)
}

fn bob() -> UserInfo {
    user("bob", &[])
}

/// What the hub was asked about members, in words: `VERB GROUP/VERSION RESOURCE[/SUB] NAMESPACE NAME` or `VERB PATH`.
fn asked(hub: &FakeHub) -> Vec<String> {
    let or_dash = |word: &Option<String>| word.clone().unwrap_or_else(|| "-".to_owned());
    let of_members = hub.access_reviews().into_iter().filter(|spec| {
        spec.extra.as_ref().is_some_and(|extra| extra.contains_key("cluster.core.oam.dev/cluster"))
    });
    of_members
        .map(|spec| match (spec.resource_attributes, spec.non_resource_attributes) {
            (Some(of), None) => {
                let sub = of.subresource.as_ref().map(|sub| format!("/{sub}")).unwrap_or_default();
                let [verb, group, version, resource, namespace, name] =
                    [&of.verb, &of.group, &of.version, &of.resource, &of.namespace, &of.name].map(or_dash);
                format!("{verb} {group}/{version} {resource}{sub} {namespace} {name}")
            }
            (None, Some(of)) => format!("{} {}", or_dash(&of.verb), or_dash(&of.path)),
            both => panic!("{both:?}"),
        })
        .collect()
}

/// What is asked about the member when everything is allowed.
async fn questions(request: request::Builder) -> Vec<String> {
    let hub = FakeHub::start().await;
    hub.allow_if(|_| true);
    let authorizer = authorizer(&hub, &strict()).await;
    ask(&authorizer, &bob(), request).await.unwrap();
    asked(&hub)
}

fn upgrade(method: &str, path: &str) -> request::Builder {
    let request = Request::builder().method(method).uri(format!("{PROXY}{path}"));
    request.header("connection", "Upgrade").header("upgrade", "websocket")
}

async fn message(error: Error) -> (u16, Value) {
    let response = error.into_response(false);
    let code = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&body).unwrap_or_else(|_| json!(String::from_utf8_lossy(&body))))
}

#[tokio::test]
async fn rule_110_rule_111_what_is_asked_is_what_the_member_will_do() {
    for (method, path, expected) in [
        ("GET", "/api/v1/pods", "list -/v1 pods - -"),
        ("HEAD", "/api/v1/pods", "list -/v1 pods - -"),
        ("GET", "/api/v1/namespaces/a/pods/", "list -/v1 pods a -"),
        ("GET", "/api/v1/namespaces/a/pods?watch=1", "watch -/v1 pods a -"),
        ("GET", "/api/v1/namespaces/a/pods?watch=true&limit=1", "watch -/v1 pods a -"),
        ("GET", "/api/v1/namespaces/a/pods?w%61tch", "watch -/v1 pods a -"),
        ("GET", "/api/v1/namespaces/a/pods?watch=0&watch=1", "list -/v1 pods a -"),
        ("GET", "/api/v1/namespaces/a/pods/p", "get -/v1 pods a p"),
        ("HEAD", "/api/v1/namespaces/a/pods/p?watch=1", "get -/v1 pods a p"),
        ("GET", "/api/v1/namespaces/a/pods/p/log?follow=true", "get -/v1 pods/log a p"),
        ("POST", "/apis/apps/v1/namespaces/a/deployments", "create apps/v1 deployments a -"),
        ("PUT", "/apis/apps/v1/namespaces/a/deployments/d/scale", "update apps/v1 deployments/scale a d"),
        ("PATCH", "/apis/apps/v1/namespaces/a/deployments/d", "patch apps/v1 deployments a d"),
        ("DELETE", "/apis/apps/v1/namespaces/a/deployments/d", "delete apps/v1 deployments a d"),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/a/deployments?limit=1",
            "deletecollection apps/v1 deployments a -",
        ),
        ("OPTIONS", "/api/v1/pods", "- -/v1 pods - -"),
        ("GET", "/api/v1/namespaces/a", "get -/v1 namespaces a a"),
        ("PUT", "/api/v1/namespaces/a/finalize", "update -/v1 namespaces/finalize a a"),
        ("GET", "/api/v1/nodes/n/proxy/metrics/cadvisor", "get -/v1 nodes/proxy - n"),
        ("GET", "/api/v1/pods?fieldSelector=metadata.name%3Dp", "list -/v1 pods - p"),
        ("GET", "/api/v1/pods?fieldSelector=spec.nodeName!%3D%5C%2Cmetadata.name%3Dp", "list -/v1 pods - -"),
        // No resources: the path, with the method in lower case.
        ("GET", "", "get /"),
        ("GET", "/", "get /"),
        ("HEAD", "/healthz", "head /healthz"),
        ("GET", "/healthz", "get /healthz"),
        ("POST", "/apis/apps/v1/", "post /apis/apps/v1/"),
        ("GET", "/openapi/v3/api%73?hash=1", "get /openapi/v3/apis"),
    ] {
        let request = Request::builder().method(method).uri(format!("{PROXY}{path}"));
        assert_eq!(questions(request).await, [expected], "{method} {path}");
    }
}

#[tokio::test]
async fn rule_107_rule_108_the_question_is_about_the_very_bytes_that_are_sent() {
    for (path, expected) in [
        ("//api//v1///namespaces//a//pods", "list -/v1 pods a -"),
        ("/api/v1/namespaces/%61/p%6Fds", "list -/v1 pods a -"),
        ("/%61pi/v1/namespaces/a/secrets/s%2e", "get -/v1 secrets a s."),
        ("/api/v1/namespaces/a;x/pods", "list -/v1 pods a;x -"),
        ("/api/v1/namespaces/a./pods", "list -/v1 pods a. -"),
        ("/api/v1/namespaces/a/services/s/proxy/x%2Fy%25", "get -/v1 services/proxy a s"),
    ] {
        assert_eq!(questions(Request::get(format!("{PROXY}{path}"))).await, [expected], "{path}");
    }
}

#[tokio::test]
async fn rule_102_special_verbs_are_what_the_member_takes_them_for() {
    for (method, path, expected) in [
        ("GET", "/api/v1/watch/namespaces/a/pods", "watch -/v1 pods a -"),
        ("GET", "/api/v1/w%61tch/pods/p", "watch -/v1 pods - p"),
        ("POST", "/api/v1/watch/pods", "watch -/v1 pods - -"),
        ("GET", "/api/v1/watch/secrets?fieldSelector=metadata.name%3Dp", "watch -/v1 secrets - -"),
        ("GET", "/api/v1/proxy/namespaces/a/pods/p/x", "proxy -/v1 pods a p"),
        ("GET", "/api/v1/%70roxy/nodes/n", "proxy -/v1 nodes - n"),
    ] {
        let request = Request::builder().method(method).uri(format!("{PROXY}{path}"));
        assert_eq!(questions(request).await, [expected], "{method} {path}");
    }
    let (hub, authorizer) = world().await;
    for path in ["/api/v1/watch", "/apis/apps/v1/proxy/", "/api/v1/%77atch"] {
        let error = get(&authorizer, &bob(), &format!("{PROXY}{path}")).await.unwrap_err();
        assert!(matches!(error, Error::BadRequest(_)), "{path}: {error:?}");
    }
    assert!(asked(&hub).is_empty());
}

#[tokio::test]
async fn rule_110_rule_265_sessions_need_create_besides() {
    for (sub, path) in [
        ("exec", "/api/v1/namespaces/a/pods/p/exec?command=sh"),
        ("attach", "/api/v1/namespaces/a/pods/p/attach"),
        ("portforward", "/api/v1/namespaces/a/pods/p/portforward"),
        ("exec", "/api/v1/namespaces/a/pods/p/ex%65c/more"),
    ] {
        let both = ["get", "create"].map(|verb| format!("{verb} -/v1 pods/{sub} a p"));
        assert_eq!(questions(upgrade("GET", path)).await, both, "{path}");
        // As kube-apiserver: whatever the headers say.
        assert_eq!(questions(Request::get(format!("{PROXY}{path}"))).await, both, "{path}");
        assert_eq!(questions(upgrade("POST", path)).await, [both[1].clone()], "{path}");
    }
    for (resource, namespace) in [("pods", "a"), ("services", "a"), ("nodes", "-")] {
        let scope = if namespace == "-" { "/api/v1" } else { "/api/v1/namespaces/a" };
        let path = format!("{scope}/{resource}/x/proxy/ws");
        let [one, two] = ["get", "create"].map(|verb| format!("{verb} -/v1 {resource}/proxy {namespace} x"));
        assert_eq!(questions(upgrade("GET", &path)).await, [one.clone(), two], "{path}");
        assert_eq!(questions(Request::get(format!("{PROXY}{path}"))).await, [one], "{path}");
    }
    // A watch by WebSocket opens nothing.
    assert_eq!(questions(upgrade("GET", "/api/v1/pods?watch=1")).await, ["watch -/v1 pods - -"]);
}

#[tokio::test]
async fn rule_110_get_alone_opens_no_session_even_where_the_gateway_s_own_check_is_off() {
    let hub = FakeHub::start().await;
    hub.allow("bob", "get", "clustergateways", "proxy");
    hub.allow("bob", "get", "pods", "exec");
    let policy = Policy { proxied_requests: true, upgrade_needs_create: false };
    let authorizer = authorizer(&hub, &AuthorizationConfig { policy, ..strict() }).await;
    let exec = || upgrade("GET", "/api/v1/namespaces/a/pods/p/exec");
    let (code, status) = message(ask(&authorizer, &bob(), exec()).await.unwrap_err()).await;
    let words = "pods \"p\" is forbidden: User \"bob\" cannot create resource \"pods/exec\" in API group \"\" in the \
                 namespace \"a\"";
    assert_eq!((code, &status["message"]), (403, &json!(words)));
}

#[tokio::test]
async fn rule_111_a_denial_is_worded_for_what_was_asked_of_the_member() {
    let (_hub, authorizer) = world().await;
    let denied = async |path: &str| {
        message(get(&authorizer, &bob(), &format!("{PROXY}{path}")).await.unwrap_err()).await
    };
    let (code, status) = denied("/apis/apps/v1/namespaces/a/deployments/d").await;
    assert_eq!(code, 403);
    assert_eq!(
        status["message"],
        "deployments.apps \"d\" is forbidden: User \"bob\" cannot get resource \"deployments\" in API group \"apps\" in \
         the namespace \"a\""
    );
    assert_eq!(status["details"], json!({"name": "d", "group": "apps", "kind": "deployments"}));
    let (_, status) = denied("/api/v1/pods").await;
    assert_eq!(
        status["message"],
        "pods is forbidden: User \"bob\" cannot list resource \"pods\" in API group \"\" at the cluster scope"
    );
    let (code, status) = denied("").await;
    assert_eq!((code, &status["message"]), (403, &json!("forbidden: User \"bob\" cannot get path \"/\"")));
}

#[tokio::test]
async fn rule_111_no_answer_is_a_500() {
    let (hub, authorizer) = world().await;
    // Answered from memory from here on, unlike what follows.
    let _ = get(&authorizer, &bob(), PROXY).await;
    hub.fault("subjectaccessreviews", Fault::Status(403));
    let uri = format!("{PROXY}/api/v1/pods");
    let (code, text) = message(get(&authorizer, &bob(), &uri).await.unwrap_err()).await;
    assert_eq!((code, text), (500, json!(format!("Internal Server Error: \"{uri}\": injected 403"))));
}

#[tokio::test]
async fn rule_111_the_right_to_the_member_alone_is_not_enough() {
    let hub = FakeHub::start().await;
    hub.allow("bob", "list", "pods", "");
    let authorizer = authorizer(&hub, &strict()).await;
    let uri = format!("{PROXY}/api/v1/pods");
    let (code, status) = message(get(&authorizer, &bob(), &uri).await.unwrap_err()).await;
    assert_eq!((code, &status["details"]["kind"]), (403, &json!("clustergateways")));
    hub.allow("eve", "get", "clustergateways", "proxy");
    hub.allow("eve", "list", "pods", "");
    get(&authorizer, &user("eve", &[]), &uri).await.unwrap();
}

#[tokio::test]
async fn rule_112_the_cluster_goes_along_as_an_extra_of_the_user() {
    let hub = FakeHub::start().await;
    hub.allow_if(|_| true);
    let authorizer = authorizer(&hub, &strict()).await;
    let own = |key: &str| (key.to_owned(), vec!["mine".to_owned()]);
    let extra = BTreeMap::from([own("scopes"), own("cluster.core.oam.dev/cluster")]);
    let bob = UserInfo { uid: "7".to_owned(), extra, ..user("bob", &["team"]) };
    get(&authorizer, &bob, &format!("{PROXY}/api/v1/pods")).await.unwrap();
    let reviews = serde_json::to_value(hub.access_reviews()).unwrap();
    assert_eq!(
        reviews[1],
        json!({
            "user": "bob", "uid": "7", "groups": ["team"],
            "extra": {"scopes": ["mine"], "cluster.core.oam.dev/cluster": ["c"]},
            "resourceAttributes": {"verb": "list", "version": "v1", "resource": "pods"},
        })
    );
    assert_eq!(reviews[0]["extra"]["cluster.core.oam.dev/cluster"], json!(["mine"]));
}

#[tokio::test]
async fn rule_094_rule_112_an_answer_holds_for_its_cluster_only() {
    let hub = FakeHub::start().await;
    hub.allow_if(|spec| {
        let cluster = spec.extra.as_ref().and_then(|extra| extra.get("cluster.core.oam.dev/cluster"));
        cluster.is_none_or(|names| names == &["c"])
    });
    let authorizer = authorizer(&hub, &strict()).await;
    let uri = format!("{PROXY}/api/v1/pods");
    for _ in 0..3 {
        get(&authorizer, &bob(), &uri).await.unwrap();
        let other = get(&authorizer, &bob(), &uri.replace("/c/", "/d/")).await;
        assert!(matches!(other, Err(Error::Forbidden(_))), "{other:?}");
    }
    assert_eq!(hub.access_reviews().len(), 4, "two questions for each cluster, and then none");
    // Nor does it hold for the hub's own objects of the same name.
    let _ = get(&authorizer, &bob(), "/api/v1/pods").await;
    assert_eq!(hub.access_reviews().len(), 5);
}

#[tokio::test]
async fn rule_018_the_open_paths_are_not_those_of_members() {
    let (hub, authorizer) = world().await;
    for path in ["/healthz", "/readyz", "/livez"] {
        let refused = get(&authorizer, &bob(), &format!("{PROXY}{path}")).await;
        assert!(matches!(refused, Err(Error::Forbidden(_))), "{path}");
    }
    assert_eq!(asked(&hub).len(), 3);
}

#[tokio::test]
async fn rule_085_administrators_are_not_asked_about() {
    let (hub, authorizer) = world().await;
    for path in
        ["/api/v1/secrets", "/api/v1/watch", "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/d/proxy/x"]
    {
        get(&authorizer, &user("admin", &[GROUP_MASTERS]), &format!("{PROXY}{path}")).await.unwrap();
    }
    assert!(hub.access_reviews().is_empty());
}

#[tokio::test]
async fn rule_264_a_second_gateway_is_no_way_around() {
    let (hub, authorizer) = world().await;
    let base = "/apis/cluster.core.oam.dev/v1alpha1";
    for path in [
        format!("{base}/clustergateways/d/proxy/api/v1/secrets"),
        format!("{base}/clustergateways/d/proxy"),
        format!("{base}/%63lustergateways/d/prox%79/api/v1/secrets"),
        format!("{base}/namespaces/x/clustergateways/d/proxy/api"),
        "/apis/cluster.core.oam.dev/v2/clustergateways/d/proxy/api".to_owned(),
    ] {
        let error = get(&authorizer, &bob(), &format!("{PROXY}{path}")).await.unwrap_err();
        let Error::Forbidden(refused) = &error else { panic!("{path}: {error:?}") };
        assert!(refused.reason.contains("another gateway"), "{path}: {error}");
    }
    assert!(asked(&hub).is_empty());
    // The list of the second gateway's clusters is a resource like others.
    get(&authorizer, &bob(), &format!("{PROXY}{base}/clustergateways")).await.unwrap();
}

#[tokio::test]
async fn without_the_flag_nothing_more_is_asked() {
    let hub = FakeHub::start().await;
    hub.allow_if(|_| true);
    let authorizer = authorizer(&hub, &AuthorizationConfig::default()).await;
    get(&authorizer, &bob(), &format!("{PROXY}/api/v1/secrets")).await.unwrap();
    get(&authorizer, &bob(), &format!("{PROXY}/api/v1/watch")).await.unwrap();
    assert_eq!(hub.access_reviews().len(), 1);
}

#[tokio::test]
async fn rule_089_rule_113_what_the_query_says_changes_nothing_of_the_question_about_the_gateway() {
    for config in [strict(), AuthorizationConfig::default()] {
        let hub = FakeHub::start().await;
        hub.allow_if(|_| true);
        let authorizer = authorizer(&hub, &config).await;
        for query in
            ["", "?watch=true", "?watch=1&fieldSelector=metadata.name%3Dx&limit=1", "?path=/x&dryRun=All"]
        {
            get(&authorizer, &bob(), &format!("{PROXY}/api/v1/pods{query}")).await.unwrap();
        }
        let reviews = hub.access_reviews();
        let of_gateway = reviews.iter().filter_map(|spec| spec.resource_attributes.as_ref());
        let of_gateway: Vec<_> =
            of_gateway.filter(|asked| asked.resource.as_deref() == Some("clustergateways")).collect();
        let expected = json!([{"verb": "get", "group": "cluster.core.oam.dev", "version": "v1alpha1",
            "resource": "clustergateways", "subresource": "proxy", "name": "c"}]);
        assert_eq!(json!(of_gateway), expected, "the same question, and so asked once");
    }
}
