//! What VelaUX' front end calls (its `api/cluster.ts`), with the bodies that its forms make, in the order in which people use it.

use super::*;

#[tokio::test]
async fn the_front_end_of_velaux_works_unchanged() {
    let fleet = Fleet::start().await;
    let ok = |answer: Answer| {
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    // getClusterList: axios leaves out what is undefined, and sends page 0.
    let list = ok(fleet.admin.get(&format!("{CLUSTERS}?query=&page=0&pageSize=10")).await);
    assert_eq!(list["total"], 2);
    // createCluster: the values of the form, among them those that nobody has touched.
    let created = ok(fleet
        .post(
            CLUSTERS,
            &json!({"name": "berlin", "alias": "Berlin", "description": "", "dashboardURL": "",
                "kubeConfig": fleet.member.kubeconfig(TOKEN)}),
        )
        .await);
    assert_eq!((&created["name"], &created["status"]), (&json!("berlin"), &json!("Healthy")));
    // getClusterDetails: `get(url, params)` puts no query on it.
    let detail = ok(fleet.get("berlin").await);
    assert!(!detail["kubeConfig"].as_str().unwrap().is_empty(), "the form needs one");
    // updateCluster: fields of the detail and of the form; labels are null if there were none.
    let mut update = json!({"name": detail["name"], "alias": "Berlin 2", "icon": detail["icon"], "description": "in Berlin",
        "dashboardURL": "https://grafana.test", "kubeConfig": detail["kubeConfig"], "labels": detail["labels"]});
    assert_eq!(ok(fleet.put("berlin", &update).await)["alias"], "Berlin 2");
    update["alias"] = Value::Null;
    assert_eq!(ok(fleet.put("berlin", &update).await)["alias"], "");
    // The same for the hub, which it offers to edit, too.
    let local = ok(fleet.get("local").await);
    ok(fleet
        .put("local", &json!({"name": "local", "alias": "Hub", "icon": local["icon"], "description": local["description"],
            "dashboardURL": "", "kubeConfig": local["kubeConfig"], "labels": local["labels"]}))
        .await);
    let list = ok(fleet.admin.get(&format!("{CLUSTERS}?query=ber&page=0&pageSize=10")).await);
    assert_eq!(
        (list["clusters"].as_array().unwrap().len(), &list["clusters"][0]["description"]),
        (1, &json!("in Berlin"))
    );
    // createClusterNamespace, twice.
    let namespaces = format!("{CLUSTERS}/berlin/namespaces");
    assert_eq!(ok(fleet.post(&namespaces, &json!({"namespace": "team"})).await), json!({"exists": false}));
    assert_eq!(ok(fleet.post(&namespaces, &json!({"namespace": "team"})).await), json!({"exists": true}));
    // getCloudClustersList and connectcloudCluster: refused in the form that its messages come in.
    let cloud = format!("{CLUSTERS}/cloud_clusters/aliyun");
    let keys = json!({"accessKeyID": "a", "accessKeySecret": "b"});
    assert_eq!(refused(&fleet.post(&format!("{cloud}?page=1&pageSize=10"), &keys).await).1, 40000);
    let connect = json!({"accessKeyID": "a", "accessKeySecret": "b", "clusterID": "c", "name": "c1", "alias": "",
        "description": "", "icon": "", "labels": {}});
    assert_eq!(refused(&fleet.post(&format!("{cloud}/connect"), &connect).await).1, 40000);
    // deleteCluster: `rdelete(url, params)` puts the name into the query, too.
    assert_eq!(ok(fleet.delete("berlin?clusterName=berlin").await)["name"], "berlin");
    let list = ok(fleet.admin.get(&format!("{CLUSTERS}?query=&page=0&pageSize=10")).await);
    assert_eq!(list["total"], 2);
}

#[tokio::test]
async fn namespaces_are_made_as_the_caller_and_refusals_of_the_member_are_40014() {
    let fleet = Fleet::start().await;
    fleet.join("edge").await;
    let path = format!("{CLUSTERS}/edge/namespaces");
    for bad in ["", "A", "../x", "a.b", &"a".repeat(64)] {
        let answer = fleet.post(&path, &json!({"namespace": bad})).await;
        assert_eq!(refused(&answer), (400, 41003, Some("namespace".to_owned())), "{bad}");
    }
    for bad in [json!({"namespace": 1}), json!([]), json!("x")] {
        assert_eq!(refused(&fleet.post(&path, &bad).await), (400, 400, None));
    }
    let nowhere = format!("{CLUSTERS}/nowhere/namespaces");
    assert_eq!(refused(&fleet.post(&nowhere, &json!({"namespace": "team"})).await), (404, 40003, None));
    // May see the cluster, may not go there.
    fleet.world.hub.allow("viewer", "get", "clustergateways", "");
    let body = json!({"namespace": "team"}).to_string();
    let answer = fleet.user("viewer").send(Method::POST, &path, &body).await;
    assert_eq!(refused(&answer), (401, 40014, None), "{}", answer.text());
    fleet.member.faults().set(simulated_member::Fault::Reset { after: None });
    let answer = fleet.post(&path, &json!({"namespace": "team"})).await;
    assert_eq!(refused(&answer), (502, 41502, None), "{}", answer.text());
}
