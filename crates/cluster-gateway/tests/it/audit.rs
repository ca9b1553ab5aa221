//! Audit events of the whole server.

mod canaries;
mod events;
mod webhook;

use std::path::PathBuf;

use cluster_gateway::audit::{AuditConfig, LogConfig, LogTarget, Policy};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::world::{Setup, World, until};

/// Everything but what the tests' own waiting leads to.
const EVERYTHING: &str = "rules:\n- level: None\n  nonResourceURLs: [\"/readyz*\"]\n- level: Metadata\n";

fn policy(rules: &str) -> Policy {
    let text = format!("apiVersion: audit.k8s.io/v1\nkind: Policy\n{rules}");
    Policy::parse("policy", &text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// An audit log.
struct Log(TempDir);

impl Log {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("audit.log")
    }

    fn config(&self, rules: &str) -> AuditConfig {
        let log = Some(LogConfig::to(LogTarget::File(self.path())));
        AuditConfig { policy: policy(rules), log, webhook: None }
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.path()).unwrap_or_default()
    }

    /// All events so far of one request.
    fn of(&self, id: &str) -> Vec<Value> {
        let text = self.text();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let events = whole.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.filter(|event| event["auditID"] == id).collect()
    }

    /// The events of a request, once it has this many.
    async fn events(&self, id: &str, count: usize) -> Vec<Value> {
        until(|| async { self.of(id).len() >= count }).await;
        let events = self.of(id);
        assert_eq!(events.len(), count, "{events:#?}");
        events
    }
}

/// A server whose requests are audited.
async fn audited(rules: &str) -> (World, Log) {
    let log = Log::new();
    let world = World::with(Setup { audit: Some(log.config(rules)), ..Setup::default() }).await;
    (world, log)
}

fn stages(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["stage"].as_str().unwrap()).collect()
}
