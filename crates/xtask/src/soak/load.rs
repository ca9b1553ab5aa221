//! Requests of all kinds, at once and without end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use e2e::registration;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::check::{Expected, Tally};
use super::dice::Dice;
use super::session;
use super::world::{CLUSTERS, Cluster, OBJECTS, USERS, World, headers, user};
use crate::wire::{self, Http2};

/// A client that waits longer gives up.
const PATIENCE: Duration = Duration::from_secs(3);
/// One that has others to ask does not wait long for any.
const BRIEF: Duration = Duration::from_secs(1);
/// Requests on a connection before a new one is opened, with whatever certificate is served then.
const REQUESTS: usize = 300;
const UPLOAD: usize = 200 << 10;
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Get,
    List,
    Watch,
    Upload(usize),
    Exec,
}

const WORKERS: [Kind; 20] = [
    Kind::Get,
    Kind::Get,
    Kind::Get,
    Kind::Get,
    Kind::Get,
    Kind::Get,
    Kind::Get,
    Kind::Get,
    Kind::List,
    Kind::List,
    Kind::Watch,
    Kind::Watch,
    Kind::Watch,
    Kind::Watch,
    Kind::Watch,
    Kind::Watch,
    Kind::Upload(0),
    Kind::Upload(1),
    Kind::Exec,
    Kind::Exec,
];

/// One client.
pub(super) struct Worker {
    pub(super) world: Arc<World>,
    pub(super) tally: Arc<Tally>,
    number: usize,
    requests: u64,
    dice: Dice,
}

pub(super) fn start(
    world: &Arc<World>,
    tally: &Arc<Tally>,
    stop: &CancellationToken,
    seed: u64,
) -> Vec<JoinHandle<()>> {
    let spawn = |(number, kind): (usize, Kind)| {
        let dice = Dice::new(seed.wrapping_mul(1000) + number as u64);
        let (world, tally, stop) = (world.clone(), tally.clone(), stop.clone());
        let worker = Worker { world, tally, number, requests: 0, dice };
        tokio::spawn(worker.run(kind, stop))
    };
    WORKERS.into_iter().enumerate().map(spawn).collect()
}

impl Worker {
    async fn run(mut self, kind: Kind, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if kind == Kind::Exec {
                session::one(&mut self).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            let Ok(connection) = self.world.dialer.http2(self.world.port).await else {
                self.tally.count("connect: failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            for _ in 0..REQUESTS {
                if stop.is_cancelled() || !self.one(kind, &connection).await {
                    break;
                }
            }
        }
    }

    /// A nonce, a cluster and a user, by chance; the path leads into the cluster.
    pub(super) fn next(&mut self) -> (Expected, String) {
        self.requests += 1;
        let cluster = &CLUSTERS[self.dice.below(CLUSTERS.len())];
        let nonce = format!("{}-{}", self.number, self.requests);
        let user = user(self.dice.below(USERS));
        (Expected { nonce, members: cluster.members, user }, registration::proxy_path(cluster.name))
    }

    /// Whether the connection may be used again.
    async fn one(&mut self, kind: Kind, connection: &Http2) -> bool {
        let (expected, prefix) = self.next();
        let (name, path, body) = match kind {
            Kind::Get => ("get", format!("{prefix}{CONFIG_MAPS}/whoami"), None),
            Kind::List => ("list", format!("{prefix}{CONFIG_MAPS}?labelSelector=!none"), None),
            Kind::Watch => ("watch", format!("{prefix}{CONFIG_MAPS}?watch=true&timeoutSeconds=2"), None),
            Kind::Upload(number) => {
                let object = upload(number, &expected.nonce);
                ("upload", format!("{prefix}{CONFIG_MAPS}/up-{number}"), Some(object))
            }
            Kind::Exec => return true,
        };
        let asking = self.ask(name, connection, &expected, &path, body);
        match tokio::time::timeout(PATIENCE, asking).await {
            Err(_) => self.tally.count(&format!("{name}: given up")),
            Ok(Err(_)) => {
                self.tally.count(&format!("{name}: broken off"));
                // A stream that failed says nothing of its connection, a connection that failed says it again at once.
                tokio::time::sleep(Duration::from_millis(10)).await;
                return connection.is_open().await;
            }
            Ok(Ok(())) => {}
        }
        true
    }

    async fn ask(
        &self,
        name: &str,
        connection: &Http2,
        expected: &Expected,
        path: &str,
        upload: Option<Bytes>,
    ) -> anyhow::Result<()> {
        let mut headers = headers(&expected.user, &expected.nonce)?;
        let mut method = Method::GET;
        if upload.is_some() {
            method = Method::PUT;
            headers.insert("content-type", http::HeaderValue::from_static("application/json"));
        }
        let request = wire::request(method, path, &headers)?;
        let (head, mut stream) = connection.send(request, upload).await?.into_parts();
        self.tally.head(name, expected, head.status, &head.headers);
        let mut body = BytesMut::new();
        while let Some(piece) = wire::next(&mut stream).await? {
            body.extend_from_slice(&piece);
        }
        // It ended as if it were whole: so it must be.
        match whole(name, head.status, &body, expected) {
            Ok(what) => self.tally.count(&format!("{name}: {what}")),
            Err(error) => self.tally.violation(format!("{name}: ended cleanly, but {error:#}")),
        }
        Ok(())
    }
}

fn whole(name: &str, status: StatusCode, body: &[u8], expected: &Expected) -> anyhow::Result<&'static str> {
    if name == "watch" && status == StatusCode::OK {
        let mut lines = body.split_inclusive(|byte| *byte == b'\n').peekable();
        let events = lines.peek().is_some();
        for line in lines {
            anyhow::ensure!(line.ends_with(b"\n"), "its last event is cut");
            serde_json::from_slice::<Value>(line)?;
        }
        return Ok(if events { "event" } else { "no event" });
    }
    let document: Value = serde_json::from_slice(body)?;
    if status != StatusCode::OK {
        anyhow::ensure!(document["kind"] == "Status", "a failure that is no Status: {document}");
        return Ok("a Status");
    }
    match name {
        "get" => {
            let member = document["data"]["text"].as_str().unwrap_or_default();
            anyhow::ensure!(expected.members.contains(&member), "it is the object of {member:?}");
        }
        "list" => {
            let count = document["items"].as_array().map_or(0, Vec::len);
            anyhow::ensure!(count >= OBJECTS, "it has {count} objects");
        }
        _ => {
            let nonce = document["data"]["nonce"].as_str().unwrap_or_default();
            anyhow::ensure!(nonce == expected.nonce, "what was stored is of {nonce:?}");
        }
    }
    Ok("whole")
}

fn upload(number: usize, nonce: &str) -> Bytes {
    let data = json!({"nonce": nonce, "text": "u".repeat(UPLOAD)});
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("up-{number}"), "namespace": "default"}, "data": data});
    object.to_string().into()
}

impl World {
    /// Whether a cluster answers a user now.
    pub(super) async fn answers(&self, cluster: &Cluster, user: &str) -> bool {
        let path = format!("{}{CONFIG_MAPS}/whoami", registration::proxy_path(cluster.name));
        let asking = async {
            let connection = self.dialer.http2(self.port).await?;
            connection.get(&path, &headers(user, "hub")?).await
        };
        matches!(tokio::time::timeout(BRIEF, asking).await, Ok(Ok(_)))
    }

    /// Asks until it does, or for so long.
    pub(super) async fn answers_within(&self, cluster: &Cluster, limit: Duration) {
        let begun = Instant::now();
        while !self.answers(cluster, &user(1)).await && begun.elapsed() < limit {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_is_found() {
        let expected = Expected { nonce: "n".to_owned(), members: &["m0"], user: String::new() };
        let good = |name, body: &str| whole(name, StatusCode::OK, body.as_bytes(), &expected).is_ok();
        assert!(good("watch", "{\"type\":\"ADDED\"}\n{\"type\":\"ADDED\"}\n"));
        assert!(good("watch", ""));
        assert!(!good("watch", "{\"type\":\"ADDED\"}\n{\"type\":\"AD"));
        assert!(good("get", "{\"data\":{\"text\":\"m0\"}}"));
        assert!(!good("get", "{\"data\":{\"text\":\"m1\"}}"));
        assert!(!good("get", "{\"data\":{\"text\":\"m"));
        assert!(!good("list", "{\"items\":[]}"));
        assert!(good("upload", "{\"data\":{\"nonce\":\"n\"}}"));
        assert!(!good("upload", "{\"data\":{\"nonce\":\"o\"}}"));
        assert!(whole("get", StatusCode::BAD_GATEWAY, b"bad gateway", &expected).is_err());
        assert!(whole("get", StatusCode::BAD_GATEWAY, b"{\"kind\":\"Status\"}", &expected).is_ok());
    }
}
