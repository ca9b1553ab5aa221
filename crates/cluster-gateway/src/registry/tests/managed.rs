//! ManagedClusters go over Secrets, or beside them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::*;

fn managed(name: &str, spec: &Value) -> ManagedCluster {
    versioned(name, "7", spec)
}

fn versioned(name: &str, version: &str, spec: &Value) -> ManagedCluster {
    let object = json!({
        "apiVersion": "cluster.open-cluster-management.io/v1", "kind": "ManagedCluster",
        "metadata": {
            "name": name, "uid": format!("managed-{name}"), "resourceVersion": version,
            "creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"vendor": "x"},
            "annotations": {"cluster.core.oam.dev/cluster-alias": "east", "example.com/else": "1"},
        },
        "spec": spec, "status": {"conditions": []},
    });
    ManagedCluster::read(serde_json::from_value::<DynamicObject>(object).unwrap())
}

fn at(url: &str, ca: &str) -> Value {
    let config = json!({"url": url, "caBundle": STANDARD.encode(ca)});
    json!({"hubAcceptsClient": true, "managedClusterClientConfigs": [config, {"url": "https://other"}]})
}

/// Where a cluster is, whom it trusts there, and why it cannot be used.
fn way(cluster: &Cluster) -> (Option<String>, Verification, String) {
    let address = cluster.address.clone();
    match &cluster.upstream {
        Ok(upstream) => (address, upstream.transport.spec().verification.clone(), String::new()),
        Err(Unusable(reason)) => (address, Verification::SystemRoots, reason.clone()),
    }
}

fn merging() -> (Index, Arc<Registry>) {
    let registry = Arc::new(Registry::default());
    let policy = ClusterPolicy { merge_managed_clusters: true, ..ClusterPolicy::default() };
    (Index::new(Arc::clone(&registry), policy), registry)
}

/// Reads Secret `c` with this ManagedCluster.
fn merged(secret: Secret, spec: &Value) -> Arc<Cluster> {
    let (mut index, registry) = merging();
    index.reset_managed(vec![managed("c", spec)]);
    index.reset(vec![secret]);
    registry.get("c").unwrap()
}

#[test]
fn rule_247_endpoint_and_ca_come_from_the_managed_cluster_and_the_first_config_counts() {
    let ((own, _), (other, _)) = (self_signed(), self_signed());
    let secret = token_secret(&[("ca.crt", other.as_bytes())]);
    let cluster = merged(secret.clone(), &at("https://m:6443/base", &own));
    let bundle = Verification::Bundle(own.as_bytes().into());
    assert_eq!(way(&cluster), (Some("https://m:6443/base".to_owned()), bundle, String::new()));
    assert_eq!(cluster.upstream.as_ref().unwrap().base_path, "/base");
    assert_eq!(cluster.ca_bundle.as_deref(), Some(own.as_bytes()));
    let configs = &cluster.managed_cluster.as_ref().unwrap().spec.as_ref().unwrap().client_configs;
    assert_eq!(configs[1].url, "https://other");
    // The Secret's CA belongs to the Secret's endpoint.
    let bare = merged(secret, &at("https://m:6443", ""));
    assert_eq!(way(&bare), (Some("https://m:6443".to_owned()), Verification::SystemRoots, String::new()));
    assert_eq!(bare.ca_bundle, None);
}

#[test]
fn rule_247_a_secret_without_endpoint_is_enough_and_the_secret_alone_is_too() {
    let mut bare = token_secret(&[]);
    bare.data.as_mut().unwrap().remove("endpoint");
    let cluster = merged(bare.clone(), &at("https://m", ""));
    assert!(cluster.upstream.is_ok() && !cluster.names_endpoint);
    let (mut index, registry) = merging();
    index.reset_managed(vec![managed("other", &at("https://m", ""))]);
    index.reset(vec![token_secret(&[])]);
    assert_eq!(registry.get("c").unwrap().address.as_deref(), Some("https://h:6443"));
    index.apply(bare);
    index.publish();
    assert!(registry.get("c").unwrap().upstream().is_err());
}

#[test]
fn rule_247_without_a_client_config_it_is_the_originals_error_and_not_the_secrets_endpoint() {
    for configs in [Value::Null, json!([]), json!([{}]), json!([{"url": ""}, {"url": "https://second"}])] {
        let spec = json!({"hubAcceptsClient": true, "managedClusterClientConfigs": configs});
        let (address, _, reason) = way(&merged(token_secret(&[]), &spec));
        assert!(address.is_none(), "{address:?}");
        for words in ["ManagedCluster c", "managedClusterClientConfigs", "missing label key: api-endpoint"] {
            assert!(reason.contains(words), "{reason}");
        }
    }
}

#[test]
fn rule_248_what_the_hub_does_not_accept_is_refused_with_the_reason() {
    let accepted = at("https://m", "");
    let mut rejected = accepted.clone();
    rejected["hubAcceptsClient"] = json!(false);
    let mut silent = accepted.clone();
    silent.as_object_mut().unwrap().remove("hubAcceptsClient");
    let tunnelled = || label(token_secret(&[]), "cluster.core.oam.dev/cluster-endpoint-type", "ClusterProxy");
    for spec in [&rejected, &silent] {
        for secret in [token_secret(&[]), tunnelled()] {
            let cluster = merged(secret, spec);
            let error = cluster.upstream().unwrap_err();
            assert_eq!(error.code(), 503);
            assert!(error.to_string().contains("hubAcceptsClient is false"), "{error}");
            assert!(!error.to_string().contains("no such cluster"), "{error}");
            assert!(!cluster.accepted());
        }
    }
    assert!(merged(token_secret(&[]), &accepted).accepted());
    let reason = way(&merged(tunnelled(), &accepted)).2;
    assert!(reason.contains("konnectivity"), "its endpoint is not the ManagedCluster's business: {reason}");
}

#[test]
fn rule_244_the_ca_of_a_tunnelled_cluster_is_the_secrets_or_else_the_managed_clusters() {
    let ((own, _), (lent, _)) = (self_signed(), self_signed());
    let tunnelled = |secret| label(secret, "cluster.core.oam.dev/cluster-endpoint-type", "ClusterProxy");
    let ca = |secret, spec: &Value| merged(tunnelled(secret), spec).ca_bundle.clone();
    let spec = at("", &lent);
    assert_eq!(ca(token_secret(&[]), &spec).as_deref(), Some(lent.as_bytes()));
    for key in ["ca.crt", "ca"] {
        assert_eq!(
            ca(token_secret(&[(key, own.as_bytes())]), &spec).as_deref(),
            Some(own.as_bytes()),
            "{key}"
        );
    }
    assert_eq!(ca(token_secret(&[]), &json!({"hubAcceptsClient": true})), None);
    let (_, _, reason) = way(&merged(tunnelled(token_secret(&[])), &at("", "no PEM")));
    assert!(reason.contains("managedClusterClientConfigs[0].caBundle holds"), "{reason}");
}

#[test]
fn every_bad_field_of_a_managed_cluster_is_named_and_closes_the_cluster() {
    let with = |url: &str, ca: Value| {
        let configs = json!([{"url": url, "caBundle": ca}]);
        json!({"hubAcceptsClient": true, "managedClusterClientConfigs": configs})
    };
    for (spec, expected) in [
        (
            with("10.0.0.1:6443", Value::Null),
            "managedClusterClientConfigs[0].url: \"10.0.0.1:6443\" is not a URL",
        ),
        (with("https://user:secret@m", Value::Null), "[0].url: must not contain user information"),
        (with("https://m", json!("bm9uc2Vuc2U=")), "[0].caBundle holds no PEM certificate"),
        (with("https://m", json!("%%%")), "spec is not understood"),
        (with("http://m", Value::Null), "clear text"),
        (json!({"hubAcceptsClient": "yes"}), "spec is not understood"),
        (json!({"hubAcceptsClient": true, "managedClusterClientConfigs": {}}), "spec is not understood"),
        (json!("x"), "spec is not understood"),
        (Value::Null, "spec is not understood"),
        (json!("secret".repeat(100_000)), "spec is not understood"),
    ] {
        let (_, _, reason) = way(&merged(token_secret(&[]), &spec));
        assert!(reason.contains(expected), "{reason:?} does not say {expected:?}");
        assert!(reason.len() < 400 && !reason.contains("user:"), "{reason}");
    }
}

#[test]
fn rule_247_a_change_takes_effect_and_spares_connections_that_stay_right() {
    let (mut index, registry) = merging();
    index.reset(vec![token_secret(&[]), secret("bad", "ServiceAccountToken", &[])]);
    index.reset_managed(vec![managed("c", &at("https://m", ""))]);
    let transport = || Arc::clone(&registry.get("c").unwrap().upstream().unwrap().transport);
    let first = transport();
    // Its status changes all the time; the gateway has nothing to do then.
    assert!(!index.apply_managed(versioned("c", "8", &at("https://m", ""))));
    // The credential is still known when only the ManagedCluster changes, and the other way round.
    index.apply(token_secret(&[("token", b"other")]));
    index.publish();
    assert!(Arc::ptr_eq(&first, &transport()));
    assert!(index.apply_managed(managed("c", &at("https://n", ""))));
    index.publish();
    assert_eq!(transport().spec().endpoint.host, "n");
    let token = registry.get("c").unwrap().upstream().unwrap().credential.clone();
    assert!(matches!(token, Credential::Token(value) if value.as_bytes() == b"Bearer other"));
    assert!(index.apply_managed(managed("c", &json!({}))));
    index.publish();
    assert!(registry.get("c").unwrap().upstream().is_err());
    assert!(index.delete_managed("c"));
    index.publish();
    assert_eq!(transport().spec().endpoint.host, "h", "back to the Secret");
    assert!(!index.delete_managed("c"));
    let names: Vec<_> = registry.snapshot().iter().map(|cluster| cluster.name.clone()).collect();
    assert_eq!(names, ["bad", "c"]);
}

#[test]
fn rule_248_nothing_is_visible_before_it_is_known_what_the_hub_accepts() {
    let (mut index, registry) = merging();
    index.reset(vec![token_secret(&[]), secret("gone", "ServiceAccountToken", &[])]);
    index.apply(label(token_secret(&[]), "x", "y"));
    index.delete("gone", "");
    index.publish();
    assert!(!registry.synced());
    assert!(!registry.get("c").unwrap_err().to_string().contains("no such cluster"));
    index.reset_managed(vec![managed("c", &json!({"hubAcceptsClient": false}))]);
    assert!(registry.synced());
    assert!(registry.get("c").unwrap().upstream().is_err());
    assert!(registry.get("gone").is_err());
    assert_eq!(registry.get("c").unwrap().labels["x"], "y");
    // The other way round: knowing the ManagedClusters is not yet knowing the clusters.
    let (mut index, registry) = merging();
    index.reset_managed(Vec::new());
    assert!(!registry.synced());
    index.reset(vec![token_secret(&[])]);
    assert!(registry.get("c").unwrap().upstream().is_ok());
}

#[test]
fn a_relist_of_managed_clusters_forgets_what_is_gone() {
    let (mut index, registry) = merging();
    index.reset(vec![token_secret(&[])]);
    index.reset_managed(vec![managed("c", &at("https://m", "")), managed("d", &at("https://d", ""))]);
    assert_eq!(registry.get("c").unwrap().address.as_deref(), Some("https://m"));
    let before = registry.snapshot().get_virtual("d").cloned().unwrap();
    index.reset_managed(vec![managed("d", &at("https://d", ""))]);
    assert_eq!(registry.get("c").unwrap().address.as_deref(), Some("https://h:6443"));
    assert!(Arc::ptr_eq(&before, registry.snapshot().get_virtual("d").unwrap()), "what is equal stays");
}

#[test]
fn rule_214_without_the_flag_managed_clusters_are_only_shown() {
    let (mut index, registry) = index();
    index.reset(vec![token_secret(&[])]);
    assert!(registry.synced(), "nobody waits for what is only shown");
    let rejected =
        |url: &str| json!({"hubAcceptsClient": false, "managedClusterClientConfigs": [{"url": url}]});
    let addressless = managed("without-address", &json!({"hubAcceptsClient": true}));
    index.reset_managed(vec![
        managed("c", &rejected("https://m")),
        managed("d", &rejected("https://d")),
        addressless,
    ]);
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.get("c").unwrap().address.as_deref(), Some("https://h:6443"));
    assert!(snapshot.get("c").unwrap().upstream().is_ok() && snapshot.get("c").unwrap().accepted());
    assert_eq!(snapshot.len(), 1);
    let names: Vec<_> = snapshot.iter_virtual().map(|cluster| cluster.name.as_str()).collect();
    assert_eq!(names, ["c", "d"]);
    // Nobody can go to a cluster that has no Secret (rule 178).
    assert_eq!(registry.get("d").unwrap_err().to_string(), "no such cluster d");
    // With its Secret it becomes a cluster, and without it it is shown again.
    index.delete("c", "");
    index.apply(label(
        secret("d", "ServiceAccountToken", &[("endpoint", b"https://d"), ("token", b"t")]),
        "a",
        "b",
    ));
    index.publish();
    let snapshot = registry.snapshot();
    assert!(!snapshot.get_virtual("c").unwrap().registered && snapshot.get("c").is_none());
    assert!(snapshot.get("d").unwrap().upstream().is_ok());
    index.delete("d", "");
    index.delete_managed("d");
    index.publish();
    assert!(registry.snapshot().get_virtual("d").is_none());
}

#[test]
fn rule_214_without_the_flag_a_secret_without_endpoint_still_learns_of_its_managed_cluster() {
    let (mut index, registry) = index();
    index.reset(vec![secret("c", "ServiceAccountToken", &[("token", b"t")])]);
    let known = || registry.get("c").unwrap().managed_cluster.is_some();
    assert!(!known());
    index.reset_managed(vec![managed("c", &at("https://m", ""))]);
    assert!(known());
    assert!(registry.get("c").unwrap().upstream().is_err(), "it is not merged");
    index.delete_managed("c");
    index.publish();
    assert!(!known());
}
