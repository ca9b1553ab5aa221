//! `POST /api/v1/clusters`

use super::*;
use crate::support::fake_hub::Fault;

#[tokio::test]
async fn a_cluster_is_joined_recorded_and_shown_as_cluster_base() {
    let fleet = Fleet::start().await;
    let mut body = fleet.body("edge");
    body["alias"] = json!("<img src=x onerror=alert(1)>");
    body["labels"] = json!({"env": "prod"});
    body["description"] = json!("\"quoted\" & <b>bold</b>");
    body["dashboardURL"] = json!("https://grafana.test/");
    let answer = fleet.post(CLUSTERS, &body).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/json")),
        "{}",
        answer.text()
    );
    let base = answer.json();
    let all = [
        "alias",
        "apiServerURL",
        "dashboardURL",
        "description",
        "icon",
        "labels",
        "name",
        "providerInfo",
        "reason",
        "status",
    ];
    assert_eq!(keys(&base), sorted(&all));
    assert_eq!(base["apiServerURL"], json!(fleet.member.url()));
    assert_eq!(base["alias"], "<img src=x onerror=alert(1)>", "text, as it was given");
    assert_eq!(
        (&base["labels"], &base["status"], &base["reason"]),
        (&json!({"env": "prod"}), &json!("Healthy"), &json!(""))
    );
    assert_eq!(base["providerInfo"], json!({"provider": "", "clusterID": "", "labels": null}));
    let secret = fleet.secret("edge").unwrap();
    assert_eq!(secret["metadata"]["labels"]["env"], "prod");
    assert_eq!(secret["metadata"]["annotations"][ALIAS], "<img src=x onerror=alert(1)>");
    let record = fleet.record("edge").unwrap();
    assert_eq!((&record["description"], &record["kubeConfig"]), (&body["description"], &json!("")));
    // It is there at once, for everybody.
    let through = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/edge/proxy/api/v1/nodes";
    assert_eq!(fleet.world.masters().get(through).await.status, 200);
    let listed = fleet.admin.get(CLUSTERS).await.json();
    assert!(listed["clusters"].as_array().unwrap().contains(&base), "{listed}");
}

#[tokio::test]
async fn nulls_are_nothing_as_in_go_and_what_is_not_known_is_ignored() {
    let fleet = Fleet::start().await;
    let mut body = fleet.body("edge");
    for key in ["alias", "description", "icon", "labels", "dashboardURL", "kubeConfigSecret"] {
        body[key] = Value::Null;
    }
    body["later"] = json!({"x": 1});
    assert_eq!(fleet.post(CLUSTERS, &body).await.status, 200);
}

#[tokio::test]
async fn every_field_of_a_wrong_type_is_400() {
    let fleet = Fleet::start().await;
    let fields =
        ["name", "alias", "description", "icon", "kubeConfig", "kubeConfigSecret", "labels", "dashboardURL"];
    let before = fleet.content();
    for field in fields {
        for wrong in [json!(1), json!(true), json!(["x"]), json!({"x": {}})] {
            let mut body = fleet.body("edge");
            body[field] = wrong;
            let answer = fleet.post(CLUSTERS, &body).await;
            assert_eq!(refused(&answer), (400, 400, None), "{field}");
        }
    }
    let empty = ["", "null", "[]", "1", "{", "\u{feff}{}", "{\"name\":\"a\",\"name\":\"b\"}"];
    for body in empty {
        let answer = fleet.admin.send(Method::POST, CLUSTERS, body).await;
        assert_eq!((answer.status, refusal(&answer).0), (400, 400), "{body}");
    }
    assert_eq!(fleet.content(), before);
}

#[tokio::test]
async fn what_velaux_validates_is_400_and_names_the_field() {
    let fleet = Fleet::start().await;
    let before = fleet.content();
    let cases = [
        ("name", json!("")),
        ("name", json!("a")),
        ("name", json!("a".repeat(32))),
        ("name", json!("a.b")),
        ("name", json!("a\\xb")),
        ("name", json!("../edge")),
        ("name", json!("<script>alert(1)</script>")),
        ("alias", json!("x")),
        ("alias", json!("x".repeat(65))),
        ("kubeConfig", json!("")),
        ("kubeConfig", json!(null)),
    ];
    for (field, value) in cases {
        let mut body = fleet.body("edge");
        body[field] = value.clone();
        let answer = fleet.post(CLUSTERS, &body).await;
        assert_eq!(refused(&answer), (400, 400, Some(field.to_owned())), "{value}");
        assert!(refusal(&answer).1.starts_with("Key: 'CreateClusterRequest."), "{}", answer.text());
    }
    for (field, value) in [
        ("labels", json!({"cluster.core.oam.dev/cluster-endpoint-type": "ClusterProxy"})),
        ("labels", json!({"a": "<script>"})),
        ("dashboardURL", json!("javascript:alert(1)")),
        ("alias", json!("a\u{7}b")),
    ] {
        let mut body = fleet.body("edge");
        body[field] = value.clone();
        assert_eq!(
            refused(&fleet.post(CLUSTERS, &body).await),
            (400, 41003, Some(field.to_owned())),
            "{value}"
        );
    }
    let mut body = fleet.body("edge");
    body["description"] = json!("x".repeat(300_000));
    assert_eq!(refused(&fleet.post(CLUSTERS, &body).await), (400, 41003, None));
    assert_eq!(fleet.content(), before);
    assert_eq!(
        fleet.world.hub.requests("POST /api/v1/namespaces/vela-system/secrets"),
        0,
        "not even for a moment"
    );
}

#[tokio::test]
async fn local_is_40007_and_the_name_of_a_secret_alone_is_40001() {
    let fleet = Fleet::start().await;
    assert_eq!(
        refused(&fleet.post(CLUSTERS, &fleet.body("local")).await),
        (400, 40007, Some("name".to_owned()))
    );
    let body = json!({"name": "edge", "kubeConfigSecret": "s"});
    let field = Some("kubeConfigSecret".to_owned());
    assert_eq!(refused(&fleet.post(CLUSTERS, &body).await), (400, 40001, field));
}

#[tokio::test]
async fn a_cluster_that_is_there_is_40004_and_one_without_a_record_40006() {
    let fleet = Fleet::start().await;
    fleet.join("edge").await;
    let before = fleet.content();
    let name = Some("name".to_owned());
    assert_eq!(refused(&fleet.post(CLUSTERS, &fleet.body("edge")).await), (400, 40004, name.clone()));
    assert_eq!(
        refused(&fleet.post(CLUSTERS, &json!({"name": "edge", "kubeConfigSecret": "s"})).await).1,
        40004
    );
    // Joined by somebody else, with another credential; and a Secret that is no cluster.
    fleet.world.register("other", &[]);
    assert_eq!(refused(&fleet.post(CLUSTERS, &fleet.body("other")).await), (400, 40006, name.clone()));
    let foreign =
        json!({"metadata": {"namespace": NAMESPACE, "name": "foreign", "labels": {"a": "b"}}, "data": {}});
    fleet.world.hub.put("secrets", foreign);
    assert_eq!(refused(&fleet.post(CLUSTERS, &fleet.body("foreign")).await), (400, 40006, name));
    fleet.world.hub.delete("secrets", NAMESPACE, "foreign");
    fleet.world.hub.delete("secrets", NAMESPACE, "other");
    assert_eq!(fleet.content(), before);
}

#[tokio::test]
async fn kubeconfigs_that_cannot_be_used_are_told_apart() {
    let fleet = Fleet::start().await;
    let before = fleet.content();
    let whole: Value = serde_json::from_str(&fleet.member.kubeconfig(TOKEN)).unwrap();
    let text = whole.to_string();
    let mut with_file = whole.clone();
    with_file["users"][0]["user"] = json!({"tokenFile": "/var/run/secrets/token"});
    let mut without_context = whole.clone();
    without_context["current-context"] = json!("elsewhere");
    let mut insecure = whole.clone();
    insecure["clusters"][0]["cluster"] =
        json!({"server": fleet.member.url(), "insecure-skip-tls-verify": true});
    for (kubeconfig, status, code) in [
        ("no yaml: [".to_owned(), 400, 41001),
        (text[..text.len() / 2].to_owned(), 400, 41001),
        (with_file.to_string(), 400, 41001),
        (insecure.to_string(), 400, 41001),
        ("kind: Config".to_owned(), 400, 41002),
        (without_context.to_string(), 400, 41002),
        (format!("{text}{}", " ".repeat(1 << 20)), 413, 41301),
    ] {
        let answer = fleet.post(CLUSTERS, &json!({"name": "edge", "kubeConfig": kubeconfig})).await;
        assert_eq!(refused(&answer), (status, code, Some("kubeConfig".to_owned())), "{}", answer.text());
    }
    let large = json!({"name": "edge", "kubeConfig": "x".repeat(5 << 20)});
    assert_eq!(refused(&fleet.post(CLUSTERS, &large).await), (413, 413, None));
    let form = fleet.world.managing(fleet.world.masters()).header("content-type", "text/plain");
    let answer = form.send(Method::POST, CLUSTERS, &fleet.body("edge").to_string()).await;
    assert_eq!(refused(&answer), (415, 415, None));
    assert_eq!(fleet.content(), before);
}

#[tokio::test]
async fn a_member_that_does_not_answer_or_does_not_know_us_is_41502_and_nothing_is_written() {
    let fleet = Fleet::start().await;
    let before = fleet.content();
    let mut away: Value = serde_json::from_str(&fleet.member.kubeconfig(TOKEN)).unwrap();
    away["clusters"][0]["cluster"]["server"] = json!("https://127.0.0.1:1");
    let wrong = fleet.member.kubeconfig("another-token-that-nobody-knows");
    for kubeconfig in [away.to_string(), wrong] {
        let answer = fleet.post(CLUSTERS, &json!({"name": "edge", "kubeConfig": kubeconfig})).await;
        assert_eq!(refused(&answer), (502, 41502, None), "{}", answer.text());
    }
    assert_eq!(fleet.content(), before);
    fleet.join("edge").await;
}

#[tokio::test]
async fn what_cannot_be_recorded_is_as_if_it_had_never_been_joined() {
    let fleet = Fleet::start().await;
    let before = fleet.content();
    // The store is away from the start: nothing is begun.
    fleet.world.hub.fault(RECORDS, Fault::Status(503));
    let answer = fleet.post(CLUSTERS, &fleet.body("edge")).await;
    assert_eq!(refused(&answer), (503, 41500, None));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(fleet.world.hub.requests("POST /api/v1/namespaces/vela-system/secrets"), 0);
    fleet.world.hub.heal();
    // It goes away in the middle.
    fleet.world.hub.fault("POST /api/v1/namespaces/kubevela/configmaps", Fault::Status(503));
    let answer = fleet.post(CLUSTERS, &fleet.body("edge")).await;
    assert_eq!(refused(&answer), (503, 41500, None));
    assert!(
        refusal(&answer).1.contains("put back") && answer.header("retry-after").is_some(),
        "{}",
        answer.text()
    );
    assert_eq!(fleet.world.hub.requests("POST /api/v1/namespaces/vela-system/secrets"), 1);
    assert_eq!(fleet.content(), before);
    fleet.world.hub.heal();
    fleet.join("edge").await;
}

#[tokio::test]
async fn a_join_that_was_broken_off_after_its_first_write_is_finished_by_the_next() {
    let fleet = Fleet::start().await;
    fleet.join("edge").await;
    fleet.forget_record("edge");
    let mut body = fleet.body("edge");
    body["alias"] = json!("Edge of the world");
    let answer = fleet.post(CLUSTERS, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(fleet.record("edge").unwrap()["alias"], "Edge of the world");
    assert_eq!(fleet.secret("edge").unwrap()["metadata"]["annotations"][ALIAS], "Edge of the world");
    // One that is so young that somebody may be at it is left alone.
    fleet.forget_record("edge");
    let mut secret = fleet.secret("edge").unwrap();
    let now = time::OffsetDateTime::now_utc().format(&time::format_description::well_known::Rfc3339).unwrap();
    secret["metadata"]["creationTimestamp"] = json!(now);
    fleet.world.hub.put("secrets", secret);
    let answer = fleet.post(CLUSTERS, &fleet.body("edge")).await;
    assert_eq!(refused(&answer), (409, 41409, None));
    assert!(answer.header("retry-after").is_some());
}

#[tokio::test]
async fn what_is_left_of_a_record_is_written_over() {
    let fleet = Fleet::start().await;
    fleet.velaux_writes(
        "edge",
        &json!({"name": "edge", "alias": "Old", "description": "of another", "kubeConfig": "x"}),
    );
    fleet.join("edge").await;
    let record = fleet.record("edge").unwrap();
    assert_eq!(
        (&record["alias"], &record["description"], &record["kubeConfig"]),
        (&json!(""), &json!(""), &json!(""))
    );
}

#[tokio::test]
async fn of_two_who_join_at_once_one_wins_whether_in_one_process_or_in_two() {
    let fleet = Fleet::start().await;
    let second = cluster_gateway::serve::Server::start(fleet.world.config.clone()).await.unwrap();
    let there = fleet.admin.clone().at(second.management_address().unwrap());
    until(|| async { there.get(CLUSTERS).await.status == 200 }).await;
    for (name, other) in [("edge", &fleet.admin), ("other", &there)] {
        let body = fleet.body(name).to_string();
        let (one, two) = tokio::join!(
            fleet.admin.send(Method::POST, CLUSTERS, &body),
            other.send(Method::POST, CLUSTERS, &body)
        );
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses[0], 200, "{} {}", one.text(), two.text());
        for answer in [one, two].iter().filter(|answer| answer.status != 200) {
            assert!([40004, 40006, 41409].contains(&refusal(answer).0), "{}", answer.text());
        }
        assert!(fleet.secret(name).is_some() && fleet.record(name).is_some());
    }
}
