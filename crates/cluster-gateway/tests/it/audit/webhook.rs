//! The webhook backend against a server of this process.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cluster_gateway::audit::{AuditConfig, Mode, WebhookConfig};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{EVERYTHING, policy};
use crate::support::world::{PROXY, Setup, World, until};

/// A request that has come.
struct Received {
    target: String,
    headers: HeaderMap,
    body: Value,
}

/// A server that takes events.
struct Server {
    received: Arc<Mutex<Vec<Received>>>,
    status: Arc<AtomicU16>,
    directory: TempDir,
    task: JoinHandle<()>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let status = Arc::new(AtomicU16::new(200));
        let shared = (Arc::clone(&received), Arc::clone(&status));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                let service = service_fn(move |request| answer(shared.clone(), request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        let directory = tempfile::tempdir().unwrap();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": format!("http://{address}/audit/sink?cluster=hub")}}],
            "users": [{"name": "u", "user": {"token": "webhook-token"}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        });
        std::fs::write(directory.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
        Self { received, status, directory, task }
    }

    fn config(&self) -> WebhookConfig {
        WebhookConfig {
            max_wait: Duration::from_millis(50),
            initial_backoff: Duration::from_millis(20),
            ..WebhookConfig::to(self.directory.path().join("kubeconfig"))
        }
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn batches(&self) -> Vec<Value> {
        self.received.lock().unwrap().iter().map(|received| received.body.clone()).collect()
    }

    /// Events that have arrived, of requests with this id.
    fn events(&self, id: &str) -> usize {
        let batches = self.batches();
        let items = batches.iter().flat_map(|batch| batch["items"].as_array().unwrap());
        items.filter(|event| event["auditID"] == id).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    (received, status): (Arc<Mutex<Vec<Received>>>, Arc<AtomicU16>),
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let target = format!("{} {}", parts.method, parts.uri);
    let body = serde_json::from_slice(&body).unwrap();
    let status = StatusCode::from_u16(status.load(Ordering::SeqCst)).unwrap();
    received.lock().unwrap().push(Received { target, headers: parts.headers, body });
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

async fn world(webhook: WebhookConfig) -> World {
    let audit = AuditConfig { policy: policy(EVERYTHING), log: None, webhook: Some(webhook) };
    World::with(Setup { audit: Some(audit), ..Setup::default() }).await
}

async fn ask(world: &World, id: &str) {
    assert_eq!(world.masters().header("audit-id", id).get("/version").await.status, 200);
}

async fn lost(world: &World) -> u64 {
    let metrics = world.masters().get("/metrics").await.text();
    let line = "apiserver_audit_error_total{plugin=\"webhook\"} ";
    metrics.lines().find_map(|own| own.strip_prefix(line)).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_136_events_are_posted_in_lists_as_the_kubeconfig_says() {
    let server = Server::start().await;
    let world = world(server.config()).await;
    ask(&world, "one").await;
    until(|| async { server.events("one") == 2 }).await;
    let received = server.received.lock().unwrap();
    let Received { target, headers, body } = received.last().unwrap();
    assert_eq!(target, "POST /audit/sink?cluster=hub", "the URL is used as it stands there");
    assert_eq!(headers["authorization"], "Bearer webhook-token");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!((&body["kind"], &body["apiVersion"]), (&json!("EventList"), &json!("audit.k8s.io/v1")));
    let event = &body["items"][0];
    assert!(event.get("kind").is_none() && event["level"] == "Metadata", "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_not_larger_than_allowed_and_wait_for_more() {
    let server = Server::start().await;
    let config = WebhookConfig { max_size: 5, max_wait: Duration::from_secs(3600), ..server.config() };
    let mut world = world(config).await;
    for number in 0..10 {
        ask(&world, &format!("n{number}")).await;
    }
    until(|| async { server.events("n4") == 2 }).await;
    assert!(server.batches().iter().all(|batch| batch["items"].as_array().unwrap().len() == 5));
    world.server.stop(Duration::ZERO).await;
    for number in 0..10 {
        assert_eq!(server.events(&format!("n{number}")), 2, "a stop sends what has been waiting: {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_does_not_take_is_sent_again() {
    let server = Server::start().await;
    server.answer(503);
    let world = world(WebhookConfig { initial_backoff: Duration::from_millis(200), ..server.config() }).await;
    ask(&world, "again").await;
    until(|| async { server.events("again") >= 2 }).await;
    assert_eq!(lost(&world).await, 0);
    server.answer(200);
    let batch = server.batches().into_iter().find(|batch| batch.to_string().contains("\"again\"")).unwrap();
    until(|| async { server.batches().iter().filter(|own| **own == batch).count() >= 2 }).await;
    assert_eq!(lost(&world).await, 0, "it has arrived");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_refuses_is_lost_at_once_and_counted() {
    let server = Server::start().await;
    server.answer(400);
    // Whatever waits to be sent again would not be lost for an hour.
    let world = world(WebhookConfig { initial_backoff: Duration::from_secs(3600), ..server.config() }).await;
    ask(&world, "refused").await;
    until(|| async { server.events("refused") == 2 }).await;
    let sent: usize = server.batches().iter().map(|batch| batch["items"].as_array().unwrap().len()).sum();
    until(|| async { lost(&world).await >= sent as u64 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_costs_events_and_not_requests() {
    let server = Server::start().await;
    let config = WebhookConfig {
        buffer_size: 20,
        max_size: 1,
        initial_backoff: Duration::from_secs(3600),
        ..server.config()
    };
    server.task.abort();
    let mut world = world(config).await;
    for number in 0..30 {
        ask(&world, &format!("n{number}")).await;
    }
    assert!(lost(&world).await >= 40, "{}", lost(&world).await);
    assert_eq!(world.masters().get(&format!("{PROXY}/plain")).await.status, 200);
    // The backoff of an hour must not keep the process.
    tokio::time::timeout(Duration::from_secs(20), world.server.stop(Duration::ZERO)).await.expect("a stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_blocking_mode_requests_wait_for_the_server() {
    let server = Server::start().await;
    server.answer(503);
    let config = WebhookConfig {
        mode: Mode::Blocking,
        // Enough for the requests with which the world starts.
        buffer_size: 200,
        initial_backoff: Duration::from_secs(3600),
        ..server.config()
    };
    let world = world(config).await;
    let caller = world.masters();
    let flood = tokio::spawn(async move {
        for _ in 0..200 {
            caller.get("/version").await;
        }
    });
    let (_, waiting) = tokio::join!(
        until(|| async { server.batches().len() >= 4 }),
        tokio::time::timeout(Duration::from_secs(2), flood)
    );
    assert!(waiting.is_err(), "200 requests were answered although their events have nowhere to go");
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_used_is_said_with_its_flag_and_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kubeconfig");
    for (text, expected) in [("{", "failed to parse"), ("apiVersion: v1\nkind: Config\n", "context")] {
        std::fs::write(&path, text).unwrap();
        let config = AuditConfig {
            policy: policy(EVERYTHING),
            log: None,
            webhook: Some(WebhookConfig::to(path.clone())),
        };
        let error = cluster_gateway::audit::Auditor::start(config).await.unwrap_err().to_string();
        let start = format!("--audit-webhook-config-file: {}: ", path.display());
        assert!(error.starts_with(&start) && error.to_lowercase().contains(expected), "{error}");
    }
}
