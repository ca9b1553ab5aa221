//! Connections: TLS, limits, who is let go, and what every answer of the gateway has in common.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cluster_gateway::config::FeatureGates;
use cluster_gateway::issuer::ServerNames;
use cluster_gateway::server::self_signed;
use http::Method;
use rustls::client::ResolvesClientCert;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, SignatureScheme, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::caller::{Answer, Caller};
use crate::support::fake_hub::Fault;
use crate::support::fake_member::TestCa;
use crate::support::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, Frame, Frames, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, frame, request,
};
use crate::support::session::Session;
use crate::support::world::{PROXY, Setup, World, until};

const API: &str = "/apis/cluster.core.oam.dev/v1alpha1";
const KIBI: usize = 1024;
/// Uploads of one connection that may stand still.
const UPLOADS: u64 = 128;

fn both(caller: &Caller) -> [Caller; 2] {
    [caller.clone(), caller.clone().http2()]
}

async fn polling() -> World {
    World::with(Setup { poll: Duration::from_millis(50), ..Setup::default() }).await
}

/// Records which CAs the server names.
#[derive(Debug, Default)]
struct Hints(Mutex<Vec<Vec<u8>>>);

impl ResolvesClientCert for Hints {
    fn resolve(&self, hints: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        *self.0.lock().unwrap() = hints.iter().map(|hint| hint.to_vec()).collect();
        None
    }

    fn has_certs(&self) -> bool {
        true
    }
}

struct Handshake {
    stream: TlsStream<TcpStream>,
    hints: Arc<Hints>,
}

async fn handshake(
    world: &World,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&[u8]],
) -> std::io::Result<Handshake> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(world.serving.der()).unwrap();
    let hints = Arc::new(Hints::default());
    let mut config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_client_cert_resolver(Arc::clone(&hints) as Arc<dyn ResolvesClientCert>);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let socket = TcpStream::connect(world.server.address()).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await?;
    Ok(Handshake { stream, hints })
}

impl Handshake {
    fn certificate(&self) -> CertificateDer<'static> {
        self.stream.get_ref().1.peer_certificates().unwrap()[0].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_054_both_versions_of_tls_and_of_http_on_one_port() {
    let world = World::start().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for protocols in [&[&b"h2"[..], b"http/1.1"][..], &[b"http/1.1"], &[]] {
            let mut handshake = handshake(&world, &[version], protocols).await.unwrap();
            let chosen = handshake.stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
            assert_eq!(chosen.as_deref(), protocols.first().copied());
            if chosen.as_deref() != Some(b"h2") {
                let head = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
                handshake.stream.write_all(head).await.unwrap();
                let mut answer = String::new();
                handshake.stream.read_to_string(&mut answer).await.unwrap();
                assert!(
                    answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nok"),
                    "{answer}"
                );
            }
        }
    }
    for caller in both(&world.nobody()) {
        assert_eq!(caller.get("/healthz").await.text(), "ok");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_055_any_client_certificate_completes_the_handshake_and_the_request_is_judged() {
    let world = World::start().await;
    let stranger = TestCa::new("stranger").client("front-proxy-client");
    for caller in both(&world.nobody().certificate(&stranger).header("x-remote-user", "admin")) {
        assert_eq!(caller.get("/healthz").await.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_055_the_cas_of_clients_and_of_the_front_proxy_are_named_in_the_handshake() {
    let world = polling().await;
    let cas = [world.clients.der(), world.front_proxy.der()];
    let subject = |ca: &CertificateDer<'_>| {
        let anchor = webpki_subject(ca);
        move |hint: &Vec<u8>| hint.ends_with(&anchor)
    };
    until(|| async {
        let handshake = handshake(&world, &[&rustls::version::TLS13], &[b"h2"]).await.unwrap();
        let hints = handshake.hints.0.lock().unwrap();
        hints.len() == 2 && cas.iter().all(|ca| hints.iter().any(subject(ca)))
    })
    .await;
}

/// Contents of the certificate's subject.
fn webpki_subject(ca: &CertificateDer<'_>) -> Vec<u8> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.clone().into_owned()).unwrap();
    roots.roots[0].subject.to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_056_a_new_serving_certificate_is_served_and_a_broken_one_is_not() {
    let world = polling().await;
    let mut open = Session::open(&world.masters().http2()).await;
    assert_eq!(open.get("/healthz").await.status, 200);
    let served =
        || async { handshake(&world, &[&rustls::version::TLS13], &[b"h2"]).await.unwrap().certificate() };
    let first = served().await;
    let second = world.serving.server(&["localhost"]);
    std::fs::write(world.hub.dir().join("tls.crt"), &second.certificate).unwrap();
    std::fs::write(world.hub.dir().join("tls.key"), &second.key).unwrap();
    let second = second.chain().remove(0);
    assert_ne!(first, second);
    until(|| async { served().await == second }).await;
    assert_eq!(open.get("/healthz").await.status, 200, "a connection of the old certificate goes on");
    // A key without its certificate: neither is taken, however often the files are read.
    let third = world.serving.server(&["localhost"]);
    std::fs::write(world.hub.dir().join("tls.key"), &third.key).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(served().await, second);
    std::fs::write(world.hub.dir().join("tls.crt"), &third.certificate).unwrap();
    until(|| async { served().await == third.chain()[0] }).await;
}

/// The first answer on an open connection that has another status than so far.
async fn not_any_more(session: &mut Session, status: u16) -> Answer {
    for _ in 0..500 {
        let answer = session.get("/version").await;
        if answer.status != status {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("still {status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_056_rule_073_a_removed_ca_is_refused_on_connections_that_are_open() {
    let world = World::start().await;
    let mut open = [Session::open(&world.masters()).await, Session::open(&world.masters().http2()).await];
    for session in &mut open {
        assert_eq!(session.get("/version").await.status, 200);
    }
    let next = TestCa::new("next front proxy");
    trust(&world, &next);
    for mut session in open {
        let answer = not_any_more(&mut session, 200).await;
        assert_eq!((answer.status, answer.message().as_str()), (401, "Unauthorized"));
    }
    let caller = world.nobody().certificate(&next.client("front-proxy-client"));
    let caller = caller.header("x-remote-user", "admin").header("x-remote-group", "system:masters");
    assert_eq!(caller.get("/version").await.status, 200);
}

fn trust(world: &World, front_proxy: &TestCa) {
    world.hub.set_auth_config(&[
        ("requestheader-client-ca-file", &front_proxy.pem()),
        ("requestheader-allowed-names", "[\"front-proxy-client\"]"),
        ("requestheader-username-headers", "[\"X-Remote-User\"]"),
        ("requestheader-group-headers", "[\"X-Remote-Group\"]"),
        ("requestheader-extra-headers-prefix", "[\"X-Remote-Extra-\"]"),
        ("client-ca-file", &world.clients.pem()),
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_074_a_certificate_that_expires_is_refused_on_the_connection_that_is_open() {
    let world = World::start().await;
    let short = Duration::from_secs(4);
    for (ca, name) in [(&world.clients, "carol"), (&world.front_proxy, "front-proxy-client")] {
        let caller = world.nobody().certificate(&ca.client_for(name, short)).header("x-remote-user", "carol");
        let mut session = Session::open(&caller.http2()).await;
        assert_eq!(session.get("/version").await.status, 403, "carol is known and may nothing");
        let answer = not_any_more(&mut session, 403).await;
        assert_eq!(answer.status, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_057_without_files_a_certificate_for_localhost_is_made() {
    let names = ServerNames::with_localhost(&[]).unwrap();
    let certificate = self_signed(&names).unwrap().cert[0].clone();
    let other = self_signed(&names).unwrap().cert[0].clone();
    assert_ne!(certificate, other, "each process has its own");
    let parsed = webpki::EndEntityCert::try_from(&certificate).unwrap();
    for name in ["localhost", "127.0.0.1", "::1"] {
        let name = ServerName::try_from(name).unwrap();
        parsed.verify_is_valid_for_subject_name(&name).unwrap();
    }
    let other = ServerName::try_from("example.com").unwrap();
    assert!(parsed.verify_is_valid_for_subject_name(&other).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_058_a_mebibyte_of_headers_passes_and_more_is_a_431() {
    let world = World::start().await;
    let with = |caller: &Caller, kibi: usize| {
        (0..kibi / 16).fold(caller.clone(), |caller, number| {
            let name = format!("x-filler-{number}");
            let length = 16 * KIBI - name.len();
            caller.header(&name, &"f".repeat(length))
        })
    };
    for caller in both(&world.masters()) {
        assert_eq!(with(&caller, 1024).get("/version").await.status, 200);
        assert_eq!(with(&caller, 1168).get("/version").await.status, 431);
        assert_eq!(caller.get("/version").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_058_headers_are_limited_in_number_too() {
    let world = World::start().await;
    let with = |caller: &Caller, number: usize| {
        let own = caller.headers().len();
        (own..number).fold(caller.clone(), |caller, number| caller.header(&format!("x-{number}"), "1"))
    };
    let requests = world.member.recorder.requests().len();
    for path in ["/version", &format!("{PROXY}/plain")] {
        let caller = world.masters().http2();
        assert_eq!(with(&caller, 1000).get(path).await.status, 200);
        let answer = with(&caller, 1025).get(path).await;
        assert_eq!((answer.status, answer.json()["kind"].as_str()), (431, Some("Status")));
        assert_eq!(answer.message(), "the request has 1025 headers; at most 1024 are taken");
        // As many as fit into the bytes.
        assert_eq!(with(&caller, 20_000).get(path).await.status, 431);
        let caller = world.masters();
        assert_eq!(with(&caller, 1000).get(path).await.status, 200);
        assert_eq!(with(&caller, 1025).get(path).await.status, 431);
    }
    assert_eq!(world.member.recorder.requests().len(), requests + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_058_headers_without_end_are_cut_off() {
    let world = World::start().await;
    for caller in both(&world.masters()) {
        let large = (0..64).fold(caller, |caller, number| {
            caller.header(&format!("x-filler-{number}"), &"f".repeat(64 * KIBI))
        });
        let request = http::Request::new(http_body_util::Full::default());
        let mut request = request;
        *request.headers_mut() = large.headers();
        let answer = tokio::time::timeout(Duration::from_secs(60), large.exchange(request, "/version")).await;
        let answer = answer.expect("an end, whichever");
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 431));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_058_two_hundred_groups_reach_the_member() {
    let world = World::with(Setup {
        gates: FeatureGates { client_identity_penetration: true, ..FeatureGates::default() },
        ..Setup::default()
    })
    .await;
    world.hub.allow_if(|_| true);
    let groups: Vec<String> = (0..200).map(|number| format!("group-{number}")).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    for caller in both(&world.user("alice", &groups)) {
        let answer = caller.get(&format!("{PROXY}/echo")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.text().matches("impersonate-group").count(), 201, "and system:authenticated");
    }
}

/// Slowly enough that each request reaches the member, which never answers and takes 100 streams at a time.
#[tokio::test(flavor = "multi_thread")]
async fn rule_059_rule_176_streams_that_are_reset_leave_nothing_behind() {
    let world = World::start().await;
    let caller = world.masters();
    let Frames { mut reader, mut writer } = Frames::open(&caller).await;
    let block = request(&caller, "GET", &format!("{PROXY}/slow-head"), &[]);
    for batch in 0..50u32 {
        let before = world.member.recorder.requests().len();
        let streams = (0..20).map(|number| (batch * 20 + number) * 2 + 1);
        for stream in streams.clone() {
            writer.frame(HEADERS, END_HEADERS | END_STREAM, stream, &block).await.unwrap();
        }
        world.member.recorder.received(before + 20).await;
        for stream in streams {
            writer.frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()).await.unwrap();
        }
    }
    writer.frame(PING, 0, 0, b"in order").await.unwrap();
    assert!(reader.find(|frame| frame.kind == PING && frame.flags & ACK != 0).await.is_some());
    assert_eq!(caller.http2().get(&format!("{PROXY}/plain")).await.status, 200);
    assert!(world.member.recorder.connections() <= 20, "{} connections", world.member.recorder.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_064_a_401_is_worded_as_kubernetes_words_it_and_ends_http2() {
    let world = World::start().await;
    for caller in both(&world.nobody().header("authorization", "Bearer wrong")) {
        let answer = caller.get(&format!("{PROXY}/plain")).await;
        assert_eq!(answer.status, 401);
        assert_eq!(
            answer.text(),
            "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\
             \"message\":\"Unauthorized\",\"reason\":\"Unauthorized\",\"code\":401}\n"
        );
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(!answer.headers.contains_key("www-authenticate"));
    }
    let wrong = [("authorization", "Bearer wrong")];
    let mut session = Session::open(&world.nobody().http2()).await;
    assert_eq!(session.get_with("/version", &wrong).await.status, 401);
    assert!(session.ends().await, "no GOAWAY after a 401");
    let mut session = Session::open(&world.nobody()).await;
    for _ in 0..3 {
        assert_eq!(session.get_with("/version", &wrong).await.status, 401, "HTTP/1.1 stays open");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_064_nobody_is_let_go_on_http2_and_everybody_else_stays() {
    let world = World::start().await;
    let mut nobody = Session::open(&world.nobody().http2()).await;
    assert_eq!(nobody.get("/healthz").await.status, 200);
    assert!(nobody.ends().await, "no GOAWAY to nobody");

    let token = world.token("dora", "doras-token");
    let certificate = world.nobody().certificate(&world.clients.client("carol"));
    let mut kept = [
        (Session::open(&world.nobody()).await, "nobody on HTTP/1.1"),
        (Session::open(&token.http2()).await, "a token"),
        (Session::open(&certificate.http2()).await, "a client certificate"),
        (Session::open(&world.user("alice", &[]).http2()).await, "a user of the front proxy"),
    ];
    for (session, who) in &mut kept {
        for _ in 0..3 {
            assert_eq!(session.get("/healthz").await.status, 200, "{who}");
        }
    }
    let proxied = world.user("system:anonymous", &["system:unauthenticated"]);
    let mut front_proxy = Session::open(&proxied.http2()).await;
    for _ in 0..3 {
        assert_eq!(front_proxy.get("/healthz").await.status, 200, "anonymous through the front proxy");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_115_rule_116_every_answer_has_an_audit_id_and_is_not_stored() {
    let world = World::start().await;
    let base = format!("{API}/clustergateways");
    for (caller, path) in [
        (world.masters(), "/"),
        (world.masters(), "/nosuch"),
        (world.masters(), "/version"),
        (world.masters(), "/metrics"),
        (world.masters(), API),
        (world.masters(), base.as_str()),
        (world.masters(), &format!("{base}/nosuch")),
        (world.masters(), &format!("{base}/nosuch/proxy/x")),
        (world.masters(), &format!("{PROXY}/a/../b")),
        (world.masters(), "/apis/g/v/watch"),
        (world.masters(), "/version?timeout=soon"),
        (world.nobody(), "/readyz"),
        (world.nobody(), "/version"),
        (world.nobody().header("authorization", "Bearer wrong"), "/version"),
    ] {
        let answer = caller.get(path).await;
        let all = |name| {
            answer.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(all("cache-control"), ["no-cache, private"], "{path}");
        let [id] = all("audit-id")[..] else { panic!("{path}: {:?}", all("audit-id")) };
        let id = uuid::Uuid::parse_str(id).unwrap();
        assert_eq!(id.get_version_num(), 4, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_115_a_sane_audit_id_is_echoed_and_any_other_replaced() {
    let world = World::start().await;
    let long = "x".repeat(65);
    let full = "x".repeat(64);
    for path in ["/version", &format!("{PROXY}/plain"), &format!("{PROXY}/a/../b")] {
        for sane in ["0b6ff2a8-1f5c-4d6e-9d35-3c6b7e0a1a11", "any-id", full.as_str()] {
            let answer = world.masters().header("audit-id", sane).get(path).await;
            assert_eq!(answer.header("audit-id"), Some(sane), "{path}");
        }
        for insane in [long.as_str(), "", "a b", "a\tb"] {
            let answer = world.masters().header("audit-id", insane).get(path).await;
            let id = answer.header("audit-id").unwrap();
            assert!(uuid::Uuid::parse_str(id).is_ok(), "{path}: {id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_102_rule_119_a_malformed_path_is_a_500_before_anybody_is_asked_and_there_is_no_cors() {
    let world = World::start().await;
    for caller in [world.nobody(), world.masters().header("origin", "https://ui.example.com")] {
        let answer = caller.get("/apis/cluster.core.oam.dev/v1alpha1/watch").await;
        assert_eq!(answer.status, 500);
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        let text = answer.text();
        let start = "Internal Server Error: \"/apis/cluster.core.oam.dev/v1alpha1/watch\": failed to create RequestInfo: ";
        assert!(text.starts_with(start), "{text}");
    }
    let preflight = world.masters().header("origin", "https://ui.example.com");
    let preflight = preflight.header("access-control-request-method", "GET");
    let answer = preflight.send(Method::OPTIONS, "/version", "").await;
    assert_eq!(answer.status, 405);
    assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control")), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_114_of_several_things_that_are_wrong_the_first_filter_speaks() {
    let world = World::start().await;
    world.register("a.b", &[]);
    let base = format!("{API}/clustergateways");
    until(|| async { world.masters().get(&format!("{base}/a.b/proxy/plain")).await.status == 200 }).await;
    let wrong = || world.nobody().header("authorization", "Bearer wrong").header("impersonate-user", "x");
    let eve = || world.user("eve", &[]);
    let no_cluster = format!("{base}/nosuch/proxy/x?dryRun=All");
    for (caller, path, status, words) in [
        (wrong(), "/apis/g/v/watch?timeout=soon", 500, "failed to create RequestInfo"),
        (wrong(), &format!("{base}?timeout=soon"), 400, "invalid timeout"),
        (wrong(), no_cluster.as_str(), 401, "Unauthorized"),
        (eve().header("impersonate-user", "x"), &no_cluster, 403, "cannot impersonate resource \"users\""),
        (eve(), &no_cluster, 403, "cannot get resource \"clustergateways/proxy\""),
        (world.masters(), &no_cluster, 500, "no such cluster nosuch"),
        (world.masters(), &format!("{base}/a.b/proxy/plain?dryRun=All&dryRun=All"), 200, "plain"),
    ] {
        let answer = caller.get(path).await;
        let text = answer.text().replace("\\\"", "\"");
        assert!(answer.status == status && text.contains(words), "{path}: {} {text}", answer.status);
        assert_eq!(answer.headers.get_all("audit-id").iter().count(), 1, "{path}");
        assert_eq!(answer.header("cache-control"), Some("no-cache, private"), "{path}");
    }
    let dotted = world.member.recorder.requests().pop().unwrap().target;
    assert_eq!(
        dotted, "/plain?dryRun=All&dryRun=All",
        "the original refuses dryRun for a cluster with a dot"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_122_a_timeout_that_cannot_be_read_is_a_400_before_anybody_is_asked() {
    let world = World::start().await;
    for caller in [world.masters(), world.nobody()] {
        for path in
            ["/version?timeout=soon", &format!("{API}/clustergateways?timeout=1"), "/version?timeout=-1s"]
        {
            let answer = caller.get(path).await;
            assert_eq!(answer.status, 400, "{path}");
            assert_eq!(answer.json()["reason"], "BadRequest");
            let message = answer.message();
            assert!(message.starts_with("invalid timeout specified in the request URL - "), "{message}");
        }
    }
    for path in [
        "/version?timeout=0s",
        "/version?timeout=1h",
        "/version?timeout=",
        &format!("{PROXY}/plain?timeout=soon"),
    ] {
        assert_eq!(world.masters().get(path).await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_122_rule_123_what_takes_longer_than_asked_is_a_504() {
    let world = World::start().await;
    let body = "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"Timeout: request did not complete within the \
                allotted timeout\",\"reason\":\"Timeout\",\"details\":{},\"code\":504}\n";
    let token = world.nobody().header("authorization", "Bearer slow");
    for (fault, caller) in [("subjectaccessreviews", world.user("bob", &[])), ("tokenreviews", token)] {
        world.hub.fault(fault, Fault::Hang);
        for path in ["/version", &format!("{API}/clustergateways")] {
            let answer = caller.get(&format!("{path}?timeout=20ms")).await;
            assert_eq!((answer.status, answer.text().as_str()), (504, body), "{fault} {path}");
        }
        world.hub.heal();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_120_a_proxied_request_has_no_deadline() {
    let world = World::start().await;
    let caller = world.masters();
    let mut open = caller.open(Method::GET, &format!("{PROXY}/watch?timeout=1ms"), "").await;
    let upstream = world.member.recorder.watch().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    upstream.send("late\n").await;
    let frame = http_body_util::BodyExt::frame(open.body_mut()).await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "late\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_129_pings_are_answered_and_a_goaway_is_honoured() {
    let world = World::start().await;
    let caller = world.masters();
    let Frames { mut reader, mut writer } = Frames::open(&caller).await;
    writer.frame(PING, 0, 0, b"12345678").await.unwrap();
    let pong = reader.find(|frame| frame.kind == PING && frame.flags & ACK != 0).await.unwrap();
    assert_eq!(pong.payload, b"12345678");

    let block = request(&caller, "GET", &format!("{PROXY}/watch"), &[]);
    writer.frame(HEADERS, END_HEADERS | END_STREAM, 1, &block).await.unwrap();
    let upstream = world.member.recorder.watch().await;
    writer.frame(GOAWAY, 0, 0, &[0; 8]).await.unwrap();
    upstream.send("still here\n").await;
    let event = reader.find(|frame| frame.kind == DATA).await.unwrap();
    assert_eq!((event.stream, event.payload.as_slice()), (1, &b"still here\n"[..]));
    drop(upstream);
    let end = reader.find(|frame| frame.kind == DATA && frame.flags & END_STREAM != 0).await;
    assert!(end.is_some(), "the open stream ends as it should");
    let closed = tokio::time::timeout(Duration::from_secs(60), reader.find(|_| false)).await;
    assert!(closed.expect("the connection ends with its last stream").is_none());
}

/// What a client may send ahead on all streams of a connection is bounded, and many streams can fill their windows.
#[tokio::test(flavor = "multi_thread")]
async fn rule_058_rule_130_the_window_of_a_connection_holds_those_of_many_streams_and_no_more() {
    let world = World::start().await;
    let mut frames = Frames::open(&world.masters()).await;
    let settings =
        frames.reader.find(|frame| frame.kind == SETTINGS && frame.flags & ACK == 0).await.unwrap();
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let setting = |name: u64| {
        let mut settings =
            settings.payload.chunks(6).map(|setting| (number(&setting[..2]), number(&setting[2..])));
        settings.find(|(own, _)| *own == name).unwrap().1
    };
    let (streams, window) = (setting(3), setting(4));
    assert_eq!((streams, window), (1000, 256 << 10));
    let update = |frame: &Frame| frame.kind == WINDOW_UPDATE && frame.stream == 0;
    let update = frames.reader.find(update).await.unwrap();
    assert_eq!(65_535 + number(&update.payload), UPLOADS * window);
}

/// More uploads than there is room for, whose member does not take them: the others go on, because some of them end.
#[tokio::test(flavor = "multi_thread")]
async fn rule_130_uploads_that_stall_are_ended_before_they_can_stop_the_others() {
    let world = World::start().await;
    let caller = world.masters();
    let Frames { mut reader, mut writer } = Frames::open(&caller).await;
    // Before that there is no room for so much.
    reader.find(|frame| frame.kind == WINDOW_UPDATE && frame.stream == 0).await.unwrap();
    let block = request(&caller, "POST", &format!("{PROXY}/slow-head"), &[]);
    let extra = 12;
    for number in 0..UPLOADS as u32 + extra {
        writer.frame(HEADERS, END_HEADERS, number * 2 + 1, &block).await.unwrap();
        // More in all than the member's windows hold, and less for each than a stream has before the first SETTINGS.
        for _ in 0..3 {
            writer.frame(DATA, 0, number * 2 + 1, &[b'x'; 16 * KIBI]).await.unwrap();
        }
    }
    for _ in 0..extra {
        let ended = reader.find(|frame| frame.kind == RST_STREAM || frame.kind == GOAWAY);
        let ended = tokio::time::timeout(Duration::from_secs(60), ended).await.expect("an end").unwrap();
        assert_eq!((ended.kind, ended.payload.as_slice()), (RST_STREAM, &8_u32.to_be_bytes()[..]));
    }
    let block = request(&caller, "GET", &format!("{PROXY}/plain"), &[]);
    writer.frame(HEADERS, END_HEADERS | END_STREAM, 2001, &block).await.unwrap();
    let answer = reader.find(|frame| frame.kind != WINDOW_UPDATE && frame.stream == 2001).await.unwrap();
    assert_eq!(answer.kind, HEADERS);
}

/// h2 ends a connection on which frames of a few bytes pile up; the hub's carries the requests of all users.
#[tokio::test(flavor = "multi_thread")]
async fn rule_130_one_upload_of_tiny_frames_that_stalls_does_not_end_its_connection() {
    let world = World::start().await;
    let caller = world.masters();
    let Frames { mut reader, mut writer } = Frames::open(&caller).await;
    let block = request(&caller, "POST", &format!("{PROXY}/slow-head"), &[]);
    let requests = world.member.recorder.requests().len();
    writer.frame(HEADERS, END_HEADERS, 1, &block).await.unwrap();
    world.member.recorder.received(requests + 1).await;
    let tiny: Vec<u8> = (0..256 * KIBI).flat_map(|_| frame(DATA, 0, 1, b"x")).collect();
    writer.bytes(&tiny).await.unwrap();
    let block = request(&caller, "GET", &format!("{PROXY}/plain"), &[]);
    writer.frame(HEADERS, END_HEADERS | END_STREAM, 3, &block).await.unwrap();
    let answer = reader.find(|frame| frame.kind == GOAWAY || frame.kind == DATA).await.unwrap();
    assert_eq!((answer.kind, answer.payload.as_slice()), (DATA, &b"plain"[..]));
}
