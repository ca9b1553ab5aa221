//! The member's side of upgrades.

use std::sync::Arc;

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::recorder::Recorder;
use super::routes::{Body, full};

/// What the member says first.
const GREETING: &[u8] = b"server speaks first;";

/// 101, a greeting, then every byte back. `close`: the member ends the stream right after the greeting.
pub(crate) fn accept(request: Request<Incoming>, recorder: Arc<Recorder>, close: bool) -> Response<Body> {
    let mut response = full("");
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, request.headers()[header::UPGRADE].clone());
    headers.insert("x-stream-protocol-version", HeaderValue::from_static("v4.channel.k8s.io"));
    headers.insert("audit-id", HeaderValue::from_static("member-audit"));
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
        let mut stream = TokioIo::new(upgraded);
        stream.write_all(GREETING).await.unwrap();
        stream.flush().await.unwrap();
        if close {
            let _ = stream.shutdown().await;
        }
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length) = stream.read(&mut buffer).await {
            recorder.read(&buffer[..length]);
            if length == 0 {
                break;
            }
            if close {
                continue;
            }
            if stream.write_all(&buffer[..length]).await.is_err() || stream.flush().await.is_err() {
                break;
            }
        }
        let _ = stream.shutdown().await;
    });
    response
}

/// 403 with a body; whatever follows on the connection is recorded as further requests.
pub(crate) fn refuse(_request: Request<Incoming>, _recorder: Arc<Recorder>) -> Response<Body> {
    let mut response = full("{\"reason\":\"Forbidden\"}");
    *response.status_mut() = StatusCode::FORBIDDEN;
    response.headers_mut().insert("x-member", HeaderValue::from_static("yes"));
    response
}
