use super::*;

#[test]
fn the_numbers_of_hops_are_those_of_their_exit_codes() {
    let numbers: Vec<_> = Hop::ALL.iter().map(|hop| hop.number()).collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<u8>>());
}

#[test]
fn a_diagnosis_is_the_same_after_a_journey_as_json() {
    let finding = |hop, outcome, remedy: Option<&str>| Finding {
        hop,
        outcome,
        found: "found".to_owned(),
        remedy: remedy.map(str::to_owned),
        took: Duration::from_micros(1500),
    };
    let diagnosis = Diagnosis {
        cluster: "c".to_owned(),
        findings: vec![
            finding(Hop::Dns, Outcome::Passed, None),
            finding(Hop::Tls, Outcome::Failed, Some("do")),
        ],
    };
    let json = serde_json::to_value(&diagnosis).unwrap();
    assert_eq!(
        json["findings"][0],
        serde_json::json!({"hop": "Dns", "outcome": "Passed", "found": "found", "tookMilliseconds": 1.5})
    );
    assert_eq!(serde_json::from_value::<Diagnosis>(json).unwrap(), diagnosis);
    assert_eq!(diagnosis.failed().unwrap().hop, Hop::Tls);
}
