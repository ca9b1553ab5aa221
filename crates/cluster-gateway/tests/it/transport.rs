//! Transports against a fake member.

mod errors;
mod frames;
mod pool;
mod proxies;

use std::sync::Arc;

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
        route: Route::default(),
        verification: Verification::Bundle(member.ca.pem().into_bytes().into()),
        server_name: None,
        client_certificate: None,
        peer: Peer::Member,
    }
}

fn transport(member: &FakeMember) -> Transport {
    Transport::new(spec(member), Arc::new(options()))
}

fn get(target: &str) -> Request<Body> {
    Request::get(target).body(Body::empty()).unwrap()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}
