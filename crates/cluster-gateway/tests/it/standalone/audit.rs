//! Audit without a hub.

use cluster_gateway::audit::{AuditConfig, LogConfig, LogTarget, Policy};

use super::{Alone, proxy};
use crate::support::world::until;

#[tokio::test(flavor = "multi_thread")]
async fn rule_136_requests_are_audited_without_a_hub_too() {
    let policy =
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n  users: [alice, admin]\n";
    let alone = Alone::with(|files, config| {
        let log = Some(LogConfig::to(LogTarget::File(files.path("audit.log"))));
        config.audit =
            Some(AuditConfig { policy: Policy::parse("policy", policy).unwrap(), log, webhook: None });
    })
    .await;
    assert_eq!(alone.admin().get(&proxy("m", "/plain")).await.status, 200);
    assert_eq!(alone.user("alice", &[]).get(&proxy("m", "/plain")).await.status, 403);
    let log = || std::fs::read_to_string(alone.files.path("audit.log")).unwrap();
    until(|| async { log().lines().count() == 4 }).await;
    for (user, code, decision) in [("admin", 200, "allow"), ("alice", 403, "forbid")] {
        let log = log();
        let last = log.lines().rfind(|line| line.contains(&format!("\"username\":\"{user}\""))).unwrap();
        let event: serde_json::Value = serde_json::from_str(last).unwrap();
        assert_eq!(
            (&event["stage"], &event["responseStatus"]["code"]),
            (&"ResponseComplete".into(), &code.into())
        );
        assert_eq!(event["annotations"]["authorization.k8s.io/decision"], decision, "{event}");
    }
}
