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
use cluster_gateway::gateway::{Gateway, IdentityPassing};
use cluster_gateway::record::Recorder;
use cluster_gateway::registry::Registry;
use cluster_gateway::server::{Handler, Listener, TlsReloader, self_signed};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
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
        }),
        registry,
        identity: IdentityPassing::default(),
        recorder: Arc::new(Recorder::default()),
        short: TaskTracker::new(),
        upgraded: TaskTracker::new(),
        stopping: Arc::new(AtomicBool::new(false)),
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

/// Answers well but for one path, whose body panics after its first bytes.
struct Fragile;

impl Handler for Fragile {
    async fn handle(self: Arc<Self>, _: Arc<Connection>, request: Request<Body>) -> Response<Body> {
        Response::new(match request.uri().path() {
            "/panic" => Body::boxed(Panicking(false)),
            "/panic-at-once" => panic!("made to fail"),
            _ => Body::from("well"),
        })
    }
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
    let certificate = self_signed().unwrap();
    let root = certificate.cert[0].clone();
    let tls = Arc::new(TlsReloader::new(certificate));
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), tls).await.unwrap();
    let caller = Caller::new(listener.local_address().unwrap(), &root);
    let drain = CancellationToken::new();
    let serving = listener.serve(Arc::new(Fragile), drain.clone(), TaskTracker::new());
    tokio::spawn(serving);
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
