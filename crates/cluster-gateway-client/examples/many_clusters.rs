//! How do I ask many clusters at once? Counts the nodes of every cluster that the gateway knows, each for five seconds at
//! most, with one client:
//!
//! `cargo run --example many_clusters --features kube,task-local`

#![expect(clippy::print_stdout, reason = "an example says what it has found")]

use std::time::Duration;

use cluster_gateway_client::kube::{ClusterGateway, ClusterGatewayExt};
use cluster_gateway_client::with_cluster;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, ListParams};
use tokio::task::JoinSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = kube::Client::try_from(kube::Config::infer().await?)?;
    let clusters = Api::<ClusterGateway>::all(hub.clone()).list(&ListParams::default()).await?;
    // One client and one Api for all: which cluster is meant is said around the call.
    let nodes: Api<Node> = Api::all(hub.per_request());
    let mut answers = JoinSet::new();
    for name in clusters.items.into_iter().filter_map(|cluster| cluster.metadata.name) {
        let nodes = nodes.clone();
        answers.spawn(async move {
            let list = async { nodes.list(&ListParams::default()).await.map(|list| list.items.len()) };
            (name.clone(), tokio::time::timeout(Duration::from_secs(5), with_cluster(name, list)).await)
        });
    }
    while let Some(answer) = answers.join_next().await {
        match answer? {
            (name, Ok(Ok(count))) => println!("{name}: {count} nodes"),
            (name, Ok(Err(error))) => println!("{name}: {error}"),
            (name, Err(_)) => println!("{name}: no answer within 5 s"),
        }
    }
    Ok(())
}
