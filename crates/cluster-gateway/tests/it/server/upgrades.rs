//! Requests that leave HTTP, over real sockets.

use std::time::Duration;

use cluster_gateway::authz::{AuthorizationConfig, Policy};
use cluster_gateway::config::FeatureGates;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::caller::Caller;
use crate::support::fake_member::{Options, Protocols, TestCa};
use crate::support::world::{PROXY, Setup, TOKEN, World, until};

const GREETING: &str = "server speaks first;";
const SPDY: &str = "connection: Upgrade\r\nupgrade: SPDY/3.1\r\nx-stream-protocol-version: v5.channel.k8s.io\r\n\
                    x-stream-protocol-version: v4.channel.k8s.io\r\ncontent-length: 0\r\n";
const WEBSOCKET: &str = "connection: keep-alive, upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                         sec-websocket-protocol: v5.channel.k8s.io, v4.channel.k8s.io\r\norigin: https://ui\r\n";

/// A client's socket.
struct Socket(TlsStream<TcpStream>);

impl Socket {
    /// Connects and sends a request, with `early` bytes in the same write.
    async fn send(caller: &Caller, line: &str, headers: &str, early: &str) -> Self {
        let mut socket = Self(caller.connect().await);
        socket.write(&format!("{}{headers}\r\n{early}", caller.head(line))).await;
        socket
    }

    async fn upgrade(caller: &Caller, path: &str, headers: &str, early: &str) -> Self {
        let method = if headers == SPDY { "POST" } else { "GET" };
        Self::send(caller, &format!("{method} {PROXY}{path} HTTP/1.1"), headers, early).await
    }

    async fn write(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// The answer's head, in lower case.
    async fn head(&mut self) -> String {
        let mut head = Vec::new();
        let reading = async {
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.0.read_u8().await.expect("a head"));
            }
        };
        tokio::time::timeout(Duration::from_secs(60), reading).await.expect("a head in time");
        String::from_utf8(head).unwrap().to_ascii_lowercase()
    }

    async fn text(&mut self, length: usize) -> String {
        let mut bytes = vec![0; length];
        let reading = self.0.read_exact(&mut bytes);
        tokio::time::timeout(Duration::from_secs(60), reading).await.expect("bytes in time").expect("bytes");
        String::from_utf8(bytes).unwrap()
    }

    /// The body of an answer with this head.
    async fn body(&mut self, head: &str) -> String {
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        self.text(length.parse().unwrap()).await
    }

    /// What comes until the server closes the connection.
    async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        let reading = async {
            while let Ok(length @ 1..) = self.0.read(&mut buffer).await {
                bytes.extend_from_slice(&buffer[..length]);
            }
        };
        tokio::time::timeout(Duration::from_secs(10), reading).await.expect("the connection stays open");
        String::from_utf8(bytes).unwrap()
    }
}

fn upgraded(world: &World) -> String {
    String::from_utf8(world.member.recorder.upgraded()).unwrap()
}

/// Proxied requests that were recorded, by code.
async fn recorded(world: &World, code: u16) -> u64 {
    let metrics = world.masters().get("/metrics").await.text();
    let line = format!("ocm_proxy_proxied_requests_by_cluster_total{{cluster=\"m\",code=\"{code}\"}} ");
    let found = metrics.lines().find_map(|own| own.strip_prefix(&line));
    found.map_or(0, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_182_rule_184_rule_185_rule_190_both_protocols_pass_byte_for_byte() {
    let world = World::start().await;
    for headers in [SPDY, WEBSOCKET] {
        let mut socket = Socket::upgrade(&world.masters(), "/upgrade/x?command=ls", headers, "early;").await;
        let head = socket.head().await;
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        let protocol = if headers == SPDY { "spdy/3.1" } else { "websocket" };
        for line in
            [format!("upgrade: {protocol}"), "x-stream-protocol-version: v4.channel.k8s.io".to_owned()]
        {
            assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} {head}");
        }
        assert_eq!(head.matches("\r\nconnection:").count(), 1, "{head}");
        assert_eq!(
            head.matches("\r\naudit-id: member-audit").count(),
            1,
            "the member's head is relayed as it is: {head}"
        );
        assert_eq!(socket.text(GREETING.len()).await, GREETING);
        assert_eq!(socket.text(6).await, "early;");
        let large = "0123456789abcdef".repeat(64 * 1024);
        let (mut reader, mut writer) = tokio::io::split(socket.0);
        let sent = large.clone();
        let writing = tokio::spawn(async move {
            writer.write_all(sent.as_bytes()).await.unwrap();
            writer.flush().await.unwrap();
            writer
        });
        let mut back = vec![0; large.len()];
        reader.read_exact(&mut back).await.unwrap();
        assert!(back == large.as_bytes(), "a megabyte came back changed");
        drop(writing.await.unwrap());
        let seen = world.member.recorder.requests().pop().unwrap();
        assert_eq!(seen.target, "/upgrade/x?command=ls");
        assert_eq!(seen.version, http::Version::HTTP_11);
        let values = |name: &str| {
            let values = seen.headers.get_all(name).iter();
            values.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        if headers == SPDY {
            assert_eq!(values("x-stream-protocol-version"), ["v5.channel.k8s.io", "v4.channel.k8s.io"]);
        } else {
            assert_eq!(values("sec-websocket-protocol"), ["v5.channel.k8s.io, v4.channel.k8s.io"]);
            assert_eq!(values("sec-websocket-key"), ["dGhlIHNhbXBsZSBub25jZQ=="]);
            assert_eq!(values("origin"), ["https://ui"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_090_rule_265_an_upgrade_needs_create_besides_get() {
    let world = World::start().await;
    world.hub.allow("reader", "get", "clustergateways", "proxy");
    world.hub.allow("writer", "create", "clustergateways", "proxy");
    world.hub.allow("both", "get", "clustergateways", "proxy");
    world.hub.allow("both", "create", "clustergateways", "proxy");
    let before = world.member.recorder.connections();
    for (user, headers, missing) in
        [("reader", WEBSOCKET, "create"), ("writer", WEBSOCKET, "get"), ("reader", SPDY, "create")]
    {
        let mut socket = Socket::upgrade(&world.user(user, &[]), "/upgrade", headers, "").await;
        let head = socket.head().await;
        assert!(head.starts_with("http/1.1 403 "), "{user}: {head}");
        let body = socket.body(&head).await;
        assert!(body.contains(&format!("User \\\"{user}\\\" cannot {missing} resource")), "{body}");
    }
    assert_eq!(world.member.recorder.connections(), before);
    for (user, headers) in [("both", WEBSOCKET), ("both", SPDY), ("writer", SPDY)] {
        let mut socket = Socket::upgrade(&world.user(user, &[]), "/upgrade", headers, "").await;
        assert!(socket.head().await.starts_with("http/1.1 101 "), "{user}");
    }
    assert_eq!(world.user("reader", &[]).get(&format!("{PROXY}/plain")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_090_the_need_for_create_can_be_switched_off() {
    let authorization = AuthorizationConfig {
        policy: Policy { upgrade_needs_create: false, ..Policy::default() },
        ..AuthorizationConfig::default()
    };
    let world = World::with(Setup { authorization, ..Setup::default() }).await;
    world.hub.allow("reader", "get", "clustergateways", "proxy");
    let mut socket = Socket::upgrade(&world.user("reader", &[]), "/upgrade", WEBSOCKET, "").await;
    assert!(socket.head().await.starts_with("http/1.1 101 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_187_rule_250_nobody_upgrades_anything_and_what_stands_behind_is_not_read() {
    let world = World::start().await;
    let before = world.member.recorder.connections();
    for (caller, code) in [
        (world.nobody(), 403),
        (world.nobody().header("authorization", "Bearer wrong"), 401),
        (world.user("bob", &[]), 403),
    ] {
        // A front proxy that relays too much must not lend its certificate to what stands behind.
        let early = "GET /version HTTP/1.1\r\nhost: localhost\r\nx-remote-user: admin\r\n\r\n";
        let mut socket = Socket::upgrade(&caller, "/upgrade", WEBSOCKET, early).await;
        let head = socket.head().await;
        assert!(head.starts_with(&format!("http/1.1 {code} ")), "{head}");
        socket.body(&head).await;
        assert_eq!(socket.rest().await, "", "what stood behind was read as a request");
    }
    assert_eq!(world.member.recorder.connections(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_183_half_an_upgrade_is_a_plain_request() {
    let world = World::start().await;
    for headers in ["connection: upgrade, close\r\n", "connection: close\r\nupgrade: websocket\r\n"] {
        let mut socket = Socket::upgrade(&world.masters(), "/echo", headers, "").await;
        let head = socket.head().await;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        let seen = world.member.recorder.requests().pop().unwrap();
        assert!(
            !seen.headers.contains_key("upgrade") && !seen.headers.contains_key("connection"),
            "{seen:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_186_rule_187_rule_190_behind_a_refusal_not_one_byte_reaches_the_member() {
    let world = World::start().await;
    let next = "GET /api/v1/secrets HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for headers in [SPDY, WEBSOCKET] {
        for early in [next, ""] {
            let before = world.member.recorder.requests().len();
            let mut socket = Socket::upgrade(&world.masters(), "/upgrade-refused", headers, early).await;
            let head = socket.head().await;
            assert!(head.starts_with("http/1.1 403 ") && head.contains("\r\nx-member: yes\r\n"), "{head}");
            assert_eq!(head.matches("\r\nconnection: close\r\n").count(), 1, "{head}");
            assert!(!head.contains("\r\nupgrade:"), "{head}");
            let _ = socket.0.write_all(next.as_bytes()).await;
            let _ = socket.0.flush().await;
            assert_eq!(socket.rest().await, "{\"reason\":\"Forbidden\"}", "only the refusal comes back");
            let requests = world.member.recorder.requests();
            assert_eq!(requests.len(), before + 1, "{requests:?}");
        }
    }
    assert_eq!(upgraded(&world), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_186_any_other_answer_to_an_upgrade_is_a_500_without_anything_of_it() {
    let world = World::start().await;
    for code in [200, 204, 302] {
        let path = format!("/upgrade-status/{code}");
        let mut socket =
            Socket::upgrade(&world.masters(), &path, WEBSOCKET, "GET /smuggled HTTP/1.1\r\n\r\n").await;
        let head = socket.head().await;
        assert!(head.starts_with("http/1.1 500 "), "{code}: {head}");
        let message = format!("\"message\":\"invalid upgrade response: status code {code}\"");
        assert!(socket.body(&head).await.contains(&message), "{code}");
        assert_eq!(socket.rest().await, "", "{code}: what stood behind was read as a request");
    }
    let requests = world.member.recorder.requests();
    assert!(requests.iter().all(|request| !request.target.contains("smuggled")));
    let mut socket = Socket::upgrade(&world.masters(), "/upgrade-status/404", WEBSOCKET, "").await;
    assert!(socket.head().await.starts_with("http/1.1 404 "));
    assert_eq!(socket.rest().await, "no");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_157_rule_158_rule_191_rule_268_credential_and_identity_stand_on_the_upgrade() {
    let world = World::with(Setup {
        gates: FeatureGates { client_identity_penetration: true, ..FeatureGates::default() },
        ..Setup::default()
    })
    .await;
    world.hub.allow_if(|_| true);
    let alice = world
        .user("alice", &["team"])
        .header("cookie", "session=1")
        .header("x-drop", "1")
        .header("x-remote-extra-scope", "all");
    let headers = "connection: Impersonate-User, x-drop\r\nconnection: Upgrade, Authorization\r\n\
                   connection: Impersonate-Group, Impersonate-Extra-scope, close\r\nupgrade: websocket\r\n";
    let mut socket = Socket::upgrade(&alice, "/upgrade", headers, "").await;
    assert!(socket.head().await.starts_with("http/1.1 101 "));
    let seen = world.member.recorder.requests().pop().unwrap();
    for (name, values) in [
        ("connection", &["Upgrade"][..]),
        ("upgrade", &["websocket"]),
        ("authorization", &[&format!("Bearer {TOKEN}")]),
        ("impersonate-user", &["alice"]),
        ("impersonate-group", &["team", "system:authenticated"]),
        ("impersonate-extra-scope", &["all"]),
        ("host", &[&world.member.address.to_string()]),
        ("cookie", &[]),
        ("x-drop", &[]),
        ("x-remote-user", &[]),
    ] {
        let own: Vec<_> = seen.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
        assert_eq!(own, values, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_191_the_members_certificate_is_verified_for_upgrades_too() {
    let world = World::start().await;
    world.register("stranger", &[("ca.crt", &TestCa::new("another").pem())]);
    let path = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/stranger/proxy/upgrade";
    let caller = world.masters();
    until(|| async { !caller.get(path).await.message().contains("no such cluster") }).await;
    let mut socket = Socket::send(&caller, &format!("GET {path} HTTP/1.1"), WEBSOCKET, "").await;
    let head = socket.head().await;
    assert!(head.starts_with("http/1.1 500 "), "{head}");
    assert!(world.member.recorder.requests().iter().all(|request| request.target != "/upgrade"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_163_rule_191_an_upgrade_shows_the_clusters_client_certificate() {
    let clients = TestCa::new("clients of the member");
    let world = World::with(Setup {
        member: Options { client_ca: Some(&clients), ..Options::default() },
        certificate: Some(clients.client("gateway")),
        ..Setup::default()
    })
    .await;
    let mut socket = Socket::upgrade(&world.masters(), "/upgrade", SPDY, "").await;
    assert!(socket.head().await.starts_with("http/1.1 101 "));
    let seen = world.member.recorder.requests().pop().unwrap();
    assert!(seen.certificate && !seen.headers.contains_key("authorization"), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_177_an_upgrade_to_a_dead_member_says_so() {
    let world = World::start().await;
    world.register("dead", &[("endpoint", "https://127.0.0.1:1")]);
    let path = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/dead/proxy/x";
    let caller = world.masters();
    until(|| async { !caller.get(path).await.message().contains("no such cluster") }).await;
    let mut socket = Socket::send(&caller, &format!("GET {path} HTTP/1.1"), WEBSOCKET, "").await;
    let head = socket.head().await;
    assert!(head.starts_with("http/1.1 500 "), "{head}");
    let message = "error dialing backend: dial tcp 127.0.0.1:1: connect: connection refused";
    assert!(socket.body(&head).await.contains(message));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_189_one_side_closing_closes_the_other() {
    let world = World::start().await;
    let mut member_first = Socket::upgrade(&world.masters(), "/upgrade-and-close", SPDY, "").await;
    assert!(member_first.head().await.starts_with("http/1.1 101 "));
    assert_eq!(member_first.rest().await, GREETING, "the member's last bytes, then the end");
    drop(member_first);
    let mut client_first = Socket::upgrade(&world.masters(), "/upgrade", SPDY, "").await;
    assert!(client_first.head().await.starts_with("http/1.1 101 "));
    client_first.write("last words").await;
    drop(client_first);
    // A stream is recorded when both its sides have ended.
    until(|| async { recorded(&world, 101).await == 2 }).await;
    assert!(upgraded(&world).ends_with("last words"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_193_upgrades_are_recorded_with_their_real_status_when_they_end() {
    let world = World::start().await;
    let mut refused = Socket::upgrade(&world.masters(), "/upgrade-refused", SPDY, "").await;
    refused.rest().await;
    until(|| async { recorded(&world, 403).await == 1 }).await;
    let mut open = Socket::upgrade(&world.masters(), "/upgrade", SPDY, "").await;
    assert!(open.head().await.starts_with("http/1.1 101 "));
    assert_eq!(open.text(GREETING.len()).await, GREETING);
    for _ in 0..3 {
        open.write("still open").await;
        assert_eq!(open.text(10).await, "still open");
        assert_eq!(recorded(&world, 101).await, 0, "recorded before its end");
    }
    drop(open);
    until(|| async { recorded(&world, 101).await == 1 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_131_a_stop_ends_the_process_although_upgraded_streams_are_open() {
    let mut world = World::start().await;
    let mut socket = Socket::upgrade(&world.masters(), "/upgrade", SPDY, "").await;
    assert!(socket.head().await.starts_with("http/1.1 101 "));
    let stopping = world.server.stop(Duration::ZERO);
    tokio::time::timeout(Duration::from_secs(60), stopping)
        .await
        .expect("an upgraded stream is not waited for");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_186_a_member_that_leaves_http_unasked_is_refused() {
    let member = Options { protocols: Protocols::Http1, ..Options::default() };
    let world = World::with(Setup { member, ..Setup::default() }).await;
    for caller in [world.masters(), world.masters().http2()] {
        let answer = caller.get(&format!("{PROXY}/unasked-upgrade")).await;
        assert_eq!(answer.status, 500);
        assert_eq!(answer.message(), "invalid upgrade response: status code 101");
        assert_eq!(caller.get(&format!("{PROXY}/plain")).await.status, 200);
    }
}
