//! Two members behind one gateway: neither ever answers for the other.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::world::{config_map, config_map_path, world};

#[test]
fn what_is_made_in_one_member_is_not_in_the_other() -> Result<()> {
    let first = world()?.through("member1")?;
    first.kubectl(["create", "configmap", "only-here"]).run()?.success()?;
    let path = config_map_path("only-here");
    world()?.member1.admin().request("GET", &path).send()?.expect(200)?;
    world()?.member2.admin().request("GET", &path).send()?.expect(404)?;
    let second = world()?.through("member2")?;
    let text = second.kubectl(["get", "configmap", "only-here"]).run()?.failure()?;
    ensure!(text.contains("NotFound"), "{text}");
    Ok(())
}

#[test]
fn rule_163_interleaved_requests_reach_their_own_member() -> Result<()> {
    for member in [world()?.member1, world()?.member2] {
        let name = if std::ptr::eq(member, world()?.member1) { "member1" } else { "member2" };
        member.admin().apply(&config_map("whose", &json!({"member": name})))?;
    }
    // The same path at both: a mix-up would show in the content only.
    let admin = world()?.hub.admin();
    for access in [admin.clone(), world()?.gateway.access(admin.credential().clone())?] {
        interleave(&access)?;
    }
    Ok(())
}

/// 200 requests on one HTTP/2 connection, 32 at a time, alternating between the members.
fn interleave(access: &e2e::Access) -> Result<()> {
    const REQUESTS: usize = 200;
    let directory = e2e::scratch::directory("interleaved")?;
    let member = |request: usize| ["member1", "member2"][request % 2];
    let url = |request: usize| -> Result<String> {
        let through = access.through(member(request))?;
        Ok(format!("{}{}?request={request}", through.server(), config_map_path("whose")))
    };
    let file = |request: usize| directory.path().join(request.to_string());
    let mut curl = access.request("GET", "/version").timeout(Duration::from_secs(60));
    curl = curl.args(["--parallel", "--parallel-max", "32", "--fail", "--output", "/dev/null"]);
    for request in 0..REQUESTS {
        curl = curl.args(["--url", &url(request)?, "--output", &file(request).to_string_lossy()]);
    }
    curl.spawn()?.finish(Duration::from_secs(60))?.success()?;
    for request in 0..REQUESTS {
        let object: Value = serde_json::from_str(&std::fs::read_to_string(file(request))?)?;
        ensure!(object["data"]["member"] == member(request), "request {request}: {object}");
    }
    Ok(())
}
