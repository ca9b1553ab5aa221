//! Who holds a Lease.

use std::time::Duration;

use cluster_gateway::hub::{Leadership, Lease, Standing};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::support::fake_hub::{FakeHub, Fault};
use crate::support::world::until;

const DURATION: Duration = Duration::from_secs(1);

struct Candidate {
    leadership: Leadership,
    task: JoinHandle<()>,
}

impl Candidate {
    async fn start(hub: &FakeHub) -> Self {
        let (lease, leadership) = Lease::new(&hub.hub().await, "ns", "job", DURATION);
        Self { leadership, task: tokio::spawn(lease.run()) }
    }

    async fn holds(&self) {
        until(|| async { self.leadership.is_held() }).await;
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn holder(hub: &FakeHub) -> String {
    let lease = hub.get("leases", "ns", "job").unwrap_or_default();
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_holds_a_lease_and_the_other_takes_over_when_it_is_gone() {
    let hub = FakeHub::start().await;
    let first = Candidate::start(&hub).await;
    first.holds().await;
    let name = holder(&hub);
    let second = Candidate::start(&hub).await;
    // Renewed twice under the other's eyes.
    let renewals = hub.requests("PUT");
    until(|| async { hub.requests("PUT") >= renewals + 4 }).await;
    assert!(first.leadership.is_held() && !second.leadership.is_held());
    assert_eq!(second.leadership.standing(), Standing::Waits);
    assert_eq!(holder(&hub), name);

    drop(first);
    second.holds().await;
    assert_ne!(holder(&hub), name);
    let lease = hub.get("leases", "ns", "job").unwrap();
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_deleted_or_written_by_hand_is_had_again() {
    let hub = FakeHub::start().await;
    let mut candidate = Candidate::start(&hub).await;
    candidate.holds().await;
    let name = holder(&hub);
    hub.delete("leases", "ns", "job");
    until(|| async { holder(&hub) == name }).await;

    for spec in
        [json!({}), json!({"holderIdentity": ""}), json!({"holderIdentity": "x", "leaseDurationSeconds": -5})]
    {
        hub.put("leases", json!({"metadata": {"namespace": "ns", "name": "job"}, "spec": spec}));
        until(|| async { holder(&hub) == name }).await;
    }
    // Somebody who says that he holds it for years, and is gone: he is given a minute, no more. That is too long for a
    // test; that nobody takes it at once is not.
    let spec = json!({"holderIdentity": "x", "leaseDurationSeconds": 2_000_000_000});
    hub.put("leases", json!({"metadata": {"namespace": "ns", "name": "job"}, "spec": spec}));
    until(|| async { !candidate.leadership.is_held() }).await;
    let looks = hub.requests("GET /apis/coordination.k8s.io");
    until(|| async { hub.requests("GET /apis/coordination.k8s.io") > looks + 4 }).await;
    assert_eq!(holder(&hub), "x");
    hub.delete("leases", "ns", "job");
    candidate.leadership.changed().await;
    candidate.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_renew_does_not_believe_for_long_that_he_holds_it() {
    let hub = FakeHub::start().await;
    let candidate = Candidate::start(&hub).await;
    candidate.holds().await;
    hub.fault("leases", Fault::Reset);
    until(|| async { !candidate.leadership.is_held() }).await;
    hub.heal();
    candidate.holds().await;

    // A hub that hangs is given up after ten seconds; that the Lease is held is believed for one.
    hub.fault("leases", Fault::Hang);
    let lost = until(|| async { !candidate.leadership.is_held() });
    tokio::time::timeout(Duration::from_secs(5), lost).await.expect("it is given up in time");
    hub.heal();
    let candidate = Candidate::start(&hub).await;
    hub.fault("leases", Fault::Status(403));
    until(|| async { matches!(candidate.leadership.standing(), Standing::Fails(_)) }).await;
    let Standing::Fails(error) = candidate.leadership.standing() else { unreachable!() };
    assert_eq!(error.to_string(), "injected 403", "the hub's own words");
    hub.heal();
    hub.delete("leases", "ns", "job");
    candidate.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_start_at_once_one_holds_it() {
    let hub = FakeHub::start().await;
    let mut candidates = Vec::new();
    for _ in 0..8 {
        candidates.push(Candidate::start(&hub).await);
    }
    let held = || candidates.iter().filter(|candidate| candidate.leadership.is_held()).count();
    until(|| async { held() == 1 }).await;
    let rounds = hub.requests("GET /apis/coordination.k8s.io");
    until(|| async { hub.requests("GET /apis/coordination.k8s.io") > rounds + 16 }).await;
    assert_eq!(held(), 1);
}
