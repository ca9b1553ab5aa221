//! The same with the records in a file, and without a hub.

use super::*;
use crate::support::world::World;

#[tokio::test]
async fn a_whole_life_with_records_in_a_file() {
    let world = World::with(Setup { manage: true, ..Setup::default() }).await;
    let admin = world.managing(world.masters()).header("content-type", "application/json");
    life(&admin, "edge").await;
    assert!(world.hub.secret(NAMESPACE, "edge").is_none());
}

#[tokio::test]
async fn a_whole_life_without_a_hub() {
    let (alone, admin) = super::super::alone().await;
    let admin = admin.header("content-type", "application/json");
    life(&admin, "edge").await;
    assert!(!alone.files.path("clusters/edge.yaml").exists());
}

async fn life(admin: &Caller, name: &str) {
    let gateway = User::new("gateway").group("system:masters");
    let member = Member::builder().name("berlin").token(TOKEN, gateway).start().await.unwrap();
    let ok = |answer: Answer| {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(!answer.text().contains(TOKEN));
        answer.json()
    };
    let path = format!("{CLUSTERS}/{name}");
    let mut body = json!({"name": name, "alias": "An alias", "labels": {"env": "prod"}, "description": "d",
        "kubeConfig": member.kubeconfig(TOKEN)});
    ok(admin.send(Method::POST, CLUSTERS, &body.to_string()).await);
    assert_eq!(refusal(&admin.send(Method::POST, CLUSTERS, &body.to_string()).await).0, 40004);
    let detail = ok(admin.get(&path).await);
    assert_eq!((&detail["alias"], &detail["resourceInfo"]["workerNumber"]), (&json!("An alias"), &json!(1)));
    body["kubeConfig"] = detail["kubeConfig"].clone();
    body["alias"] = json!("Another");
    assert_eq!(ok(admin.send(Method::PUT, &path, &body.to_string()).await)["alias"], "Another");
    until(|| async { ok(admin.get(&path).await)["alias"] == "Another" }).await;
    body["name"] = json!("renamed");
    assert_eq!(ok(admin.send(Method::PUT, &path, &body.to_string()).await)["description"], "d");
    until(|| async { admin.get(&path).await.status == 404 }).await;
    let path = format!("{CLUSTERS}/renamed");
    until(|| async { admin.get(&path).await.status == 200 }).await;
    assert_eq!(ok(admin.send(Method::DELETE, &path, "").await)["name"], "renamed");
    until(|| async { admin.get(&path).await.status == 404 }).await;
}
