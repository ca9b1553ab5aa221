//! Forwarding to a fake member. What a permit allows is `authz`'s business; here its plain values stand in for it.

#[allow(clippy::unwrap_used, dead_code, unused_imports)]
#[path = "../../tests/it/support/fake_member/mod.rs"]
mod fake_member;
mod requests;
mod responses;
mod upgrades;

use std::sync::Arc;

use futures_util::FutureExt;
use http::request;
use http_body_util::BodyExt;
use serde_json::Value;

use self::fake_member::{FakeMember, Options, Protocols};
use super::*;
use crate::credential::Credential;
use crate::transport::{
    AddressPolicy, Endpoint, Peer, Route, Transport, TransportOptions, TransportSpec, Verification,
};

const BOTH: [Protocols; 2] = [Protocols::Both, Protocols::Http1];

async fn member(protocols: Protocols) -> FakeMember {
    FakeMember::start(Options { protocols, ..Options::default() }).await
}

fn upstream(member: &FakeMember) -> Upstream {
    let port = member.address.port();
    let spec = TransportSpec {
        endpoint: Endpoint { tls: true, host: "127.0.0.1".into(), port },
        route: Route::Direct,
        verification: Verification::Bundle(member.ca.pem().into_bytes().into()),
        server_name: None,
        client_certificate: None,
        peer: Peer::Member,
    };
    let addresses = AddressPolicy { allow_loopback: true };
    let options = Arc::new(TransportOptions { addresses, ..TransportOptions::default() });
    Upstream {
        origin: format!("https://127.0.0.1:{port}"),
        base_path: String::new(),
        credential: Credential::token(b"member-token").expect("a token"),
        insecure: false,
        certified: None,
        transport: Arc::new(Transport::new(spec, options)),
    }
}

fn peer() -> HeaderValue {
    HeaderValue::from_static("10.1.2.3")
}

fn outbound<'o>(
    upstream: &'o Upstream,
    method: &'o Method,
    path: &'o str,
    query: Option<&'o str>,
    hop: &'o Hop,
) -> Outbound<'o> {
    let way = upstream.way().now_or_never().expect("no wait").expect("a credential");
    let (base_path, identity) = (upstream.base_path.as_str(), &identity::Exchange::Gateway);
    Outbound { cluster: "c", method, path, query, base_path, way, identity, hop }
}

/// Forwards to `path`; the request's own path does not matter.
async fn send(
    upstream: &Upstream,
    path: &str,
    request: request::Builder,
    body: Body,
) -> Result<Response<Body>, Error> {
    let (mut parts, mut body) = request.body(body).expect("a request").into_parts();
    let (method, uri) = (parts.method.clone(), parts.uri.clone());
    let hop = Hop::default();
    outbound(upstream, &method, path, uri.query(), &hop).forward(&mut parts, &mut body, &peer()).await
}

async fn get(upstream: &Upstream, path: &str) -> Response<Body> {
    send(upstream, path, Request::get("/"), Body::empty()).await.expect("an answer")
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("text")
}

async fn json(response: Response<Body>) -> Value {
    serde_json::from_str(&text(response).await).expect("JSON")
}

/// Values of a header in the answer of `/echo`.
fn header<'v>(echo: &'v Value, name: &str) -> Vec<&'v str> {
    let headers = echo["headers"].as_array().expect("headers");
    headers.iter().filter(|pair| pair[0] == name).filter_map(|pair| pair[1].as_str()).collect()
}
