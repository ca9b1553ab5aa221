//! Labels and name for people, at once and only of the cluster that was looked at.

use std::collections::BTreeMap;

use cluster_gateway::lifecycle::{Edit, LifecycleError, StoreError, Transaction, Undo, edit, edit_in};
use serde_json::{Value, json};

use super::{Hub, SECRETS, TYPE};

fn metadata(labels: &[(&str, &str)], alias: Option<&str>) -> Edit {
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Edit::Metadata { labels: Some(BTreeMap::from_iter(labels)), alias: alias.map(str::to_owned) }
}

fn old(hub: &Hub) -> Value {
    hub.fake.secret("vela-system", "old").unwrap()
}

fn version(hub: &Hub) -> String {
    old(hub)["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn labels_are_replaced_but_for_the_gateways_own_in_one_write() {
    let hub = Hub::start().await;
    let mut transaction = Transaction::new(&hub.store);
    let change = metadata(&[("tier", "gold")], Some("Another"));
    edit_in(&mut transaction, "old", &change, Some(&version(&hub))).await.unwrap();
    let after = old(&hub);
    assert_eq!(after["metadata"]["labels"], json!({TYPE: "ServiceAccountToken", "tier": "gold"}));
    assert_eq!(after["metadata"]["annotations"]["cluster.core.oam.dev/cluster-alias"], "Another");
    assert_eq!(after["metadata"]["annotations"]["mine"], "stays");
    assert_eq!(hub.writes(), [format!("PUT {SECRETS}/old")]);
    let kept = Edit::Metadata { labels: None, alias: Some(String::new()) };
    edit(&hub.store, "old", &kept).await.unwrap();
    let after = old(&hub);
    assert_eq!(after["metadata"]["labels"]["tier"], "gold");
    assert_eq!(after["metadata"]["annotations"].get("cluster.core.oam.dev/cluster-alias"), None);
}

#[tokio::test]
async fn a_cluster_that_is_not_as_expected_is_left_alone() {
    let hub = Hub::start().await;
    let before = version(&hub);
    edit(&hub.store, "old", &Edit::Alias("theirs".to_owned())).await.unwrap();
    let content = hub.fake.content();
    let mut transaction = Transaction::new(&hub.store);
    let outcome = edit_in(&mut transaction, "old", &metadata(&[], None), Some(&before)).await;
    assert!(matches!(outcome, Err(LifecycleError::Store(StoreError::Changed(_)))), "{outcome:?}");
    assert_eq!((transaction.undo().await, hub.fake.content()), (Undo::Untouched, content));
}

#[tokio::test]
async fn what_depends_on_an_edit_can_take_it_back() {
    let hub = Hub::start().await;
    let before = hub.fake.content();
    let mut transaction = Transaction::new(&hub.store);
    edit_in(&mut transaction, "old", &metadata(&[], Some("")), None).await.unwrap();
    assert_ne!(hub.fake.content(), before);
    assert_eq!((transaction.undo().await, hub.fake.content()), (Undo::Restored, before));
}

#[tokio::test]
async fn labels_that_are_none_or_the_gateways_own_are_refused() {
    let hub = Hub::start().await;
    let before = hub.fake.content();
    for (key, value, why) in [
        (TYPE, "Dynamic", "says how the cluster is reached"),
        ("a b", "x", "no key"),
        ("a", "<b>", "no value"),
    ] {
        for edit_of in
            [metadata(&[(key, value)], None), Edit::AddLabels([(key.to_owned(), value.to_owned())].into())]
        {
            let failure = edit(&hub.store, "old", &edit_of).await.unwrap_err().to_string();
            assert!(failure.contains(why), "{failure}");
        }
    }
    assert_eq!((hub.fake.content(), hub.writes().len()), (before, 0));
}
