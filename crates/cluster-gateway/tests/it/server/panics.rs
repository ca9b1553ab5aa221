//! A fault of ours hurts one request.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};

use bytes::Bytes;
use cluster_gateway::api::{Api, ApiConfig, VersionInfo};
use cluster_gateway::authn::{AuthenticationConfig, Authenticator, Connection};
use cluster_gateway::authz::{AuthorizationConfig, Authorizer};
use cluster_gateway::body::{Body, BodyError};
use cluster_gateway::gateway::Gateway;
use cluster_gateway::identity::IdentityPassing;
use cluster_gateway::issuer::ServerNames;
use cluster_gateway::limits::{Limits, LimitsConfig};
use cluster_gateway::proxy::Hop;
use cluster_gateway::record::Recorder;
use cluster_gateway::registry::Registry;
use cluster_gateway::server::{Handler, Listener, TlsReloader, self_signed};
use futures_util::stream::{self, Stream, StreamExt};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::caller::Caller;
use crate::support::fake_hub::FakeHub;
use crate::support::session::Session;

/// A gateway with one document that panics while it is made.
async fn gateway(hub: &FakeHub) -> Gateway {
    let registry = Arc::new(Registry::default());
    let clusters = Arc::clone(&registry);
    let authorization =
        AuthorizationConfig { always_allow_paths: vec!["/*".to_owned()], ..AuthorizationConfig::default() };
    Gateway {
        authn: Authenticator::for_hub(AuthenticationConfig::default(), hub.hub().await),
        authz: Authorizer::new(&authorization, hub.hub().await).unwrap(),
        api: Api::new(ApiConfig {
            version: VersionInfo::current(),
            secure_port: 443,
            healthiness_check: false,
            list_control_plane: true,
            synced: Arc::new(|| true),
            stopping: Arc::new(|| false),
            clusters: Arc::new(move || clusters.snapshot()),
            metrics: Arc::new(|| panic!("made to fail")),
            impersonates: false,
            health: None,
        }),
        registry,
        identity: IdentityPassing::default(),
        recorder: Arc::new(Recorder::default()),
        short: TaskTracker::new(),
        upgraded: TaskTracker::new(),
        hop: Hop::default(),
        limits: Arc::new(Limits::new(LimitsConfig::default())),
        draining: AtomicBool::new(false),
        send_retry_after: false,
    }
}

#[tokio::test]
async fn rule_117_a_panic_is_a_500_and_the_process_goes_on() {
    let hub = FakeHub::start().await;
    let gateway = gateway(&hub).await;
    let connection = Connection::new(SocketAddr::from(([127, 0, 0, 1], 1)), Vec::new());
    for _ in 0..3 {
        let answer = gateway.answer(&connection, Request::get("/metrics").body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), 500);
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "This request caused apiserver to panic. Look in the logs for details.\n");
        let answer = gateway.answer(&connection, Request::get("/version").body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status(), 200);
    }
}

/// Answers well but for one path, whose body panics after its first bytes. The body of another goes on when it is told
/// to.
#[derive(Default)]
struct Fragile(Arc<Notify>);

impl Handler for Fragile {
    async fn handle(self: Arc<Self>, _: Arc<Connection>, request: Request<Body>) -> Response<Body> {
        Response::new(match request.uri().path() {
            "/panic" => Body::boxed(Panicking(false)),
            "/panic-at-once" => panic!("made to fail"),
            "/long" => Body::boxed(StreamBody::new(halves(Arc::clone(&self.0)))),
            _ => Body::from("well"),
        })
    }
}

/// One half at once, the other when told to.
fn halves(go_on: Arc<Notify>) -> impl Stream<Item = Result<Frame<Bytes>, BodyError>> {
    let half = |text: &'static str| Ok(Frame::data(Bytes::from_static(text.as_bytes())));
    let second = stream::once(async move {
        go_on.notified().await;
        half("second")
    });
    stream::once(async move { half("first ") }).chain(second)
}

/// A server of [`Fragile`], and a caller.
async fn fragile() -> (Caller, Arc<Notify>) {
    let certificate = self_signed(&ServerNames::with_localhost(&[]).unwrap()).unwrap();
    let root = certificate.cert[0].clone();
    let tls = Arc::new(TlsReloader::new(certificate));
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), tls).await.unwrap();
    let caller = Caller::new(listener.local_address().unwrap(), &root);
    let handler = Fragile::default();
    let go_on = Arc::clone(&handler.0);
    tokio::spawn(listener.serve(Arc::new(handler), CancellationToken::new(), TaskTracker::new()));
    (caller, go_on)
}

struct Panicking(bool);

impl http_body::Body for Panicking {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        assert!(!std::mem::replace(&mut self.0, true), "made to fail");
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"the beginning")))))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_117_rule_118_a_panic_in_mid_body_aborts_its_own_stream_and_no_other() {
    let (caller, _) = fragile().await;
    for path in ["/panic", "/panic-at-once"] {
        let mut http1 = Session::open(&caller).await;
        assert!(http1.try_get(path, &[]).await.is_err(), "{path}: a clean end on HTTP/1.1");
        assert_eq!(caller.get("/").await.text(), "well");
        let mut http2 = Session::open(&caller.clone().http2()).await;
        for _ in 0..3 {
            assert!(http2.try_get(path, &[]).await.is_err(), "{path}: a clean end on HTTP/2");
            assert_eq!(http2.get("/").await.text(), "well", "{path}: another stream of the connection");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_118_streams_that_are_open_on_the_connection_of_a_poisoned_request_go_on() {
    let (caller, go_on) = fragile().await;
    let stream = TokioIo::new(caller.clone().http2().connect().await);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    let get = |path: &str| {
        let uri = format!("https://localhost{path}");
        Request::get(uri).body(http_body_util::Empty::<Bytes>::new()).unwrap()
    };
    let mut long = sender.send_request(get("/long")).await.unwrap().into_body();
    let first = long.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "first ");
    for path in ["/panic", "/panic-at-once"] {
        let end = match sender.send_request(get(path)).await {
            Ok(answer) => answer.into_body().collect().await.map(drop),
            Err(error) => Err(error),
        };
        assert!(end.is_err(), "{path} has not panicked");
    }
    go_on.notify_one();
    assert_eq!(long.collect().await.unwrap().to_bytes(), "second");
}
