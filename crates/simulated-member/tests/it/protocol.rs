//! What the API says beyond what kubectl shows.

use anyhow::Result;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use simulated_member::{Member, User};

use crate::client::Client;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn member() -> Result<(Member, Client)> {
    let member = Member::builder().token("t", User::new("ann")).start().await?;
    let client = Client::with_token(&member, "t");
    Ok((member, client))
}

#[tokio::test]
async fn failures_are_a_status() -> Result<()> {
    let (_member, client) = member().await?;
    for (method, path, body, code, reason) in [
        (Method::GET, "/api/v1/widgets", "", 404, "NotFound"),
        (Method::GET, "/nowhere", "", 404, "NotFound"),
        (Method::GET, &*format!("{MAPS}/x"), "", 404, "NotFound"),
        (Method::GET, &*format!("{MAPS}/x/status"), "", 404, "NotFound"),
        (Method::PUT, MAPS, "{}", 405, "MethodNotAllowed"),
        (Method::POST, "/version", "{}", 405, "MethodNotAllowed"),
        (Method::POST, "/api/v1/configmaps", "{}", 400, "BadRequest"),
        (Method::POST, MAPS, "{", 400, "BadRequest"),
        (Method::POST, MAPS, "", 400, "BadRequest"),
        (Method::POST, MAPS, "{\"metadata\":{\"name\":\"-\"}}", 422, "Invalid"),
        (Method::POST, MAPS, "{\"metadata\":{\"name\":7}}", 400, "BadRequest"),
        (
            Method::POST,
            "/api/v1/namespaces/none/configmaps",
            "{\"metadata\":{\"name\":\"x\"}}",
            404,
            "NotFound",
        ),
        (Method::PATCH, &*format!("{MAPS}/x"), "{}", 415, "UnsupportedMediaType"),
        (Method::DELETE, "/api/v1/namespaces/default", "", 403, "Forbidden"),
        (Method::GET, "/api/v1/pods?labelSelector=%3D", "", 400, "BadRequest"),
        (Method::GET, "/api/v1/pods?fieldSelector=spec.x%3D1", "", 400, "BadRequest"),
    ] {
        let answer = client.call(method.clone(), path, body).await?;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["reason"]),
            (code, &reason.into()),
            "{method} {path} {body}"
        );
        assert_eq!((&answer.body["kind"], &answer.body["code"]), (&"Status".into(), &code.into()));
    }
    let large = json!({"metadata": {"name": "x"}, "data": {"a": "x".repeat(4 << 20)}}).to_string();
    assert_eq!(client.call(Method::POST, MAPS, &large).await?.status, StatusCode::PAYLOAD_TOO_LARGE);
    Ok(())
}

#[tokio::test]
async fn unknown_fields_are_an_error_a_warning_or_nothing() -> Result<()> {
    let (_member, client) = member().await?;
    let object = |name: &str| json!({"metadata": {"name": name}, "dota": {}}).to_string();
    let strict = client.call(Method::POST, &format!("{MAPS}?fieldValidation=Strict"), &object("a")).await?;
    assert_eq!(strict.status, StatusCode::BAD_REQUEST);
    assert!(strict.body["message"].as_str().unwrap().contains(r#"unknown field "dota""#), "{}", strict.body);
    let warned = client.call(Method::POST, MAPS, &object("b")).await?;
    assert_eq!(warned.headers["warning"], r#"299 - "unknown field \"dota\"""#);
    assert!(warned.status == StatusCode::CREATED && warned.body["dota"].is_null());
    let ignored = client.call(Method::POST, &format!("{MAPS}?fieldValidation=Ignore"), &object("c")).await?;
    assert!(ignored.status == StatusCode::CREATED && !ignored.headers.contains_key("warning"));
    Ok(())
}

#[tokio::test]
async fn nothing_stays_of_a_dry_run() -> Result<()> {
    let (_member, client) = member().await?;
    let object = json!({"metadata": {"name": "x"}, "data": {"a": "1"}}).to_string();
    let dry = |path: &str| format!("{path}?dryRun=All");
    assert_eq!(client.call(Method::POST, &dry(MAPS), &object).await?.status, StatusCode::CREATED);
    let one = format!("{MAPS}/x");
    assert_eq!(client.get(&one).await?.status, StatusCode::NOT_FOUND);
    let made = client.call(Method::POST, MAPS, &object).await?.body;
    let other = object.replace('1', "2");
    assert_eq!(client.call(Method::PUT, &dry(&one), &other).await?.body["data"]["a"], "2");
    let merge = client.clone().header("content-type", "application/merge-patch+json");
    assert_eq!(merge.call(Method::PATCH, &dry(&one), r#"{"data":{"a":"3"}}"#).await?.body["data"]["a"], "3");
    assert_eq!(client.call(Method::DELETE, &dry(&one), "").await?.body["status"], "Success");
    assert_eq!(client.call(Method::DELETE, &one, r#"{"dryRun":["All"]}"#).await?.body["status"], "Success");
    assert_eq!(client.call(Method::DELETE, &dry(MAPS), "").await?.status, StatusCode::OK);
    assert_eq!(client.get(&one).await?.body, made);
    Ok(())
}

#[tokio::test]
async fn a_watch_is_pushed_over_both_protocols() -> Result<()> {
    let (member, client) = member().await?;
    for (index, watcher) in [client.clone(), Client::http2(&member, "t")].into_iter().enumerate() {
        let list = client.get(MAPS).await?.body;
        let version = list["metadata"]["resourceVersion"].as_str().unwrap();
        let path = format!("{MAPS}?watch=true&resourceVersion={version}");
        let mut watch = watcher.send(Method::GET, &path, "").await?.into_body();
        let object = json!({"metadata": {"name": format!("x{index}")}}).to_string();
        client.call(Method::POST, MAPS, &object).await?;
        let event: Value = serde_json::from_slice(&watch.frame().await.unwrap()?.into_data().unwrap())?;
        assert_eq!(
            (&event["type"], &event["object"]["metadata"]["name"]),
            (&"ADDED".into(), &format!("x{index}").into())
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_collection_is_deleted_by_selector() -> Result<()> {
    let (_member, client) = member().await?;
    for (name, label) in [("x", "a"), ("y", "b")] {
        let object = json!({"metadata": {"name": name, "labels": {"l": label}}}).to_string();
        client.call(Method::POST, MAPS, &object).await?;
    }
    client.call(Method::DELETE, &format!("{MAPS}?labelSelector=l%3Da"), "").await?;
    let left = client.get(MAPS).await?.body;
    let names: Vec<&Value> =
        left["items"].as_array().unwrap().iter().map(|one| &one["metadata"]["name"]).collect();
    assert_eq!(names, ["y"]);
    Ok(())
}

#[tokio::test]
async fn server_side_apply_creates_and_merges() -> Result<()> {
    let (_member, client) = member().await?;
    let client = client.header("content-type", "application/apply-patch+yaml");
    let path = format!("{MAPS}/x?fieldManager=me");
    let first = client.call(Method::PATCH, &path, "data:\n  a: '1'\n").await?;
    assert_eq!((first.status, &first.body["data"]), (StatusCode::CREATED, &json!({"a": "1"})));
    let second = client.call(Method::PATCH, &path, "data:\n  b: '2'\n").await?;
    assert_eq!((second.status, &second.body["data"]), (StatusCode::OK, &json!({"a": "1", "b": "2"})));
    let nobody = client.call(Method::PATCH, &format!("{MAPS}/x"), "{}").await?;
    assert_eq!(nobody.status, StatusCode::UNPROCESSABLE_ENTITY);
    Ok(())
}

#[tokio::test]
async fn spdy_is_refused_with_a_reason() -> Result<()> {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let member = Member::builder().token("t", User::new("ann")).objects([pod]).start().await?;
    let client =
        Client::with_token(&member, "t").header("connection", "Upgrade").header("upgrade", "SPDY/3.1");
    let answer =
        client.call(Method::POST, "/api/v1/namespaces/default/pods/p/exec?command=true&stdout=1", "").await?;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.body["message"].as_str().unwrap().contains("WebSocket only"), "{}", answer.body);
    Ok(())
}
