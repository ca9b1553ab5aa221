//! OpenAPI documents and how they are cached.

use super::*;
use crate::api::openapi::unknown_fields;

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
fn rule_046_conditions_are_answered_as_go_serves_content() {
    let fixture = empty();
    let whole = fixture.get("/openapi/v2");
    let (etag, made) = (whole.header("etag").to_owned(), whole.header("last-modified").to_owned());
    let (old, later) = ("Tue, 01 Jan 2019 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT");
    let code = |method: &str, headers: &[(&str, &str)]| {
        let answer = fixture.ask(method, "/openapi/v2", headers);
        assert_eq!(answer.header("etag"), etag, "{headers:?}");
        assert!(answer.status == 200 || answer.body.is_empty(), "{headers:?}");
        answer.status.as_u16()
    };
    for (method, name, value, expected) in [
        ("GET", "if-none-match", etag.as_str(), 304),
        ("HEAD", "if-none-match", "*", 304),
        ("POST", "if-none-match", &etag, 412),
        ("GET", "if-none-match", "\"other\", W/\"another\"", 200),
        ("GET", "if-match", &etag, 200),
        ("GET", "if-match", "\"other\"", 412),
        ("GET", "if-modified-since", &made, 304),
        ("GET", "if-modified-since", later, 304),
        ("GET", "if-modified-since", old, 200),
        ("GET", "if-modified-since", "yesterday", 200),
        ("POST", "if-modified-since", later, 200),
        ("GET", "if-unmodified-since", old, 412),
        ("GET", "if-unmodified-since", &made, 200),
    ] {
        assert_eq!(code(method, &[(name, value)]), expected, "{method} {name}: {value}");
    }
    let both = [("if-none-match", "\"other\""), ("if-modified-since", later)];
    assert_eq!(code("GET", &both), 200, "the tag counts more than the date");
}

#[test]
fn rule_046_parts_are_answered_as_go_serves_content() {
    let fixture = empty();
    let whole = fixture.get("/openapi/v2");
    let (length, etag) = (whole.body.len(), whole.header("etag").to_owned());
    assert_eq!(whole.header("accept-ranges"), "bytes");
    for (range, first, last) in [
        ("bytes=0-9", 0, 9),
        ("bytes=10-", 10, length - 1),
        ("bytes=-5", length - 5, length - 1),
        ("bytes=5-99999999999999999999999", 5, length - 1),
        ("bytes=-99999999", 0, length - 1),
    ] {
        for headers in [vec![("range", range)], vec![("range", range), ("accept-encoding", "gzip")]] {
            let part = fixture.ask("GET", "/openapi/v2", &headers);
            assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{range}");
            assert_eq!(part.header("content-range"), format!("bytes {first}-{last}/{length}"));
            assert_eq!(part.body, whole.body[first..=last], "{range}");
        }
    }
    for range in ["bytes=0-1,3-4", "bytes=x-", "bytes=-", "lines=0-1", "bytes"] {
        assert_eq!(fixture.ask("GET", "/openapi/v2", &[("range", range)]).body, whole.body, "{range}");
    }
    for range in [format!("bytes={length}-"), "bytes=9-3".to_owned()] {
        let answer = fixture.ask("GET", "/openapi/v2", &[("range", &range)]);
        assert_eq!(answer.status, StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes */{length}"));
    }
    let code = |known: &str| {
        fixture.ask("GET", "/openapi/v2", &[("range", "bytes=0-9"), ("if-range", known)]).status.as_u16()
    };
    assert_eq!((code(&etag), code("\"other\"")), (206, 200));
    assert_eq!((code(whole.header("last-modified")), code("Tue, 01 Jan 2019 00:00:00 GMT")), (206, 200));
}

#[test]
fn rule_048_rule_053_every_served_route_is_described_with_its_verbs() {
    let fixture = empty();
    let v2 = fixture.get("/openapi/v2").json();
    let discovery = fixture.get("/apis/cluster.core.oam.dev/v1alpha1").json();
    let base = "/apis/cluster.core.oam.dev/v1alpha1";
    for resource in discovery["resources"].as_array().unwrap() {
        let name = resource["name"].as_str().unwrap();
        let (main, sub) = name.split_once('/').map_or((name, ""), |(main, sub)| (main, sub));
        let one = format!("{base}/{main}/{{name}}{}{sub}", if sub.is_empty() { "" } else { "/" });
        for verb in resource["verbs"].as_array().unwrap().iter().map(|verb| verb.as_str().unwrap()) {
            let (path, method) = match verb {
                // A watch is a list that goes on.
                "list" | "watch" => (format!("{base}/{main}"), "get"),
                "create" => (one.clone(), "post"),
                "update" => (one.clone(), "put"),
                other => (one.clone(), other),
            };
            let operation = &v2["paths"][&path][method];
            assert!(operation["operationId"].is_string(), "{verb} {name}: {method} {path}");
            let kind = &operation["x-kubernetes-group-version-kind"];
            assert_eq!(kind["group"], "cluster.core.oam.dev", "{method} {path}");
        }
    }
    for (method, consumes) in [
        ("put", serde_json::json!(["application/json", "application/yaml"])),
        ("patch", serde_json::json!(["application/json-patch+json", "application/merge-patch+json"])),
    ] {
        let operation = &v2["paths"][format!("{CG}/{{name}}/health")][method];
        assert_eq!(operation["consumes"], consumes);
        let parameters = operation["parameters"].as_array().unwrap();
        for name in ["dryRun", "fieldManager", "fieldValidation", "body"] {
            assert!(parameters.iter().any(|parameter| parameter["name"] == name), "{method} {name}");
        }
    }
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
fn rule_053_every_field_that_is_shown_is_described() {
    let fixture = Fixture::with(recorded(), true);
    for (list, kind) in [(CG, "ClusterGateway"), (VC, "VirtualCluster")] {
        let shown = fixture.get(list).json();
        assert_eq!(unknown_fields(&format!("{kind}List"), &shown), Vec::<String>::new());
        for item in shown["items"].as_array().unwrap() {
            assert_eq!(unknown_fields(kind, item), Vec::<String>::new(), "{item}");
        }
    }
    let odd = serde_json::json!({ "items": [{ "spec": { "x": 1 } }] });
    assert_eq!(unknown_fields("VirtualClusterList", &odd), ["items[0].spec.x"]);
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
