//! Index, version, metrics, health, discovery.

use super::*;

const G: &str = "/apis/cluster.core.oam.dev";
const GV: &str = "/apis/cluster.core.oam.dev/v1alpha1";
const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const V2BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

fn empty() -> Fixture {
    Fixture::new(Vec::new())
}

#[test]
fn rule_001_the_index_lists_the_paths_sorted_and_indented() {
    let answer = empty().get("/");
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
    assert!(answer.body.starts_with("{\n  \"paths\": [\n    \"/apis\",\n"), "{}", answer.body);
    let json = answer.json();
    let paths: Vec<_> = json["paths"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
    assert!(paths.is_sorted());
    assert_eq!(empty().get("/index.html").body, answer.body);
}

#[test]
fn rule_002_rule_003_an_unknown_path_gets_404_and_the_index() {
    let fixture = empty();
    let index = fixture.get("/").body;
    for path in [
        "/nope",
        "/api",
        "/api/v1",
        "/api/v1/pods",
        "/healthz/",
        "/apis/nosuch.dev",
        "/apis/nosuch.dev/v1/things",
        "/apis/cluster.core.oam.development",
        "/openapi/nope",
        "/versions",
    ] {
        let answer = fixture.get(path);
        assert_eq!((answer.status, &answer.body), (StatusCode::NOT_FOUND, &index), "{path}");
    }
    for path in ["/apis/cluster.core.oam.dev/v2", "/apis/cluster.core.oam.dev/v2/clustergateways"] {
        assert_eq!(fixture.get(path).json()["reason"], "NotFound", "{path}");
    }
}

#[test]
fn rule_004_the_index_contains_what_clients_look_for() {
    let body = empty().get("/").body;
    for path in [
        "/apis",
        G,
        GV,
        "/healthz",
        "/healthz/ping",
        "/healthz/log",
        "/livez",
        "/livez/ping",
        "/readyz",
        "/readyz/informer-sync",
        "/readyz/shutdown",
        "/metrics",
        "/metrics/slis",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/",
        "/version",
    ] {
        assert!(body.contains(&format!("\"{path}\"")), "{path}");
    }
    assert!(!body.contains("/livez/shutdown") && !body.contains("/debug"));
}

#[test]
fn rule_005_version_has_nine_keys_and_real_values() {
    let fixture = empty();
    let answer = fixture.get("/version");
    let json = answer.json();
    assert_eq!(json.as_object().unwrap().len(), 9);
    assert_eq!((&json["gitVersion"], &json["gitCommit"]), (&"v1.2.3".into(), &"0123abcd".into()));
    let current = VersionInfo::current();
    assert_eq!(current.git_version, concat!("v", env!("CARGO_PKG_VERSION")));
    assert!(current.platform.contains('/'), "{}", current.platform);
    assert_eq!(fixture.get("/version/").body, answer.body);
    let refused = fixture.ask("POST", "/version", &[]);
    assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refused.json()["reason"], "MethodNotAllowed");
}

#[test]
fn rule_006_metrics_are_text() {
    let fixture = empty();
    let answer = fixture.get("/metrics");
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(answer.body.contains("up 1\n"));
    let open = fixture.accept("/metrics", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
    assert!(open.header("content-type").starts_with("application/openmetrics-text"));
    fixture.stopping.store(true, Ordering::Relaxed);
    let slis = fixture.get("/metrics/slis").body;
    assert!(slis.contains("kubernetes_healthcheck{name=\"shutdown\",type=\"readyz\"} 0\n"), "{slis}");
    assert!(slis.contains("kubernetes_healthcheck{name=\"ping\",type=\"livez\"} 1\n"), "{slis}");
}

#[test]
fn rule_009_rule_010_health_is_ok_whatever_the_method() {
    let fixture = empty();
    for path in ["/healthz", "/livez", "/readyz"] {
        for method in ["GET", "POST", "DELETE", "PROPFIND"] {
            let answer = fixture.ask(method, path, &[]);
            assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "ok"), "{method} {path}");
            assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
        }
    }
}

#[test]
fn rule_011_rule_015_verbose_lists_the_checks_in_order() {
    let expected = "[+]ping ok\n[+]log ok\n[+]poststarthook/start-apiserver-admission-initializer ok\n\
        [+]poststarthook/generic-apiserver-start-informers ok\n[+]informer-sync ok\n\
        [+]poststarthook/priority-and-fairness-config-consumer ok\n[+]poststarthook/priority-and-fairness-filter ok\n\
        [+]poststarthook/storage-object-count-tracker-hook ok\n[+]poststarthook/init-master-loopback-client ok\n\
        [+]poststarthook/start-sample-server-informers ok\n[+]shutdown ok\nreadyz check passed\n";
    let fixture = empty();
    for uri in ["/readyz?verbose", "/readyz?verbose=", "/readyz?verbose=false"] {
        assert_eq!(fixture.get(uri).body, expected, "{uri}");
    }
    let livez = fixture.get("/livez?verbose").body;
    assert!(!livez.contains("etcd") && !livez.contains("informer-sync") && !livez.contains("shutdown"));
    assert!(livez.ends_with("livez check passed\n"));
}

#[test]
fn rule_012_checks_can_be_excluded() {
    let fixture = empty();
    fixture.stopping.store(true, Ordering::Relaxed);
    let answer = fixture.get("/readyz?verbose&exclude=shutdown&exclude=b");
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.contains("[+]shutdown excluded: ok\n"), "{}", answer.body);
    let end = "warn: some health checks cannot be excluded: no matches for \"b\"\nreadyz check passed\n";
    assert!(answer.body.ends_with(end), "{}", answer.body);
    assert_eq!(fixture.get("/readyz?exclude=shutdown&exclude=b").body, "ok");
}

#[test]
fn rule_013_rule_017_stopping_is_not_ready_but_alive_and_gives_no_reason() {
    let fixture = empty();
    fixture.stopping.store(true, Ordering::Relaxed);
    let answer = fixture.get("/readyz");
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.body.contains("[+]ping ok\n"));
    assert!(
        answer.body.ends_with("[-]shutdown failed: reason withheld\nreadyz check failed\n"),
        "{}",
        answer.body
    );
    assert!(!answer.body.contains("shutting down"));
    assert_eq!(fixture.get("/livez").status, StatusCode::OK);
    assert_eq!(fixture.get("/healthz").status, StatusCode::OK);
}

#[test]
fn rule_014_single_checks_answer_for_themselves() {
    let fixture = empty();
    let well = fixture.get("/healthz/ping");
    assert_eq!((well.status, well.body.as_str()), (StatusCode::OK, "ok"));
    assert_eq!(well.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(well.header("x-content-type-options"), "");
    fixture.synced.store(false, Ordering::Relaxed);
    let failing = fixture.get("/readyz/poststarthook/init-master-loopback-client");
    assert_eq!(failing.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(failing.body, "internal server error: not finished\n");
    for unknown in ["/healthz/nosuch", "/livez/shutdown", "/readyz/"] {
        assert_eq!(fixture.get(unknown).status, StatusCode::NOT_FOUND, "{unknown}");
        assert!(fixture.get(unknown).body.contains("\"paths\""), "{unknown}");
    }
}

#[test]
fn rule_016_not_ready_before_the_clusters_are_read() {
    let fixture = empty();
    fixture.synced.store(false, Ordering::Relaxed);
    let answer = fixture.get("/readyz");
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.body.contains("[-]informer-sync failed: reason withheld\n"));
    fixture.synced.store(true, Ordering::Relaxed);
    assert_eq!(fixture.get("/readyz").body, "ok");
}

#[test]
fn rule_019_groups_without_api_version() {
    let fixture = empty();
    let answer = fixture.get("/apis");
    let json = answer.json();
    assert_eq!((json["kind"].as_str(), json.get("apiVersion")), (Some("APIGroupList"), None));
    assert_eq!(json["groups"].as_array().unwrap().len(), 1);
    let group = &json["groups"][0];
    assert_eq!(group["preferredVersion"]["groupVersion"], "cluster.core.oam.dev/v1alpha1");
    assert_eq!(group["serverAddressByClientCIDRs"][0]["clientCIDR"], "0.0.0.0/0");
    assert_eq!(group["serverAddressByClientCIDRs"][0]["serverAddress"], ":19443");
    assert_eq!(fixture.get("/apis/").body, answer.body);
}

#[test]
fn rule_020_the_group() {
    let json = empty().get(G).json();
    assert_eq!((&json["kind"], &json["apiVersion"]), (&"APIGroup".into(), &"v1".into()));
    assert_eq!(json["name"], "cluster.core.oam.dev");
    assert_eq!(json["versions"][0]["version"], "v1alpha1");
}

#[test]
fn rule_021_rule_022_rule_023_rule_024_rule_025_rule_027_the_resources() {
    let json = empty().get(GV).json();
    assert_eq!(
        (&json["kind"], &json["groupVersion"]),
        (&"APIResourceList".into(), &"cluster.core.oam.dev/v1alpha1".into())
    );
    let expected = serde_json::json!([
        { "name": "clustergateways", "singularName": "clustergateway", "namespaced": false, "kind": "ClusterGateway",
          "verbs": ["get", "list", "watch"], "shortNames": ["cgw"], "categories": ["cluster-gateway"] },
        { "name": "clustergateways/health", "singularName": "", "namespaced": false, "kind": "ClusterGateway",
          "verbs": ["get", "patch", "update"] },
        { "name": "clustergateways/proxy", "singularName": "", "namespaced": false,
          "kind": "ClusterGatewayProxyOptions", "verbs": ["create", "delete", "get", "patch", "update"] },
        { "name": "virtualclusters", "singularName": "virtualcluster", "namespaced": false, "kind": "VirtualCluster",
          "verbs": ["get", "list", "watch"],
          "shortNames": ["vc", "vcluster", "vclusters", "virtual-cluster", "virtual-clusters"],
          "categories": ["cluster-gateway"] },
    ]);
    assert_eq!(json["resources"], expected);
}

#[test]
fn rule_029_rule_030_aggregated_discovery_says_what_it_is() {
    for (accept, version) in [(V2, "v2"), (V2BETA1, "v2beta1")] {
        let answer = empty().accept("/apis", accept);
        assert_eq!(answer.header("content-type"), accept);
        let json = answer.json();
        assert_eq!(json["kind"], "APIGroupDiscoveryList");
        assert_eq!(json["apiVersion"], format!("apidiscovery.k8s.io/{version}"));
    }
}

#[test]
fn rule_031_the_best_clause_wins() {
    let fixture = empty();
    let kind = |accept: &str| fixture.accept("/apis", accept).header("content-type").to_owned();
    assert_eq!(kind(&format!("{V2},{V2BETA1},application/json")), V2);
    assert_eq!(kind(&format!("{V2BETA1},{V2}")), V2BETA1);
    assert_eq!(kind(&format!("application/json;q=0.5,{V2};q=0.9")), V2);
    assert_eq!(kind(&format!("{V2};q=0.1,{V2BETA1};q=0.2")), V2BETA1);
    assert_eq!(
        kind("application/json;g=apidiscovery.k8s.io;v=v9;as=APIGroupDiscoveryList,application/json"),
        "application/json"
    );
    for classic in ["application/json", "*/*", "application/vnd.kubernetes.protobuf,application/json"] {
        assert_eq!(kind(classic), "application/json", "{classic}");
    }
    assert_eq!(kind(&format!("{V2};q=0,application/yaml;q=0.1")), "application/yaml", "q=0 is a refusal");
    let classic = fixture.get("/apis");
    assert_eq!((classic.header("etag"), classic.header("vary")), ("", ""));
}

#[test]
fn rule_032_rule_033_an_equal_etag_is_answered_304() {
    let fixture = empty();
    let answer = fixture.accept("/apis", V2);
    let etag = answer.header("etag").to_owned();
    assert_eq!((answer.header("vary"), answer.header("cache-control")), ("Accept", "public"));
    assert_eq!(etag, format!("\"{}\"", encode::sha512(answer.body.trim_end().as_bytes())));
    assert_eq!((etag.len(), etag.to_uppercase()), (130, etag.clone()));
    let again = fixture.ask("GET", "/apis", &[("accept", V2), ("if-none-match", &etag)]);
    assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!((again.header("etag"), again.header("location")), (etag.as_str(), ""));
    for other in ["\"\"", &etag.to_lowercase(), etag.trim_matches('"')] {
        let headers = [("accept", V2), ("if-none-match", other)];
        assert_eq!(fixture.ask("GET", "/apis", &headers).status, StatusCode::OK, "{other}");
    }
}

#[test]
fn rule_034_rule_035_aggregated_discovery_nests_subresources() {
    let json = empty().accept("/apis", V2).json();
    assert_eq!(json["metadata"], serde_json::json!({}));
    let group = &json["items"][0];
    assert_eq!(
        group["metadata"],
        serde_json::json!({ "name": "cluster.core.oam.dev", "creationTimestamp": null })
    );
    let version = &group["versions"][0];
    assert_eq!((&version["version"], &version["freshness"]), (&"v1alpha1".into(), &"Current".into()));
    let resources = version["resources"].as_array().unwrap();
    assert_eq!(resources.len(), 2);
    let gateway = &resources[0];
    let response_kind = serde_json::json!({ "group": "", "version": "", "kind": "ClusterGateway" });
    assert_eq!((&gateway["resource"], &gateway["scope"]), (&"clustergateways".into(), &"Cluster".into()));
    assert_eq!(gateway["responseKind"], response_kind);
    let subresources = gateway["subresources"].as_array().unwrap();
    let of = |key: &str| subresources.iter().map(|sub| sub[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("subresource"), ["health", "proxy"]);
    assert!(of("responseKind").iter().all(|kind| kind["group"] == "" && kind["version"] == ""));
}

#[test]
fn rule_036_the_etag_is_that_of_the_build() {
    let etag = |fixture: &Fixture| fixture.accept("/apis", V2).header("etag").to_owned();
    assert_eq!(etag(&empty()), etag(&Fixture::new(recorded())));
}

#[test]
fn rule_040_discovery_does_not_need_the_clusters() {
    let fixture = empty();
    fixture.synced.store(false, Ordering::Relaxed);
    for path in ["/apis", G, GV, "/openapi/v2", "/openapi/v3", "/version"] {
        assert_eq!(fixture.get(path).status, StatusCode::OK, "{path}");
    }
    let mut fixture = empty();
    fixture.api.clusters = Arc::new(|| panic!("discovery looked at the clusters"));
    assert_eq!(fixture.get(GV).status, StatusCode::OK);
}

#[test]
fn rule_219_discovery_is_read_only() {
    for path in ["/apis", G, GV] {
        for method in ["POST", "DELETE", "PROPFIND"] {
            let answer = empty().ask(method, path, &[]);
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(answer.header("allow"), "");
        }
    }
}

#[test]
fn rule_198_html_is_not_acceptable() {
    let answer = empty().accept("/apis", "text/html");
    assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE);
    assert_eq!(
        answer.message(),
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, \
         application/vnd.kubernetes.protobuf"
    );
    assert!(answer.body.starts_with("{\n  "), "indented");
}
