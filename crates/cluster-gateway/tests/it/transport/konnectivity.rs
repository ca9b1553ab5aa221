//! Tunnels through a konnectivity proxy server.

mod certificates;
mod dials;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cluster_gateway::body::Body;
use cluster_gateway::transport::{
    Endpoint, Peer, ProxyServer, ProxyServerConfig, Route, SERVER_NAME, Transport, TransportOptions,
    TransportSpec, Verification,
};
use http::{Request, Version};
use http_body_util::BodyExt;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{get, text};
use crate::support::fake_member::{FakeMember, Options, TestCa};
use crate::support::fake_proxy_server::{Agent, FakeProxyServer, Packet};
use crate::support::world::until;

const GREETING: &str = "server speaks first;";

/// A member as it is behind an agent: its certificate has no name but those of every API server.
async fn member() -> FakeMember {
    let ca = TestCa::new("member CA");
    let leaf = ca.server(&["kubernetes", SERVER_NAME]);
    FakeMember::start_with(ca, Options { leaf: Some(leaf), ..Options::default() }).await
}

/// A gateway with a proxy server behind which `m` is.
struct Behind {
    server: FakeProxyServer,
    member: FakeMember,
    options: Arc<TransportOptions>,
}

impl Behind {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut TransportOptions)) -> Self {
        let (server, member) = (FakeProxyServer::start().await, member().await);
        server.agent("m", Agent::At(member.address));
        let mut options = options_with(server.config());
        change(&mut options);
        Self { server, member, options: Arc::new(options) }
    }

    fn spec(&self, cluster: &str) -> TransportSpec {
        TransportSpec {
            endpoint: Endpoint { tls: true, host: cluster.to_owned(), port: 443 },
            route: Route::Konnectivity,
            verification: Verification::Bundle(self.member.ca.pem().into_bytes().into()),
            server_name: Some(SERVER_NAME.to_owned()),
            client_certificate: None,
            peer: Peer::Member,
        }
    }

    fn cluster(&self, cluster: &str) -> Transport {
        Transport::new(self.spec(cluster), Arc::clone(&self.options))
    }

    /// What is said when `m` is asked.
    async fn error(&self) -> String {
        self.cluster("m").send(get("/plain")).await.unwrap_err().to_string()
    }

    async fn works(&self) {
        assert_eq!(text(self.cluster("m").send(get("/plain")).await.unwrap()).await, "plain");
    }

    async fn all_closed(&self) {
        until(|| async { self.server.seen().nothing_open() }).await;
    }
}

fn options_with(config: ProxyServerConfig) -> TransportOptions {
    // The proxy server is the operator's, and may be on any address; members may not.
    TransportOptions { konnectivity: Some(Arc::new(ProxyServer::new(config))), ..TransportOptions::default() }
}

async fn upgrade(transport: &Transport) -> TokioIo<Upgraded> {
    let request = Request::get("/upgrade").header("connection", "upgrade").header("upgrade", "websocket");
    let answer = transport.upgrade(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 101);
    let mut stream = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
    let mut greeting = vec![0; GREETING.len()];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(greeting, GREETING.as_bytes());
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_145_rule_235_rule_237_rule_241_all_requests_of_a_cluster_share_a_tunnel_and_all_tunnels_a_connection()
 {
    let behind = Behind::start().await;
    behind.server.agent("n", Agent::At(behind.member.address));
    let (m, n) = (behind.cluster("m"), behind.cluster("n"));
    for cluster in [&m, &n] {
        let requests = (0..500).map(|_| async { text(cluster.send(get("/plain")).await.unwrap()).await });
        for answer in futures_util::future::join_all(requests).await {
            assert_eq!(answer, "plain");
        }
    }
    let requests = behind.member.recorder.requests();
    assert_eq!(requests.len(), 1000);
    assert!(requests.iter().all(|request| request.version == Version::HTTP_2));
    assert_eq!(requests[0].authority.as_deref(), Some("m:443"));
    let seen = behind.server.seen();
    let dials: Vec<_> = seen.packets().into_iter().filter(|packet| packet.kind == 0).collect();
    let dialed: Vec<_> = dials.iter().map(|packet| packet.address.as_str()).collect();
    let tunnels = usize::try_from(m.counters().dials() + n.counters().dials()).unwrap();
    assert_eq!(seen.counts(), (1, tunnels), "a member takes 100 requests at a time on a connection");
    assert!(tunnels <= 12, "{tunnels} tunnels for 1000 requests");
    assert!(dialed.iter().all(|address| ["m:443", "n:443"].contains(address)), "{dialed:?}");
    let randoms: std::collections::BTreeSet<_> = dials.iter().map(|dial| dial.random).collect();
    assert_eq!(randoms.len(), tunnels, "the numbers of dials are their own");
    assert!(randoms.iter().all(|random| i64::try_from(*random).is_ok_and(|random| random > 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_191_rule_239_rule_241_an_upgrade_has_a_tunnel_of_its_own_that_is_closed_with_it() {
    let behind = Behind::start().await;
    let m = behind.cluster("m");
    for round in 1..=20 {
        let mut stream = upgrade(&m).await;
        let sent = format!("round {round}").repeat(10_000);
        let (mut reader, mut writer) = tokio::io::split(&mut stream);
        let write = async {
            writer.write_all(sent.as_bytes()).await.unwrap();
            writer.flush().await.unwrap();
        };
        let mut back = vec![0; sent.len()];
        let (_, read) = tokio::join!(write, reader.read_exact(&mut back));
        read.unwrap();
        assert!(back == sent.as_bytes());
        assert_eq!(behind.server.seen().counts(), (1, round));
        drop(stream);
        behind.all_closed().await;
    }
    let packets = behind.server.seen().packets();
    let closed: Vec<_> =
        packets.iter().filter(|packet| packet.kind == 2).map(|packet| packet.connect_id).collect();
    assert_eq!(closed, (41..61).collect::<Vec<_>>(), "every connection is closed by its own number");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_239_what_the_member_closes_ends_and_leaves_nothing_behind() {
    let behind = Behind::start().await;
    let m = behind.cluster("m");
    let request =
        Request::get("/upgrade-and-close").header("connection", "upgrade").header("upgrade", "websocket");
    let answer = m.upgrade(request.body(Body::empty()).unwrap()).await.unwrap();
    let mut stream = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&all), GREETING, "everything before the end, and then the end");
    drop(stream);
    behind.all_closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_241_a_transport_that_is_dropped_leaves_no_stream() {
    let behind = Behind::start().await;
    for _ in 0..10 {
        behind.works().await;
    }
    behind.all_closed().await;
    assert_eq!(behind.server.seen().counts(), (1, 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_240_a_reader_who_stands_still_stops_the_sender_and_nobody_else() {
    const LENGTH: usize = 64 << 20;
    let behind = Behind::start().await;
    let m = behind.cluster("m");
    let mut stalled = Vec::new();
    for _ in 0..3 {
        let (reader, mut writer) = tokio::io::split(upgrade(&m).await);
        let writing = tokio::spawn(async move {
            let piece = (0..=255).collect::<Vec<u8>>().repeat(4096);
            for _ in 0..LENGTH / piece.len() {
                writer.write_all(&piece).await.unwrap();
            }
            writer.flush().await.unwrap();
            writer
        });
        stalled.push((reader, writing));
    }
    for _ in 0..200 {
        assert_eq!(text(m.send(get("/big/100000")).await.unwrap()).await.len(), 100_000);
    }
    for (mut reader, writing) in stalled {
        assert!(!writing.is_finished(), "{LENGTH} bytes are kept for a reader who does not read");
        let mut buffer = vec![0; 1 << 16];
        let mut read = 0;
        while read < LENGTH {
            let length = reader.read(&mut buffer).await.unwrap();
            assert!(length > 0, "the tunnel was cut after {read} bytes");
            for (index, byte) in buffer[..length].iter().enumerate() {
                assert_eq!(usize::from(*byte), (read + index) % 256, "byte {}", read + index);
            }
            read += length;
        }
        writing.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_174_large_bodies_pass_in_both_directions() {
    let behind = Behind::start().await;
    let m = behind.cluster("m");
    let body = "x".repeat(20 << 20);
    let request = Request::post("/upload").body(Body::from(body.clone())).unwrap();
    let answer = m.send(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.into_body().collect().await.unwrap();
    assert_eq!(behind.member.recorder.uploads(), [Some(body.len())]);
    assert_eq!(text(m.send(get("/big/20000000")).await.unwrap()).await.len(), 20_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_175_a_connection_that_breaks_under_a_watch_is_no_clean_end() {
    let behind = Behind::start().await;
    let m = behind.cluster("m");
    let mut body = m.send(get("/watch")).await.unwrap().into_body();
    let watch = behind.member.recorder.watch().await;
    watch.send("event").await;
    let frame = body.frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "event");
    behind.server.cut();
    assert!(body.frame().await.unwrap().is_err());
    behind.works().await;
    assert_eq!(behind.server.seen().counts().0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_175_an_agent_that_goes_away_under_a_watch_is_no_clean_end() {
    let behind = Behind::start().await;
    behind
        .server
        .agent("dying", Agent::Answers(vec![Packet::dial_response("", 7, 0), Packet::close_response(7)]));
    let error = behind.cluster("dying").send(get("/plain")).await.unwrap_err().to_string();
    assert!(error.contains("dying:443") && error.contains("EOF"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_246_a_proxy_server_that_is_gone_is_named_and_found_again() {
    let mut behind = Behind::start().await;
    behind.works().await;
    behind.server.stop().await;
    until(|| async { behind.server.seen().open_streams.load(Ordering::SeqCst) == 0 }).await;
    let error = behind.error().await;
    let address = behind.server.address;
    let words = format!(
        "dial tcp m:443: konnectivity: proxy server localhost:{} cannot be reached: dial tcp {address}: connect: \
         connection refused",
        address.port()
    );
    // `localhost` may have an IPv6 address, too, which comes first.
    assert_eq!(error.replace("[::1]", "127.0.0.1"), words);
    behind.server.restart().await;
    behind.works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_241_many_first_requests_make_one_connection() {
    let behind = Behind::start().await;
    let clusters: Vec<_> = (0..50).map(|number| format!("c{number}")).collect();
    clusters.iter().for_each(|cluster| behind.server.agent(cluster, Agent::At(behind.member.address)));
    let transports: Vec<_> = clusters.iter().map(|cluster| behind.cluster(cluster)).collect();
    let requests = transports.iter().map(|transport| transport.send(get("/plain")));
    for answer in futures_util::future::join_all(requests).await {
        text(answer.unwrap()).await;
    }
    assert_eq!(behind.server.seen().counts(), (1, 50));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_ends_leaves_no_tunnel() {
    let behind = Behind::start().await;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let transport = behind.cluster("m");
    let held = runtime.spawn(async move { upgrade(&transport).await }).await.unwrap();
    runtime.shutdown_background();
    std::thread::spawn(move || drop(held)).join().unwrap();
    behind.all_closed().await;
}
