//! What cannot be seen from outside: the sweep that meets a new connection.

#[allow(clippy::unwrap_used, dead_code, unused_imports)]
#[path = "../../../tests/it/support/fake_member/mod.rs"]
mod fake_member;

use http::Request;
use http_body_util::BodyExt;

use self::fake_member::{FakeMember, Options, Protocols};
use super::super::{AddressPolicy, Endpoint, Peer, Transport, Verification};
use super::*;
use crate::body::Body;

#[tokio::test]
async fn rule_128_the_sweep_does_not_end_beside_a_connection_that_has_just_come() {
    for protocols in [Protocols::Both, Protocols::Http1] {
        let member = FakeMember::start(Options { protocols, ..Options::default() }).await;
        let spec = TransportSpec {
            endpoint: Endpoint { tls: true, host: "127.0.0.1".into(), port: member.address.port() },
            verification: Verification::Bundle(member.ca.pem().into_bytes().into()),
            server_name: None,
            client_certificate: None,
            peer: Peer::Member,
        };
        let addresses = AddressPolicy { allow_loopback: true };
        let transport =
            Transport::new(spec, Arc::new(TransportOptions { addresses, ..TransportOptions::default() }));
        let pool = &transport.pool;
        assert!(!pool.has_more_to_sweep(), "nothing has come");
        let request = Request::get("/plain").body(Body::empty()).expect("a request");
        let answer = transport.send(request).await.expect("an answer");
        answer.into_body().collect().await.expect("a whole body");
        // As if the sweep had looked before the connection came.
        assert!(pool.has_more_to_sweep(), "{protocols:?}");
        assert!(pool.sweeping.load(Ordering::Acquire), "nobody else starts to sweep");
    }
}
