//! The documents of the gateway, as the hub's aggregator takes them and kubectl reads them there.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::registration::{GROUP, NAMESPACE, SERVICE};
use e2e::{Access, wait};
use serde_json::{Value, json};

use crate::world::world;

/// The aggregator asks for OpenAPI once a minute.
const AGGREGATED: Duration = Duration::from_secs(150);
/// The aggregator looks at an APIService again after at most 30 s.
const LOOKED_AT: Duration = Duration::from_secs(60);

/// What `kubectl explain` says, once it says anything of this.
fn explain(args: &[&str]) -> Result<String> {
    let hub = world()?.hub;
    wait::eventually(&format!("an explanation of {args:?}"), AGGREGATED, || {
        let output = hub.admin().kubectl(["explain"].iter().chain(args)).run()?;
        Ok(output.success().ok())
    })
}

#[test]
fn rule_042_rule_043_rule_053_kubectl_explains_the_resources() -> Result<()> {
    // Both versions of OpenAPI: kubectl reads the third, and the second when it is told to.
    for output in ["plaintext", "plaintext-openapiv2"] {
        let output = format!("--output={output}");
        let access = explain(&["clustergateways.spec.access", &output])?;
        for word in ["ClusterGateway", "endpoint", "Where the cluster is.", "credential"] {
            ensure!(access.contains(word), "{word} is not in {access}");
        }
        let all = explain(&["clustergateways", "--recursive", &output])?;
        for field in
            ["proxy-url", "caBundle", "serviceAccountToken", "privateKey", "healthyReason", "resourceVersion"]
        {
            ensure!(all.contains(field), "{field} is not in {all}");
        }
        let virtual_cluster = explain(&["virtualclusters.spec", &output])?;
        for field in ["alias", "accepted", "credential-type", "Name for people."] {
            ensure!(virtual_cluster.contains(field), "{field} is not in {virtual_cluster}");
        }
        for described in [&access, &all, &virtual_cluster] {
            ensure!(!described.contains("<no description>") && !described.contains("<empty>"), "{described}");
        }
    }
    // Without the hub between them it is the same.
    let direct = world()?.gateway.access(world()?.hub.admin().credential().clone())?;
    let text = direct.kubectl(["explain", "clustergateways.status"]).run()?.success()?;
    ensure!(text.contains("healthyReason"), "{text}");
    Ok(())
}

#[test]
fn rule_045_rule_049_the_hub_aggregates_both_versions_of_openapi() -> Result<()> {
    let hub = world()?.hub;
    let model = "com.github.oam-dev.cluster-gateway.pkg.apis.cluster.v1alpha1.ClusterGateway";
    wait::eventually("the models in the hub's own document", AGGREGATED, || {
        let v2 = hub.admin().request("GET", "/openapi/v2").send()?.json(200)?;
        let health = format!("/apis/{GROUP}/v1alpha1/clustergateways/{{name}}/health");
        let described = v2["definitions"][model].is_object() && v2["paths"][&health]["patch"].is_object();
        Ok(described.then_some(()))
    })?;
    let index = hub.admin().request("GET", "/openapi/v3").send()?.json(200)?;
    let url = &index["paths"][format!("apis/{GROUP}/v1alpha1")]["serverRelativeURL"];
    let url = url.as_str().with_context(|| format!("{index}"))?;
    let v3 = hub.admin().request("GET", url).send()?.json(200)?;
    ensure!(v3["components"]["schemas"][model].is_object(), "{url} has no {model}");
    Ok(())
}

/// What the hub says of an APIService whose Service is `service`: reason and message.
fn verdict(admin: &Access, version: &str, service: &Value) -> Result<(String, String)> {
    let group = "reasons.example.com";
    let name = format!("{version}.{group}");
    admin.apply(&json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name},
        "spec": {"group": group, "version": version, "groupPriorityMinimum": 1, "versionPriority": 1,
            "insecureSkipTLSVerify": true, "service": service},
    }))?;
    let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/{name}");
    let condition = wait::eventually("a verdict", LOOKED_AT, || {
        let service = admin.request("GET", &path).send()?.json(200)?;
        let conditions = service["status"]["conditions"].as_array().cloned().unwrap_or_default();
        Ok(conditions.into_iter().find(|condition| condition["type"] == "Available"))
    });
    admin.request("DELETE", &path).send()?.expect(200)?;
    let condition = condition?;
    let text = |key: &str| condition[key].as_str().unwrap_or_default().to_owned();
    ensure!(condition["status"] == "False", "{condition}");
    Ok((text("reason"), text("message")))
}

#[test]
fn rule_037_rule_039_the_hub_says_why_an_api_server_is_not_available() -> Result<()> {
    let world = world()?;
    let admin = world.hub.admin();
    let at = |name: &str, port: u16| json!({"namespace": NAMESPACE, "name": name, "port": port});
    admin.apply(&json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "reasons", "namespace": NAMESPACE},
        "spec": {"ports": [{"name": "https", "port": 443}], "selector": {"app": "nobody"}},
    }))?;
    let (reason, message) = verdict(admin, "v1", &at("nosuch", 443))?;
    ensure!(reason == "ServiceNotFound", "{reason}: {message}");
    let (reason, message) = verdict(admin, "v2", &at("reasons", 444))?;
    ensure!(reason == "ServicePortError", "{reason}: {message}");
    let (reason, message) = verdict(admin, "v3", &at("reasons", 443))?;
    ensure!(reason == "EndpointsNotFound", "{reason}: {message}");

    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "reasons", "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": "reasons"}},
        "ports": [{"name": "https", "port": 443}], "endpoints": [],
    });
    admin.apply(&slice)?;
    let (reason, message) = verdict(admin, "v4", &at("reasons", 443))?;
    ensure!(reason == "MissingEndpoints", "{reason}: {message}");
    // The name of the port must be the Service's.
    let mut misnamed = slice;
    misnamed["ports"][0]["name"] = json!("other");
    misnamed["endpoints"] = json!([{"addresses": ["192.0.2.1"], "conditions": {"ready": true}}]);
    admin.apply(&misnamed)?;
    let (reason, message) = verdict(admin, "v5", &at("reasons", 443))?;
    ensure!(reason == "MissingEndpoints" && message.contains("https"), "{reason}: {message}");

    // The gateway serves no such group, which is what the hub finds out.
    let (reason, message) = verdict(admin, "v6", &at(SERVICE, world.gateway.port()))?;
    ensure!(reason == "FailedDiscoveryCheck" && message.contains("404"), "{reason}: {message}");
    let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.{GROUP}");
    let ours = admin.request("GET", &path).send()?.json(200)?;
    ensure!(ours["status"]["conditions"][0]["reason"] == "Passed", "{ours}");
    Ok(())
}
