//! As whom a real member sees somebody of the hub, when a webhook says it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Access, Gateway, registration, scratch, wait};
use serde_json::{Value, json};

use crate::world::{planes, whoami, world};

mod webhook;

use webhook::Webhook;

/// Reads ConfigMaps of `member1`, and nothing else.
const READER: &str = "reader-at-member1";

#[test]
fn rule_151_rule_154_a_webhook_maps_users_of_the_hub_to_users_of_the_member() -> Result<()> {
    let webhook = Webhook::start(|question| match question["spec"]["user"]["username"].as_str() {
        Some("webhook-alice") if question["spec"]["cluster"] == "member1" => {
            json!({"allowed": true, "user": {"username": READER, "groups": ["mapped"]}})
        }
        _ => json!({"allowed": false, "reason": "not on call"}),
    })?;
    let directory = scratch::directory("identity")?;
    let rules = directory.path().join("rules.yaml");
    fs::write(directory.path().join("ca.crt"), webhook.ca())?;
    fs::write(
        &rules,
        document(&json!({
            "name": "corp", "type": "ExternalIdentityExchanger", "source": {"userPattern": "^webhook-"},
            "url": webhook.url(), "caFile": "ca.crt", "timeout": "2s", "cacheTTL": "0s",
        })),
    )?;
    let flags = [
        format!("--cluster-gateway-proxy-config={}", rules.display()),
        "--feature-gates=ClientIdentityPenetration=true".to_owned(),
    ];
    world()?;
    let mut gateway = Gateway::launch(&planes()?.gateway_user, &flags.each_ref().map(String::as_str))?;
    gateway.wait_ready(Duration::from_secs(30))?;
    grant_reader()?;
    let [alice, bob] = ["webhook-alice", "webhook-bob"].map(|name| {
        let user = world()?.user(name, &["get", "list", "create"])?;
        gateway.access(user.credential().clone())?.through("member1")
    });
    let (alice, bob) = (alice?, bob?);

    ensure!(whoami(&alice)? == READER);
    alice.kubectl(["get", "configmaps", "-n", "default"]).run()?.success()?;
    let refused = alice.kubectl(["get", "secrets", "-n", "default"]).run()?.failure()?;
    let expected = format!("User \"{READER}\" cannot list resource \"secrets\"");
    ensure!(refused.contains(&expected), "the member's own words are expected: {refused}");
    let denied = bob.kubectl(["get", "configmaps", "-n", "default"]).run()?.failure()?;
    ensure!(denied.contains("identity rule \"corp\": not on call"), "{denied}");

    // Without its webhook a rule lets nobody through, and nobody else suffers.
    drop(webhook);
    let message =
        alice.request("GET", "/api/v1/namespaces/default/configmaps").send()?.status_message(500)?;
    ensure!(
        message.starts_with("cluster member1: identity rule \"corp\": webhook https://localhost:"),
        "{message}"
    );
    let admin = gateway.access(world()?.hub.admin().credential().clone())?.through("member1")?;
    admin.kubectl(["get", "namespaces"]).run()?.success()?;

    // The operator mends it by another rule, without a restart.
    fs::write(
        &rules,
        document(&json!({
            "name": "mended", "type": "StaticMappingIdentityExchanger", "source": {"userPattern": "^webhook-"},
            "target": {"user": READER},
        })),
    )?;
    wait::eventually("the rules to be read again", Duration::from_secs(30), || {
        Ok((whoami(&bob)? == READER).then_some(()))
    })
}

#[test]
fn rule_151_rule_153_the_annotations_static_mapping_reaches_the_member_through_the_hub() -> Result<()> {
    grant_reader()?;
    // With the rights of the documented role, and no others.
    let gateway = "gateway-at-annotated";
    let member = world()?.member1.user(gateway, &[])?;
    let text = fs::read_to_string(scratch::workspace().join("docs/identity.md"))?;
    let role = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).context("a role")?;
    let admin = world()?.member1.admin();
    admin.kubectl(["apply", "-f", "-"]).stdin(role).run()?.success()?;
    let rbac = "rbac.authorization.k8s.io";
    admin.apply(&json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": gateway},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-gateway-impersonator"},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": gateway}],
    }))?;
    let mut secret = registration::secret("annotated", &member)?;
    let annotation = format!("{}/cluster-gateway-proxy-configuration", registration::GROUP);
    secret["metadata"]["annotations"] = json!({annotation: document(&json!({
        "name": "all", "type": "StaticMappingIdentityExchanger", "source": {"userPattern": "^annotated-"},
        "target": {"user": READER, "uid": "7", "extra": {"scopes": ["read"]}},
    }))});
    registration::put_secret(world()?.hub, "annotated", &secret)?;
    let caller: Access = world()?.user("annotated-alice", &["get", "list"])?.through("annotated")?;
    let list = |resource: &str| {
        caller.request("GET", &format!("/api/v1/namespaces/default/{resource}?impersonate=true"))
    };
    wait::eventually("the cluster to be known", Duration::from_secs(20), || {
        list("configmaps").send()?.expect(200).map(Some)
    })?;
    let message = list("secrets").send()?.status_message(403)?;
    ensure!(message.contains(&format!("User \"{READER}\" cannot list")), "{message}");
    // Without an identity to pass on there is no right at all.
    let path = "/api/v1/namespaces/default/configmaps";
    let message = caller.request("GET", path).send()?.status_message(403)?;
    ensure!(message.contains(&format!("User \"{gateway}\" cannot list")), "{message}");
    registration::remove_member(world()?.hub, "annotated")
}

#[test]
fn rule_150_whom_the_hub_lets_a_caller_act_as_is_whom_the_member_sees() -> Result<()> {
    world()?.user("acted-as", &["create"])?;
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews?impersonate=true";
    let asked = world()?.through("member1")?.request("POST", path).json(&review);
    let asked = asked.header("Impersonate-User: acted-as").header("Impersonate-Group: acting");
    let seen = asked.send()?.json(201)?["status"]["userInfo"].clone();
    ensure!(seen["username"] == "acted-as", "{seen}");
    ensure!(seen["groups"] == json!(["acting", "system:authenticated"]), "{seen}");
    Ok(())
}

fn document(rule: &Value) -> String {
    json!({
        "apiVersion": "cluster.core.oam.dev/v1alpha1", "kind": "ClusterGatewayProxyConfiguration",
        "spec": {"clientIdentityExchanger": {"rules": [rule]}},
    })
    .to_string()
}

/// Gives the reader its right, and waits until the member acts on it.
fn grant_reader() -> Result<()> {
    let rbac = "rbac.authorization.k8s.io";
    let member = world()?.member1;
    member.admin().apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": format!("{rbac}/v1"), "kind": "Role",
            "metadata": {"name": READER, "namespace": "default"},
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}],
        },
        {
            "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding",
            "metadata": {"name": READER, "namespace": "default"},
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": READER},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": READER}],
        },
    ]}))?;
    let reader = member.user(READER, &[])?;
    wait::eventually("the member to know of a right", Duration::from_secs(10), || {
        reader.request("GET", "/api/v1/namespaces/default/configmaps").send()?.expect(200).map(Some)
    })?;
    Ok(())
}
