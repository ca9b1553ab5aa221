//! The client of the hub, and the fake hub that the other tests stand on.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use cluster_gateway::authn::UserInfo;
use cluster_gateway::cache::Standing;
use cluster_gateway::hub::{Hub, HubConfig, ReviewError, watcher_config};
use futures_util::StreamExt;
use k8s_openapi::api::authentication::v1::TokenReviewSpec;
use k8s_openapi::api::authorization::v1::SubjectAccessReviewSpec;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams, ObjectMeta};
use kube::runtime::watcher::{Event, watcher};

use crate::support::fake_hub::{FakeHub, Fault};

fn secret(name: &str, labelled: bool) -> Secret {
    let labels = labelled.then(|| BTreeMap::from([("kind".to_owned(), "x".to_owned())]));
    let (namespace, name) = (Some("ns".to_owned()), Some(name.to_owned()));
    Secret { metadata: ObjectMeta { namespace, name, labels, ..ObjectMeta::default() }, ..Secret::default() }
}

#[tokio::test]
async fn secrets_are_listed_and_watched_by_label_also_after_the_watch_was_cut() {
    let hub = FakeHub::start().await;
    hub.put_secret(&secret("a", true));
    hub.put_secret(&secret("hidden", false));
    let api = Api::<Secret>::namespaced(hub.client().await, "ns");
    let listed = api.list(&ListParams::default().labels("kind")).await.unwrap();
    assert_eq!(listed.items.len(), 1);

    let mut events = pin!(watcher(api, watcher_config().labels("kind=x")));
    let mut seen = Vec::new();
    let mut step = 0;
    while seen.len() < 5 {
        let event = tokio::time::timeout(Duration::from_secs(30), events.next()).await.unwrap().unwrap();
        let (what, object) = match event.unwrap() {
            Event::Apply(object) => ("apply", object),
            Event::Delete(object) => ("delete", object),
            Event::InitApply(object) => ("init", object),
            Event::Init | Event::InitDone => continue,
        };
        seen.push(format!("{what} {}", object.metadata.name.unwrap()));
        match step {
            0 => hub.put_secret(&secret("b", true)),
            1 => hub.put_secret(&secret("b", false)),
            2 => {
                hub.cut_watches();
                hub.put_secret(&secret("c", true));
            }
            _ => hub.delete_secret("ns", "a"),
        }
        step += 1;
    }
    assert_eq!(seen, ["init a", "apply b", "delete b", "apply c", "delete a"]);
    assert_eq!(hub.requests("limit=500"), 1);
}

#[tokio::test]
async fn every_request_names_its_user_agent() {
    let hub = FakeHub::start().await;
    let ask = async |user_agent: &str| {
        let kubeconfig = Some(hub.kubeconfig_path());
        let user_agent = user_agent.to_owned();
        let connected =
            Hub::connect(&HubConfig { kubeconfig, user_agent, ..HubConfig::default() }).await.unwrap();
        connected.config_map("ns", "x").await.unwrap();
        connected.token_review(TokenReviewSpec::default(), Standing::Known).await.unwrap();
        Api::<Secret>::namespaced(connected.client(), "ns").list(&ListParams::default()).await.unwrap();
    };
    ask("mine/1").await;
    assert_eq!(hub.user_agents(), ["mine/1"; 3]);
    ask("").await;
    assert!(hub.user_agents()[3..].iter().all(|agent| agent.starts_with("cluster-gateway/")));
}

#[tokio::test]
async fn rule_066_reviews_go_where_their_own_kubeconfigs_point() {
    let (main, tokens, access) = (FakeHub::start().await, FakeHub::start().await, FakeHub::start().await);
    let config = HubConfig {
        kubeconfig: Some(main.kubeconfig_path()),
        authentication_kubeconfig: Some(tokens.kubeconfig_path()),
        authorization_kubeconfig: Some(access.kubeconfig_path()),
        ..HubConfig::default()
    };
    let hub = Hub::connect(&config).await.unwrap();
    hub.token_review(TokenReviewSpec::default(), Standing::Known).await.unwrap();
    hub.config_map("kube-system", "x").await.unwrap();
    hub.subject_access_review(SubjectAccessReviewSpec::default(), Standing::Known).await.unwrap();
    assert_eq!((main.requests(""), tokens.requests(""), access.requests("")), (0, 2, 1));
}

#[tokio::test]
async fn rule_077_a_hub_that_does_not_answer_is_given_up_after_10_seconds() {
    let hub = FakeHub::start().await;
    hub.token("t", UserInfo::anonymous());
    let connected = hub.hub().await;
    connected.token_review(TokenReviewSpec::default(), Standing::Known).await.unwrap();
    hub.fault("tokenreviews", Fault::Hang);
    let asking = {
        let connected = connected.clone();
        tokio::spawn(async move { connected.token_review(TokenReviewSpec::default(), Standing::Known).await })
    };
    while hub.requests("tokenreviews") < 2 {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    assert_eq!(asking.await.unwrap(), Err(ReviewError::TimedOut));
    assert_eq!(hub.requests("tokenreviews"), 2, "it is not asked again");
    hub.heal();
    connected.token_review(TokenReviewSpec::default(), Standing::Known).await.unwrap();
}
