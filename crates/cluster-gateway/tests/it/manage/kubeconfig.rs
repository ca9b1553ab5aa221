//! Kubeconfigs for users.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::support::fake_member::Leaf;
use crate::support::world::{PROXY, TOKEN};

const PATH: &str = "/api/v1/fleet/m/kubeconfig";

async fn get(caller: Caller, route: &str) -> Answer {
    json(caller).send(Method::POST, PATH, &serde_json::json!({ "route": route }).to_string()).await
}

fn read(answer: &Answer) -> (Value, Value) {
    let given = answer.json();
    let text = given["kubeconfig"].as_str().unwrap_or_else(|| panic!("{given}"));
    assert!(!text.contains(TOKEN) && !text.contains("token"), "{text}");
    (serde_saphyr::from_str(text).unwrap(), given)
}

#[tokio::test]
async fn without_a_hub_the_caller_gets_a_certificate_of_their_own_that_works() {
    let (alone, _) = alone().await;
    let ann = alone.user("ann", &["system:masters", "dev"]).at(alone.server.management_address().unwrap());
    let answer = get(ann, "direct").await;
    let (kubeconfig, given) = read(&answer);
    assert_eq!(
        (&given["credential"], &given["fileName"]),
        (&json!("ClientCertificate"), &json!("m.kubeconfig"))
    );
    assert!(given["expires"].as_str().unwrap().ends_with('Z'));
    assert_eq!(kubeconfig["current-context"], "m");
    assert_eq!(kubeconfig["contexts"].as_array().unwrap().len(), 1);
    let cluster = &kubeconfig["clusters"][0]["cluster"];
    let server = format!("https://localhost:{}{PROXY}", alone.server.address().port());
    assert_eq!(cluster["server"], server);
    let decoded =
        |value: &Value| String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap();
    assert!(decoded(&cluster["certificate-authority-data"]).contains("BEGIN CERTIFICATE"));
    let user = &kubeconfig["users"][0]["user"];
    let leaf = Leaf {
        certificate: decoded(&user["client-certificate-data"]),
        key: decoded(&user["client-key-data"]),
    };
    let issued = alone.nobody().certificate(&leaf);
    assert_eq!(issued.get(&format!("{PROXY}/plain")).await.text(), "plain");
    // It is the caller's, with the caller's groups.
    let issued = issued.at(alone.server.management_address().unwrap());
    let again = get(issued, "direct").await;
    let (again, _) = read(&again);
    assert_ne!(again["users"][0], kubeconfig["users"][0], "each time a new one");
}

#[tokio::test]
async fn with_a_hub_it_goes_through_the_hub_and_holds_no_credential() {
    let world = hub().await;
    let answer = get(world.managing(world.masters()), "hub").await;
    let (kubeconfig, given) = read(&answer);
    assert_eq!((&given["credential"], &given["expires"]), (&json!("None"), &Value::Null));
    let server = kubeconfig["clusters"][0]["cluster"]["server"].as_str().unwrap();
    assert!(server.ends_with(PROXY), "{server}");
    assert_eq!(kubeconfig["users"], json!([]));
    assert!(!given["notes"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_route_that_there_is_not_is_named() {
    let world = hub().await;
    for wrong in ["", "sideways", "<script>"] {
        let answer = get(world.managing(world.masters()), wrong).await;
        assert_eq!((answer.status, refusal(&answer).0), (400, 41003), "{wrong}");
        assert_eq!(answer.json()["Field"], "route");
    }
    // The hub does not know its gateway.
    let answer = get(world.managing(world.masters()), "direct").await;
    assert_eq!((answer.status, refusal(&answer).0), (400, 41003));
    let (alone, admin) = alone().await;
    assert_eq!(refusal(&get(admin, "hub").await).0, 41003);
    // Who may not see the cluster gets nothing.
    let bob = alone.user("bob", &[]).at(alone.server.management_address().unwrap());
    assert_eq!(get(bob, "direct").await.status, 403);
}
