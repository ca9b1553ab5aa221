//! What a fake member answers.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::recorder::{Recorder, Watch};
use super::upgrade;

pub(crate) type Body = Pin<Box<dyn http_body::Body<Data = Bytes, Error = io::Error> + Send>>;

type Answer = Result<Response<Body>, io::Error>;

/// Answers by the last path segment before an argument: `/echo`, `/status/404`, ….
pub(crate) async fn answer(request: Request<Incoming>, recorder: &Arc<Recorder>) -> Answer {
    let path = request.uri().path().to_owned();
    if request.method() == Method::POST && path.ends_with("/token") {
        return token(request).await;
    }
    let mut segments = path.trim_start_matches('/').split('/');
    match (segments.next().unwrap_or_default(), segments.next()) {
        ("watch", _) => Ok(watch(recorder)),
        ("slow-head", _) => std::future::pending().await,
        ("close-before-head", _) => Err(io::ErrorKind::ConnectionReset.into()),
        ("reset-mid-body", argument) => Ok(reset_mid_body(recorder, argument == Some("sized"))),
        ("early-answer", _) => Ok(full("enough")),
        ("big", Some(bytes)) => Ok(big(bytes.parse().unwrap())),
        ("status", Some(code)) => Ok(status(code.parse().unwrap())),
        ("trailers", _) => Ok(trailers()),
        ("bad-trailers", _) => Ok(bad_trailers()),
        ("unasked-upgrade", _) => Ok(unasked_upgrade()),
        ("page", _) => Ok(with(
            full("<a href=\"/api/v1\">not really gzip</a>"),
            &[("content-type", "text/html"), ("content-encoding", "gzip")],
        )),
        ("redirect", _) => Ok(redirect(StatusCode::FOUND, "https://canary.test/")),
        ("redirect-to", Some(argument)) => {
            let (code, port) = argument.split_once('-').unwrap();
            Ok(redirect(code.parse().unwrap(), &format!("https://127.0.0.1:{port}/")))
        }
        ("plain", _) if request.method() == Method::HEAD => Ok(with(full(""), &[("content-length", "5")])),
        ("plain", _) => Ok(full("plain")),
        ("cacheable", _) => Ok(with(full("x"), &[("etag", "\"1\"")])),
        ("upgrade", _) => Ok(upgrade::accept(request, Arc::clone(recorder), false)),
        ("upgrade-and-close", _) => Ok(upgrade::accept(request, Arc::clone(recorder), true)),
        ("upgrade-refused", _) => Ok(upgrade::refuse(request, Arc::clone(recorder))),
        ("upgrade-status", Some(code)) => {
            let mut answer = full("no");
            *answer.status_mut() = code.parse().unwrap();
            Ok(answer)
        }
        ("api" | "apis", _) if request.headers().contains_key(header::UPGRADE) => {
            Ok(upgrade::accept(request, Arc::clone(recorder), false))
        }
        ("api" | "apis", _) if request.uri().query().is_some_and(|query| query.contains("watch=")) => {
            Ok(watch(recorder))
        }
        _ => echo(request, recorder).await,
    }
}

/// A token of a service account: that of the caller, and a `+`. It holds for as long as was asked. The account `refused` has none.
async fn token(request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let asked: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let seconds = asked["spec"]["expirationSeconds"].as_i64().unwrap();
    let ends = time::OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    let ends = ends.format(&time::format_description::well_known::Rfc3339).unwrap();
    let caller = parts.headers.get(header::AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
    let caller = caller.trim_start_matches("Bearer ");
    let (code, answer) = if parts.uri.path().contains("/refused/") {
        (403, serde_json::json!({"kind": "Status", "message": "not you"}))
    } else {
        let status = serde_json::json!({"token": format!("{caller}+"), "expirationTimestamp": ends});
        (201, serde_json::json!({"kind": "TokenRequest", "status": status}))
    };
    let mut answer = with(full(answer.to_string()), &[("content-type", "application/json")]);
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    Ok(answer)
}

pub(crate) fn full(text: impl Into<Bytes>) -> Response<Body> {
    Response::new(Box::pin(Full::new(text.into()).map_err(|never| match never {})))
}

fn with(mut response: Response<Body>, headers: &[(&'static str, &'static str)]) -> Response<Body> {
    for (name, value) in headers {
        response.headers_mut().append(*name, HeaderValue::from_static(value));
    }
    response
}

fn streamed(frames: impl Stream<Item = Result<Frame<Bytes>, io::Error>> + Send + 'static) -> Response<Body> {
    Response::new(Box::pin(StreamBody::new(frames)))
}

async fn echo(request: Request<Incoming>, recorder: &Recorder) -> Answer {
    let (parts, body) = request.into_parts();
    let body = body.collect().await;
    let body = body.inspect_err(|_| recorder.uploaded(None)).map_err(io::Error::other)?;
    let trailers = body.trailers().is_some();
    let body = body.to_bytes();
    recorder.uploaded(Some(body.len()));
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let digest: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
    let document = serde_json::json!({
        "method": parts.method.as_str(),
        "target": parts.uri.path_and_query().unwrap().as_str(),
        "headers": headers,
        "length": body.len(),
        "sha256": digest,
        "trailers": trailers,
        "nonce": uuid::Uuid::new_v4().to_string(),
    });
    Ok(with(full(document.to_string()), &[("content-type", "application/json")]))
}

fn watch(recorder: &Recorder) -> Response<Body> {
    with(streamed(told(recorder)), &[("content-type", "application/json")])
}

/// Frames that the test sends through a [`Watch`].
fn told(recorder: &Recorder) -> impl Stream<Item = Result<Frame<Bytes>, io::Error>> + Send + use<> {
    let (sender, receiver) = mpsc::channel(16);
    recorder.opened(Watch(sender));
    stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|event| (event.map(Frame::data), receiver))
    })
}

/// Two thousand bytes, then what the test says.
fn reset_mid_body(recorder: &Recorder, sized: bool) -> Response<Body> {
    let data = stream::once(async { Ok(Frame::data(Bytes::from(vec![b'x'; 2000]))) });
    let response = streamed(data.chain(told(recorder)));
    if sized { with(response, &[("content-length", "100000")]) } else { response }
}

fn big(mut left: usize) -> Response<Body> {
    let frames = std::iter::from_fn(move || {
        let length = left.min(16 * 1024);
        left -= length;
        (length > 0).then(|| Ok(Frame::data(Bytes::from(vec![b'y'; length]))))
    });
    streamed(stream::iter(frames))
}

fn status(code: u16) -> Response<Body> {
    let mut response = with(
        full(format!("answer {code}")),
        &[
            ("retry-after", "7"),
            ("warning", "299 - \"one\""),
            ("warning", "299 - \"two\""),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("connection", "x-private"),
            ("x-private", "hop"),
            ("keep-alive", "timeout=5"),
            ("audit-id", "member-audit"),
            ("cache-control", "max-age=5"),
            ("x-kubernetes-pf-flowschema-uid", "f"),
        ],
    );
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn trailers() -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("42"));
    let frames = [Ok(Frame::data(Bytes::from_static(b"body"))), Ok(Frame::trailers(trailers))];
    with(streamed(stream::iter(frames)), &[("trailer", "x-checksum")])
}

/// Trailers that would mean something else if they were believed.
fn bad_trailers() -> Response<Body> {
    let mut trailers = HeaderMap::new();
    for name in [
        "x-checksum",
        "proxy-authenticate",
        "content-length",
        "content-encoding",
        "set-cookie",
        "audit-id",
        "www-authenticate",
        "location",
        "cache-control",
        "warning",
    ] {
        trailers.insert(name, HeaderValue::from_static("x"));
    }
    let names: Vec<_> = trailers.keys().map(|name| name.as_str().to_owned()).collect();
    let frames = [Ok(Frame::data(Bytes::from_static(b"body"))), Ok(Frame::trailers(trailers))];
    let mut response = streamed(stream::iter(frames));
    response.headers_mut().insert("trailer", names.join(", ").parse().unwrap());
    response
}

/// Leaves HTTP although nobody has asked for it.
fn unasked_upgrade() -> Response<Body> {
    let mut response = with(full(""), &[("connection", "Upgrade"), ("upgrade", "x")]);
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response
}

fn redirect(code: StatusCode, location: &str) -> Response<Body> {
    let mut response = full("");
    *response.status_mut() = code;
    response.headers_mut().insert(header::LOCATION, location.parse().unwrap());
    response
}
