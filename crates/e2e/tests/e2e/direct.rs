//! Straight at the gateway's own port, as KubeVela does it: a service account's token of the hub.

use anyhow::{Result, ensure};
use e2e::Access;
use serde_json::json;

use crate::world::{MEMBER1_USER, allow_proxy, config_map, config_map_path, whoami, world};

fn service_account(name: &str) -> Result<Access> {
    // This role lets somebody ask who he is, and no more.
    world()?.hub.service_account("default", name, "system:basic-user")
}

#[test]
fn rule_077_rule_082_rule_084_a_token_of_the_hub_opens_the_gateway_and_goes_no_further() -> Result<()> {
    let account = service_account("vela-core")?;
    let subject = json!({"kind": "ServiceAccount", "namespace": "default", "name": "vela-core"});
    allow_proxy(world()?.hub, &account, "vela-core", &subject, &["get", "create", "delete"])?;
    let direct = world()?.direct("member1", &account)?;
    ensure!(direct.request("GET", "/healthz").send()?.expect(200)? == "ok");
    ensure!(whoami(&direct)? == MEMBER1_USER, "the member must see the gateway alone");

    let object = config_map("by-token", &json!({"key": "value"}));
    direct.request("POST", &config_map_path("")).json(&object).send()?.expect(201)?;
    let text = direct.kubectl(["get", "configmap", "by-token", "-o", "jsonpath={.data.key}"]).run()?.success()?;
    ensure!(text == "value", "{text}");
    direct.kubectl(["delete", "configmap", "by-token"]).run()?.success().map(drop)
}

#[test]
fn rule_062_rule_096_a_token_without_rights_is_a_403_with_its_name() -> Result<()> {
    let account = service_account("nobody")?;
    let message = world()?.direct("member1", &account)?.request("GET", "/healthz").send()?.status_message(403)?;
    ensure!(message.contains(r#"User "system:serviceaccount:default:nobody" cannot get"#), "{message}");
    // A right of every authenticated user: so it has that group.
    let gateway = world()?.gateway.access(account.credential().clone())?;
    gateway.request("GET", "/version").send()?.expect(200).map(drop)
}

#[test]
fn rule_003_rule_019_discovery_works_at_the_root() -> Result<()> {
    let gateway = world()?.gateway.access(world()?.hub.admin().credential().clone())?;
    gateway.request("GET", "/api").send()?.expect(404)?;
    let groups = gateway.request("GET", "/apis").header("Accept: application/json").send()?.json(200)?;
    ensure!(groups["groups"][0]["name"] == "cluster.core.oam.dev", "{groups}");
    let text = gateway.kubectl(["get", "clustergateways", "-o", "name"]).run()?.success()?;
    ensure!(text.contains("clustergateway.cluster.core.oam.dev/member1\n"), "{text}");
    Ok(())
}
