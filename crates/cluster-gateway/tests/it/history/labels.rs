//! Labels of metrics, which whoever asks must not be able to make up.

use std::collections::BTreeSet;

use http::Method;

use crate::support::world::{PROXY, World, until};

const CLUSTERS: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";

/// Everything in quotes behind `label=`.
fn values<'m>(metrics: &'m str, label: &str) -> BTreeSet<&'m str> {
    let start = format!("{label}=\"");
    metrics.split(&start).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_007_rule_259_nobody_makes_labels_up() {
    let world = World::start().await;
    world.hub.allow_if(|_| true);
    for number in 0..40 {
        let word = format!("made-up-{number}");
        let caller = world.user(&word, &[&word]).header("user-agent", &word);
        for path in [
            format!("{PROXY}/api/v1/{word}/{word}"),
            format!("{PROXY}/apis/{word}/{word}/namespaces/{word}/{word}?limit={word}"),
            format!("{PROXY}/api/v1/{word}%22%7Bx=%22y"),
            format!("{CLUSTERS}/{word}/proxy/api/v1/pods"),
            format!("{CLUSTERS}/m/{word}"),
            format!("/{word}"),
        ] {
            let _ = caller.get(&path).await;
        }
        let method = Method::from_bytes(word.to_uppercase().as_bytes()).unwrap();
        caller.send(method, &format!("{PROXY}/api/v1/pods"), "").await;
        world.masters().get(&format!("{PROXY}/status/{}", 420 + number)).await;
    }
    let metrics = world.masters().get("/metrics").await.text();
    assert!(!metrics.to_lowercase().contains("made-up"), "{metrics}");
    assert_eq!(values(&metrics, "cluster"), BTreeSet::from(["m", "other"]));
    let codes = values(&metrics, "code");
    assert!(codes.contains("0") && !codes.contains("420") && !codes.contains("459"), "{codes:?}");
    assert!(
        codes.iter().all(|code| [
            "0", "200", "403", "405", "421", "422", "423", "424", "425", "426", "428", "429", "431", "451",
            "500"
        ]
        .contains(code)),
        "{codes:?}"
    );
    let lines = metrics.lines().count();
    world.hub.delete_secret("vela-system", "m");
    let gone = || async { !values(&world.masters().get("/metrics").await.text(), "cluster").contains("m") };
    until(gone).await;
    assert!(lines < 1000, "{lines} lines");
}
