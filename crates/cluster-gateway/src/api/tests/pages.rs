//! Lists in pages, and of earlier states.

use serde_json::json;

use super::*;

fn many() -> Fixture {
    let created = |day: usize| format!("2026-01-0{}T00:00:00Z", day % 3 + 1);
    let clusters = (1..=7).map(|n| cluster(&format!("c{n}"), CredentialType::Dynamic, &created(n)));
    Fixture::new(clusters.collect())
}

/// All pages of a list, and what each said remains.
fn pages(fixture: &Fixture, uri: &str, accept: &str) -> (Vec<Vec<String>>, Vec<Value>) {
    let (mut pages, mut remaining, mut token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let list = fixture.accept(&format!("{uri}&continue={token}"), accept).json();
        let items = list["items"].as_array().or(list["rows"].as_array()).unwrap();
        let name = |item: &Value| {
            item["metadata"]["name"].as_str().or(item["cells"][0].as_str()).unwrap().to_owned()
        };
        pages.push(items.iter().map(name).collect());
        assert_eq!(list["metadata"]["resourceVersion"], "42");
        remaining.push(list["metadata"]["remainingItemCount"].clone());
        match list["metadata"].get("continue") {
            Some(next) => next.as_str().unwrap().clone_into(&mut token),
            None => return (pages, remaining),
        }
        assert!(pages.len() < 20);
    }
}

#[test]
fn rule_228_a_list_is_read_in_pages() {
    let fixture = many();
    for accept in ["", TABLE, "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"] {
        let (read, remaining) = pages(&fixture, &format!("{CG}?limit=3"), accept);
        assert_eq!(read, [vec!["c1", "c2", "c3"], vec!["c4", "c5", "c6"], vec!["c7"]]);
        assert_eq!(remaining, [json!(4), json!(1), Value::Null]);
    }
    let (read, remaining) = pages(&fixture, &format!("{CG}?limit=2&labelSelector=nosuch!%3Dx"), "");
    assert_eq!(read.concat(), ["c1", "c2", "c3", "c4", "c5", "c6", "c7"]);
    assert!(remaining.iter().all(Value::is_null), "not said where a selector is given");
    for all in ["limit=7", "limit=0", "limit=-1", "limit=1&resourceVersion=0", "limit=9223372036854775807"] {
        let list = fixture.get(&format!("{CG}?{all}")).json();
        assert_eq!(
            (names(&list).len(), &list["metadata"]),
            (7, &json!({ "resourceVersion": "42" })),
            "{all}"
        );
    }
}

#[test]
fn rule_214_rule_228_pages_keep_the_order_of_virtual_clusters() {
    let fixture = many();
    let whole = names(&fixture.get(VC).json()).iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(whole, ["local", "c2", "c5", "c1", "c4", "c7", "c3", "c6"]);
    for limit in 1..=8 {
        let (read, _) = pages(&fixture, &format!("{VC}?limit={limit}"), "");
        assert_eq!(read.concat(), whole);
        assert!(read.iter().all(|page| page.len() <= limit));
    }
}

#[test]
fn rule_228_a_token_that_was_not_given_here_is_refused() {
    let fixture = many();
    let token = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text);
    for bad in [
        "abc".to_owned(),
        "%00".to_owned(),
        token("{}"),
        token(r#"{"v":"meta.k8s.io/v1","rv":42,"start":"c1"}"#),
        token(r#"{"v":"cluster.core.oam.dev/v1","rv":-1,"start":"c1"}"#),
    ] {
        let answer = fixture.get(&format!("{CG}?continue={bad}"));
        assert_eq!(
            (answer.status, &answer.json()["reason"]),
            (StatusCode::BAD_REQUEST, &"BadRequest".into()),
            "{bad}"
        );
        assert!(answer.message().starts_with("continue key is not valid"), "{}", answer.message());
    }
    let old = token(r#"{"v":"cluster.core.oam.dev/v1","rv":41,"start":"c1"}"#);
    let answer = fixture.get(&format!("{CG}?continue={old}"));
    assert_eq!((answer.status, &answer.json()["reason"]), (StatusCode::GONE, &"Expired".into()));
    assert!(answer.message().starts_with("The provided continue parameter is too old"));
    let both = fixture.get(&format!("{CG}?continue={old}&resourceVersion=42"));
    assert_eq!(both.message(), "specifying resource version is not allowed when using continue");
    assert_eq!(fixture.get(&format!("{CG}?continue=")).status, StatusCode::OK);
}

#[test]
fn a_list_of_an_exact_version_is_that_or_gone() {
    let fixture = many();
    let status = |version: u64, matching: &str| {
        fixture
            .get(&format!("{CG}?resourceVersion={version}&resourceVersionMatch={matching}"))
            .status
            .as_u16()
    };
    assert_eq!([status(42, "Exact"), status(41, "Exact"), status(41, "NotOlderThan")], [200, 410, 200]);
    let answer = fixture.get(&format!("{CG}?resourceVersion=41&resourceVersionMatch=Exact"));
    assert_eq!(answer.message(), "too old resource version: 41 (42)");
}
