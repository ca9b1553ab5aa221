//! An API server on loopback that answers what a test has written down, and behaves well otherwise.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::fake_member::{Leaf, TestCa, server_config};

/// The token that it knows unless it is told another.
pub(crate) const TOKEN: &str = "scripted-token-of-32-characters!";

/// How it answers.
pub(crate) struct Script {
    /// Its certificate; `None`: a good one of its CA.
    pub(crate) leaf: Option<Leaf>,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
    /// The token that it knows.
    pub(crate) token: &'static str,
    /// As whom it knows the token; `None`: it does not.
    pub(crate) user: Option<&'static str>,
    /// Version of SelfSubjectReview that it has; `None`: none.
    pub(crate) reviews: Option<&'static str>,
    /// Whether `VERB RESOURCE` is allowed, the resource with its subresource and group.
    pub(crate) allowed: fn(&str) -> bool,
    pub(crate) version: &'static str,
    /// What an exec gets: status, content type and body.
    pub(crate) exec: (u16, &'static str, &'static str),
    /// What a watch over a WebSocket gets.
    pub(crate) websocket: u16,
    /// `Date` of its answers; `None`: the time.
    pub(crate) date: Option<&'static str>,
    /// A path that it never answers.
    pub(crate) silent_at: Option<&'static str>,
    /// What every request gets instead: status, content type and body.
    pub(crate) instead: Option<(u16, &'static str, &'static str)>,
}

pub(crate) const POD_NOT_FOUND: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",
    "message":"pods \"x\" not found","reason":"NotFound","code":404}"#;

impl Default for Script {
    fn default() -> Self {
        Self {
            leaf: None,
            tls: true,
            token: TOKEN,
            user: Some("system:serviceaccount:vela-system:gateway"),
            reviews: Some("v1"),
            allowed: |_| true,
            version: "v1.34.1",
            exec: (404, "application/json", POD_NOT_FOUND),
            websocket: 101,
            date: None,
            silent_at: None,
            instead: None,
        }
    }
}

/// It stops when dropped.
pub(crate) struct ScriptedMember {
    pub(crate) address: SocketAddr,
    pub(crate) ca: TestCa,
    accepting: JoinHandle<()>,
}

impl ScriptedMember {
    pub(crate) async fn start(script: Script) -> Self {
        Self::start_with(TestCa::new("member CA"), script).await
    }

    pub(crate) async fn start_with(ca: TestCa, mut script: Script) -> Self {
        let leaf = script.leaf.take().unwrap_or_else(|| {
            ca.issue(
                &["127.0.0.1", "localhost"],
                "member",
                rcgen::ExtendedKeyUsagePurpose::ServerAuth,
                time::Duration::days(90),
            )
        });
        let tls = script.tls.then(|| TlsAcceptor::from(server_config(&leaf, None, &[b"http/1.1"])));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(script);
        let accepting = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, tls.clone(), Arc::clone(&script)));
            }
        });
        Self { address, ca, accepting }
    }
}

impl Drop for ScriptedMember {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(socket: TcpStream, tls: Option<TlsAcceptor>, script: Arc<Script>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&script)));
    let builder = hyper::server::conn::http1::Builder::new();
    // What a client breaks off is its own affair.
    match tls {
        None => drop(builder.serve_connection(TokioIo::new(socket), service).with_upgrades().await),
        Some(tls) => {
            let Ok(stream) = tls.accept(socket).await else { return };
            drop(builder.serve_connection(TokioIo::new(stream), service).with_upgrades().await);
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    script: Arc<Script>,
) -> Result<Response<Full<Bytes>>, std::io::Error> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if script.silent_at.is_some_and(|silent| path.starts_with(silent)) {
        return std::future::pending().await;
    }
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let token = head.headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let known = script.user.filter(|_| token == Some(format!("Bearer {}", script.token).as_bytes()));
    let reviews =
        script.reviews.map(|version| format!("/apis/authentication.k8s.io/{version}/selfsubjectreviews"));
    let (status, kind, text) = match (&script.instead, &head.method, known) {
        (Some((status, kind, text)), ..) => (*status, *kind, (*text).to_owned()),
        (None, _, _) if path == "/version" => (200, JSON, json!({"gitVersion": script.version}).to_string()),
        (None, _, None) => (401, JSON, refusal(401, "Unauthorized")),
        (None, &Method::POST, Some(user)) if reviews.as_deref() == Some(path) => (201, JSON, identity(user)),
        (None, &Method::POST, _) if path.ends_with("/selfsubjectaccessreviews") => {
            (201, JSON, decision(asked, script.allowed))
        }
        _ if path.ends_with("/exec") => {
            let (status, kind, text) = script.exec;
            (status, kind, text.to_owned())
        }
        _ if path == "/api/v1/namespaces" && head.headers.contains_key(header::UPGRADE) => {
            // As kube-apiserver: no WebSocket without an origin.
            let origin = head.headers.contains_key(header::ORIGIN);
            (if origin { script.websocket } else { 403 }, JSON, String::new())
        }
        _ => (404, JSON, refusal(404, "the server could not find the requested resource")),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Some(date) = script.date {
        headers.insert(header::DATE, HeaderValue::from_static(date));
    }
    if status == 101 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    Ok(response)
}

const JSON: &str = "application/json";

fn refusal(code: u16, message: &str) -> String {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code})
        .to_string()
}

fn identity(user: &str) -> String {
    json!({
        "kind": "SelfSubjectReview",
        "apiVersion": "authentication.k8s.io/v1",
        "status": {"userInfo": {"username": user, "groups": ["system:authenticated"]}},
    })
    .to_string()
}

fn decision(mut review: Value, allowed: fn(&str) -> bool) -> String {
    let asked = &review["spec"]["resourceAttributes"];
    let part = |key: &str| asked[key].as_str().unwrap_or_default();
    let joined = |separator: &str, text: &str| {
        if text.is_empty() { String::new() } else { format!("{separator}{text}") }
    };
    let right = format!(
        "{} {}{}{}",
        part("verb"),
        part("resource"),
        joined("/", part("subresource")),
        joined(".", part("group"))
    );
    review["status"] = json!({"allowed": allowed(&right)});
    review.to_string()
}
