//! Why a cluster does not work, hop by hop: Secret, parsing, DNS, connection, TLS, authentication, rights, version, upgrades.
//!
//! Only looks: it changes nothing, neither at the hub nor at the member. Every hop is made by what requests are made by: the
//! one reader of Secrets, the one dialer, the same credential. It uses connections of its own, so that what it finds is not
//! what a pool or a breaker remembers. Everything it waits for has a limit, and no answer holds key material.

use std::sync::Arc;
use std::time::Duration;

use crate::registry::{Cluster, ClusterPolicy, Entry, Upstream};
use crate::transport::Transport;

mod authentication;
mod authorization;
mod finding;
mod member;
mod network;
mod secret;
mod tls;
mod upgrade;
mod version;
mod walk;

use finding::Verdict;
pub use finding::{Diagnosis, Event, Finding, Hop, Outcome};
use member::Member;
use walk::Walk;

/// Who is told how a diagnosis goes on. It must not wait: the diagnosis waits for it.
pub type Watcher<'w> = &'w (dyn Fn(Event) + Send + Sync);

/// How far and how long to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// The last hop that is looked at. Default: [`Hop::Upgrade`].
    pub last: Hop,
    /// Whether callers' identities are passed on, so that the credential needs the right to impersonate. Default: no, the
    /// credential itself needs the rights of those who come through.
    pub impersonates: bool,
    /// How long one hop may take. Default 10 s.
    pub hop_limit: Duration,
    /// How long all hops together may take. Default 40 s.
    pub limit: Duration,
}

impl Default for Depth {
    fn default() -> Self {
        Self {
            last: Hop::Upgrade,
            impersonates: false,
            hop_limit: Duration::from_secs(10),
            limit: Duration::from_secs(40),
        }
    }
}

/// Looks at a cluster as its Secret describes it. What the policy allows decides as it does in the gateway.
///
/// It never fails: what is wrong is a finding. The first failed hop leaves the later ones skipped.
pub async fn diagnose(entry: Entry, policy: &ClusterPolicy, depth: &Depth) -> Diagnosis {
    diagnose_with(entry, policy, depth, &|_| ()).await
}

/// As [`diagnose`], and tells `watcher` each [`Event`] as it comes.
pub async fn diagnose_with(
    entry: Entry,
    policy: &ClusterPolicy,
    depth: &Depth,
    watcher: Watcher<'_>,
) -> Diagnosis {
    let name = entry.secret.metadata.name.clone().unwrap_or_default();
    let mut walk = Walk::new(name, depth, watcher);
    walk.step(Hop::Secret, async { secret::of_entry(&entry) }).await;
    let cluster = policy.read(entry, None);
    hops(walk, &cluster, depth).await
}

/// The diagnosis of a cluster of which there is nothing; `reason` says where it was looked for, or why there can be none.
#[must_use]
pub fn absent(name: &str, reason: &str) -> Diagnosis {
    let remedy = "list what there is (cluster-gateway list), or join the cluster";
    Walk::new(name.to_owned(), &Depth::default(), &|_| ())
        .with(Hop::Secret, Verdict::failed(reason, remedy))
        .end()
}

/// The diagnosis of a cluster that is not looked at, because nothing may be written under its name.
pub(crate) fn stopped(name: &str, reason: &str, remedy: &str, watcher: Watcher<'_>) -> Diagnosis {
    watcher(Event::Hop(Hop::Secret));
    Walk::new(name.to_owned(), &Depth::default(), watcher)
        .with(Hop::Secret, Verdict::failed(reason, remedy))
        .end()
}

/// Looks at a cluster as the gateway has read it. See [`diagnose`].
pub async fn diagnose_cluster(cluster: &Cluster, depth: &Depth) -> Diagnosis {
    diagnose_cluster_with(cluster, depth, &|_| ()).await
}

/// As [`diagnose_cluster`], and tells `watcher` each [`Event`] as it comes.
pub async fn diagnose_cluster_with(cluster: &Cluster, depth: &Depth, watcher: Watcher<'_>) -> Diagnosis {
    let mut walk = Walk::new(cluster.name.clone(), depth, watcher);
    walk.step(Hop::Secret, async { secret::of_cluster(cluster) }).await;
    hops(walk, cluster, depth).await
}

async fn hops(mut walk: Walk<'_>, cluster: &Cluster, depth: &Depth) -> Diagnosis {
    walk.step(Hop::Parse, async { secret::parse(cluster, depth.impersonates) }).await;
    let Ok(upstream) = &cluster.upstream else { return walk.end() };
    let upstream = apart(upstream, depth.hop_limit);
    network::look(&mut walk, &upstream.transport).await;
    walk.step(Hop::Tls, tls::look(&upstream)).await;
    if walk.goes_on(Hop::Authentication) {
        at_member(&mut walk, cluster, &upstream, depth).await;
    }
    walk.end()
}

/// What is asked of the member itself, with the credential.
async fn at_member(walk: &mut Walk<'_>, cluster: &Cluster, upstream: &Upstream, depth: &Depth) {
    let mut member = None;
    let authentication = async {
        match Member::of(upstream).await {
            Ok(found) => authentication::look(member.insert(found), cluster).await,
            Err(reason) => (Verdict::failed(reason, authentication::MEND_PROGRAM), None),
        }
    };
    let skew = walk.step_with(Hop::Authentication, authentication).await.flatten();
    if let Some(note) = skew.and_then(tls::skew) {
        walk.warn(Hop::Tls, note);
    }
    let Some(member) = member else { return };
    walk.step(Hop::Authorization, authorization::look(&member, depth.impersonates)).await;
    walk.step(Hop::Version, version::look(&member)).await;
    walk.step(Hop::Upgrade, upgrade::look(&member)).await;
}

/// The same way on connections of its own, and in a hurry.
fn apart(upstream: &Upstream, limit: Duration) -> Upstream {
    let transport = &upstream.transport;
    let options = Arc::new(transport.options().hurried(limit));
    Upstream {
        transport: Arc::new(Transport::new(transport.spec().clone(), options)),
        certified: upstream.certified.as_ref().map(|_| Arc::default()),
        ..upstream.clone()
    }
}

#[cfg(test)]
mod tests;
