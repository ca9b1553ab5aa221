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

#[test]
fn public_documents_are_as_published() {
    let fixture = Fixture::new(recorded());
    let aggregated = |version: &str| {
        format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList")
    };
    let documents = [
        ("index.json", "/", "*/*".to_owned()),
        ("apis.json", "/apis", "*/*".to_owned()),
        ("apis-v2.json", "/apis", aggregated("v2")),
        ("apis-v2beta1.json", "/apis", aggregated("v2beta1")),
        ("group.json", "/apis/cluster.core.oam.dev", "*/*".to_owned()),
        ("group-version.json", "/apis/cluster.core.oam.dev/v1alpha1", "*/*".to_owned()),
        ("openapi-v2.json", "/openapi/v2", "*/*".to_owned()),
        ("openapi-v3.json", "/openapi/v3/apis/cluster.core.oam.dev/v1alpha1", "*/*".to_owned()),
        ("clustergateways-table.json", CG, TABLE.to_owned()),
        ("virtualclusters-table.json", VC, TABLE.to_owned()),
        ("virtualclusters.json", VC, "*/*".to_owned()),
    ];
    for (file, uri, accept) in documents {
        check(file, &pretty(&fixture, uri, &accept));
    }
    check("virtualclusters.yaml", &fixture.accept(VC, "application/yaml").body);
}
