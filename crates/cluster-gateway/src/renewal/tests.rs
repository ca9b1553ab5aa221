//! What one cluster's memory does, with a clock that stands still.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::expiry::Notice;
use super::keeper::KeepError;
use super::track::{Failure, Renewed};
use super::*;
use crate::registry::{Cluster, ClusterPolicy, ClustersDirectory};

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn account() -> ServiceAccountRef {
    ServiceAccountRef::new("ns", "a").unwrap()
}

const LIFE: Life = Life { issued: SystemTime::UNIX_EPOCH, ends: SystemTime::UNIX_EPOCH };

/// A cluster whose token was issued at 0 and ends at 1000.
fn cluster(change: impl FnOnce(&mut BTreeMap<String, String>)) -> Arc<Cluster> {
    let life = Life { issued: at(0), ends: at(1000) };
    let mut annotations = Token { text: "t".to_owned(), life }.annotations(&account());
    change(&mut annotations);
    let label = ("cluster.core.oam.dev/cluster-credential-type", "ServiceAccountToken");
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some("c".to_owned()),
            uid: Some("u".to_owned()),
            labels: Some(BTreeMap::from([(label.0.to_owned(), label.1.to_owned())])),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        data: Some(
            [("endpoint", "https://c.test"), ("token", "t")]
                .map(|(key, value)| (key.to_owned(), ByteString(value.as_bytes().to_vec())))
                .into(),
        ),
        ..Secret::default()
    };
    Arc::new(ClusterPolicy::default().read(secret, None))
}

fn tracked() -> Tracked {
    Tracked::adopt(None, &cluster(|_| ())).unwrap()
}

fn begins(member: &mut Tracked, now: SystemTime) -> bool {
    let keeper = Keeper::Directory(ClustersDirectory::default());
    member.renewal(&RenewalConfig::default(), &keeper, now).is_some()
}

fn refused() -> Failure {
    Failure::Ask(AskError::Refused("no".to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_renewal_begins_when_it_is_due_and_only_one_at_a_time() {
    let mut member = tracked();
    assert!(!begins(&mut member, at(759)), "at the soonest a twentieth before four fifths");
    assert!(begins(&mut member, at(800)));
    assert!(!begins(&mut member, at(801)), "one is under way");
    // It was lost, as by a panic.
    tokio::time::advance(Duration::from_secs(121)).await;
    assert!(begins(&mut member, at(800)));
}

#[tokio::test(start_paused = true)]
async fn failures_are_repeated_with_pauses_and_a_change_of_the_secret_soon() {
    let config = RenewalConfig::default();
    let mut member = tracked();
    for pause in [5, 10, 20] {
        assert!(begins(&mut member, at(900)));
        member.done(Done::Renewal(Err(refused())), &config);
        tokio::time::advance(Duration::from_secs(pause).mul_f64(0.89)).await;
        assert!(!begins(&mut member, at(900)), "{pause} s");
        tokio::time::advance(Duration::from_secs(pause).mul_f64(0.12)).await;
    }
    assert!(begins(&mut member, at(900)));
    assert_eq!(member.notice(&config, at(950)), Some(Notice::Unrenewed));
    member.done(Done::Renewal(Err(Failure::Keep(KeepError::Changed))), &config);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(begins(&mut member, at(900)), "that is no failure to wait after");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_renewed_rests_before_the_new_secret_is_seen_and_after() {
    let config = RenewalConfig::default();
    let mut member = tracked();
    assert!(begins(&mut member, at(900)));
    let life = Life { ends: at(1000), ..LIFE };
    member.done(Done::Renewal(Ok(Renewed { account: account(), life })), &config);
    tokio::time::advance(Duration::from_secs(399)).await;
    assert!(!begins(&mut member, at(900)));
    let mut member = Tracked::adopt(Some(member), &cluster(|_| ())).unwrap();
    assert!(!begins(&mut member, at(900)), "a change of the Secret does not wake it");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(begins(&mut member, at(900)));
}

#[tokio::test(start_paused = true)]
async fn who_takes_the_annotation_away_has_the_token_renewed_at_once() {
    let config = RenewalConfig::default();
    let mut member = tracked();
    assert!(begins(&mut member, at(900)));
    let life = Life { issued: at(900), ends: at(2000) };
    member.done(Done::Renewal(Ok(Renewed { account: account(), life })), &config);
    let unknown = cluster(|annotations| annotations.retain(|key, _| !key.contains("/token-issued")));
    let mut asked = Cluster::clone(&unknown);
    asked.resource_version = "2".to_owned();
    let mut member = Tracked::adopt(Some(member), &Arc::new(asked)).unwrap();
    assert!(begins(&mut member, at(901)));
}

#[test]
fn clusters_whose_credential_has_no_end_that_is_known_are_not_looked_after() {
    let none = cluster(BTreeMap::clear);
    assert!(Tracked::adopt(None, &none).is_none());
    let mut once = Tracked::adopt(
        None,
        &cluster(|annotations| {
            annotations.retain(|key, _| key.ends_with("/service-account"));
        }),
    )
    .unwrap();
    assert!(begins(&mut once, at(1)), "one whose life is not known is renewed at once");
    let odd = cluster(|annotations| {
        annotations.insert("cluster.core.oam.dev/service-account".to_owned(), "no".to_owned());
    });
    let odd = Tracked::adopt(None, &odd).unwrap();
    assert_eq!(odd.notice(&RenewalConfig::default(), at(10)), Some(Notice::Within(1)), "nobody renews it");
}
