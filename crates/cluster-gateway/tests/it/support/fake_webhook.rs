//! An identity webhook on loopback.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::fake_member::{TestCa, server_config};

/// What it says.
#[derive(Clone)]
pub(crate) enum Reply {
    /// This status code and body.
    Text(u16, String),
    /// Whatever is made of the question.
    Of(fn(&Value) -> Value),
    /// Nothing.
    Hang,
    /// It hangs up in the middle.
    Abort,
    /// It hangs up in the middle, and says this the next time.
    AbortThen(Box<Self>),
}

/// A question as it came in.
pub(crate) struct Question {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A running webhook; stops with the runtime of the test.
pub(crate) struct FakeWebhook {
    pub(crate) ca: TestCa,
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    reply: Reply,
    questions: Vec<Question>,
}

/// A review that makes everybody `user`, an identity as JSON.
pub(crate) fn allowed(user: &Value) -> Reply {
    Reply::Text(200, review(&json!({"allowed": true, "user": user})).to_string())
}

/// A review of this status.
pub(crate) fn review(status: &Value) -> Value {
    json!({"apiVersion": "cluster.core.oam.dev/v1alpha1", "kind": "IdentityExchangeReview", "status": status})
}

impl FakeWebhook {
    pub(crate) async fn start(reply: Reply) -> Self {
        Self::with(reply, None).await
    }

    /// Clients must show a certificate of `client_ca`.
    pub(crate) async fn with(reply: Reply, client_ca: Option<&TestCa>) -> Self {
        let ca = TestCa::new("webhook CA");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let tls = TlsAcceptor::from(server_config(&ca.server(&["localhost"]), client_ca, &[b"http/1.1"]));
        let state = Arc::new(Mutex::new(State { reply, questions: Vec::new() }));
        tokio::spawn(accept(listener, tls, Arc::clone(&state)));
        Self { ca, port, state }
    }

    /// `localhost:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// A rule named `corp` that asks it about users of `corp-…`; `more` are further fields.
    pub(crate) fn rule(&self, more: &str) -> String {
        self.rule_with_ca(&self.ca, more)
    }

    /// The same with another CA.
    pub(crate) fn rule_with_ca(&self, ca: &TestCa, more: &str) -> String {
        format!(
            "{{name: corp, type: ExternalIdentityExchanger, source: {{userPattern: '^corp-'}}, \
             url: 'https://{}/exchange', caBundle: {}{more}}}",
            self.host(),
            json!(ca.pem())
        )
    }

    pub(crate) fn reply(&self, reply: Reply) {
        self.state.lock().unwrap().reply = reply;
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.state.lock().unwrap().questions.len()
    }

    /// The questions so far.
    pub(crate) fn take_questions(&self) -> Vec<Question> {
        std::mem::take(&mut self.state.lock().unwrap().questions)
    }
}

/// A document of one rule.
pub(crate) fn document(rule: &str) -> String {
    format!("spec: {{clientIdentityExchanger: {{rules: [{rule}]}}}}")
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, state: Arc<Mutex<State>>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(socket).await else { return };
            let service = service_fn(move |request| serve(request, Arc::clone(&state)));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn serve(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let reply = {
        let mut state = state.lock().unwrap();
        let line = format!("{} {}", parts.method, parts.uri);
        state.questions.push(Question { line, headers: parts.headers, body: body.clone() });
        let reply = state.reply.clone();
        if let Reply::AbortThen(next) = &reply {
            state.reply = (**next).clone();
        }
        reply
    };
    let (code, text) = match reply {
        Reply::Text(code, text) => (code, text),
        Reply::Of(make) => (200, make(&body).to_string()),
        Reply::Hang => std::future::pending().await,
        Reply::Abort | Reply::AbortThen(_) => panic!("hangs up"),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    if (300..400).contains(&code) {
        response.headers_mut().insert("location", HeaderValue::from_static("/elsewhere"));
    }
    Ok(response)
}
