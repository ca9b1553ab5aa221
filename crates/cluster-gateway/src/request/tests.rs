use super::*;

fn info(method: &str, uri: &str) -> RequestInfo {
    parse(method, uri, &[]).expect("a readable request line")
}

fn parse(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<RequestInfo, RequestError> {
    let mut request = http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    RequestInfo::parse(&request.body(()).expect("a request").into_parts().0)
}

fn resource(method: &str, uri: &str) -> ResourceTarget {
    match info(method, uri) {
        RequestInfo::Resource(target) => target,
        other => panic!("{uri} is {other:?}"),
    }
}

fn proxied(method: &str, rest: &str) -> ProxyTarget {
    match info(method, &format!("/apis/cluster.core.oam.dev/v1alpha1/clustergateways/c/proxy{rest}")) {
        RequestInfo::Proxy(target) => target,
        other => panic!("{rest} is {other:?}"),
    }
}

#[test]
fn rule_101_short_paths_and_other_roots_are_no_resources() {
    for path in
        ["/", "/api", "/api/v1", "/apis", "/apis/g", "/apis/g/v", "/apis/g/v/", "/healthz", "/version/x/y/z"]
    {
        assert!(matches!(info("GET", path), RequestInfo::Document(_)), "{path}");
    }
    assert_eq!(resource("GET", "//apis/g/v/r//").resource, "r");
    assert_eq!(resource("GET", "/api/v1/pods").group, "");
}

#[test]
fn rule_102_special_verbs_stand_in_the_path() {
    let target = resource("GET", "/apis/g/v/watch/things");
    assert_eq!((target.verb, target.resource.as_str()), (Verb::Watch, "things"));
    let target = resource("POST", "/api/v1/proxy/nodes/n/x");
    assert_eq!((target.verb, target.name.as_str(), target.subresource.as_str()), (Verb::Proxy, "n", ""));
    for path in ["/apis/g/v/watch", "/apis/g/v/proxy/"] {
        assert!(matches!(parse("GET", path, &[]), Err(RequestError::SpecialVerb(_))), "{path}");
    }
}

#[test]
fn rule_103_namespaces_are_scopes_unless_their_own_subresource_follows() {
    let target = resource("GET", "/api/v1/namespaces/n/pods/p");
    assert_eq!(
        (target.namespace.as_str(), target.resource.as_str(), target.name.as_str()),
        ("n", "pods", "p")
    );
    for sub in ["status", "finalize"] {
        let target = resource("PUT", &format!("/api/v1/namespaces/n/{sub}"));
        assert_eq!((target.resource.as_str(), target.subresource.as_str()), ("namespaces", sub));
    }
    assert_eq!(resource("GET", "/api/v1/namespaces/n").name, "n");
    assert_eq!(resource("GET", "/api/v1/namespaces").verb, Verb::List);
}

#[test]
fn rule_104_what_follows_the_subresource_is_not_looked_at() {
    let target = resource("GET", "/api/v1/namespaces/n/pods/p/log/more/of/it");
    assert_eq!((target.subresource.as_str(), target.trailing), ("log", true));
    assert!(!resource("GET", "/api/v1/namespaces/n/pods/p/log").trailing);
}

#[test]
fn rule_088_verbs_of_a_proxied_request_are_those_of_its_method() {
    for (method, verb) in [
        ("GET", "get"),
        ("HEAD", "get"),
        ("POST", "create"),
        ("PUT", "update"),
        ("PATCH", "patch"),
        ("DELETE", "delete"),
        ("OPTIONS", ""),
        ("TRACE", ""),
    ] {
        assert_eq!(proxied(method, "/api/v1/pods").verb.as_str(), verb, "{method}");
    }
}

#[test]
fn rule_089_a_proxied_watch_is_a_get_and_a_proxied_collection_delete_a_delete() {
    assert_eq!(proxied("GET", "/api/v1/pods?watch=true").verb, Verb::Get);
    assert_eq!(proxied("DELETE", "/api/v1/pods").verb, Verb::Delete);
}

#[test]
fn rule_091_verbs_of_our_own_resources() {
    let base = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
    assert_eq!(resource("GET", base).verb, Verb::List);
    for query in ["watch=true", "watch=1", "watch"] {
        assert_eq!(resource("GET", &format!("{base}?{query}")).verb, Verb::Watch, "{query}");
    }
    assert_eq!(resource("GET", &format!("{base}?watch=false")).verb, Verb::List);
    let one = resource("GET", &format!("{base}?fieldSelector=metadata.name%3Dx"));
    assert_eq!((one.verb, one.name.as_str()), (Verb::List, "x"));
    assert_eq!(resource("GET", &format!("{base}/x")).verb, Verb::Get);
    let health = resource("PATCH", &format!("{base}/x/health"));
    assert_eq!((health.verb, health.subresource.as_str()), (Verb::Patch, "health"));
    assert_eq!(resource("DELETE", base).verb, Verb::DeleteCollection);
}

#[test]
fn rule_091_rule_092_a_list_has_the_name_that_its_selector_requires_and_no_other() {
    let name = |selector: &str| {
        let selector = percent_encoding::utf8_percent_encode(selector, percent_encoding::NON_ALPHANUMERIC);
        resource("GET", &format!("/api/v1/secrets?fieldSelector={selector}")).name
    };
    for (selector, expected) in [
        ("metadata.name=x", "x"),
        ("metadata.name==x", "x"),
        ("type=Opaque,metadata.name=x", "x"),
        ("metadata.name=x,metadata.name=y", "x"),
        (r"metadata.name=a\,b", "a,b"),
        // The comma is part of a value: this selects everything.
        (r"type!=\,metadata.name=x", ""),
        (r"metadata.namespace!=\,metadata.name=x", ""),
        ("metadata.name!=x", ""),
        (" metadata.name=x", ""),
        ("xmetadata.name=x", ""),
        // What cannot be read restricts nothing.
        ("metadata.name=x,rubbish", ""),
        ("metadata.name=x=y", ""),
        ("metadata.name=..", ""),
        ("metadata.name=a/b", ""),
        ("metadata.name=a%b", ""),
        ("", ""),
    ] {
        assert_eq!(name(selector), expected, "{selector}");
    }
    // Only the first of several counts, and only for a list or a watch that the path does not spell.
    let uri = "/api/v1/secrets?fieldSelector=&fieldSelector=metadata.name%3Dx";
    assert_eq!(resource("GET", uri).name, "");
    for (method, path) in
        [("DELETE", "/api/v1/secrets"), ("GET", "/api/v1/watch/secrets"), ("POST", "/api/v1/secrets")]
    {
        assert_eq!(resource(method, &format!("{path}?fieldSelector=metadata.name%3Dx")).name, "", "{path}");
    }
    assert_eq!(resource("GET", "/api/v1/secrets?watch=1&fieldSelector=metadata.name%3Dx").name, "x");
}

#[test]
fn rule_093_documents_are_checked_by_path_and_lower_case_method() {
    let expected = DocumentTarget { verb: "post".into(), path: "/openapi/v3/apis/x".into() };
    assert_eq!(info("POST", "/openapi/v3/apis/x?hash=1"), RequestInfo::Document(expected));
}

#[test]
fn rule_183_an_upgrade_needs_the_token_and_the_header() {
    let path = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/c/proxy/x";
    let upgrades = |headers: &[(&str, &str)]| match parse("GET", path, headers) {
        Ok(RequestInfo::Proxy(target)) => target.upgrade,
        other => panic!("{other:?}"),
    };
    assert!(upgrades(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]));
    assert!(!upgrades(&[("connection", "upgrade")]));
    assert!(!upgrades(&[("upgrade", "websocket")]));
    assert!(!upgrades(&[("connection", "upgraded"), ("upgrade", "x")]));
}

#[test]
fn durations_are_read_as_go_writes_them() {
    for (text, milliseconds) in
        [("10s", 10_000), ("1m30s", 90_000), ("500ms", 500), ("0", 0), ("0s", 0), ("1.5h", 5_400_000)]
    {
        assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
    }
    for text in ["", "10", "s", "10x", "-1s", "1e9999h"] {
        assert!(duration(text).is_err(), "{text}");
    }
}
