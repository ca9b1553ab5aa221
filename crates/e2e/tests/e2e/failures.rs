//! Members that cannot be reached, and how their callers learn of it.

use anyhow::{Result, ensure};
use e2e::registration::{add_member, proxy_path};
use e2e::scratch::free_port;
use e2e::{Access, wait};

use crate::world::world;

/// What the gateway says about a cluster, once it knows it.
fn failure(name: &str, member: &Access) -> Result<String> {
    add_member(world()?.hub, name, member)?;
    let cluster = world()?.direct(name, world()?.hub.admin())?;
    wait::eventually("the Secret to arrive", std::time::Duration::from_secs(5), || {
        let message = cluster.request("GET", "/healthz").send()?.status_message(500)?;
        ensure!(!message.contains("no such cluster"), "{message}");
        Ok(Some(message))
    })
}

#[test]
fn rule_177_a_dead_member_is_a_500_that_says_dial_tcp() -> Result<()> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let dead = world()?.member1.admin().at(&format!("https://{address}"))?;
    let message = failure("dead", &dead)?;
    ensure!(message == format!("dial tcp {address}: connect: connection refused"), "{message}");
    // What KubeVela looks for is what kubectl shows. (Not in other commands: they begin with discovery, where
    // client-go makes "unknown" of every failure.)
    let path = format!("{}/healthz", proxy_path("dead"));
    let text = world()?.hub.admin().kubectl(["get", "--raw", &path]).run()?.failure()?;
    ensure!(text.contains("dial tcp"), "{text}");

    // Another one: the first may by now be answered for without being dialled.
    let address = format!("127.0.0.1:{}", free_port()?);
    add_member(world()?.hub, "dead-too", &dead.at(&format!("https://{address}"))?)?;
    let cluster = world()?.through("dead-too")?;
    let upgrade = cluster.request("GET", "/api/v1/namespaces/default/pods/web/exec?command=true&stdout=true");
    let upgrade = upgrade.args(["--http1.1"]).header("Connection: Upgrade").header("Upgrade: websocket");
    let upgrade =
        upgrade.header("Sec-WebSocket-Version: 13").header("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
    let upgrade = upgrade.header("Sec-WebSocket-Protocol: v5.channel.k8s.io");
    let message = wait::eventually("the Secret to arrive", std::time::Duration::from_secs(5), || {
        let message = upgrade.clone().send()?.status_message(500)?;
        ensure!(!message.contains("no such cluster"), "{message}");
        Ok(Some(message))
    })?;
    ensure!(message.starts_with("error dialing backend: dial tcp "), "{message}");
    Ok(())
}

#[test]
fn rule_165_a_member_with_another_certificate_gets_nothing() -> Result<()> {
    // The address of one member, and the CA of the other.
    let wrong_ca = world()?.member2.admin().at(world()?.member1.admin().server())?;
    let message = failure("wrong-ca", &wrong_ca)?;
    ensure!(message.contains("certificate"), "{message}");
    // A name that the certificate does not have.
    let other_name = world()?.member1.admin().server().replace("127.0.0.1", "127.0.0.2");
    let message = failure("wrong-name", &world()?.member1.admin().at(&other_name)?)?;
    ensure!(message.contains("127.0.0.2"), "{message}");
    Ok(())
}
