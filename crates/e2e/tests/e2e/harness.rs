//! The harness itself, without the gateway: what fails here is no fault of the gateway.

use std::time::Instant;

use anyhow::Result;
use e2e::ControlPlane;

use crate::pods::{self, Upgrade};
use crate::world::planes;

#[test]
fn a_control_plane_starts_and_says_its_version() -> Result<()> {
    planes()?;
    let begun = Instant::now();
    let plane = ControlPlane::start("another")?;
    eprintln!("control plane ready in {:.1?}", begun.elapsed());
    let version = plane.admin().request("GET", "/version").send()?.json(200)?;
    assert_ne!(version["gitVersion"], "v0.0.0-master", "built with its version");
    Ok(())
}

#[test]
fn users_come_with_their_groups() -> Result<()> {
    let hub = &planes()?.hub;
    let bob = hub.user("bob", &["one", "two"])?;
    let review = bob.kubectl(["auth", "whoami", "-o", "json"]).run()?.success()?;
    let review: serde_json::Value = serde_json::from_str(&review)?;
    let user = &review["status"]["userInfo"];
    assert_eq!(user["username"], "bob");
    assert_eq!(user["groups"], serde_json::json!(["one", "two", "system:authenticated"]));
    Ok(())
}

#[test]
fn a_service_account_has_the_rights_of_its_role() -> Result<()> {
    let member = planes()?.member2.service_account("default", "viewer", "system:aggregate-to-view")?;
    member.kubectl(["get", "configmaps"]).run()?.success()?;
    let refused = member.kubectl(["create", "configmap", "refused"]).run()?.failure()?;
    assert!(refused.contains("system:serviceaccount:default:viewer"), "{refused}");
    Ok(())
}

#[test]
fn exec_works_at_the_member() -> Result<()> {
    let admin = planes()?.member1.admin();
    for upgrade in [Upgrade::WebSocket, Upgrade::Spdy] {
        pods::exec_reports(admin, upgrade)?;
        pods::exec_pipes(admin, upgrade)?;
        pods::exec_has_a_terminal(admin, upgrade)?;
        pods::attach_echoes(admin, upgrade)?;
    }
    Ok(())
}

#[test]
fn logs_port_forward_and_cp_work_at_the_member() -> Result<()> {
    let admin = planes()?.member1.admin();
    pods::logs_follow(admin)?;
    pods::cp_copies(admin)?;
    pods::port_forward_carries(admin, Upgrade::WebSocket)?;
    pods::port_forward_carries(admin, Upgrade::Spdy)
}
