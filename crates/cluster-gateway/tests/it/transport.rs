//! Transports against a fake member.

mod addresses;
mod breaker;
mod errors;
pub(crate) mod frames;
mod konnectivity;
mod http1;
mod pool;
mod proxies;

use std::sync::Arc;
use std::time::Duration;

use cluster_gateway::body::Body;
use cluster_gateway::transport::{
    AddressPolicy, Endpoint, Peer, Route, Transport, TransportOptions, TransportSpec, Verification,
};
use http::{Request, Response};
use http_body_util::BodyExt;

use crate::support::fake_member::FakeMember;

fn options() -> TransportOptions {
    TransportOptions { addresses: AddressPolicy { allow_loopback: true }, ..TransportOptions::default() }
}

fn spec(member: &FakeMember) -> TransportSpec {
    TransportSpec {
        endpoint: Endpoint { tls: true, host: "127.0.0.1".into(), port: member.address.port() },
        route: Route::Direct,
        verification: Verification::Bundle(member.ca.pem().into_bytes().into()),
        server_name: None,
        client_certificate: None,
        peer: Peer::Member,
    }
}

fn transport(member: &FakeMember) -> Transport {
    Transport::new(spec(member), Arc::new(options()))
}

/// What must come comes soon; a test that waits for it in vain fails.
async fn in_time<F: Future>(awaited: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), awaited).await.expect("it comes in time")
}

fn get(target: &str) -> Request<Body> {
    Request::get(target).body(Body::empty()).unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
