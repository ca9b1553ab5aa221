//! What somebody may do, as the hub's own RBAC says.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::world::{config_map, config_map_path, world};

#[test]
fn rule_096_without_rights_it_is_a_403() -> Result<()> {
    let user = world()?.hub.user("no-rights", &[])?;
    let expected = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Forbidden",
        "message": concat!(
            r#"clustergateways.cluster.core.oam.dev "member1" is forbidden: User "no-rights" cannot get resource "#,
            r#""clustergateways/proxy" in API group "cluster.core.oam.dev" at the cluster scope"#
        ),
        "details": {"name": "member1", "group": "cluster.core.oam.dev", "kind": "clustergateways"},
        "code": 403,
    });
    // The hub's own answer and the gateway's cannot be told apart.
    for access in [user.through("member1")?, world()?.direct("member1", &user)?] {
        let status = access.request("GET", "/healthz").send()?.json(403)?;
        ensure!(status == expected, "{status}");
    }
    let headers = world()?.direct("member1", &user)?.request("GET", "/healthz").args(["--include"]).send()?;
    ensure!(headers.body.to_lowercase().contains("x-content-type-options: nosniff"), "{headers:?}");
    let text = user.through("member1")?.kubectl(["get", "configmaps"]).run()?.failure()?;
    ensure!(text.contains("is forbidden") || text.contains("orbidden"), "{text}");
    Ok(())
}

#[test]
fn rule_093_rule_097_paths_and_lists_have_their_own_words() -> Result<()> {
    let user = world()?.hub.user("no-rights-at-all", &[])?;
    let gateway = world()?.gateway.access(user.credential().clone())?;
    let status = gateway.request("GET", "/metrics").send()?.json(403)?;
    ensure!(status["message"] == r#"forbidden: User "no-rights-at-all" cannot get path "/metrics""#, "{status}");
    ensure!(status["details"] == json!({}), "{status}");

    let path = e2e::registration::BASE;
    let status = gateway.request("GET", &format!("{path}/clustergateways")).send()?.json(403)?;
    let message = concat!(
        r#"clustergateways.cluster.core.oam.dev is forbidden: User "no-rights-at-all" cannot list resource "#,
        r#""clustergateways" in API group "cluster.core.oam.dev" at the cluster scope"#
    );
    ensure!(status["message"] == message, "{status}");
    let details = json!({"group": "cluster.core.oam.dev", "kind": "clustergateways"});
    ensure!(status["details"] == details, "{status}");
    Ok(())
}

#[test]
fn rule_087_rule_088_rule_089_the_right_is_that_of_the_method() -> Result<()> {
    let reader = world()?.user("reader", &["get"])?;
    for access in [reader.through("member1")?, world()?.direct("member1", &reader)?] {
        let list = config_map_path("");
        access.request("GET", &list).send()?.expect(200)?;
        // A watch by its query is still a GET of a named cluster.
        access.request("GET", &format!("{list}?watch=true&timeoutSeconds=1")).send()?.expect(200)?;
        let body = config_map("refused", &json!({}));
        let one = config_map_path("refused");
        for (method, verb, path) in
            [("POST", "create", &list), ("PUT", "update", &one), ("PATCH", "patch", &one), ("DELETE", "delete", &list)]
        {
            let message = access.request(method, path).json(&body).send()?.status_message(403)?;
            ensure!(message.contains(&format!(r#"User "reader" cannot {verb} resource"#)), "{method}: {message}");
        }
    }
    world()?.member1.admin().request("GET", &config_map_path("refused")).send()?.expect(404).map(drop)
}

#[test]
fn rule_085_masters_need_no_role() -> Result<()> {
    let user = world()?.hub.user("somebody", &["system:masters"])?;
    world()?.direct("member1", &user)?.request("DELETE", &config_map_path("absent")).send()?.expect(404).map(drop)
}

#[test]
fn rule_100_the_gateway_has_no_more_than_the_least_rights() -> Result<()> {
    let user = &crate::world::planes()?.gateway_user;
    // Tokens and rights are reviewed with these very rights in the other tests.
    world()?;
    for (verb, resource, namespace) in
        [("create", "pods", "vela-system"), ("update", "secrets", "vela-system"), ("get", "secrets", "kube-system")]
    {
        let answer = user.kubectl(["auth", "can-i", verb, resource, "--namespace", namespace]).run()?;
        ensure!(answer.stdout == "no\n", "{verb} {resource} in {namespace}: {answer}");
    }
    Ok(())
}

#[test]
fn rule_146_impersonation_needs_a_right_of_its_own() -> Result<()> {
    let user = world()?.user("pretender", &["get"])?;
    let direct = world()?.direct("member1", &user)?;
    let message = direct.request("GET", "/healthz").header("Impersonate-User: admin").send()?.status_message(403)?;
    let expected = concat!(
        r#"users "admin" is forbidden: User "pretender" cannot impersonate resource "users" in API group "" "#,
        "at the cluster scope"
    );
    ensure!(message == expected, "{message}");

    let admin = world()?.direct("member1", world()?.hub.admin())?;
    let message = admin.request("GET", "/healthz").header("Impersonate-User: stranger").send()?.status_message(403)?;
    ensure!(message.contains(r#"User "stranger" cannot get"#), "{message}");
    admin.request("GET", "/healthz").header("Impersonate-User: pretender").send()?.expect(200).map(drop)
}

#[test]
fn rule_108_dots_never_reach_the_member() -> Result<()> {
    let admin = world()?.direct("member1", world()?.hub.admin())?;
    for dots in ["..", "%2e%2e", ".", "%2E", "..%2f"] {
        let path = format!("/api/v1/namespaces/default/{dots}/kube-system/configmaps");
        let message = admin.request("GET", &path).send()?.status_message(400)?;
        ensure!(!message.is_empty(), "{path}");
    }
    Ok(())
}
