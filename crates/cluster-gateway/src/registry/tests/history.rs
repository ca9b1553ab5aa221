//! What is kept of changes, and what can be told from it.

use super::*;

fn version(name: &str, version: u64) -> Secret {
    let mut secret = secret(name, "ServiceAccountToken", &[("endpoint", b"https://h"), ("token", b"t")]);
    secret.metadata.resource_version = Some(version.to_string());
    secret
}

fn listed(index: &mut Index, secrets: &[Secret], version: &str) {
    let mut listing = Listing::default();
    for secret in secrets {
        index.list(&mut listing, secret.clone());
    }
    index.replace(listing, Some(version));
}

fn shown(clusters: &[Arc<Cluster>]) -> Vec<String> {
    clusters.iter().map(|cluster| format!("{} {}", cluster.name, cluster.version)).collect()
}

#[test]
fn rule_228_rule_230_earlier_states_are_known_as_far_back_as_changes_are() {
    let (mut index, registry) = index();
    listed(&mut index, &[version("a", 1), version("b", 2)], "10");
    index.apply(version("a", 11));
    index.apply(version("c", 12));
    index.apply(version("a", 13));
    index.delete("b", "14");
    index.advance("15");
    index.publish();
    let snapshot = registry.snapshot();
    assert_eq!((snapshot.version(), snapshot.history().since()), (15, 10));
    for (version, expected) in [
        (10, vec!["a 1", "b 2"]),
        (11, vec!["a 11", "b 2"]),
        (12, vec!["a 11", "b 2", "c 12"]),
        (13, vec!["a 13", "b 2", "c 12"]),
        (14, vec!["a 13", "c 12"]),
        (15, vec!["a 13", "c 12"]),
    ] {
        assert_eq!(shown(&snapshot.at(version).unwrap()), expected, "{version}");
    }
    assert_eq!(snapshot.at(9).unwrap_err(), TooOld(10));
}

#[test]
fn rule_230_the_history_is_bounded_in_changes_and_in_bytes() {
    let (mut index, registry) = index();
    listed(&mut index, &[], "10");
    for number in 11..10_011 {
        index.apply(version("a", number));
    }
    index.publish();
    let snapshot = registry.snapshot();
    let kept = |snapshot: &Snapshot| {
        snapshot.history().from(snapshot.follow(snapshot.history().since()).unwrap()).unwrap().count()
    };
    assert_eq!((kept(&snapshot), snapshot.history().since()), (4096, 10_010 - 4096));

    let note = "x".repeat(1 << 20);
    for number in 10_011..10_031 {
        index.apply(annotate(version("a", number), "cluster.core.oam.dev/note", &note));
    }
    index.publish();
    assert!(kept(&registry.snapshot()) < 8, "{}", kept(&registry.snapshot()));
}

#[test]
fn what_stays_equal_is_kept_once() {
    let (mut index, registry) = index();
    let (pem, _) = self_signed();
    let with_ca = |token: &[u8]| token_secret(&[("ca.crt", pem.as_bytes()), ("token", token)]);
    index.reset(vec![with_ca(b"t")]);
    let before = registry.get("c").unwrap();
    index.apply(annotate(with_ca(b"t"), "status.cluster.core.oam.dev/healthy", "true"));
    index.publish();
    let after = registry.get("c").unwrap();
    let ca = |cluster: &Cluster| Arc::clone(cluster.ca_bundle.as_ref().unwrap());
    assert!(!Arc::ptr_eq(&before, &after) && Arc::ptr_eq(&ca(&before), &ca(&after)));
    let Verification::Bundle(verified) = &after.upstream().unwrap().transport.spec().verification else {
        panic!("verified by the bundle");
    };
    assert!(Arc::ptr_eq(&ca(&after), verified));
    let token = |cluster: &Cluster| match &cluster.upstream().unwrap().credential {
        Credential::Token(value) => value.as_bytes().as_ptr(),
        Credential::X509(_) | Credential::Exec(_) => panic!("a token"),
    };
    assert_eq!(token(&before), token(&after));
    index.apply(with_ca(b"other"));
    index.publish();
    assert_ne!(token(&registry.get("c").unwrap()), token(&after), "another token is another");
}

/// A hub whose versions are no numbers cannot be followed by them.
#[test]
fn rule_230_versions_that_are_no_numbers_are_replaced_by_own_ones() {
    let (mut index, registry) = index();
    let mut odd = version("a", 1);
    odd.metadata.resource_version = Some("v1-a".to_owned());
    listed(&mut index, &[odd.clone()], "v1-b");
    let first = registry.snapshot().version();
    odd.metadata.resource_version = Some("v1-c".to_owned());
    index.apply(odd);
    index.advance("v1-d");
    index.publish();
    let snapshot = registry.snapshot();
    assert!(first > 0 && snapshot.version() > first);
    assert_eq!(snapshot.get("a").unwrap().version, snapshot.version());
}
