//! Who may do what: every route asks before it does anything.

use super::*;

/// Every route, with a body that would be good.
fn routes(fleet: &Fleet) -> Vec<(Method, String, Value)> {
    let name = |name: &str| json!({"name": name});
    let keys = json!({"accessKeyID": "a", "accessKeySecret": "b"});
    let mut routes = vec![
        (Method::GET, CLUSTERS.to_owned(), Value::Null),
        (Method::POST, CLUSTERS.to_owned(), fleet.body("edge")),
        (Method::GET, format!("{CLUSTERS}/m"), Value::Null),
        (Method::PUT, format!("{CLUSTERS}/m"), name("m")),
        (Method::DELETE, format!("{CLUSTERS}/m"), Value::Null),
        (Method::POST, format!("{CLUSTERS}/m/namespaces"), json!({"namespace": "team"})),
    ];
    routes.extend(cloud_routes().into_iter().map(|(method, path)| (method, path, keys.clone())));
    routes
}

fn cloud_routes() -> Vec<(Method, String)> {
    let at = |rest: &str| format!("{CLUSTERS}/cloud_clusters/aliyun{rest}");
    vec![
        (Method::POST, at("?page=1&pageSize=10")),
        (Method::POST, at("/connect")),
        (Method::POST, at("/create")),
        (Method::GET, at("/creation")),
        (Method::GET, at("/creation/c")),
        (Method::DELETE, at("/creation/c")),
        (Method::POST, format!("{CLUSTERS}/cloud_clusters/namespaces")),
    ]
}

#[tokio::test]
async fn no_cloud_provider_is_supported_40000() {
    let fleet = Fleet::start().await;
    for (method, path) in cloud_routes() {
        let answer = fleet.admin.send(method.clone(), &path, "{}").await;
        assert_eq!(refused(&answer), (400, 40000, None), "{method} {path}");
        assert_eq!(refusal(&answer).1, "provider is not support");
    }
}

#[tokio::test]
async fn who_may_nothing_is_refused_everywhere_before_the_body_is_read() {
    let fleet = Fleet::start().await;
    let before = fleet.content();
    let (mallory, nobody) = (fleet.user("mallory"), fleet.world.managing(fleet.world.nobody()));
    for (method, path, body) in routes(&fleet) {
        let answer = mallory.send(method.clone(), &path, &body.to_string()).await;
        assert_eq!(refused(&answer), (403, 41403, None), "{method} {path}");
        assert!(refusal(&answer).1.contains("mallory"), "{}", answer.text());
        let answer = mallory.send(method.clone(), &path, "{").await;
        assert_eq!(answer.status, 403, "{method} {path}");
        let answer = nobody.send(method.clone(), &path, &body.to_string()).await;
        assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text());
    }
    assert_eq!(fleet.content(), before);
}

#[tokio::test]
async fn each_route_asks_for_its_own_right_and_the_hub_is_asked_as_the_caller() {
    let fleet = Fleet::start().await;
    let hub = &fleet.world.hub;
    let status = |caller: Caller, method: Method, path: String, body: Value| async move {
        caller.send(method, &path, &body.to_string()).await.status
    };
    for (user, verb, resource, allowed) in [
        ("lister", "list", "clustergateways", vec![0]),
        ("getter", "get", "clustergateways", vec![2]),
        ("creator", "create", "secrets", vec![]),
        ("updater", "update", "secrets", vec![3]),
        ("deleter", "delete", "secrets", vec![4]),
    ] {
        hub.allow(user, verb, resource, "");
        let caller = fleet.user(user);
        for (index, (method, path, body)) in routes(&fleet).into_iter().enumerate().take(5) {
            let got = status(caller.clone(), method, path.clone(), body).await;
            let expected = if allowed.contains(&index) { 200 } else { 403 };
            if user != "creator" || index != 1 {
                assert_eq!(got, expected, "{user}: {path}");
            }
        }
    }
    // Another name needs three rights.
    fleet.world.register("m", &[]);
    fleet.world.listed("m").await;
    let rename =
        status(fleet.user("updater"), Method::PUT, format!("{CLUSTERS}/m"), json!({"name": "new-name"}))
            .await;
    assert_eq!(rename, 403);
}
