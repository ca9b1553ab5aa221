//! OpenAPI documents and how they are cached.

use super::*;

const GV: &str = "/openapi/v3/apis/cluster.core.oam.dev/v1alpha1";
const PREFIX: &str = "com.github.oam-dev.cluster-gateway.pkg.apis.cluster.v1alpha1.";

fn empty() -> Fixture {
    Fixture::new(Vec::new())
}

#[test]
fn rule_042_rule_045_version_2_is_json_or_406() {
    let fixture = empty();
    for accept in ["application/json", "*/*", "application/json;q=0.1,text/html"] {
        let answer = fixture.accept("/openapi/v2", accept);
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "application/json"));
        assert_eq!(answer.json()["swagger"], "2.0");
    }
    assert_eq!(fixture.get("/openapi/v2").status, StatusCode::OK);
    for accept in ["text/html", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"] {
        let answer = fixture.accept("/openapi/v2", accept);
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::NOT_ACCEPTABLE, ""), "{accept}");
    }
}

#[test]
fn rule_042_rule_043_rule_046_documents_are_cached_by_etag() {
    let fixture = empty();
    for path in ["/openapi/v2", "/openapi/v3", GV] {
        let answer = fixture.get(path);
        let etag = answer.header("etag").to_owned();
        assert_eq!(etag, format!("\"{}\"", encode::sha512(answer.body.as_bytes())), "{path}");
        assert!(answer.header("last-modified").ends_with(" GMT"), "{path}");
        let again = fixture.ask("GET", path, &[("if-none-match", &etag)]);
        assert_eq!((again.status, again.body.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path}");
    }
    assert_eq!(fixture.get("/openapi/v2").header("vary"), "Accept");
}

#[test]
fn rule_047_rule_053_models_have_full_names_and_descriptions() {
    let json = empty().get("/openapi/v2").json();
    assert_eq!(json["info"], serde_json::json!({ "title": "Cluster Gateway", "version": "1.0.0" }));
    for kind in ["ClusterGateway", "ClusterGatewayList", "VirtualCluster", "VirtualClusterList"] {
        let model = &json["definitions"][format!("{PREFIX}{kind}")];
        let expected =
            serde_json::json!([{ "group": "cluster.core.oam.dev", "version": "v1alpha1", "kind": kind }]);
        assert_eq!(model["x-kubernetes-group-version-kind"], expected, "{kind}");
        assert!(model["description"].is_string());
        assert!(model["properties"]["metadata"].is_object());
    }
    for (name, model) in json["definitions"].as_object().unwrap() {
        for (field, schema) in model["properties"].as_object().into_iter().flatten() {
            assert!(schema["description"].is_string(), "{name}.{field}");
        }
    }
}

#[test]
fn rule_053_every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| match (key.as_str(), value) {
                ("$ref", Value::String(target)) => found.push(target.clone()),
                _ => references(value, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let fixture = empty();
    let index = fixture.get("/openapi/v3").json();
    let groups = index["paths"].as_object().unwrap().values().map(|group| group["serverRelativeURL"].clone());
    let mut documents = vec!["/openapi/v2".to_owned()];
    documents.extend(groups.map(|url| url.as_str().unwrap().to_owned()));
    for path in documents {
        let json = fixture.get(&path).json();
        let mut found = Vec::new();
        references(&json, &mut found);
        assert!(!found.is_empty(), "{path}");
        for target in found {
            assert!(json.pointer(target.trim_start_matches('#')).is_some(), "{path}: {target}");
        }
    }
}

#[test]
fn rule_048_connect_routes_have_every_method() {
    let fixture = empty();
    for document in ["/openapi/v2", GV] {
        let json = fixture.get(document).json();
        for (path, suffix) in [("", ""), ("/{path}", "WithPath")] {
            let route = &json["paths"][format!("{CG}/{{name}}/proxy{path}")];
            for method in ["Get", "Post", "Put", "Patch", "Delete", "Head", "Options"] {
                let operation = &route[method.to_lowercase()];
                assert_eq!(operation["operationId"], format!("connect{method}ClusterGatewayProxy{suffix}"));
                assert_eq!(operation["x-kubernetes-action"], "connect");
                let kind = &operation["x-kubernetes-group-version-kind"]["kind"];
                assert_eq!(kind, "ClusterGatewayProxyOptions");
            }
            let parameters = route["parameters"].as_array().unwrap();
            let has =
                |place: &str, name: &str| parameters.iter().any(|p| p["in"] == place && p["name"] == name);
            assert!(has("path", "name") && has("query", "path") && has("query", "impersonate"));
            assert_eq!(has("path", "path"), !suffix.is_empty());
        }
    }
    let v2 = fixture.get("/openapi/v2").json();
    let get = &v2["paths"][format!("{CG}/{{name}}/proxy")]["get"];
    assert_eq!(
        (&get["consumes"], &get["produces"]),
        (&serde_json::json!(["*/*"]), &serde_json::json!(["*/*"]))
    );
}

#[test]
fn rule_049_rule_050_version_3_is_found_and_kept_by_hash() {
    let fixture = empty();
    let index = fixture.get("/openapi/v3").json();
    assert_eq!(index["paths"].as_object().unwrap().len(), 4);
    let plain = fixture.get(GV);
    let hash = plain.header("etag").trim_matches('"').to_owned();
    let url = &index["paths"]["apis/cluster.core.oam.dev/v1alpha1"]["serverRelativeURL"];
    assert_eq!(*url, format!("{GV}?hash={hash}"));
    assert_eq!((plain.header("cache-control"), plain.header("vary")), ("", "Accept"));
    let hashed = fixture.get(url.as_str().unwrap());
    assert_eq!(hashed.header("cache-control"), "public, immutable");
    assert!(hashed.header("expires").ends_with(" GMT"));
    assert_eq!(hashed.body, plain.body);
    assert_eq!(plain.json()["openapi"], "3.0.0");
}

#[test]
fn rule_051_a_wrong_hash_gets_the_document_and_no_redirect() {
    let answer = empty().get(&format!("{GV}?hash=00"));
    assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::OK, "no-cache"));
    assert_eq!((answer.header("location"), answer.header("expires")), ("", ""));
}

#[test]
fn rule_052_an_unknown_group_is_not_found() {
    for path in ["/openapi/v3/apis/unknown/v1", "/openapi/v3/nosuch"] {
        assert_eq!(empty().get(path).status, StatusCode::NOT_FOUND, "{path}");
    }
}
