//! Who says where a member is, and what is done with the answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use cluster_gateway::transport::{
    AddressPolicy, Endpoint, Peer, Resolver, Transport, TransportError, TransportOptions, TransportSpec,
    Verification,
};

use super::{get, options, text};
use crate::support::fake_member::{FakeMember, Options, Protocols};
use crate::support::world::until;

async fn plain_member() -> FakeMember {
    FakeMember::start(Options { protocols: Protocols::Plain, ..Options::default() }).await
}

fn named(host: &str, port: u16, options: &Arc<TransportOptions>) -> Transport {
    let spec = TransportSpec {
        endpoint: Endpoint { tls: false, host: host.into(), port },
        route: cluster_gateway::transport::Route::Direct,
        verification: Verification::Insecure,
        server_name: None,
        client_certificate: None,
        peer: Peer::Member,
    };
    Transport::new(spec, Arc::clone(options))
}

/// The name is a good one when it is first asked for, and then a forbidden one.
#[tokio::test]
async fn rule_253_a_name_that_changes_its_address_is_judged_at_every_connect() {
    for (second, kind) in [("169.254.169.254", "link-local"), ("::ffff:169.254.169.254", "link-local")] {
        let member = plain_member().await;
        let asked = Arc::new(AtomicUsize::new(0));
        let resolver = Resolver::new({
            let asked = Arc::clone(&asked);
            move |_, port| {
                let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
                Ok(vec![SocketAddr::new(if first { "127.0.0.1" } else { second }.parse().unwrap(), port)])
            }
        });
        let transport = named(
            "rebinding.test",
            member.address.port(),
            &Arc::new(TransportOptions { resolver, ..options() }),
        );
        assert_eq!(text(transport.send(get("/plain")).await.unwrap()).await, "plain");
        // The connection that stands is used; an upgrade needs one of its own.
        assert_eq!(text(transport.send(get("/plain")).await.unwrap()).await, "plain");
        let error = transport.upgrade(get("/upgrade")).await.unwrap_err();
        let expected = format!("the gateway does not dial {kind} addresses");
        assert!(matches!(&error, TransportError::Dial(text) if text.ends_with(&expected)), "{error}");
        assert_eq!(
            asked.load(Ordering::SeqCst),
            2,
            "what was judged is what is dialled: one look-up per dial"
        );
        assert_eq!(member.recorder.connections(), 1);
    }
}

#[tokio::test]
async fn rule_168_rule_253_a_name_for_loopback_is_refused_where_loopback_is() {
    let member = plain_member().await;
    let resolver = Resolver::new(|_, port| Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]));
    let addresses = AddressPolicy::default();
    let options = Arc::new(TransportOptions { resolver, addresses, ..TransportOptions::default() });
    let error = named("public.test", member.address.port(), &options).send(get("/plain")).await.unwrap_err();
    assert!(error.to_string().contains("does not dial loopback addresses"), "{error}");
    assert_eq!(member.recorder.connections(), 0);
}

/// Nobody listens at the first address.
#[tokio::test]
async fn a_member_is_reached_at_whichever_of_its_addresses_answers() {
    let member = plain_member().await;
    let here = member.address;
    let resolver = Resolver::new(move |_, _| Ok(vec![SocketAddr::from(([127, 0, 0, 1], 1)), here]));
    let transport = named("several.test", here.port(), &Arc::new(TransportOptions { resolver, ..options() }));
    assert_eq!(text(transport.send(get("/plain")).await.unwrap()).await, "plain");

    let ports = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let resolver = Resolver::new(move |_, _| Ok(ports.to_vec()));
    let transport = named("none.test", here.port(), &Arc::new(TransportOptions { resolver, ..options() }));
    let error = transport.send(get("/plain")).await.unwrap_err().to_string();
    assert_eq!(error, "dial tcp 127.0.0.1:1: connect: connection refused", "the first one's");
}

/// Names whose servers are dead, until they are let go.
#[derive(Default)]
struct Dead {
    waiting: AtomicUsize,
    over: Mutex<bool>,
    changed: Condvar,
}

impl Dead {
    fn wait(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut over = self.over.lock().unwrap();
        while !*over {
            over = self.changed.wait(over).unwrap();
        }
    }
}

/// Lets the threads go, also when the test fails: the runtime waits for them.
struct Release(Arc<Dead>);

impl Drop for Release {
    fn drop(&mut self) {
        *self.0.over.lock().unwrap() = true;
        self.0.changed.notify_all();
    }
}

#[tokio::test]
async fn rule_126_a_cluster_whose_name_cannot_be_looked_up_takes_no_more_than_its_places() {
    let member = plain_member().await;
    let dead = Arc::new(Dead::default());
    let _release = Release(Arc::clone(&dead));
    let resolver = Resolver::new({
        let dead = Arc::clone(&dead);
        move |host, port| {
            if host == "dead.test" {
                dead.wait();
            }
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
        }
    });
    let options = Arc::new(TransportOptions { resolver, ..options() });
    let port = member.address.port();
    let lost = Arc::new(named("dead.test", port, &options));
    let waiting: Vec<_> = (0..50)
        .map(|_| {
            let lost = Arc::clone(&lost);
            tokio::spawn(async move { lost.upgrade(get("/upgrade")).await.map(drop) })
        })
        .collect();
    until(|| async { dead.waiting.load(Ordering::SeqCst) > 0 && lost.counters().dials() == 50 }).await;
    for _ in 0..10 {
        let good = named("good.test", port, &options);
        assert_eq!(text(good.send(get("/plain")).await.unwrap()).await, "plain");
    }
    // Whoever has gone does not free a thread that is still waiting.
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    let again = tokio::spawn(async move { lost.upgrade(get("/upgrade")).await.map(drop) });
    tokio::task::yield_now().await;
    assert!(dead.waiting.load(Ordering::SeqCst) <= 2, "{} threads wait", dead.waiting.load(Ordering::SeqCst));
    again.abort();
}
