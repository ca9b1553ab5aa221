use super::*;

fn map(headers: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::try_from(*name).expect("a name"), value.parse().expect("a value"));
    }
    map
}

fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn rule_159_what_belongs_to_one_connection_does_not_pass() {
    let hop_by_hop: &[(&str, &str)] = &[
        ("connection", "X-Drop, keep-alive"),
        ("connection", " x-too"),
        ("x-drop", "1"),
        ("x-too", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-authorization", "Basic abc"),
        ("proxy-authenticate", "Basic"),
        ("proxy-connection", "keep-alive"),
        ("te", "gzip"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("x-kept", "1"),
    ];
    let mut request = map(hop_by_hop);
    request.insert("trailer", HeaderValue::from_static("x"));
    strip_request(&mut request);
    assert_eq!(names(&request), ["x-kept"]);
    let mut response = map(hop_by_hop);
    strip_response(&mut response);
    assert_eq!(names(&response), ["x-kept"]);
}

#[test]
fn rule_159_of_te_only_trailers_passes() {
    for (sent, passes) in
        [("trailers", true), ("gzip, Trailers;q=0.5", true), ("gzip", false), ("xtrailers", false)]
    {
        let mut headers = map(&[("te", sent)]);
        strip_request(&mut headers);
        assert_eq!(headers.get("te"), passes.then_some(&TRAILERS), "{sent}");
    }
    let mut headers = map(&[("te", "gzip"), ("te", "trailers"), ("connection", "te")]);
    strip_request(&mut headers);
    assert_eq!(headers["te"], TRAILERS);
}

#[test]
fn rule_149_no_claim_of_an_identity_and_no_credential_passes() {
    let mut headers = map(&[
        ("Impersonate-User", ""),
        ("impersonate-user", "system:admin"),
        ("IMPERSONATE-FOO", "x"),
        ("Impersonate_User", "x"),
        ("Impersonate-Extra-a%2fb", "x"),
        ("X-Remote-User", "x"),
        ("x-remote-extra-k", "x"),
        ("X-Remote-Uid", "42"),
        ("authorization", "Bearer caller"),
        ("cookie", "session=1"),
        ("host", "other.test"),
        ("user-agent", "kubectl"),
    ]);
    strip_request(&mut headers);
    assert_eq!(names(&headers), ["user-agent"]);
}

#[test]
fn rule_160_the_peer_is_added_to_the_chain() {
    let peer = HeaderValue::from_static;
    let mut headers = HeaderMap::new();
    append_forwarded_for(&mut headers, &peer("10.0.0.1"));
    assert_eq!(headers[X_FORWARDED_FOR], "10.0.0.1");
    let mut headers = map(&[("x-forwarded-for", "1.1.1.1, 2.2.2.2"), ("x-forwarded-for", "3.3.3.3")]);
    append_forwarded_for(&mut headers, &peer("fd00::1"));
    assert_eq!(
        headers.get_all(X_FORWARDED_FOR).iter().collect::<Vec<_>>(),
        ["1.1.1.1, 2.2.2.2, 3.3.3.3, fd00::1"]
    );
}

#[test]
fn rule_115_caching_is_forbidden_only_where_the_member_says_nothing() {
    for (headers, expected) in [
        (map(&[]), Some("no-cache, private")),
        (map(&[("cache-control", "max-age=5")]), Some("max-age=5")),
        (map(&[("etag", "\"1\"")]), None),
        (map(&[("last-modified", "Sun, 22 Nov 2026 13:02:52 GMT")]), None),
    ] {
        let mut headers = headers;
        default_cache_control(&mut headers);
        assert_eq!(headers.get("cache-control").map(|value| value.to_str().expect("text")), expected);
    }
}

#[test]
fn rule_159_rule_170_trailers_lose_what_no_trailer_may_say() {
    let mut trailers = map(&[
        ("x-checksum", "42"),
        ("grpc-status", "0"),
        ("connection", "x-named"),
        ("x-named", "1"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("proxy-authenticate", "Basic"),
        ("content-length", "1"),
        ("content-type", "text/html"),
        ("content-range", "bytes 0-1/2"),
        ("set-cookie", "a=1"),
        ("www-authenticate", "Bearer"),
        ("authorization", "Bearer x"),
        ("audit-id", "x"),
        ("location", "https://x"),
        ("trailer", "x"),
        ("host", "x"),
    ]);
    strip_response_trailers(&mut trailers);
    let mut left: Vec<_> = trailers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["grpc-status", "x-checksum"]);
}
