//! Diagnoses, live and whole.

use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::support::scripted_member::{Script, ScriptedMember, TOKEN};
use crate::support::world::until;

const HOPS: [&str; 10] = [
    "Secret",
    "Parse",
    "Dns",
    "Connect",
    "Tunnel",
    "Tls",
    "Authentication",
    "Authorization",
    "Version",
    "Upgrade",
];

async fn register(world: &World, member: &ScriptedMember) {
    let endpoint = format!("https://{}", member.address);
    let ca = member.ca.pem();
    world.register("good", &[("endpoint", endpoint.as_str()), ("ca.crt", ca.as_str()), ("token", TOKEN)]);
    world.listed("good").await;
}

#[tokio::test]
async fn a_diagnosis_is_told_hop_by_hop_and_in_the_end_as_a_whole() {
    let (world, member) = (hub().await, ScriptedMember::start(Script::default()).await);
    register(&world, &member).await;
    let caller = world.managing(world.masters());
    let events = Events::get(&caller, "/api/v1/fleet/good/diagnosis").await.rest().await;
    let (last, events) = events.split_last().unwrap();
    assert_eq!(last.0, "done");
    assert_eq!(last.1["cluster"], "good");
    let mut expected = Vec::new();
    for (hop, finding) in HOPS.iter().zip(last.1["findings"].as_array().unwrap()) {
        assert_eq!(finding["hop"], *hop);
        assert!(finding["tookMilliseconds"].is_number() && finding["found"].is_string(), "{finding}");
        expected.push(("hop".to_owned(), json!({ "hop": hop })));
        expected.push(("finding".to_owned(), finding.clone()));
    }
    assert_eq!(events, expected);
    assert!(!last.1.to_string().contains(TOKEN));
}

#[tokio::test]
async fn without_events_it_comes_at_once() {
    let world = hub().await;
    world.register("dead", &[("endpoint", "https://127.0.0.1:1")]);
    world.listed("dead").await;
    let caller = world.managing(world.masters()).header("accept", "application/json");
    let diagnosis = caller.get("/api/v1/fleet/dead/diagnosis").await.json();
    let outcomes: Vec<_> = diagnosis["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["outcome"].as_str().unwrap())
        .collect();
    assert_eq!(outcomes[..4], ["Passed", "Passed", "Passed", "Failed"]);
    assert!(outcomes[4..].iter().all(|outcome| *outcome == "Skipped"));
    assert!(diagnosis["findings"][3]["remedy"].is_string());
}

#[tokio::test]
async fn two_at_a_time_and_whoever_leaves_makes_room() {
    let world = hub().await;
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.register("silent", &[("endpoint", &format!("https://{}", silent.local_addr().unwrap()))]);
    world.listed("silent").await;
    let (caller, path) = (world.managing(world.masters()), "/api/v1/fleet/silent/diagnosis");
    let mut under_way = vec![Events::get(&caller, path).await, Events::get(&caller, path).await];
    for events in &mut under_way {
        assert_eq!(events.next().await.unwrap(), ("hop".to_owned(), json!({"hop": "Secret"})));
    }
    let answer = caller.get(path).await;
    assert_eq!((answer.status, refusal(&answer).0), (429, 41429));
    assert!(answer.header("retry-after").is_some());
    // Somebody else is not kept out.
    world.hub.allow("ann", "get", "clustergateways", "");
    let _ = Events::get(&world.managing(world.user("ann", &[])), path).await;
    under_way.pop();
    until(|| async {
        let caller = caller.clone().header("accept", "text/event-stream");
        caller.open(Method::GET, path, "").await.status() == 200
    })
    .await;
}
