//! Pods of a member, through hub and gateway: every upgrade is passed on twice.

use anyhow::{Result, ensure};
use e2e::pods::POD;

use crate::pods::{self, Upgrade};
use crate::world::world;

#[test]
fn rule_182_rule_184_exec_over_websocket() -> Result<()> {
    let access = world()?.through("member1")?;
    pods::exec_reports(&access, Upgrade::WebSocket)?;
    pods::exec_pipes(&access, Upgrade::WebSocket)?;
    pods::exec_has_a_terminal(&access, Upgrade::WebSocket)
}

#[test]
fn rule_182_rule_184_exec_over_spdy() -> Result<()> {
    let access = world()?.through("member1")?;
    pods::exec_reports(&access, Upgrade::Spdy)?;
    pods::exec_pipes(&access, Upgrade::Spdy)?;
    pods::exec_has_a_terminal(&access, Upgrade::Spdy)
}

#[test]
fn rule_184_exec_straight_at_the_gateway() -> Result<()> {
    let access = world()?.direct("member1", world()?.hub.admin())?;
    pods::exec_reports(&access, Upgrade::WebSocket)?;
    pods::exec_reports(&access, Upgrade::Spdy)
}

#[test]
fn rule_182_rule_184_attach() -> Result<()> {
    let access = world()?.through("member1")?;
    pods::attach_echoes(&access, Upgrade::WebSocket)?;
    pods::attach_echoes(&access, Upgrade::Spdy)
}

#[test]
fn rule_182_rule_184_port_forward_over_websocket() -> Result<()> {
    pods::port_forward_carries(&world()?.through("member1")?, Upgrade::WebSocket)
}

#[test]
fn rule_182_rule_184_port_forward_over_spdy() -> Result<()> {
    pods::port_forward_carries(&world()?.through("member1")?, Upgrade::Spdy)
}

#[test]
fn rule_184_cp() -> Result<()> {
    pods::cp_copies(&world()?.through("member1")?)
}

#[test]
fn rule_173_logs_are_followed() -> Result<()> {
    pods::logs_follow(&world()?.through("member1")?)
}

#[test]
fn rule_186_a_refused_upgrade_is_the_members_answer() -> Result<()> {
    let args = ["exec", "nobody", "--", "true"];
    for websocket in ["true", "false"] {
        let kubectl = world()?.through("member1")?.kubectl(args);
        let text = kubectl.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websocket).run()?.failure()?;
        ensure!(text.contains(r#"pods "nobody" not found"#), "{text}");
    }
    Ok(())
}

#[test]
fn rule_090_exec_needs_the_right_to_create() -> Result<()> {
    let reader = world()?.user("exec-reader", &["get"])?.through("member1")?;
    reader.request("GET", "/healthz").send()?.expect(200)?;
    let args = ["exec", POD, "--", "true"];
    for websocket in ["true", "false"] {
        let kubectl = reader.kubectl(args).env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websocket);
        let text = kubectl.run()?.failure()?;
        ensure!(text.to_lowercase().contains("forbidden"), "{text}");
    }
    let writer = world()?.user("exec-writer", &["get", "create"])?.through("member1")?;
    pods::exec_reports(&writer, Upgrade::WebSocket)
}
