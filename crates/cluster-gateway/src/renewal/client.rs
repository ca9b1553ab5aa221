//! A Kubernetes client of a member, over the connections that its requests use: proxies, tunnels, names and programs are those
//! of its Secret.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Request, Response, Uri, header};
use kube::Client;
use kube::client::Body as ClientBody;
use tower_service::Service;

use crate::body::Body;
use crate::registry::Upstream;

type Failure = Box<dyn Error + Send + Sync>;

/// A client that speaks to the member behind `upstream`, with its credential.
#[must_use]
pub fn client(upstream: &Upstream) -> Client {
    Client::new(Member(Arc::new(upstream.clone())), "default")
}

struct Member(Arc<Upstream>);

impl Service<Request<ClientBody>> for Member {
    type Response = Response<Body>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ClientBody>) -> Self::Future {
        Box::pin(send(Arc::clone(&self.0), request))
    }
}

async fn send(upstream: Arc<Upstream>, request: Request<ClientBody>) -> Result<Response<Body>, Failure> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect_bytes().await?;
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    parts.uri = Uri::try_from(format!("{}{target}", upstream.base_path))?;
    let user_agent = concat!("cluster-gateway/", env!("CARGO_PKG_VERSION"));
    parts.headers.insert(header::USER_AGENT, HeaderValue::from_static(user_agent));
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let way = upstream.way().await?;
    way.attach(&mut parts.headers);
    let answer = way.transport.send(Request::from_parts(parts, Body::from(body))).await?;
    way.answered(answer.status());
    Ok(answer)
}
