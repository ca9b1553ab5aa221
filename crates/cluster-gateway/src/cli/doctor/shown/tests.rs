use super::*;

fn finding(hop: Hop, outcome: Outcome, found: &str, remedy: Option<&str>, took: f64) -> Finding {
    let took = Duration::from_secs_f64(took / 1e3);
    Finding { hop, outcome, found: found.to_owned(), remedy: remedy.map(str::to_owned), took }
}

/// All well up to `failed`, which is not.
fn failing(failed: Hop, found: &str, remedy: &str) -> View {
    let findings = Hop::ALL.map(|hop| match hop.cmp(&failed) {
        std::cmp::Ordering::Less => finding(hop, Outcome::Passed, "good", None, 1.25),
        std::cmp::Ordering::Equal => finding(hop, Outcome::Failed, found, Some(remedy), 5000.0),
        std::cmp::Ordering::Greater => finding(hop, Outcome::Skipped, "not looked at", None, 0.0),
    });
    View::Seen { findings: findings.to_vec() }
}

fn warned() -> View {
    let findings = Hop::ALL.map(|hop| match hop {
        Hop::Tls => finding(hop, Outcome::Warned, "the chain ends in 5 days", Some("renew it"), 7.5),
        Hop::Tunnel => finding(hop, Outcome::Skipped, "none", None, 0.0),
        hop => finding(hop, Outcome::Passed, "good", None, 0.5),
    });
    View::Seen { findings: findings.to_vec() }
}

fn m1() -> ClusterReport {
    let refused = "dial tcp 10.0.0.1:6443: i/o timeout\u{1b}[2J";
    ClusterReport {
        cluster: "m1".to_owned(),
        here: Some(warned()),
        gateway: Some(failing(Hop::Connect, refused, "look for a firewall")),
    }
}

#[test]
fn reports_look_as_they_look() {
    let m2 = ClusterReport {
        cluster: "m2".to_owned(),
        here: None,
        gateway: Some(View::Unseen { error: "no".to_owned(), unasked: false }),
    };
    let m3 =
        ClusterReport { cluster: "m3".to_owned(), here: None, gateway: Some(failing(Hop::Secret, "", "")) };
    let m3 = ClusterReport { gateway: m3.gateway.map(|_| View::Seen { findings: Vec::new() }), ..m3 };
    let all = Report {
        hub: vec![
            Check {
                subject: "Hub",
                outcome: Outcome::Passed,
                found: "https://hub:6443/, v1.34.1".to_owned(),
                remedy: None,
            },
            Check {
                subject: "APIService",
                outcome: Outcome::Failed,
                found: "not available: MissingEndpoints".to_owned(),
                remedy: Some("see that the pods are ready".to_owned()),
            },
        ],
        clusters: vec![m1(), m2, m3],
    };
    assert_eq!(all.failing(), Some(0));
    assert_eq!(m1().failing(), Some(4));
    assert_eq!(names_of_failing(&all), ["m1", "m2"]);
    let text = format!("{}\n---\n{}", cluster(&m1(), false, false), report(&all, false, false));
    assert_eq!(text, include_str!("../../../../tests/golden/doctor.txt"), "{text}");
}

#[test]
fn a_place_that_was_not_asked_has_no_column() {
    let here = ClusterReport { gateway: None, ..m1() };
    let text = cluster(&here, true, false);
    assert!(!text.contains("GATEWAY") && text.contains("HERE") && text.contains("FOUND"), "{text}");
    assert!(text.ends_with("\nRequests come through.\n"), "{text}");
    let text = report(&Report { hub: Vec::new(), clusters: vec![here] }, false, false);
    assert!(!text.contains("GATEWAY") && text.contains("m1        Tls warning   the chain ends"), "{text}");
}
