//! Two replicas behind one Service. One dies under load, then both are gone for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use e2e::clients::{Beginning, Watcher, events};
use e2e::curl::Curl;
use e2e::deployed::{Deployed, Replica};
use e2e::registration::{BASE, put_secret_as};
use e2e::{Access, ControlPlane, wait};
use serde_json::json;

use crate::world::{config_map, planes};

const LIMIT: Duration = Duration::from_secs(30);
/// What a client may wait before it asks again, and a slow machine besides.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn rule_230_one_of_two_replicas_dies_under_load_and_requests_go_on() -> Result<()> {
    let hub = ControlPlane::start("replicated")?;
    let admin = hub.admin();
    let member = planes()?.member1.admin();
    let deployed = Deployed::install(&hub)?;
    // Everything that has a connection has it to the first, which holds the Lease, too.
    let first = deployed.ready_replica(&[])?;
    deployed.balance(&[&first])?;
    deployed.add_member("shared", member)?;
    reached(&admin.through("shared")?)?;
    let clusters = Watcher::start("informer", admin, Beginning::Stream, &[])?;
    clusters.synced("virtualclusters", LIMIT)?;
    let maps = ["--cluster", "shared", "--resources", "configmaps"];
    let maps = Watcher::start("informer", admin, Beginning::Stream, &maps)?;
    maps.synced("configmaps", LIMIT)?;
    let second = deployed.ready_replica(&[])?;
    deployed.balance(&[&first, &second])?;
    // From the first change on that both have seen, their versions are the same.
    deployed.add_member("both", member)?;
    same_answers(&deployed, admin, &[&first, &second])?;

    let load = [
        admin.through("shared")?.request("GET", "/api/v1/namespaces/default"),
        deployed.direct(admin.credential().clone())?.through("shared")?.request("GET", "/healthz"),
        admin.request("GET", &format!("{BASE}/clustergateways")),
        deployed.direct(admin.credential().clone())?.request("GET", &format!("{BASE}/virtualclusters")),
    ];
    let load: Vec<Load> = load.into_iter().map(Load::start).collect();
    load.iter().try_for_each(|load| load.more(10))?;
    first.kill()?;
    load.iter().try_for_each(|load| load.more(30))?;
    for load in load {
        load.stop()?;
    }

    // What is new after it is seen and served by whoever is left, in watches that began at the other one.
    deployed.add_member("later", member)?;
    reached(&admin.through("later")?)?;
    for resource in ["clustergateways", "virtualclusters"] {
        clusters
            .wait_until("the new cluster", PATIENCE, |lines| events(lines, resource, "later") == ["ADDED"])?;
    }
    member.apply(&config_map("after-the-kill", &json!({})))?;
    maps.wait_until("the new ConfigMap", PATIENCE, |lines| {
        events(lines, "configmaps", "after-the-kill").contains(&"ADDED")
    })?;
    // The second has known all that the first has: nobody needed to begin anew.
    let lines = clusters.lines()?;
    ensure!(!lines.iter().any(|line| line["event"] == "ERROR"), "{lines:?}");

    begins_anew_where_nobody_remembers(&deployed, &hub, second)?;

    // Nobody is there while clusters come and go.
    deployed.add_member("meanwhile", member)?;
    deployed.remove_member("later")?;
    let fourth = deployed.ready_replica(&[])?;
    deployed.balance(&[&fourth])?;
    for resource in ["clustergateways", "virtualclusters"] {
        clusters.wait_until("what happened meanwhile", PATIENCE, |lines| {
            events(lines, resource, "meanwhile").contains(&"ADDED")
                && events(lines, resource, "later").last() == Some(&"DELETED")
        })?;
    }
    Ok(())
}

/// A watch that goes on at a replica which has started after the last change that the watch has seen: that replica does
/// not know what else there was and says so, and the informer begins anew.
fn begins_anew_where_nobody_remembers(deployed: &Deployed, hub: &ControlPlane, only: Replica) -> Result<()> {
    let member = planes()?.member1.admin();
    let labelled = |name: &str, value: &str| -> Result<()> {
        let mut secret = Deployed::secret(name, member)?;
        secret["metadata"]["labels"]["followed"] = json!(value);
        put_secret_as(hub.admin(), name, &secret)
    };
    labelled("followed", "one")?;
    let direct = deployed.direct(hub.admin().credential().clone())?;
    reached(&direct.through("followed")?)?;
    let args = ["--selector", "followed", "--resources", "clustergateways"];
    let follower = Watcher::start("informer", &direct, Beginning::List, &args)?;
    ensure!(follower.synced("clustergateways", LIMIT)? == ["followed"]);
    // A watch that has brought nothing is not gone on with but begun anew.
    labelled("followed", "two")?;
    follower.wait_until("MODIFIED", LIMIT, |lines| {
        events(lines, "clustergateways", "followed") == ["ADDED", "MODIFIED"]
    })?;
    deployed.add_member("not-followed", member)?;
    reached(&direct.through("not-followed")?)?;
    let newer = deployed.ready_replica(&[])?;
    deployed.balance(&[&newer])?;
    only.kill()?;
    follower.wait_until("410", PATIENCE, |lines| {
        lines.iter().any(|line| line["event"] == "ERROR" && line["code"] == 410)
    })?;
    labelled("followed-later", "one")?;
    let lines = follower.wait_until("the new cluster", PATIENCE, |lines| {
        events(lines, "clustergateways", "followed-later") == ["ADDED"]
    })?;
    ensure!(!events(&lines, "clustergateways", "followed").contains(&"DELETED"), "{lines:?}");
    newer.kill()
}

fn reached(cluster: &Access) -> Result<()> {
    wait::eventually("the cluster", LIMIT, || {
        cluster.request("GET", "/healthz").send()?.expect(200).map(Some)
    })?;
    Ok(())
}

/// Replicas share nothing, and tell the same: names, versions and identities.
fn same_answers(deployed: &Deployed, admin: &Access, replicas: &[&Replica]) -> Result<()> {
    let bundle = deployed.ca_bundle()?;
    for resource in ["clustergateways", "virtualclusters"] {
        wait::eventually("the same answers", LIMIT, || {
            let mut answers = Vec::new();
            for replica in replicas {
                let access = replica.access(&bundle, admin.credential().clone())?;
                answers.push(access.request("GET", &format!("{BASE}/{resource}")).send()?.json(200)?);
            }
            let version = answers[0]["metadata"]["resourceVersion"].as_str().context("a version")?;
            ensure!(version.parse::<u64>()? > 0, "{version}");
            ensure!(answers[0].to_string().contains("\"both\""), "not there yet");
            ensure!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
            Ok(Some(()))
        })?;
    }
    Ok(())
}

/// One request after the other, each with a connection of its own.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<Result<()>>>,
}

impl Load {
    /// One may be under way when the replica dies, and one more may be given to a connection whose end is not yet known.
    const FAILURES: usize = 2;

    fn start(request: Curl) -> Self {
        let (stop, done) = <(Arc<AtomicBool>, Arc<AtomicUsize>)>::default();
        let (stopped, count) = (stop.clone(), done.clone());
        let thread = thread::spawn(move || {
            let mut results = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let answer = request.clone().send();
                results.push(answer.and_then(|answer| answer.expect(200)).map(drop));
                count.fetch_add(1, Ordering::Relaxed);
            }
            results
        });
        Self { stop, done, thread }
    }

    /// Waits for so many more answers.
    fn more(&self, answers: usize) -> Result<()> {
        let enough = self.done.load(Ordering::Relaxed) + answers;
        wait::eventually("answers", PATIENCE, || {
            Ok((self.done.load(Ordering::Relaxed) >= enough).then_some(()))
        })
    }

    /// Ends it. Nothing may have failed but what was under way.
    fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let results = self.thread.join().map_err(|_| anyhow!("a thread panicked"))?;
        let total = results.len();
        let last = results.iter().rev().take(10).all(Result::is_ok);
        let failures: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        eprintln!("{} of {total} requests failed: {failures:?}", failures.len());
        ensure!(failures.len() <= Self::FAILURES && last, "of {total}: {failures:?}");
        Ok(())
    }
}
