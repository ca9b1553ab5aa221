//! A cluster for everything that a task does.

use crate::Cluster;

tokio::task_local! {
    /// The cluster of the task.
    static CURRENT: Cluster;
}

/// Runs `task` so that its requests go to `cluster`, if their client asks the task: those with
/// [`ClusterLayer::per_request`](crate::ClusterLayer::per_request), and kube-rs clients made by
/// `ClusterGatewayExt::per_request` (feature `kube`). `local` and the empty name mean the hub itself.
///
/// Spawned tasks do not inherit it; wrap what is spawned.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use cluster_gateway_client::with_cluster;
///
/// let answer = with_cluster("edge", async {
///     // pods.list(…) of a client that asks the task goes to edge
///     42
/// });
/// assert_eq!(answer.await, 42);
/// # }
/// ```
pub async fn with_cluster<F: Future>(cluster: impl Into<String>, task: F) -> F::Output {
    CURRENT.scope(Cluster(cluster.into()), task).await
}

/// The cluster of the task that runs now.
pub(crate) fn current() -> Option<Cluster> {
    CURRENT.try_with(Clone::clone).ok()
}
