//! What is told while a diagnosis goes on.

use std::sync::Mutex;

use cluster_gateway::diagnosis::{Event, diagnose_with};

use super::*;

/// The diagnosis and everything that was told before it was there.
async fn watched(secret: Secret) -> (Vec<Event>, Diagnosis) {
    let told = Mutex::new(Vec::new());
    let watcher = |event| told.lock().unwrap().push(event);
    let diagnosis = diagnose_with(secret.into(), &policy(), &depth(), &watcher).await;
    assert_sound(&diagnosis);
    (told.into_inner().unwrap(), diagnosis)
}

fn findings(told: &[Event]) -> Vec<Finding> {
    let finding = |event: &Event| match event {
        Event::Finding(finding) => Some(finding.clone()),
        Event::Hop(_) => None,
    };
    told.iter().filter_map(finding).collect()
}

#[tokio::test]
async fn each_hop_is_told_when_it_begins_and_when_it_has_ended() {
    let member = ScriptedMember::start(Script::default()).await;
    let (told, diagnosis) = watched(of(&member)).await;
    assert_eq!(findings(&told), diagnosis.findings);
    let pairs: Vec<_> = told.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    assert_eq!(pairs.len(), Hop::ALL.len());
    for (hop, (begun, ended)) in Hop::ALL.into_iter().zip(pairs) {
        assert_eq!(begun, Event::Hop(hop));
        assert!(matches!(ended, Event::Finding(finding) if finding.hop == hop));
    }
}

#[tokio::test]
async fn what_is_not_looked_at_is_told_as_skipped_and_never_as_begun() {
    let (told, diagnosis) = watched(secret("https://127.0.0.1:1", &TestCa::new("c"))).await;
    assert_eq!(findings(&told), diagnosis.findings);
    let begun: Vec<_> = told.iter().filter(|event| matches!(event, Event::Hop(_))).cloned().collect();
    assert_eq!(begun, [Hop::Secret, Hop::Parse, Hop::Dns, Hop::Connect].map(Event::Hop));
    assert_eq!(diagnosis.findings.iter().filter(|f| f.outcome == Outcome::Skipped).count(), 6);
}

#[tokio::test]
async fn a_hop_of_which_a_later_one_shows_more_is_told_again() {
    let date = Some("Tue, 01 Jan 2019 00:00:00 GMT");
    let behind = ScriptedMember::start(Script { date, ..Script::default() }).await;
    let (told, diagnosis) = watched(of(&behind)).await;
    let tls: Vec<_> = findings(&told).into_iter().filter(|finding| finding.hop == Hop::Tls).collect();
    let outcomes: Vec<_> = tls.iter().map(|finding| finding.outcome).collect();
    assert_eq!(outcomes, [Outcome::Passed, Outcome::Warned]);
    assert_eq!(tls.last(), diagnosis.of(Hop::Tls));
}
