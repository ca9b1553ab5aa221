//! What is told before a change and while it is made, and what can be taken back after it.

use std::sync::Mutex;

use cluster_gateway::diagnosis::{Event, Hop, Outcome};
use cluster_gateway::lifecycle::{
    Detach, Edit, Join, JoinRequest, Plan, Side, Step, StepOutcome, Undo, edit,
};
use cluster_gateway::registry::ClusterPolicy;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Hub, kubeconfig, request};
use crate::support::fake_hub::Fault;

const WRITE: &str = "Create Secret vela-system/new";
const KNOWN: &str = "Wait until the gateway knows the cluster";
const ASKED: &str = "Ask the cluster through the gateway";
const NAMESPACE: &str = "Create Namespace vela-system";

async fn prepare(hub: &Hub, request: &JoinRequest) -> Join {
    let stop = CancellationToken::new();
    Join::prepare(&hub.store, &ClusterPolicy::default(), request, &stop).await.unwrap()
}

/// The plan, and each hop that was told with how it ended.
async fn survey(hub: &Hub, request: &JoinRequest) -> (Plan, Vec<(Hop, Outcome, String)>) {
    let told = Mutex::new(Vec::new());
    let watcher = |event| {
        if let Event::Finding(finding) = event {
            told.lock().unwrap().push((finding.hop, finding.outcome, finding.found));
        }
    };
    let stop = CancellationToken::new();
    let plan = Join::survey(&hub.store, &ClusterPolicy::default(), request, &stop, &watcher).await.unwrap();
    (plan, told.into_inner().unwrap())
}

fn ends(steps: Mutex<Vec<Step>>) -> Vec<(String, StepOutcome)> {
    let steps = steps.into_inner().unwrap();
    let (begun, ended): (Vec<_>, Vec<_>) =
        steps.into_iter().partition(|step| step.outcome == StepOutcome::Started);
    let words = |steps: &[Step]| steps.iter().map(|step| step.step.clone()).collect::<Vec<_>>();
    assert_eq!(words(&begun), words(&ended), "each step ends before the next begins");
    for step in &ended {
        assert_eq!(step.found.is_empty(), step.outcome == StepOutcome::Passed, "{step:?}");
    }
    ended.into_iter().map(|step| (step.step, step.outcome)).collect()
}

#[tokio::test]
async fn each_step_of_a_join_is_told() {
    let hub = Hub::start().await;
    let steps = Mutex::new(Vec::new());
    let watcher = |step| steps.lock().unwrap().push(step);
    let (join, stop) = (prepare(&hub, &request("new")).await, CancellationToken::new());
    let before = hub.fake.content();
    let (joined, committed) =
        join.commit_with(&hub.store, Some(&hub.gateway), &stop, &watcher).await.unwrap();
    assert!(joined.answers);
    assert_ne!(hub.fake.content(), before);
    assert_eq!(committed.undo().await, Undo::Restored);
    assert_eq!(hub.fake.content(), before, "what was done can still be taken back");
    let passed = [WRITE, KNOWN, ASKED, NAMESPACE, "Remove Secret vela-system/new again"];
    assert_eq!(ends(steps), passed.map(|step| (step.to_owned(), StepOutcome::Passed)));
}

#[tokio::test]
async fn the_step_that_fails_and_each_that_puts_back_are_told() {
    let hub = Hub::start().await;
    hub.behaves(|gateway| gateway.version = 401);
    let steps = Mutex::new(Vec::new());
    let watcher = |step| steps.lock().unwrap().push(step);
    let (join, stop) = (prepare(&hub, &request("new")).await, CancellationToken::new());
    let failure = join.commit_with(&hub.store, Some(&hub.gateway), &stop, &watcher).await.unwrap_err();
    assert_eq!(failure.undo, Undo::Restored);
    let told = serde_json::to_string(&*steps.lock().unwrap()).unwrap();
    assert!(told.contains("\"outcome\":\"Failed\",\"found\":\"the cluster does not answer"), "{told}");
    assert!(!told.contains("sesame"), "{told}");
    let expected = [
        (WRITE, StepOutcome::Passed),
        (KNOWN, StepOutcome::Passed),
        (ASKED, StepOutcome::Failed),
        ("Remove Secret vela-system/new again", StepOutcome::Passed),
    ];
    assert_eq!(ends(steps), expected.map(|(step, outcome)| (step.to_owned(), outcome)));
}

#[tokio::test]
async fn a_step_ends_when_somebody_asks_to_stop() {
    let hub = Hub::start().await;
    hub.behaves(|gateway| gateway.blind = true);
    let steps = Mutex::new(Vec::new());
    let stop = CancellationToken::new();
    let watcher = |step: Step| {
        if step.step == KNOWN {
            stop.cancel();
        }
        steps.lock().unwrap().push(step);
    };
    let join = prepare(&hub, &request("new")).await;
    join.commit_with(&hub.store, Some(&hub.gateway), &stop, &watcher).await.unwrap_err();
    assert!(ends(steps).contains(&(KNOWN.to_owned(), StepOutcome::Failed)));
}

#[tokio::test]
async fn each_step_of_a_detach_and_of_putting_it_back_is_told() {
    let hub = Hub::start().await;
    super::detach::install(&hub);
    let client = hub.fake.client().await;
    for fault in [false, true] {
        let detach = Detach::prepare(&hub.store, Some(&client), "old").await.unwrap();
        let sides: Vec<_> = detach.plan().changes.iter().map(|change| change.side).collect();
        assert_eq!(sides, [Some(Side::Hub); 3]);
        let steps = Mutex::new(Vec::new());
        let watcher = |step| steps.lock().unwrap().push(step);
        if !fault {
            hub.fake.fault_once("DELETE /api", Fault::Status(403));
        }
        let stop = CancellationToken::new();
        let outcome = detach.commit_with(&hub.store, false, &stop, &watcher).await;
        assert_eq!(outcome.is_ok(), fault);
        let deleted = if fault { StepOutcome::Passed } else { StepOutcome::Failed };
        let mut expected = vec![
            ("Replace ResourceTracker a".to_owned(), StepOutcome::Passed),
            ("Replace ResourceTracker b".to_owned(), StepOutcome::Passed),
            ("Delete Secret vela-system/old".to_owned(), deleted),
        ];
        if !fault {
            for tracker in ["a", "b"] {
                expected.push((format!("Put ResourceTracker {tracker} back as it was"), StepOutcome::Passed));
            }
        }
        assert_eq!(ends(steps), expected);
    }
}

#[tokio::test]
async fn what_joining_has_left_in_a_cluster_is_noted_before_it_is_detached() {
    let hub = Hub::start().await;
    let mut secret = hub.fake.secret("vela-system", "old").unwrap();
    secret["metadata"]["annotations"]["cluster.core.oam.dev/service-account"] = json!("access/gateway");
    hub.fake.put("secrets", secret);
    let detach = Detach::prepare(&hub.store, None, "old").await.unwrap();
    assert!(detach.plan().notes[0].contains("access/gateway stays"), "{:?}", detach.plan().notes);
}

#[tokio::test]
async fn a_name_that_cannot_be_had_is_a_failed_hop_and_there_is_a_plan() {
    let hub = Hub::start().await;
    let before = hub.fake.content();
    for (name, why) in
        [("old", "a cluster old already"), ("foreign", "is not a cluster"), ("local", "reserved")]
    {
        let (plan, told) = survey(&hub, &request(name)).await;
        assert_eq!(told.len(), Hop::ALL.len());
        assert_eq!((told[0].0, told[0].1), (Hop::Secret, Outcome::Failed));
        assert!(told[0].2.contains(why) && !told[0].2.contains("--"), "{told:?}");
        assert!(told[1..].iter().all(|(_, outcome, _)| *outcome == Outcome::Skipped));
        assert_eq!(plan.changes[0].object, format!("Secret vela-system/{name}"));
        let text = serde_json::to_string(&plan).unwrap();
        assert!(!text.contains("An old one") && !text.contains("sesame"), "{text}");
    }
    assert_eq!((hub.fake.content(), hub.writes().len()), (before, 0));
}

#[tokio::test]
async fn a_cluster_that_cannot_be_reached_has_a_plan_all_the_same() {
    let hub = Hub::start().await;
    let away =
        JoinRequest { kubeconfig: kubeconfig("https://127.0.0.1:1"), preflight: true, ..request("new") };
    let (plan, told) = survey(&hub, &away).await;
    let failed: Vec<_> = told.iter().filter(|(_, outcome, _)| *outcome == Outcome::Failed).collect();
    assert_eq!(failed.len(), 1, "{told:?}");
    assert_eq!(plan.changes.len(), 2);
    assert!(plan.digest.is_some());
}

#[tokio::test]
async fn equal_plans_have_equal_digests_and_others_others() {
    let hub = Hub::start().await;
    let (plan, _) = survey(&hub, &request("new")).await;
    let digest = plan.digest.unwrap();
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
    assert_eq!(prepare(&hub, &request("new")).await.plan().digest.as_ref(), Some(&digest));
    let sides: Vec<_> = plan.changes.iter().map(|change| change.side).collect();
    assert_eq!(sides, [Some(Side::Hub), Some(Side::Member)]);
    let outlook = serde_json::to_value(&plan.credential).unwrap();
    assert_eq!(outlook, json!({"type": "ServiceAccountToken", "expires": null, "renewal": "None"}));

    let another = |change: fn(&mut JoinRequest)| {
        let mut request = request("new");
        change(&mut request);
        request
    };
    for other in [
        another(|request| request.name = Some("newer".to_owned())),
        another(|request| drop(request.labels.insert("tier".to_owned(), "silver".to_owned()))),
        another(|request| request.alias = Some("x".to_owned())),
        another(|request| request.kubeconfig = kubeconfig("https://newer.test")),
        another(|request| request.create_namespace = None),
    ] {
        assert_ne!(prepare(&hub, &other).await.plan().digest.as_ref(), Some(&digest), "{other:?}");
    }

    // What is replaced counts, and what others note on it does not.
    let overwriting = JoinRequest { overwrite: true, ..request("old") };
    let of_old = prepare(&hub, &overwriting).await.plan().digest.clone();
    let mut secret = hub.fake.secret("vela-system", "old").unwrap();
    secret["metadata"]["annotations"]["status.cluster.core.oam.dev/healthy"] = json!("true");
    hub.fake.put("secrets", secret);
    assert_eq!(prepare(&hub, &overwriting).await.plan().digest, of_old);
    let label = Edit::AddLabels([("kept".to_owned(), "x".to_owned())].into());
    edit(&hub.store, "old", &label).await.unwrap();
    assert_ne!(prepare(&hub, &overwriting).await.plan().digest, of_old);
}
