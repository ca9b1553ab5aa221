//! One connection for many requests.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinHandle;

use super::caller::{Answer, Caller};

type Body = Full<Bytes>;

enum Sender {
    H1(http1::SendRequest<Body>),
    H2(http2::SendRequest<Body>),
}

/// A caller's open connection.
pub(crate) struct Session {
    caller: Caller,
    sender: Sender,
    connection: JoinHandle<()>,
}

impl Session {
    pub(crate) async fn open(caller: &Caller) -> Self {
        let stream = caller.connect().await;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let stream = TokioIo::new(stream);
        let (sender, connection) = if http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            (Sender::H2(sender), tokio::spawn(async { drop(connection.await) }))
        } else {
            let (sender, connection) = http1::handshake(stream).await.unwrap();
            (Sender::H1(sender), tokio::spawn(async { drop(connection.await) }))
        };
        Self { caller: caller.clone(), sender, connection }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    /// With headers besides the caller's own.
    pub(crate) async fn get_with(&mut self, path: &str, headers: &[(&'static str, &str)]) -> Answer {
        self.try_get(path, headers).await.expect("an answer")
    }

    /// # Errors
    /// If the connection has ended or ends without an answer.
    pub(crate) async fn try_get(
        &mut self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> hyper::Result<Answer> {
        let mut request = Request::new(Body::default());
        *request.headers_mut() = self.caller.headers();
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
        }
        let response = match &mut self.sender {
            Sender::H1(sender) => {
                *request.uri_mut() = path.parse().unwrap();
                request.headers_mut().insert("host", HeaderValue::from_static("localhost"));
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::H2(sender) => {
                *request.uri_mut() = format!("https://localhost{path}").parse().unwrap();
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// Whether the server ends the connection by itself. Says no only after a while.
    pub(crate) async fn ends(mut self) -> bool {
        tokio::time::timeout(Duration::from_secs(60), &mut self.connection).await.is_ok()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
