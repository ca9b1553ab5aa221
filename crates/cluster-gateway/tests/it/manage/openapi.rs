//! The OpenAPI document: what it says is there, and what is there is in it.

use std::collections::BTreeSet;
use std::path::Path;

use http::Method;
use serde_json::{Value, json};

use super::{hub, refusal};

const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

fn document() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manage/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// `METHOD PATH` of all that is documented.
fn documented() -> BTreeSet<(String, String)> {
    let document = document();
    let mut all = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            assert!(METHODS.contains(&method.as_str()), "{path} {method}");
            all.insert((method.clone(), path.clone()));
        }
    }
    all
}

/// `METHOD PATH` of all calls of `.route("…", …)` in the sources.
fn routed() -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/manage")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                for call in text.split(".route(\"").skip(1) {
                    let (path, rest) = call.split_once('"').unwrap();
                    let handlers = &rest[..end_of_call(rest)];
                    for method in METHODS.iter().filter(|method| has_call(handlers, method)) {
                        let path = path.strip_suffix('/').unwrap_or(path);
                        all.insert(((*method).to_owned(), format!("/api{path}")));
                    }
                }
            }
        }
    }
    all
}

/// Where the parenthesis closes that is open at the beginning.
fn end_of_call(text: &str) -> usize {
    let mut open = 1;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => open += 1,
            b')' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return at;
        }
    }
    text.len()
}

/// Whether `get(` stands there as a word of its own.
fn has_call(text: &str, method: &str) -> bool {
    let call = format!("{method}(");
    text.match_indices(&call).any(|(at, _)| {
        at == 0 || !text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
    })
}

#[test]
fn every_route_of_the_code_is_documented() {
    let routed = routed();
    assert!(routed.len() > 10, "{routed:?}");
    let missing: Vec<_> = routed.difference(&documented()).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn everything_documented_below_clusters_is_mounted_with_that_method() {
    let world = hub().await;
    let admin = world.managing(world.masters()).header("content-type", "application/json");
    for (method, path) in documented() {
        if !path.starts_with("/api/v1/clusters") && path != "/api/v1/openapi.json" {
            continue;
        }
        let at = path.replace("{name}", "nowhere").replace("{provider}", "aliyun");
        let method: Method = method.to_uppercase().parse().unwrap();
        let answer = admin.send(method.clone(), &at, "{}").await;
        let code = if answer.status == 200 { 200 } else { refusal(&answer).0 };
        assert!(![404, 405].contains(&code), "{method} {path}: {}", answer.text());
    }
}

#[tokio::test]
async fn it_is_served_to_whoever_is_signed_in() {
    let world = hub().await;
    let path = "/api/v1/openapi.json";
    let answer = world.managing(world.user("jane", &["dev"])).get(path).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.json(), document());
    assert_eq!(world.managing(world.nobody()).get(path).await.status, 401);
}

#[test]
fn it_is_sound() {
    let document = document();
    assert_eq!(document["openapi"], "3.0.3");
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    for reference in &used {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    for schema in schemas.keys() {
        assert!(used.contains(&format!("#/components/schemas/{schema}")), "{schema} is used by nobody");
    }
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
                "{method} {path}: twice"
            );
            let named = path.matches('{').count();
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let resolved = parameters.iter().map(|parameter| match parameter["$ref"].as_str() {
                Some(reference) => document.pointer(&reference[1..]).unwrap().clone(),
                None => parameter.clone(),
            });
            let in_path = resolved
                .filter(|parameter| parameter["in"] == "path" && parameter["required"] == json!(true));
            assert_eq!(in_path.count(), named, "{method} {path}");
            assert!(operation["responses"]["default"].is_object(), "{method} {path}");
        }
    }
}

fn references(value: &Value, used: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            used.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| references(value, used));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, used)),
        _ => {}
    }
}
