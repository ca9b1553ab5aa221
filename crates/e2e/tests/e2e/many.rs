//! Ten thousand clusters at once.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::clients::{self, Beginning, Watcher, events};
use e2e::deployed::Deployed;
use e2e::registration::BASE;
use e2e::{ControlPlane, scratch};

use crate::world::planes;

const CLUSTERS: usize = 10_000;
const LIMIT: Duration = Duration::from_secs(120);
/// What the process may have resident with all of them, listed and watched, in KiB: a little over twice what a build
/// without optimization had when this was written. What a release needs is measured by `cargo xtask bench`.
const RESIDENT: u64 = 256 * 1024;

#[test]
fn rule_044_ten_thousand_clusters_are_listed_shown_and_watched() -> Result<()> {
    let hub = ControlPlane::start("large")?;
    let admin = hub.admin();
    let deployed = Deployed::install(&hub)?;
    let mut replica = deployed.ready_replica(&[])?;
    deployed.balance(&[&replica])?;
    let watcher = Watcher::start("informer", admin, Beginning::List, &["--resources", "clustergateways"])?;
    ensure!(watcher.synced("clustergateways", LIMIT)?.is_empty());

    let files = scratch::directory("template")?;
    let template = files.path().join("secret.yaml");
    let secret = Deployed::secret("NAME", planes()?.member1.admin())?.to_string();
    // Some 2 KB as the hub stores it, in Base64.
    ensure!(secret.len() > 1500, "only {} bytes", secret.len());
    std::fs::write(&template, secret).context("write a template")?;
    let (count, template) = (CLUSTERS.to_string(), template.to_string_lossy());
    let begun = Instant::now();
    let args = ["--count", count.as_str(), "--template", &template];
    clients::run("register", admin, &args, LIMIT)?.success()?;
    eprintln!("{CLUSTERS} Secrets written in {:.1?}", begun.elapsed());

    // Whoever watched before has seen them come; whoever begins now gets all at once.
    watcher.wait_for_events("ADDED", CLUSTERS, LIMIT)?;
    let streamed = Watcher::start("cache", admin, Beginning::Stream, &[])?;
    ensure!(streamed.synced("clustergateways", LIMIT)?.len() == CLUSTERS);
    ensure!(streamed.synced("virtualclusters", LIMIT)?.len() == CLUSTERS + 1);

    // In pages, as kubectl asks, and whole; as a table both.
    for chunk in ["--chunk-size=500", "--chunk-size=0"] {
        let table = admin.kubectl(["get", "clustergateways", "--no-headers", chunk]).timeout(LIMIT);
        let table = table.run()?.success()?;
        let names: HashSet<&str> = table.lines().filter_map(|line| line.split_whitespace().next()).collect();
        ensure!(
            names.len() == CLUSTERS && table.lines().count() == CLUSTERS,
            "{} rows",
            table.lines().count()
        );
    }
    let list = admin.request("GET", &format!("{BASE}/clustergateways")).timeout(LIMIT).send()?.json(200)?;
    ensure!(list["items"].as_array().is_some_and(|items| items.len() == CLUSTERS), "{CLUSTERS} items");

    // One of them is as near as ever, and what happens to it is told.
    admin.through("cluster-09999")?.request("GET", "/healthz").send()?.expect(200)?;
    deployed.remove_member("cluster-05000")?;
    for (watcher, resources) in [(&watcher, 1), (&streamed, 2)] {
        watcher.wait_for_events("DELETED", resources, LIMIT)?;
        let lines = watcher.lines()?;
        ensure!(events(&lines, "clustergateways", "cluster-05000") == ["ADDED", "DELETED"]);
    }
    admin.request("GET", BASE).timeout(Duration::from_secs(5)).send()?.expect(200)?;
    let resident = replica.resident()?;
    eprintln!("{resident} KiB resident");
    ensure!(resident < RESIDENT, "{resident} KiB resident");
    Ok(())
}
