//! Whether clusters answer now.

use std::time::Duration;

use cluster_gateway_client::{Cluster, ProxyPath};
use futures_util::StreamExt;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::client::Body;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};

use super::list::policy;
use crate::health;
use crate::hub::chain;
use crate::lifecycle::{Store, StoreError};
use crate::registry;

/// Bytes of an answer that are read.
const MOST_BYTES: usize = 64 * 1024;
/// Characters of somebody else's words that are repeated.
const MOST_WORDS: usize = 300;
/// Characters of a version.
const MOST_VERSION: usize = 64;
/// Clusters that are asked at once.
const AT_ONCE: usize = 32;

/// What asking one cluster has brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// The cluster; `local` is the hub itself.
    pub name: String,
    /// Whether it answered that it is ready.
    pub ready: bool,
    /// The version that it says it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// From the request to the head of the answer, in microseconds; absent if there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_microseconds: Option<u64>,
    /// Why it is not ready, or what is odd about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Asks clusters through the gateway behind `hub`, each for `limit` at most and 32 at once: `/readyz`, or `/healthz` where
/// there is none, and the version. The answers come in the order of `names`.
pub async fn probe(hub: &Client, names: Vec<String>, limit: Duration) -> Vec<Probe> {
    let probes = names.into_iter().map(|name| async move {
        match timeout(limit, ask(hub, &name)).await {
            Ok(probe) => probe,
            Err(_) => Probe::failed(&name, format!("no answer within {limit:?}")),
        }
    });
    futures_util::stream::iter(probes).buffered(AT_ONCE).collect().await
}

/// Asks the clusters of a store from here, past any gateway, with the credentials that stand there. `names`: only these;
/// empty: all.
///
/// # Errors
/// [`StoreError`]: the store cannot be read.
pub async fn probe_directly(
    store: &Store,
    names: &[String],
    limit: Duration,
) -> Result<Vec<Probe>, StoreError> {
    let policy = policy();
    let read = store.list().await?.into_iter().map(|entry| policy.read(entry, None));
    let mut clusters: Vec<registry::Cluster> = read.collect();
    clusters.sort_by(|a, b| a.name.cmp(&b.name));
    let missing = names.iter().filter(|name| !clusters.iter().any(|cluster| cluster.name == **name));
    let mut probes: Vec<_> = missing
        .map(|name| Probe::failed(name, format!("there is no such cluster: no {}", store.place(name))))
        .collect();
    let asked = clusters.iter().filter(|cluster| names.is_empty() || names.contains(&cluster.name));
    let asked = asked.map(|cluster| ask_directly(cluster, limit));
    probes.extend(futures_util::stream::iter(asked).buffered(AT_ONCE).collect::<Vec<_>>().await);
    Ok(probes)
}

async fn ask_directly(cluster: &registry::Cluster, limit: Duration) -> Probe {
    let name = &cluster.name;
    let upstream = match &cluster.upstream {
        Ok(upstream) => upstream,
        Err(unusable) => return Probe::failed(name, unusable.0.clone()),
    };
    let Some(finding) = health::probe(upstream, limit, true).await else {
        return Probe::failed(name, "it was not asked".to_owned());
    };
    let (ready, reason) = match finding.ready {
        Ok(note) => (true, note),
        Err(reason) => (false, reason),
    };
    Probe {
        name: name.clone(),
        ready,
        version: finding.version,
        latency_microseconds: finding.latency.map(microseconds),
        reason: Some(reason).filter(|reason| !reason.is_empty()),
    }
}

async fn ask(hub: &Client, name: &str) -> Probe {
    let prefix = if name == Cluster::LOCAL { String::new() } else { ProxyPath::prefix(name) };
    let mut probe = Probe::failed(name, String::new());
    // Servers older than Kubernetes 1.16 have no /readyz.
    for path in ["/readyz", "/healthz"] {
        let begun = Instant::now();
        let (status, body) = match get(hub, &format!("{prefix}{path}")).await {
            Ok(answer) => answer,
            Err(reason) => return Probe::failed(name, reason),
        };
        probe.latency_microseconds = Some(microseconds(begun.elapsed()));
        probe.ready = status.is_success();
        probe.reason = (!probe.ready).then(|| refusal(path, status, &body));
        if status != StatusCode::NOT_FOUND {
            break;
        }
    }
    if probe.ready {
        probe.version = version(hub, &prefix).await;
    }
    probe
}

async fn version(hub: &Client, prefix: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        git_version: String,
    }
    let (_, body) =
        get(hub, &format!("{prefix}/version")).await.ok().filter(|(status, _)| status.is_success())?;
    let Version { git_version } = serde_json::from_slice(&body).ok()?;
    let sound = git_version.len() <= MOST_VERSION && git_version.bytes().all(|byte| byte.is_ascii_graphic());
    sound.then_some(git_version)
}

/// The answer, whatever its code; bodies are cut short where they are too long to be from a health check.
pub(super) async fn get(hub: &Client, path: &str) -> Result<(StatusCode, Vec<u8>), String> {
    let request = Request::get(path).body(Body::empty()).map_err(|error| error.to_string())?;
    let answer = hub.send(request).await.map_err(|error| chain(&error))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
    Ok((status, body.map(|body| body.to_bytes().to_vec()).unwrap_or_default()))
}

/// Why an answer is no "ready": the message of a Status, or the checks that fail, or the beginning of the text.
pub(super) fn refusal(path: &str, status: StatusCode, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    let text = match serde_json::from_slice(body) {
        Ok(Status { message }) => message,
        Err(_) => {
            let text = String::from_utf8_lossy(body);
            let failing: Vec<_> = text.lines().filter(|line| line.starts_with("[-]")).collect();
            if failing.is_empty() { text.into_owned() } else { failing.join(" ") }
        }
    };
    let words: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_WORDS).collect();
    let colon = if words.trim().is_empty() { "" } else { ": " };
    format!("{path} answered {}{colon}{}", status.as_u16(), words.trim())
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Probe {
    fn failed(name: &str, reason: String) -> Self {
        Self {
            name: name.to_owned(),
            ready: false,
            version: None,
            latency_microseconds: None,
            reason: Some(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_the_gateway_or_the_member_said() {
        let said =
            |code: u16, body: &str| refusal("/readyz", StatusCode::from_u16(code).unwrap(), body.as_bytes());
        assert_eq!(
            said(503, r#"{"kind":"Status","message":"dial tcp: no route"}"#),
            "/readyz answered 503: dial tcp: no route"
        );
        assert_eq!(said(500, "[+]ping ok\n[-]etcd failed\n"), "/readyz answered 500: [-]etcd failed");
        assert_eq!(said(502, ""), "/readyz answered 502");
        assert!(said(500, &"x".repeat(5000)).len() < 400);
        assert!(!said(500, "a\x1b[2J").contains('\x1b'));
    }
}
