//! Public documents under golden files. `UPDATE_GOLDEN=1` writes them anew.

use std::path::Path;

use super::*;

#[allow(clippy::disallowed_methods, reason = "a switch of the person who runs the tests, not a setting")]
fn is_updating() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

fn check(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if is_updating() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(expected == actual, "{name} has changed; look at it with UPDATE_GOLDEN=1 and git diff");
}

/// The document in the form that people read.
fn pretty(fixture: &Fixture, uri: &str, accept: &str) -> String {
    let answer = fixture.accept(uri, accept);
    assert_eq!(answer.status, StatusCode::OK, "{uri}");
    serde_json::to_string_pretty(&answer.json()).unwrap() + "\n"
}

/// File, path and `Accept`.
const DOCUMENTS: [(&str, &str, &str); 16] = [
    ("index.json", "/", "*/*"),
    ("version.json", "/version", "*/*"),
    ("apis.json", "/apis", "*/*"),
    ("apis-v2.json", "/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"),
    (
        "apis-v2beta1.json",
        "/apis",
        "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    ),
    ("group.json", "/apis/cluster.core.oam.dev", "*/*"),
    ("group-version.json", "/apis/cluster.core.oam.dev/v1alpha1", "*/*"),
    ("openapi-v2.json", "/openapi/v2", "*/*"),
    ("openapi-v3-index.json", "/openapi/v3", "*/*"),
    ("openapi-v3-apis.json", "/openapi/v3/apis", "*/*"),
    ("openapi-v3-group.json", "/openapi/v3/apis/cluster.core.oam.dev", "*/*"),
    ("openapi-v3.json", "/openapi/v3/apis/cluster.core.oam.dev/v1alpha1", "*/*"),
    ("openapi-v3-version.json", "/openapi/v3/version", "*/*"),
    ("clustergateways-table.json", CG, TABLE),
    ("virtualclusters-table.json", VC, TABLE),
    ("virtualclusters.json", VC, "*/*"),
];

#[test]
fn public_documents_are_as_published() {
    let fixture = Fixture::new(recorded());
    for (file, uri, accept) in DOCUMENTS {
        check(file, &pretty(&fixture, uri, accept));
    }
    check("virtualclusters.yaml", &fixture.accept(VC, "application/yaml").body);
}

#[test]
fn health_checks_are_as_published() {
    let fixture = Fixture::new(recorded());
    for root in ["healthz", "livez", "readyz"] {
        check(&format!("{root}-verbose.txt"), &fixture.get(&format!("/{root}?verbose")).body);
    }
    fixture.synced.store(false, Ordering::Relaxed);
    fixture.stopping.store(true, Ordering::Relaxed);
    check("readyz-failing.txt", &fixture.get("/readyz?exclude=informer-sync&exclude=nosuch").body);
    check("metrics-slis.txt", &fixture.get("/metrics/slis").body);
}

#[test]
fn every_path_that_the_index_names_is_published() {
    let index = Fixture::new(Vec::new()).get("/").json();
    let openapi = Fixture::new(Vec::new()).get("/openapi/v3").json();
    let groups = openapi["paths"].as_object().unwrap().keys().map(|group| format!("/openapi/v3/{group}"));
    let paths = index["paths"].as_array().unwrap().iter().map(|path| path.as_str().unwrap().to_owned());
    for path in paths.chain(groups) {
        let health = ["/healthz", "/livez", "/readyz", "/metrics"].iter().any(|root| path.starts_with(root));
        let named = DOCUMENTS.iter().any(|(_, uri, _)| *uri == path.trim_end_matches('/'));
        assert!(health || named, "{path} has no golden file");
    }
}
