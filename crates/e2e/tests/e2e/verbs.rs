//! The everyday verbs of kubectl against a member, through hub and gateway.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::{Access, wait};
use serde_json::json;

use crate::world::{allow_proxy, config_map, config_map_path, whoami, world};

/// Somebody with the rights that KubeVela gives its group, in member1.
fn vela() -> Result<Access> {
    static ONCE: std::sync::LazyLock<Result<Access>> = std::sync::LazyLock::new(|| {
        let hub = world()?.hub;
        let group = "kubevela:client";
        let user = hub.user("vela", &[group])?;
        let subject = json!({"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": group});
        let verbs = ["get", "list", "watch", "create", "update", "patch", "delete"];
        allow_proxy(hub, &user, "vela", &subject, &verbs)?;
        user.through("member1")
    });
    ONCE.as_ref().map_err(|error| anyhow::anyhow!("{error:#}")).cloned()
}

#[test]
fn rule_099_rule_138_objects_are_created_read_changed_and_deleted() -> Result<()> {
    let member = world()?.member1.admin();
    let vela = vela()?;
    vela.kubectl(["create", "configmap", "verbs", "--from-literal=key=one"]).run()?.success()?;
    let object = member.request("GET", &config_map_path("verbs")).send()?.json(200)?;
    ensure!(object["data"]["key"] == "one", "{object}");
    let seen = vela.request("GET", &config_map_path("verbs")).send()?.json(200)?;
    ensure!(seen == object, "through the gateway it is {seen}, at the member {object}");

    vela.kubectl(["label", "configmap", "verbs", "is=labelled"]).run()?.success()?;
    let listed = vela.kubectl(["get", "configmaps", "-l", "is=labelled", "-o", "name"]).run()?.success()?;
    ensure!(listed == "configmap/verbs\n", "{listed:?}");
    let patch = r#"{"data":{"key":"two"}}"#;
    for kind in ["merge", "strategic"] {
        vela.kubectl(["patch", "configmap", "verbs", "--type", kind, "--patch", patch]).run()?.success()?;
    }
    let object = member.request("GET", &config_map_path("verbs")).send()?.json(200)?;
    ensure!(object["data"]["key"] == "two", "{object}");

    vela.kubectl(["replace", "-f", "-"])
        .stdin(&config_map("verbs", &json!({"key": "three"})).to_string())
        .run()?
        .success()?;
    let object = member.request("GET", &config_map_path("verbs")).send()?.json(200)?;
    ensure!(object["data"]["key"] == "three", "{object}");
    vela.kubectl(["delete", "configmap", "verbs"]).run()?.success()?;
    member.request("GET", &config_map_path("verbs")).send()?.expect(404).map(drop)
}

#[test]
fn apply_creates_and_changes_on_either_side() -> Result<()> {
    let vela = vela()?;
    for (name, side) in [("applied-here", "--server-side=false"), ("applied-there", "--server-side=true")] {
        for value in ["one", "two"] {
            let object = config_map(name, &json!({"key": value})).to_string();
            vela.kubectl(["apply", side, "-f", "-"]).stdin(&object).run()?.success()?;
            let seen = world()?.member1.admin().request("GET", &config_map_path(name)).send()?.json(200)?;
            ensure!(seen["data"]["key"] == value, "{seen}");
        }
    }
    let path = config_map_path("applied-there");
    let object = world()?.member1.admin().request("GET", &path).send()?.json(200)?;
    ensure!(object["metadata"]["managedFields"][0]["operation"] == "Apply", "{object}");
    Ok(())
}

#[test]
fn rule_143_a_dry_run_leaves_nothing_behind() -> Result<()> {
    let vela = vela()?;
    let create = ["create", "configmap", "dry", "--dry-run=server", "-o", "name"];
    let text = vela.kubectl(create).run()?.success()?;
    ensure!(text == "configmap/dry\n", "{text:?}");
    world()?.member1.admin().request("GET", &config_map_path("dry")).send()?.expect(404)?;

    vela.kubectl(["create", "configmap", "wet"]).run()?.success()?;
    vela.kubectl(["delete", "configmap", "wet", "--dry-run=server"]).run()?.success()?;
    world()?.member1.admin().request("GET", &config_map_path("wet")).send()?.expect(200)?;
    Ok(())
}

#[test]
fn discovery_and_documentation_are_those_of_the_member() -> Result<()> {
    let vela = vela()?;
    let ours = vela.kubectl(["api-resources", "--sort-by=name", "-o", "name"]).run()?.success()?;
    let members = ["api-resources", "--sort-by=name", "-o", "name"];
    let theirs = world()?.member1.admin().kubectl(members).run()?.success()?;
    ensure!(ours == theirs && ours.contains("configmaps\n"), "{ours}\nat the member: {theirs}");
    let text = vela.kubectl(["explain", "configmaps.binaryData"]).run()?.success()?;
    ensure!(text.contains("binaryData"), "{text}");
    Ok(())
}

#[test]
fn rule_162_the_member_sees_the_gateway_and_not_the_caller() -> Result<()> {
    ensure!(whoami(&vela()?)? == crate::world::MEMBER1_USER);
    ensure!(whoami(&world()?.through("member2")?)? == crate::world::MEMBER2_USER);
    Ok(())
}

#[test]
fn rule_173_watch_events_come_at_once() -> Result<()> {
    let path = format!("{}?watch=true&labelSelector=at=once", config_map_path(""));
    let admin = world()?.hub.admin();
    for access in [admin.through("member1")?, world()?.direct("member1", admin)?] {
        let watch = access.request("GET", &path).spawn()?;
        let mut slowest = Duration::ZERO;
        for round in 0..5 {
            let name = format!("at-once-{round}");
            let mut object = config_map(&name, &json!({}));
            object["metadata"]["labels"] = json!({"at": "once"});
            let made = Instant::now();
            world()?
                .member1
                .admin()
                .request("POST", &config_map_path(""))
                .json(&object)
                .send()?
                .expect(201)?;
            watch.wait_for(&name, Duration::from_secs(5))?;
            slowest = slowest.max(made.elapsed());
            world()?.member1.admin().request("DELETE", &config_map_path(&name)).send()?.expect(200)?;
        }
        eprintln!("slowest of 5 events, creation included: {slowest:.0?}");
        ensure!(slowest < Duration::from_secs(2), "an event took {slowest:?}");
    }
    Ok(())
}

/// Lasts until the watch is 72 s old: longer than every cut that a minute makes, in the hub, the gateway or the member.
#[test]
fn rule_120_rule_121_a_watch_is_held_for_longer_than_a_minute() -> Result<()> {
    const HELD: Duration = Duration::from_secs(72);
    let (begun, watch) = &world()?.old_watch;
    let member = world()?.member1.admin();
    let create = |name: &str| -> Result<()> {
        let mut object = config_map(name, &json!({}));
        object["metadata"]["labels"] = json!({"watch": "old"});
        member.request("POST", &config_map_path("")).json(&object).send()?.expect(201)?;
        watch.wait_for(name, Duration::from_secs(20)).context("the watch was cut").map(drop)
    };
    create("held-first")?;
    // Only time can show that nothing is cut: this is the one place that waits for it.
    thread::sleep(HELD.saturating_sub(begun.elapsed()));
    create("held-last")
}

#[test]
fn rule_176_a_watch_that_the_client_leaves_ends_at_the_member() -> Result<()> {
    // The member counts the watches that it serves.
    let member = world()?.member1.admin();
    let watches = || -> Result<u64> {
        let metrics = member.request("GET", "/metrics").send()?.expect(200)?;
        let labels = [r#"resource="limitranges""#, r#"scope="namespace""#, r#"verb="WATCH""#];
        let gauge = metrics.lines().find(|line| {
            line.starts_with("apiserver_longrunning_requests{")
                && labels.iter().all(|label| line.contains(label))
        });
        let value = gauge.and_then(|line| line.rsplit(' ').next()).unwrap_or("0");
        value.parse().with_context(|| format!("a number: {value:?}"))
    };
    let before = watches()?;
    let path = "/api/v1/namespaces/left/limitranges?watch=true";
    let direct = world()?.direct("member1", world()?.hub.admin())?;
    let watch = direct.request("GET", path).spawn()?;
    wait::eventually("the watch to arrive", Duration::from_secs(10), || {
        Ok((watches()? > before).then_some(()))
    })?;
    drop(watch);
    wait::eventually("the watch to end", Duration::from_secs(5), || Ok((watches()? == before).then_some(())))
}
