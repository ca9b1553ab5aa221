//! cluster-gateway-client with kube-rs, against a real hub and real members.

use std::future::ready;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster_gateway_client::kube::{ClusterGateway, ClusterGatewayExt, VirtualCluster};
use cluster_gateway_client::with_cluster;
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Client, Config};

use crate::world::{planes, world};
use e2e::{Access, registration};

const TIMEOUT: Duration = Duration::from_secs(20);

fn block_on<T>(task: impl Future<Output = Result<T>>) -> Result<T> {
    // Two crates bring a provider for TLS; a program has to choose.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(task)
}

async fn client(access: &Access) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(access.kubeconfig())?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

/// What tells one control plane from another.
async fn uid(namespaces: &Api<Namespace>) -> Result<String> {
    namespaces.get("kube-system").await?.metadata.uid.context("a uid")
}

#[test]
fn one_client_reaches_two_clusters_and_the_hub() -> Result<()> {
    let world = world()?;
    block_on(async {
        let mut own = Vec::new();
        for access in [world.member1.admin(), world.member2.admin(), world.hub.admin()] {
            own.push(uid(&Api::all(client(access).await?)).await?);
        }
        let hub = client(world.hub.admin()).await?;
        let namespaces: Api<Namespace> = Api::all(hub.per_request());
        let (first, second, third) = tokio::try_join!(
            with_cluster("member1", uid(&namespaces)),
            with_cluster("member2", uid(&namespaces)),
            uid(&namespaces),
        )?;
        ensure!([first, second, third] == *own, "each at its own");

        let pods = |client: Client| async {
            let list = Api::<Pod>::default_namespaced(client).list(&ListParams::default()).await?;
            anyhow::Ok(list.items.into_iter().filter_map(|pod| pod.metadata.name).collect::<Vec<_>>())
        };
        ensure!(pods(hub.cluster("member1")).await?.contains(&e2e::pods::POD.to_owned()));
        for other in ["member2", "local"] {
            ensure!(!pods(hub.cluster(other)).await?.contains(&e2e::pods::POD.to_owned()), "{other}");
        }
        let error = pods(hub.cluster("nosuch")).await.unwrap_err().to_string();
        ensure!(error.contains("no such cluster"), "{error}");
        Ok(())
    })
}

#[test]
fn a_reflector_follows_the_clusters() -> Result<()> {
    const NAME: &str = "followed";
    let world = world()?;
    let member = planes()?.member1.user("followed", &[])?;
    block_on(async {
        let hub = client(world.hub.admin()).await?;
        let (store, writer) = reflector::store::<ClusterGateway>();
        let watched = watcher(Api::<ClusterGateway>::all(hub.clone()), watcher::Config::default());
        let following = reflector(writer, watched).default_backoff().touched_objects();
        let following = tokio::spawn(following.for_each(|_| ready(())));
        tokio::time::timeout(TIMEOUT, store.wait_until_ready()).await??;
        let named = |name: &str| store.find(|cluster| cluster.metadata.name.as_deref() == Some(name));
        let known = named("member1").context("member1 is known")?;
        ensure!(
            known.spec.access.credential.is_some() && known.metadata.resource_version.is_some(),
            "{known:?}"
        );

        registration::add_member(world.hub, NAME, &member)?;
        until("it to be there", || named(NAME).is_some()).await?;
        let shown = Api::<VirtualCluster>::all(hub).get(NAME).await?;
        ensure!(shown.spec.credential_type == "X509Certificate" && shown.spec.accepted, "{shown:?}");
        registration::remove_member(world.hub, NAME)?;
        until("it to be gone", || named(NAME).is_none()).await?;
        following.abort();
        Ok(())
    })
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let polled = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    tokio::time::timeout(TIMEOUT, polled).await.with_context(|| format!("waited {TIMEOUT:?} for {what}"))
}
