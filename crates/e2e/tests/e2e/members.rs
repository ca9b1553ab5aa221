//! How a Secret becomes a cluster, and how it stops being one.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::registration::{GROUP, add_member, proxy_path, put_secret, remove_member, secret};
use e2e::{Access, wait};
use serde_json::json;

use crate::world::world;

const SOON: Duration = Duration::from_secs(60);

/// The hub's administrator in `cluster`, straight at the gateway: the hub's aggregator would only add its own time.
fn direct(cluster: &str) -> Result<Access> {
    world()?.direct(cluster, world()?.hub.admin())
}

fn reached(cluster: &Access) -> Result<()> {
    wait::eventually("the cluster to be there", SOON, || {
        cluster.request("GET", "/healthz").send()?.expect(200).map(Some)
    })?;
    Ok(())
}

fn unknown(cluster: &Access, name: &str) -> Result<()> {
    wait::eventually("the cluster to be gone", SOON, || {
        let message = cluster.request("GET", "/healthz").send()?.status_message(500)?;
        ensure!(message == format!("no such cluster {name}"), "{message}");
        Ok(Some(()))
    })
}

#[test]
fn rule_178_a_secret_becomes_a_cluster_and_its_end_is_the_clusters() -> Result<()> {
    let cluster = direct("comes-and-goes")?;
    unknown(&cluster, "comes-and-goes")?;
    let member = world()?.member1.user("comes-and-goes", &["system:masters"])?;
    let begun = Instant::now();
    add_member(world()?.hub, "comes-and-goes", &member)?;
    let written = begun.elapsed();
    reached(&cluster)?;
    eprintln!("Secret created in {written:.0?}, first 200 after {:.0?}", begun.elapsed());

    remove_member(world()?.hub, "comes-and-goes")?;
    unknown(&cluster, "comes-and-goes")?;
    // What KubeVela looks for is what kubectl shows.
    let path = format!("{}/healthz", proxy_path("comes-and-goes"));
    let text = world()?.hub.admin().kubectl(["get", "--raw", &path]).run()?.failure()?;
    ensure!(text.contains("no such cluster"), "{text}");
    Ok(())
}

#[test]
fn rule_178_a_secret_without_the_label_is_no_cluster() -> Result<()> {
    let name = "labelled-later";
    let member = world()?.member1.user(name, &["system:masters"])?;
    let labelled = secret(name, &member)?;
    let mut bare = labelled.clone();
    bare["metadata"]["labels"] = json!({});
    let cluster = direct(name)?;
    put_secret(world()?.hub, name, &bare)?;
    unknown(&cluster, name)?;
    put_secret(world()?.hub, name, &labelled)?;
    reached(&cluster)?;
    put_secret(world()?.hub, name, &bare)?;
    unknown(&cluster, name)
}

#[test]
fn rule_178_a_secret_that_cannot_be_used_says_why() -> Result<()> {
    let member = world()?.member1.user("broken", &["system:masters"])?;
    let broken: [(&str, &str, serde_json::Value); 5] = [
        ("broken-endpoint-missing", "endpoint", json!(null)),
        ("broken-endpoint", "endpoint", json!("not a url")),
        ("broken-ca", "ca.crt", json!("not PEM")),
        ("broken-certificate", "tls.crt", json!("not PEM")),
        ("broken-key", "tls.key", json!(world()?.member1.ca().issue(&e2e::pki::Leaf::client("other"))?.key)),
    ];
    for (name, field, value) in broken {
        let mut object = secret(name, &member)?;
        object["stringData"][field] = value;
        put_secret(world()?.hub, name, &object)?;
        let cluster = direct(name)?;
        let message = wait::eventually("the Secret to arrive", SOON, || {
            let answer = cluster.request("GET", "/healthz").send()?;
            ensure!(!answer.body.contains("no such cluster"), "{answer:?}");
            Ok(Some(answer))
        })?;
        ensure!(
            [500, 503].contains(&message.code) && !message.body.contains("PRIVATE KEY"),
            "{name}: {message:?}"
        );
    }
    // A bad neighbour hurts nobody.
    reached(&direct("member1")?)
}

#[test]
fn rule_170_the_members_own_refusals_come_through() -> Result<()> {
    let name = "view-only";
    let member = world()?.member2.service_account("default", name, "system:aggregate-to-view")?;
    add_member(world()?.hub, name, &member)?;
    let cluster = direct(name)?;
    reached(&cluster)?;
    let path = "/api/v1/namespaces/default/secrets";
    let ours = cluster.request("GET", path).send()?.json(403)?;
    let theirs = member.request("GET", path).send()?.json(403)?;
    ensure!(ours == theirs, "through the gateway: {ours}\nat the member: {theirs}");
    let text = ours["message"].as_str().context("a message")?;
    ensure!(text.contains("system:serviceaccount:default:view-only"), "{text}");

    let absent = "/api/v1/namespaces/default/configmaps/absent";
    let ours = cluster.request("GET", absent).send()?.json(404)?;
    ensure!(ours == member.request("GET", absent).send()?.json(404)?, "{ours}");
    Ok(())
}

#[test]
fn the_members_label_decides_the_kind_of_its_credential() -> Result<()> {
    let name = "wrong-kind";
    let mut object = secret(name, &world()?.member1.user(name, &["system:masters"])?)?;
    object["metadata"]["labels"][format!("{GROUP}/cluster-credential-type")] = json!("ServiceAccountToken");
    put_secret(world()?.hub, name, &object)?;
    let cluster = direct(name)?;
    wait::eventually("the Secret to arrive", SOON, || {
        let answer = cluster.request("GET", "/healthz").send()?;
        ensure!([500, 503].contains(&answer.code) && !answer.body.contains("no such cluster"), "{answer:?}");
        Ok(Some(()))
    })
}
