//! Members that cannot be reached: how often they are dialled, and what the others who ask get.

use std::sync::Arc;
use std::time::Duration;

use cluster_gateway::transport::{
    LongRunning, State, Transport, TransportError, TransportOptions, TransportSpec,
};
use futures_util::future::join_all;

use super::{get, options, spec, text};
use crate::support::fake_member::{FakeMember, Options, Protocols};
use crate::support::gate::{Gate, Way};
use crate::support::world::until;

/// A member behind a gate, and the way to it.
struct Gated {
    member: FakeMember,
    gate: Gate,
    transport: Arc<Transport>,
}

impl Gated {
    async fn start(way: Way, protocols: Protocols, options: TransportOptions) -> Self {
        let member = FakeMember::start(Options { protocols, ..Options::default() }).await;
        let gate = Gate::before(member.address, way).await;
        let mut spec: TransportSpec = spec(&member);
        spec.endpoint.port = gate.address.port();
        Self { member, gate, transport: Arc::new(Transport::new(spec, Arc::new(options))) }
    }

    async fn send(&self) -> Result<String, TransportError> {
        Ok(text(self.transport.send(get("/plain")).await?).await)
    }

    /// Fails until the breaker is open.
    async fn open(&self) {
        for _ in 0..3 {
            let error = self.send().await.unwrap_err();
            assert!(matches!(error, TransportError::Tls(_) | TransportError::Dial(_)), "{error}");
        }
        assert!(self.transport.opened().is_some());
        assert_eq!(self.transport.counters().dials(), 3);
    }
}

const BOTH: [Protocols; 2] = [Protocols::Both, Protocols::Http1];

#[tokio::test]
async fn rule_126_a_member_that_cannot_be_reached_is_not_dialled_by_everybody() {
    for protocols in BOTH {
        let gated = Gated::start(Way::Shut, protocols, options()).await;
        gated.open().await;
        for error in join_all((0..50).map(|_| gated.send())).await {
            let TransportError::Open { message, retry_after } = error.unwrap_err() else { panic!() };
            assert_eq!(retry_after, 1);
            assert!(message.contains("3 connections in a row"), "{message}");
        }
        let upgrade = gated.transport.upgrade(get("/upgrade")).await.map(drop);
        assert!(matches!(upgrade, Err(TransportError::Open { .. })), "{upgrade:?}");
        assert_eq!((gated.transport.counters().dials(), gated.gate.accepted()), (3, 3));
        let condition = gated.transport.condition();
        assert_eq!((condition.state, condition.since.is_some()), (State::Open, true));
    }
}

#[tokio::test]
async fn rule_126_a_trial_is_one_dial_and_one_request_waits_for_it() {
    for protocols in BOTH {
        let gated = Gated::start(Way::Shut, protocols, options()).await;
        gated.open().await;
        gated.gate.set(Way::Silent);
        gated.transport.let_one_through();
        let transport = Arc::clone(&gated.transport);
        let trial = tokio::spawn(async move { transport.send(get("/plain")).await.map(drop) });
        until(|| async { gated.gate.accepted() == 4 }).await;
        for error in join_all((0..50).map(|_| gated.send())).await {
            assert!(matches!(error, Err(TransportError::Open { .. })), "{error:?}");
        }
        assert!(!trial.is_finished());
        assert_eq!(gated.gate.accepted(), 4);
        // It fails: nothing changes for the others.
        gated.gate.set(Way::Shut);
        trial.await.unwrap().unwrap_err();
        assert!(matches!(gated.send().await, Err(TransportError::Open { .. })));
    }
}

#[tokio::test]
async fn rule_126_a_member_that_has_recovered_is_not_overrun() {
    let gated = Gated::start(Way::Shut, Protocols::Both, options()).await;
    gated.open().await;
    gated.gate.set(Way::Open);
    gated.transport.let_one_through();
    let answers = join_all((0..100).map(|_| gated.send())).await;
    let refused = |answer: &&_| matches!(answer, Err(TransportError::Open { .. }));
    assert_eq!(answers.iter().filter(refused).count() + answers.iter().filter(|a| a.is_ok()).count(), 100);
    assert!(answers.iter().any(Result::is_ok), "the trial");
    assert!(join_all((0..100).map(|_| gated.send())).await.iter().all(Result::is_ok));
    assert_eq!((gated.transport.counters().dials(), gated.gate.accepted()), (4, 4));
    assert_eq!((gated.transport.opened(), gated.transport.consecutive_failures()), (None, 0));
    drop(gated.member);
}

#[tokio::test]
async fn rule_126_what_a_member_answers_never_opens_the_breaker() {
    for protocols in BOTH {
        let limit = Some(Duration::from_millis(20));
        let options = TransportOptions { response_header_timeout: limit, ..options() };
        let gated = Gated::start(Way::Open, protocols, options).await;
        for _ in 0..5 {
            // Marked, the limit is not for it.
            let mut request = get("/status/500");
            request.extensions_mut().insert(LongRunning);
            let answer = gated.transport.send(request).await.unwrap();
            assert_eq!(answer.status(), 500);
            text(answer).await;
            let slow = gated.transport.send(get("/slow-head")).await.map(drop);
            assert!(matches!(slow, Err(TransportError::Timeout(_))), "{slow:?}");
            let cut = gated.transport.send(get("/close-before-head")).await.map(drop);
            assert!(cut.is_err());
        }
        assert_eq!((gated.transport.opened(), gated.transport.consecutive_failures()), (None, 0));
    }
}

#[tokio::test]
async fn a_standing_connection_is_used_whatever_becomes_of_new_ones() {
    let gated = Gated::start(Way::Open, Protocols::Both, options()).await;
    assert_eq!(gated.send().await.unwrap(), "plain");
    // Upgrades need connections of their own.
    let mut member = gated.member;
    member.stop_accepting().await;
    for _ in 0..3 {
        assert!(gated.transport.upgrade(get("/upgrade")).await.is_err());
    }
    assert!(gated.transport.opened().is_some());
    let answer = gated.transport.send(get("/plain")).await.unwrap();
    assert_eq!(text(answer).await, "plain");
    assert!(gated.transport.opened().is_none(), "an answer shows that it is there");
}

#[tokio::test]
async fn waiting_in_vain_counts_only_where_there_is_no_connection() {
    let gated = Gated::start(Way::Open, Protocols::Both, options()).await;
    let waited = Duration::from_secs(5);
    gated.transport.gave_up(waited);
    assert_eq!(gated.transport.consecutive_failures(), 1);
    gated.send().await.unwrap();
    (0..5).for_each(|_| gated.transport.gave_up(waited));
    assert_eq!(gated.transport.consecutive_failures(), 0);
}
