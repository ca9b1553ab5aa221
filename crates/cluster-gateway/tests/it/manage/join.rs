//! The join wizard's calls.

use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::support::fake_hub::Fault;
use crate::support::scripted_member::{Script, ScriptedMember, TOKEN};
use crate::support::world::{NAMESPACE, until};

const CONTEXTS: &str = "/api/v1/join/contexts";
const PLAN: &str = "/api/v1/join/plan";
const JOIN: &str = "/api/v1/join";

fn kubeconfig(server: &str, ca: &str) -> String {
    use base64::Engine;
    let ca = base64::engine::general_purpose::STANDARD.encode(ca);
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "Berlin/Admin",
        "clusters": [{"name": "berlin", "cluster": {"server": server, "certificate-authority-data": ca}}],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "Berlin/Admin", "context": {"cluster": "berlin", "user": "admin"}}],
    })
    .to_string()
}

fn of(member: &ScriptedMember) -> String {
    kubeconfig(&format!("https://{}", member.address), &member.ca.pem())
}

fn wanted(kubeconfig: &str, name: &str) -> Value {
    json!({
        "kubeConfig": kubeconfig, "context": "Berlin/Admin", "name": name, "alias": "In Berlin",
        "labels": {"env": "prod"}, "serviceAccount": false, "insecureSkipTLSVerify": false, "later": "ignored",
    })
}

async fn world() -> (World, ScriptedMember, Caller) {
    let (world, member) = (hub().await, ScriptedMember::start(Script::default()).await);
    let caller = json(world.managing(world.masters()));
    (world, member, caller)
}

async fn post(caller: &Caller, path: &str, body: &Value) -> Answer {
    let answer = caller.send(Method::POST, path, &body.to_string()).await;
    assert!(!answer.text().contains(TOKEN), "{}", answer.text());
    answer
}

/// All events of a POST, in which no secret is.
async fn told(caller: &Caller, path: &str, body: &Value) -> Vec<(String, Value)> {
    let events = Events::open(caller, Method::POST, path, &body.to_string()).await.rest().await;
    assert!(!format!("{events:?}").contains(TOKEN), "{events:?}");
    events
}

async fn digest(caller: &Caller, wanted: &Value) -> String {
    let events = told(caller, PLAN, wanted).await;
    events.last().unwrap().1["digest"].as_str().unwrap().to_owned()
}

fn with(wanted: &Value, key: &str, value: impl Into<Value>) -> Value {
    let mut changed = wanted.clone();
    changed[key] = value.into();
    changed
}

#[tokio::test]
async fn contexts_say_what_they_come_to() {
    let (_world, member, caller) = world().await;
    let body = json!({ "kubeConfig": of(&member) });
    let answer = post(&caller, CONTEXTS, &body).await.json();
    let expected = json!({"currentContext": "Berlin/Admin", "contexts": [{
        "name": "Berlin/Admin", "cluster": "berlin", "user": "admin", "server": format!("https://{}", member.address),
        "suggestedName": "berlin-admin", "credentialType": "ServiceAccountToken", "expires": null,
        "insecureSkipTLSVerify": false, "problem": null, "remedy": null,
    }]});
    assert_eq!(answer, expected);
    // Files are on the machine of whoever sent it, never here.
    let file = of(&member).replace("certificate-authority-data", "certificate-authority");
    let context = post(&caller, CONTEXTS, &json!({ "kubeConfig": file })).await.json()["contexts"][0].clone();
    assert_eq!(context["credentialType"], Value::Null);
    assert!(context["problem"].as_str().unwrap().contains("certificate-authority"), "{context}");
    assert!(context["remedy"].as_str().unwrap().contains("--flatten"), "{context}");
    let exec = of(&member).replace(
        &format!("\"token\":\"{TOKEN}\""),
        "\"exec\":{\"apiVersion\":\"client.authentication.k8s.io/v1\",\"command\":\"aws\"}",
    );
    let context = post(&caller, CONTEXTS, &json!({ "kubeConfig": exec })).await.json()["contexts"][0].clone();
    assert!(context["remedy"].as_str().unwrap().contains("--allow-exec-credential-command"), "{context}");
    let insecure =
        of(&member).replace("\"certificate-authority-data\"", "\"insecure-skip-tls-verify\":true,\"x\"");
    let context =
        post(&caller, CONTEXTS, &json!({ "kubeConfig": insecure })).await.json()["contexts"][0].clone();
    assert_eq!(context["insecureSkipTLSVerify"], true);
    assert!(context["problem"].is_string(), "this gateway does not allow it: {context}");
}

#[tokio::test]
async fn what_is_no_kubeconfig_is_told_from_what_has_no_context() {
    let (world, member, caller) = world().await;
    let large = "x".repeat((1 << 20) + 1);
    for (text, status, code) in [
        ("", 400, 41001),
        ("clusters: [\n  {", 400, 41001),
        ("kind: Pod", 400, 41001),
        (&of(&member)[..200], 400, 41001),
        ("kind: Config", 400, 41002),
        (large.as_str(), 413, 41301),
    ] {
        for path in [CONTEXTS, PLAN, JOIN] {
            let answer = post(&caller, path, &wanted(text, "berlin")).await;
            assert_eq!((answer.status, refusal(&answer).0), (status, code), "{path}: {}", answer.text());
            assert!(answer.json()["Remedy"].is_string());
        }
    }
    let place = refusal(&post(&caller, CONTEXTS, &json!({"kubeConfig": "a: 1\nb: [\n"})).await).1;
    assert!(place.contains("line ") && place.contains("column "), "{place}");
    let other = with(&wanted(&of(&member), "berlin"), "context", "other");
    let answer = post(&caller, PLAN, &other).await;
    assert_eq!((refusal(&answer).0, &answer.json()["Field"]), (41002, &json!("context")));
    let five = post(&caller, CONTEXTS, &json!({ "kubeConfig": "x".repeat(5 << 20) })).await;
    assert_eq!((five.status, refusal(&five).0), (413, 413));
    let typed = caller.send(Method::POST, CONTEXTS, "{\"kubeConfig\": 7}").await;
    assert_eq!((typed.status, refusal(&typed).0), (400, 400));
    let form = world.managing(world.masters()).header("content-type", "text/plain");
    assert_eq!(form.send(Method::POST, CONTEXTS, "{}").await.status, 415);
    world.hub.allow("ann", "list", "clustergateways", "");
    let ann = json(world.managing(world.user("ann", &[])));
    for path in [CONTEXTS, PLAN, JOIN] {
        let answer = post(&ann, path, &wanted(&of(&member), "berlin")).await;
        assert_eq!((answer.status, refusal(&answer).0), (403, 41403));
    }
}

#[tokio::test]
async fn values_that_are_not_allowed_are_named() {
    let (_world, member, caller) = world().await;
    let good = wanted(&of(&member), "berlin");
    for (field, value) in [
        ("name", json!("No")),
        ("name", json!("<script>alert(1)</script>")),
        ("name", json!("a".repeat(32))),
        ("alias", json!("x")),
        ("labels", json!({"cluster.core.oam.dev/x": "y"})),
        ("labels", json!({"a b": "y"})),
    ] {
        for path in [PLAN, JOIN] {
            let answer = post(&caller, path, &with(&good, field, value.clone())).await;
            assert_eq!((answer.status, refusal(&answer).0), (400, 41003), "{field}: {}", answer.text());
            assert_eq!(answer.json()["Field"], field);
        }
    }
}

#[tokio::test]
async fn what_was_seen_is_what_is_joined() {
    let (world, member, caller) = world().await;
    let before = world.hub.content();
    let good = wanted(&of(&member), "berlin");
    let events = told(&caller, PLAN, &good).await;
    let (last, preflight) = events.split_last().unwrap();
    assert_eq!(last.0, "plan");
    assert!(preflight.iter().any(|(event, _)| event == "hop"));
    assert_eq!(preflight.iter().filter(|(event, _)| event == "finding").count(), 10);
    assert!(preflight.iter().all(|(_, data)| data["outcome"] != "Failed"), "{preflight:?}");
    let plan = &last.1;
    assert_eq!((&plan["cluster"], plan.get("preflight")), (&json!("berlin"), None));
    assert!(plan["digest"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(
        plan["credential"],
        json!({"type": "ServiceAccountToken", "expires": null, "renewal": "None"})
    );
    let change = &plan["changes"][0];
    assert_eq!(
        (&change["verb"], &change["object"], &change["side"]),
        (&json!("Create"), &json!("Secret vela-system/berlin"), &json!("hub"))
    );
    assert_eq!(world.hub.content(), before, "a plan writes nothing");
    assert_eq!(digest(&caller, &good).await, plan["digest"].as_str().unwrap(), "it is the same each time");

    let events = told(&caller, JOIN, &with(&good, "digest", plan["digest"].clone())).await;
    let (last, steps) = events.split_last().unwrap();
    assert_eq!(last.0, "joined", "{events:?}");
    assert_eq!((&last.1["name"], &last.1["alias"]), (&json!("berlin"), &json!("In Berlin")));
    assert_eq!(last.1["labels"], json!({"env": "prod"}));
    let started: Vec<_> = steps.iter().filter(|(_, step)| step["outcome"] == "Started").collect();
    let passed: Vec<_> = steps.iter().filter(|(_, step)| step["outcome"] == "Passed").collect();
    assert_eq!((started.len(), passed.len() * 2), (passed.len(), steps.len()), "{steps:?}");
    assert_eq!(steps[0].1["step"], "Create Secret vela-system/berlin");
    let kept = world.hub.secret(NAMESPACE, "berlin").unwrap();
    assert_eq!(kept["metadata"]["annotations"]["cluster.core.oam.dev/cluster-alias"], "In Berlin");
    let fleet = caller.get("/api/v1/fleet").await.json();
    assert!(fleet["clusters"].as_array().unwrap().iter().any(|cluster| cluster["name"] == "berlin"));
    // Once more, it is taken.
    let taken = told(&caller, PLAN, &good).await;
    let secret = &taken.iter().find(|(event, _)| event == "finding").unwrap().1;
    assert_eq!((&secret["hop"], &secret["outcome"]), (&json!("Secret"), &json!("Failed")));
    assert_eq!(taken.last().unwrap().0, "plan");
    let local = told(&caller, PLAN, &wanted(&of(&member), "local")).await;
    assert_eq!(local.iter().find(|(event, _)| event == "finding").unwrap().1["outcome"], "Failed");
}

#[tokio::test]
async fn another_plan_than_the_one_that_was_seen_is_not_carried_out() {
    let (world, member, caller) = world().await;
    let good = wanted(&of(&member), "berlin");
    let digest = digest(&caller, &good).await;
    let before = world.hub.content();
    for changed in [
        with(&with(&good, "digest", "sha256:0"), "x", 1),
        with(&with(&good, "digest", digest.clone()), "alias", "Another"),
        with(&with(&good, "digest", digest.clone()), "name", "bremen"),
        good.clone(),
    ] {
        let answer = post(&caller, JOIN, &changed).await;
        assert_eq!((answer.status, refusal(&answer).0), (409, 41409), "{}", answer.text());
    }
    assert_eq!(world.hub.content(), before);
}

#[tokio::test]
async fn of_two_joins_of_one_name_one_is_under_way() {
    let (_world, _, caller) = world().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ca = crate::support::fake_member::TestCa::new("x").pem();
    let slow = with(
        &wanted(&kubeconfig(&format!("https://{}", silent.local_addr().unwrap()), &ca), "berlin"),
        "digest",
        "sha256:0",
    );
    let first = {
        let (caller, slow) = (caller.clone(), slow.to_string());
        tokio::spawn(async move { caller.send(Method::POST, JOIN, &slow).await })
    };
    let (_stream, _) = silent.accept().await.unwrap();
    let answer = post(&caller, JOIN, &slow).await;
    assert_eq!((answer.status, refusal(&answer).0), (409, 41409));
    // Whoever leaves before anything is written makes room: the next one is under way then, and waits for the member.
    first.abort();
    let slow = slow.to_string();
    until(|| async {
        tokio::time::timeout(Duration::from_millis(500), caller.send(Method::POST, JOIN, &slow))
            .await
            .is_err()
    })
    .await;
}

#[tokio::test]
async fn what_fails_is_put_back_and_what_could_not_be_is_named() {
    let (world, member, caller) = world().await;
    let good = wanted(&of(&member), "berlin");
    let digest = digest(&caller, &good).await;
    let good = with(&good, "digest", digest);
    let secrets = "/api/v1/namespaces/vela-system/secrets";
    let before = world.hub.content();

    world.hub.fault(&format!("POST {secrets}"), Fault::Status(500));
    let events = told(&caller, JOIN, &good).await;
    let (event, failed) = events.last().unwrap();
    assert_eq!((event.as_str(), &failed["BusinessCode"]), ("failed", &json!(41510)), "{events:?}");
    assert!(failed["Remedy"].is_string());
    assert!(events.iter().any(|(_, step)| step["outcome"] == "Failed"), "{events:?}");
    world.hub.heal();
    assert_eq!(world.hub.content(), before);

    // It is written, and cannot be taken back.
    world.hub.fault(&format!("POST {secrets}"), Fault::ResetAfter);
    world.hub.fault(&format!("DELETE {secrets}"), Fault::Status(500));
    let events = told(&caller, JOIN, &good).await;
    let failed = &events.last().unwrap().1;
    assert_eq!(failed["BusinessCode"], 41511, "{events:?}");
    assert!(failed["Message"].as_str().unwrap().contains("vela-system/berlin"), "{failed}");
    world.hub.heal();
}

#[tokio::test]
async fn a_join_that_has_begun_to_write_goes_on_without_its_reader() {
    let (world, member, caller) = world().await;
    let good = wanted(&of(&member), "berlin");
    let digest = digest(&caller, &good).await;
    let good = with(&good, "digest", digest);
    let mut events = Events::open(&caller, Method::POST, JOIN, &good.to_string()).await;
    assert_eq!(events.next().await.unwrap().0, "step");
    drop(events);
    until(|| async { caller.get("/api/v1/fleet/berlin").await.status == 200 }).await;
    assert!(world.hub.secret(NAMESPACE, "berlin").is_some());
}

#[tokio::test]
async fn without_a_hub_a_join_writes_a_file() {
    let (alone, admin) = alone().await;
    let member = ScriptedMember::start(Script::default()).await;
    let (admin, good) = (json(admin), wanted(&of(&member), "berlin"));
    let digest = digest(&admin, &good).await;
    let events = told(&admin, JOIN, &with(&good, "digest", digest)).await;
    assert_eq!(events.last().unwrap().0, "joined", "{events:?}");
    assert!(alone.files.path("clusters/berlin.yaml").exists());
    assert_eq!(alone.member.recorder.requests().len(), 0, "nobody else is asked");
}
