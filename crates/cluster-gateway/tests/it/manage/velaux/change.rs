//! `PUT /api/v1/clusters/{name}`

use super::*;
use crate::support::fake_hub::Fault;

fn put(name: &str) -> Value {
    json!({"name": name, "alias": "An alias", "description": "d", "icon": "i", "labels": {"env": "prod"},
        "dashboardURL": "https://d.test"})
}

#[tokio::test]
async fn what_people_say_of_a_cluster_is_changed_in_secret_and_record() {
    let fleet = Fleet::start().await;
    fleet.join("edge").await;
    let data = fleet.secret("edge").unwrap()["data"].clone();
    let answer = fleet.put("edge", &put("edge")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let base = answer.json();
    assert_eq!(
        (&base["alias"], &base["labels"], &base["status"]),
        (&json!("An alias"), &json!({"env": "prod"}), &json!("Healthy"))
    );
    let secret = fleet.secret("edge").unwrap();
    assert_eq!((&secret["metadata"]["annotations"][ALIAS], &secret["data"]), (&json!("An alias"), &data));
    assert_eq!(secret["metadata"]["labels"][TYPE], "ServiceAccountToken", "the gateway's own stay");
    let record = fleet.record("edge").unwrap();
    assert_eq!(
        (&record["alias"], &record["icon"], &record["kubeConfig"]),
        (&json!("An alias"), &json!("i"), &json!(""))
    );
    // What is absent is cleared, in both.
    let answer = fleet.put("edge", &json!({"name": "edge"})).await.json();
    assert_eq!(
        (&answer["alias"], &answer["labels"], &answer["description"]),
        (&json!(""), &Value::Null, &json!(""))
    );
    let metadata = fleet.secret("edge").unwrap()["metadata"].clone();
    assert!(metadata["annotations"][ALIAS].is_null() && metadata["labels"]["env"].is_null(), "{metadata}");
}

#[tokio::test]
async fn the_kubeconfig_that_was_shown_may_come_back() {
    let fleet = Fleet::start().await;
    fleet.join("edge").await;
    for name in ["edge", "m", "local"] {
        let mut body = put(name);
        body["kubeConfig"] = fleet.get(name).await.json()["kubeConfig"].clone();
        let answer = fleet.put(name, &body).await;
        assert_eq!((answer.status, &answer.json()["alias"]), (200, &json!("An alias")), "{}", answer.text());
    }
    assert!(fleet.secret("local").is_none());
    assert_eq!(fleet.record("local").unwrap()["alias"], "An alias");
    assert_eq!(fleet.get("local").await.json()["alias"], "An alias");
}

#[tokio::test]
async fn a_version_that_is_no_longer_that_is_41412() {
    let fleet = Fleet::start().await;
    fleet.join("edge").await;
    let version = fleet.secret("edge").unwrap()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let path = format!("{CLUSTERS}/edge");
    let send = |tag: String, method: Method| {
        let caller = fleet.admin.clone().header("if-match", &tag);
        let path = path.clone();
        async move { caller.send(method, &path, &put("edge").to_string()).await }
    };
    let before = fleet.content();
    for method in [Method::PUT, Method::DELETE] {
        assert_eq!(refused(&send("\"0\"".to_owned(), method.clone()).await), (412, 41412, None));
        assert_eq!(refused(&send("0".to_owned(), method).await), (400, 41003, None));
    }
    assert_eq!(fleet.content(), before);
    assert_eq!(send(format!("\"{version}\""), Method::PUT).await.status, 200);
    assert_eq!(refused(&send(format!("\"{version}\""), Method::PUT).await).1, 41412, "it has changed");
    let mut with_credential = put("edge");
    with_credential["kubeConfig"] = json!(another(&fleet).await.1);
    let caller = fleet.admin.clone().header("if-match", &format!("\"{version}\""));
    assert_eq!(refused(&caller.send(Method::PUT, &path, &with_credential.to_string()).await).1, 41412);
}

/// Another member, and a kubeconfig for it.
async fn another(fleet: &Fleet) -> (Member, String) {
    let user = User::new("gateway").group("system:masters");
    let token = format!("another-{TOKEN}");
    let member = Member::builder().name("paris").token(&token, user).start().await.unwrap();
    let kubeconfig = member.kubeconfig(&token);
    assert_ne!(member.url(), fleet.member.url());
    (member, kubeconfig)
}

#[tokio::test]
async fn another_kubeconfig_is_looked_at_and_then_replaces_the_credential_in_one_write() {
    let fleet = Fleet::start().await;
    fleet.join("edge").await;
    assert_eq!(fleet.put("edge", &put("edge")).await.status, 200);
    let (member, kubeconfig) = another(&fleet).await;
    let mut body = put("edge");
    body["labels"] = json!({"tier": "gold"});
    body["alias"] = json!("");
    body["kubeConfig"] = json!(kubeconfig);
    let writes = || fleet.world.hub.requests("PUT /api/v1/namespaces/vela-system/secrets/edge");
    let before = writes();
    let answer = fleet.put("edge", &body).await;
    assert_eq!(
        (answer.status, &answer.json()["apiServerURL"]),
        (200, &json!(member.url())),
        "{}",
        answer.text()
    );
    assert_eq!(writes(), before + 1);
    let secret = fleet.secret("edge").unwrap();
    assert_eq!(
        (&secret["metadata"]["labels"]["tier"], &secret["metadata"]["labels"]["env"]),
        (&json!("gold"), &Value::Null)
    );
    assert!(secret["metadata"]["annotations"][ALIAS].is_null());
    assert_eq!(fleet.record("edge").unwrap()["apiServerURL"], json!(member.url()));
    // The same again is no change of the credential.
    member.forget_requests();
    assert_eq!(fleet.put("edge", &body).await.status, 200);
    assert!(member.requests().is_empty());
}

#[tokio::test]
async fn a_kubeconfig_that_does_not_work_or_cannot_be_recorded_changes_nothing() {
    let fleet = Fleet::start().await;
    fleet.join("edge").await;
    let before = fleet.content();
    let mut body = put("edge");
    body["kubeConfig"] = json!(fleet.member.kubeconfig("a-token-that-nobody-knows-of-all"));
    assert_eq!(refused(&fleet.put("edge", &body).await), (502, 41502, None));
    body["kubeConfig"] = json!("{");
    assert_eq!(refused(&fleet.put("edge", &body).await).1, 41001);
    body["kubeConfig"] = json!("");
    body["kubeConfigSecret"] = json!("s");
    assert_eq!(refused(&fleet.put("edge", &body).await).1, 40001);
    assert_eq!(fleet.content(), before);
    body["kubeConfigSecret"] = json!("");
    let (_member, kubeconfig) = another(&fleet).await;
    for kubeconfig in [String::new(), kubeconfig] {
        fleet.world.hub.fault("PUT /api/v1/namespaces/kubevela/configmaps", Fault::Status(503));
        body["kubeConfig"] = json!(kubeconfig);
        let answer = fleet.put("edge", &body).await;
        assert_eq!(refused(&answer), (503, 41500, None));
        assert!(refusal(&answer).1.contains("put back") && answer.header("retry-after").is_some());
        fleet.world.hub.heal();
        assert_eq!(fleet.content(), before);
    }
    // The Secret cannot be written.
    fleet.world.hub.fault("PUT /api/v1/namespaces/vela-system/secrets", Fault::Status(403));
    assert_eq!(refused(&fleet.put("edge", &put("edge")).await), (403, 41403, None));
    fleet.world.hub.heal();
    assert_eq!(fleet.content(), before);
}

#[tokio::test]
async fn a_record_of_velaux_is_cleaned_when_its_cluster_is_changed() {
    let fleet = Fleet::start().await;
    let kubeconfig = "apiVersion: v1 # clear text, with a token";
    fleet.velaux_writes(
        "m",
        &json!({"name": "m", "alias": "From VelaUX", "labels": {"team": "x"}, "kubeConfig": kubeconfig}),
    );
    let body = json!({"name": "m", "alias": "From VelaUX", "labels": {"team": "x"}, "kubeConfig": kubeconfig, "description": "new"});
    let answer = fleet.put("m", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let record = fleet.record("m").unwrap();
    assert_eq!((&record["kubeConfig"], &record["description"]), (&json!(""), &json!("new")));
    let metadata = fleet.secret("m").unwrap()["metadata"].clone();
    assert_eq!(
        (&metadata["annotations"][ALIAS], &metadata["labels"]["team"]),
        (&json!("From VelaUX"), &json!("x"))
    );
}

#[tokio::test]
async fn local_is_40008_what_is_not_there_40003_and_bad_fields_are_named() {
    let fleet = Fleet::start().await;
    fleet.join("edge").await;
    let before = fleet.content();
    assert_eq!(refused(&fleet.put("local", &put("other")).await), (400, 40008, None));
    assert_eq!(refused(&fleet.put("edge", &put("local")).await), (400, 40008, None));
    assert_eq!(refused(&fleet.put("local", &fleet.body("local")).await), (400, 40008, None));
    assert_eq!(refused(&fleet.put("nowhere", &put("nowhere")).await), (404, 40003, None));
    for (field, value, code) in [
        ("name", json!(""), 400),
        ("name", json!("A"), 400),
        ("alias", json!("x"), 400),
        ("labels", json!({TYPE: "Dynamic"}), 41003),
        ("dashboardURL", json!("javascript:alert(1)"), 41003),
    ] {
        let mut body = put("edge");
        body[field] = value;
        assert_eq!(refused(&fleet.put("edge", &body).await), (400, code, Some(field.to_owned())));
    }
    for field in keys(&put("edge")).iter().map(String::as_str).chain(["kubeConfig"]) {
        let mut body = put("edge");
        body[field] = json!(7);
        assert_eq!(refused(&fleet.put("edge", &body).await), (400, 400, None), "{field}");
    }
    assert_eq!(fleet.content(), before);
}
