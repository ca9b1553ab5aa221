//! What reaches the member, and what comes back.

use http::Method;
use serde_json::Value;

use crate::support::caller::Answer;
use crate::support::fake_member::{Options, Protocols};
use crate::support::world::{PROXY, Setup, TOKEN, World, until};

/// Headers of an echoed request.
fn seen(answer: &Answer, name: &str) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let echoed = answer.json();
    let headers = echoed["headers"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    headers.iter().filter(|pair| pair[0] == name).map(|pair| text(&pair[1])).collect()
}

fn target(answer: &Answer) -> String {
    answer.json()["target"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}

fn plain_http1<'o>() -> Setup<'o> {
    Setup { member: Options { protocols: Protocols::Http1, ..Options::default() }, ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_138_rule_139_rule_140_rule_142_path_and_query_arrive_byte_for_byte() {
    let world = World::start().await;
    let caller = world.masters();
    for (sent, received) in [
        ("/echo?x=1&y=%2F", "/echo?x=1&y=%2F"),
        ("/echo/a%2Fb%20c%25/d;e/f%3Fg?q=%2B+&empty&r=", "/echo/a%2Fb%20c%25/d;e/f%3Fg?q=%2B+&empty&r="),
        ("/echo/", "/echo/"),
        ("//echo///x", "/echo/x"),
        ("", "/"),
        ("/", "/"),
        ("/echo?b=2&a=1&b=1", "/echo?b=2&a=1&b=1"),
        ("/echo?impersonate=false&path=x", "/echo?impersonate=false&path=x"),
    ] {
        let answer = caller.get(&format!("{PROXY}{sent}")).await;
        assert_eq!(target(&answer), received, "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_138_rule_109_a_base_path_is_kept_and_cannot_be_left() {
    let world = World::start().await;
    let endpoint = format!("https://{}/k8s/clusters/c-1/", world.member.address);
    world.register("based", &[("endpoint", &endpoint)]);
    let caller = world.masters();
    let path = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/based/proxy";
    until(|| async { caller.get(&format!("{path}/echo")).await.status == 200 }).await;
    assert_eq!(target(&caller.get(&format!("{path}/echo")).await), "/k8s/clusters/c-1/echo");
    let before = world.member.recorder.requests().len();
    for escape in ["/../c-2/api", "/%2e%2e/c-2/api", "/..%2fc-2/api", "/%252e%252e/c-2"] {
        assert_eq!(caller.get(&format!("{path}{escape}")).await.status, 400, "{escape}");
    }
    assert_eq!(world.member.recorder.requests().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_142_a_query_that_can_be_read_in_two_ways_is_refused() {
    let world = World::start().await;
    for query in ["a=1;b=2", "a=%zz", "%"] {
        let answer = world.masters().get(&format!("{PROXY}/echo?{query}")).await;
        assert_eq!((answer.status, answer.json()["reason"].as_str()), (400, Some("BadRequest")), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_143_dry_run_reaches_the_member_as_often_as_it_was_said() {
    let world = World::start().await;
    for (sent, received) in [
        ("dryRun=All", "dryRun=All"),
        ("dryRun=All&dryRun=All", "dryRun=All&dryRun=All"),
        ("x=1&__dryRun=All", "x=1&dryRun=All"),
    ] {
        let answer = world.masters().send(Method::POST, &format!("{PROXY}/echo?{sent}"), "{}").await;
        assert_eq!(target(&answer), format!("/echo?{received}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_145_rule_160_rule_161_rule_162_headers_the_member_sees() {
    let world = World::with(plain_http1()).await;
    let caller = world.user("alice", &["team"]);
    world.hub.allow("alice", "get", "clustergateways", "proxy");
    let answer = caller
        .header("x-custom", "kept")
        .header("user-agent", "kubectl/1")
        .get(&format!("{PROXY}/echo"))
        .await;
    assert_eq!(seen(&answer, "host"), [world.member.address.to_string()]);
    assert_eq!(seen(&answer, "authorization"), [format!("Bearer {TOKEN}")]);
    assert_eq!(seen(&answer, "x-custom"), ["kept"]);
    assert_eq!(seen(&answer, "user-agent"), ["kubectl/1"]);
    assert_eq!(seen(&answer, "x-forwarded-for"), ["127.0.0.1"]);
    for absent in ["accept-encoding", "x-remote-user", "x-remote-group", "impersonate-user"] {
        assert!(seen(&answer, absent).is_empty(), "{absent}");
    }
    let bare = world.masters().get(&format!("{PROXY}/echo")).await;
    assert!(seen(&bare, "user-agent").is_empty());
    let chained = world.masters().header("x-forwarded-for", "10.0.0.9").get(&format!("{PROXY}/echo")).await;
    assert_eq!(seen(&chained, "x-forwarded-for"), ["10.0.0.9, 127.0.0.1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_157_rule_158_rule_159_connection_cannot_remove_the_credential() {
    let world = World::with(plain_http1()).await;
    let answer = world
        .masters()
        .header("connection", "Impersonate-User, Authorization, X-Drop, close")
        .header("x-drop", "1")
        .header("keep-alive", "timeout=5")
        .header("te", "trailers, gzip")
        .header("proxy-connection", "keep-alive")
        .get(&format!("{PROXY}/echo"))
        .await;
    assert_eq!(seen(&answer, "authorization"), [format!("Bearer {TOKEN}")]);
    assert_eq!(seen(&answer, "te"), ["trailers"]);
    for absent in ["x-drop", "keep-alive", "proxy-connection", "proxy-authorization"] {
        assert!(seen(&answer, absent).is_empty(), "{absent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_082_rule_083_rule_084_no_credential_of_the_caller_reaches_the_member() {
    let world = World::with(plain_http1()).await;
    world.hub.allow_if(|_| true);
    let path = format!("{PROXY}/echo");
    let with_token = world.token("carol", "carols-token").header("cookie", "session=1").get(&path).await;
    assert_eq!(seen(&with_token, "authorization"), [format!("Bearer {TOKEN}")]);
    assert!(seen(&with_token, "cookie").is_empty());
    let basic =
        world.nobody().header("authorization", "Basic YTpi").header("x-remote-uid", "42").get(&path).await;
    assert_eq!(seen(&basic, "authorization"), [format!("Bearer {TOKEN}")]);
    assert!(seen(&basic, "x-remote-uid").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_115_rule_170_the_members_answer_passes_untouched_but_for_the_audit_id() {
    let world = World::start().await;
    for code in [200, 201, 401, 403, 404, 409, 410, 429, 500, 503] {
        let answer =
            world.masters().header("audit-id", "from-the-hub").get(&format!("{PROXY}/status/{code}")).await;
        assert_eq!((answer.status, answer.text()), (code, format!("answer {code}")));
        assert_eq!(answer.header("retry-after"), Some("7"));
        assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
        assert_eq!(answer.headers.get_all("warning").iter().count(), 2);
        assert_eq!(answer.headers.get_all("cache-control").iter().collect::<Vec<_>>(), ["max-age=5"]);
        assert_eq!(answer.headers.get_all("audit-id").iter().collect::<Vec<_>>(), ["from-the-hub"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_171_redirects_are_passed_on_and_never_followed() {
    let world = World::start().await;
    let answer = world.masters().get(&format!("{PROXY}/redirect")).await;
    assert_eq!((answer.status, answer.header("location")), (302, Some("https://canary.test/")));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_177_rule_181_a_dead_member_is_a_500_that_says_dial_tcp() {
    let world = World::start().await;
    world.register("dead", &[("endpoint", "https://127.0.0.1:1")]);
    let path = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/dead/proxy/healthz";
    let caller = world.masters();
    until(|| async { !caller.get(path).await.message().contains("no such cluster") }).await;
    let answer = caller.get(path).await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.message(), "dial tcp 127.0.0.1:1: connect: connection refused");
    assert!(answer.json().get("reason").is_none() && answer.json().get("details").is_none());
    assert!(!answer.text().contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_165_a_member_with_the_wrong_certificate_is_named_with_what_was_expected() {
    let world = World::start().await;
    world.register("stranger", &[("ca.crt", &world.clients.pem())]);
    let path = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/stranger/proxy/plain";
    let caller = world.masters();
    until(|| async { !caller.get(path).await.message().contains("no such cluster") }).await;
    let answer = caller.get(path).await;
    assert_eq!(answer.status, 500);
    let message = answer.message();
    assert!(message.contains("x509") && message.contains("ca.crt"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_178_unknown_is_told_from_unusable() {
    let world = World::start().await;
    let base = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
    let unknown = world.masters().get(&format!("{base}/nosuch/proxy/healthz")).await;
    assert_eq!((unknown.status, unknown.message()), (500, "no such cluster nosuch".to_owned()));
    assert!(unknown.json().get("reason").is_none());
    world.register("bad", &[("endpoint", "")]);
    let caller = world.masters();
    until(|| async { caller.get(&format!("{base}/bad/proxy/healthz")).await.status == 503 }).await;
    let bad = caller.get(&format!("{base}/bad/proxy/healthz")).await;
    assert!(
        bad.message().contains("endpoint") && !bad.message().contains("no such cluster"),
        "{}",
        bad.message()
    );
    // A person must mend it: with Retry-After, kubectl tries ten times before it shows the reason.
    assert!(!bad.headers.contains_key("retry-after"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_088_methods_without_a_verb_need_more_and_unknown_ones_are_not_forwarded() {
    let world = World::start().await;
    world.hub.allow("alice", "get", "clustergateways", "proxy");
    let alice = world.user("alice", &[]);
    let path = format!("{PROXY}/echo");
    assert_eq!(alice.send(Method::OPTIONS, &path, "").await.status, 403);
    assert_eq!(world.masters().send(Method::OPTIONS, &path, "").await.status, 200);
    let propfind = Method::from_bytes(b"PROPFIND").unwrap();
    assert_eq!(world.masters().send(propfind, &path, "").await.status, 405);
    assert_eq!(alice.send(Method::HEAD, &path, "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_250_nobody_is_refused_before_the_member_hears_of_it() {
    let world = World::start().await;
    let before = (world.member.recorder.requests().len(), world.member.recorder.connections());
    for path in ["/echo", "/api/v1/namespaces/n/pods/p/exec?command=sh"] {
        let answer = world.nobody().get(&format!("{PROXY}{path}")).await;
        assert_eq!(answer.status, 403);
        assert!(answer.message().contains("User \"system:anonymous\" cannot get"), "{}", answer.message());
    }
    assert_eq!((world.member.recorder.requests().len(), world.member.recorder.connections()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_096_a_refusal_is_worded_as_kubernetes_words_it() {
    let world = World::start().await;
    let answer = world.user("bob", &[]).get(&format!("{PROXY}/healthz")).await;
    assert_eq!(answer.status, 403);
    assert_eq!(
        answer.message(),
        "clustergateways.cluster.core.oam.dev \"m\" is forbidden: User \"bob\" cannot get resource \
         \"clustergateways/proxy\" in API group \"cluster.core.oam.dev\" at the cluster scope"
    );
    assert_eq!(answer.json()["details"]["kind"], "clustergateways");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_164_a_changed_token_is_used_by_the_next_request() {
    let world = World::start().await;
    let caller = world.masters();
    world.register("m", &[("token", "second-token")]);
    let token = || async {
        let answer = caller.get(&format!("{PROXY}/echo")).await;
        seen(&answer, "authorization")
    };
    until(|| async { token().await == ["Bearer second-token"] }).await;
    assert_eq!(token().await, ["Bearer second-token"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_264_a_gateway_path_inside_a_member_is_plain_member_traffic() {
    let world = World::start().await;
    let inner = "/echo/apis/cluster.core.oam.dev/v1alpha1/clustergateways/d/proxy/x";
    assert_eq!(target(&world.masters().get(&format!("{PROXY}{inner}")).await), inner);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_210_no_answer_of_the_gateway_holds_the_members_token() {
    let world = World::start().await;
    let caller = world.masters();
    for path in [
        "/apis/cluster.core.oam.dev/v1alpha1/clustergateways",
        "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/m",
        "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/m/health",
        "/metrics",
        "/openapi/v2",
    ] {
        let answer = caller.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert!(!answer.text().contains(TOKEN), "{path}");
    }
}
