//! Informers of client-go and controller-runtime on the gateway's own resources, and what programs made for the original
//! rely on.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::clients::{self, Beginning, Watcher, events};
use e2e::registration::{add_member, put_secret, remove_member, secret};
use e2e::wait;
use serde_json::{Value, json};

use crate::world::world;

const LIMIT: Duration = Duration::from_secs(30);
const RESOURCES: [&str; 2] = ["clustergateways", "virtualclusters"];

#[test]
fn rule_230_informers_follow_clusters_through_the_hub() -> Result<()> {
    let hub = world()?.hub;
    let member = world()?.member1.admin();
    let labelled = |value: Option<&str>| -> Result<Value> {
        let mut object = secret("informed", member)?;
        if let Some(value) = value {
            object["metadata"]["labels"]["informers"] = json!(value);
        }
        Ok(object)
    };
    let mut earlier = secret("informed-earlier", member)?;
    earlier["metadata"]["labels"]["informers"] = json!("one");
    put_secret(hub, "informed-earlier", &earlier)?;
    wait::eventually("the cluster that is there before", LIMIT, || {
        Ok(hub.admin().kubectl(["get", "cgw", "informed-earlier"]).run()?.success().ok())
    })?;

    let kinds = [
        ("informer", Beginning::Stream),
        ("informer", Beginning::List),
        ("cache", Beginning::Stream),
        ("metadata-cache", Beginning::List),
        ("metadata-cache", Beginning::Stream),
    ];
    let mut watchers = Vec::new();
    for (command, beginning) in kinds {
        let watcher = Watcher::start(command, hub.admin(), beginning, &["--selector", "informers"])?;
        watchers.push((format!("{command} {beginning:?}"), beginning, watcher));
    }
    for (who, beginning, watcher) in &watchers {
        for resource in RESOURCES {
            let names = watcher.synced(resource, LIMIT)?;
            ensure!(names == ["informed-earlier"], "{who}: {names:?}");
            began(&watcher.lines()?, resource, *beginning)?;
        }
    }

    put_secret(hub, "informed", &labelled(Some("one"))?)?;
    seen(&watchers, &["ADDED"])?;
    put_secret(hub, "informed", &labelled(Some("two"))?)?;
    seen(&watchers, &["ADDED", "MODIFIED"])?;
    // No longer selected, and there again.
    put_secret(hub, "informed", &labelled(None)?)?;
    seen(&watchers, &["ADDED", "MODIFIED", "DELETED"])?;
    put_secret(hub, "informed", &labelled(Some("three"))?)?;
    seen(&watchers, &["ADDED", "MODIFIED", "DELETED", "ADDED"])?;
    remove_member(hub, "informed")?;
    seen(&watchers, &["ADDED", "MODIFIED", "DELETED", "ADDED", "DELETED"])?;
    for (who, _, watcher) in &watchers {
        let lines = watcher.lines()?;
        let changed =
            lines.iter().find(|line| line["event"] == "MODIFIED" && line["resource"] == "virtualclusters");
        ensure!(changed.is_some_and(|line| line["labels"]["informers"] == "two"), "{who}: {changed:?}");
        ensure!(!lines.iter().any(|line| line["event"] == "ERROR"), "{who}: {lines:?}");
    }
    remove_member(hub, "informed-earlier")
}

/// That an informer came to know what there was as it was meant to.
fn began(lines: &[Value], resource: &str, beginning: Beginning) -> Result<()> {
    let of_it = |line: &&Value| line["resource"] == resource;
    let asked: Vec<&Value> = lines.iter().filter(of_it).filter(|line| line["event"] == "REQUEST").collect();
    ensure!(!asked.is_empty() && asked.iter().all(|line| line["code"] == 200), "{lines:?}");
    let streamed = asked.iter().any(|line| line["streamed"] == true && line["watch"] == true);
    let listed = asked.iter().any(|line| line["watch"].is_null());
    let end = |line: &Value| line["event"] == "BOOKMARK" && line["end"] == true;
    let ended = lines.iter().filter(of_it).any(end);
    let stream = beginning == Beginning::Stream;
    ensure!(streamed == stream && ended == stream && listed != stream, "{beginning:?} {resource}: {lines:?}");
    Ok(())
}

fn seen(watchers: &[(String, Beginning, Watcher)], expected: &[&str]) -> Result<()> {
    for (who, _, watcher) in watchers {
        for resource in RESOURCES {
            let what = format!("{who}: {expected:?} of {resource}");
            watcher.wait_until(&what, LIMIT, |lines| events(lines, resource, "informed") == expected)?;
        }
    }
    Ok(())
}

#[test]
fn rule_003_rule_138_programs_made_for_the_original_find_what_they_rely_on() -> Result<()> {
    let hub = world()?.hub;
    add_member(hub, "conformant", world()?.member2.admin())?;
    let through = world()?.through("conformant")?;
    wait::eventually("the cluster", LIMIT, || {
        through.request("GET", "/healthz").send()?.expect(200).map(Some)
    })?;
    let direct = world()?.gateway.access(hub.admin().credential().clone())?;
    let direct = direct.kubeconfig();
    let direct = direct.to_string_lossy();
    let args = ["--cluster", "conformant", "--direct", &direct];
    let output = clients::run("conformance", hub.admin(), &args, Duration::from_secs(120))?.success()?;
    let checked = output.lines().filter(|line| line.contains("CHECKED")).count();
    ensure!(checked == 10, "{output}");
    remove_member(hub, "conformant")
}
