//! A member that says what it is told to say.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::recording::{Answer, Recording};
use crate::support::fake_member::{TestCa, server_config};

/// A request that a member received; names in lower case, in their order.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Received {
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(own, _)| own == name);
        named.map(|(_, value)| value.as_str()).collect()
    }
}

#[derive(Default)]
struct State {
    answer: Answer,
    received: Vec<Received>,
}

pub(super) struct Member {
    pub(super) address: SocketAddr,
    pub(super) ca: TestCa,
    state: Arc<Mutex<State>>,
}

impl Member {
    pub(super) async fn start() -> Self {
        let ca = TestCa::new("member");
        let tls = TlsAcceptor::from(server_config(&ca.server(&["127.0.0.1"]), None, &[b"http/1.1"]));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (tls, state) = (tls.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    let stream = TokioIo::new(tls.accept(socket).await.unwrap());
                    let service = service_fn(move |request| answer(Arc::clone(&state), request));
                    let _ =
                        hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await;
                });
            }
        });
        Self { address, ca, state }
    }

    /// Says from now on what the member of this recording said.
    pub(super) fn answer_as(&self, recording: &Recording) {
        self.state.lock().unwrap().answer = recording.member_answer();
    }

    /// The only request since the last call, if there was one.
    pub(super) fn take_received(&self) -> Option<Received> {
        let mut received = std::mem::take(&mut self.state.lock().unwrap().received);
        assert!(received.len() <= 1, "{received:?}");
        received.pop()
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
    let received = Received {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let mut state = state.lock().unwrap();
    state.received.push(received);
    let mut response = Response::new(Full::new(Bytes::from(state.answer.body.clone())));
    *response.status_mut() = StatusCode::from_u16(state.answer.status).unwrap();
    for (name, value) in &state.answer.headers {
        let name: HeaderName = name.parse().unwrap();
        response.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
    }
    Ok(response)
}
