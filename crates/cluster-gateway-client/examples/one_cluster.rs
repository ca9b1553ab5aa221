//! How do I use one cluster with kube-rs? Lists the pods of a cluster:
//!
//! `cargo run --example one_cluster --features kube -- edge`

#![expect(clippy::print_stdout, reason = "an example says what it has found")]

use cluster_gateway_client::kube::ClusterGatewayExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cluster = std::env::args().nth(1).ok_or("usage: one_cluster CLUSTER")?;
    // The hub, by the kubeconfig that kubectl would use.
    let hub = kube::Client::try_from(kube::Config::infer().await?)?;
    let pods: Api<Pod> = Api::default_namespaced(hub.cluster(cluster));
    for pod in pods.list(&ListParams::default()).await? {
        println!("{}", pod.metadata.name.unwrap_or_default());
    }
    Ok(())
}
