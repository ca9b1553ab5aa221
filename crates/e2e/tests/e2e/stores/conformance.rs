//! What every store does alike.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use cluster_gateway::manage::store::{
    Expect, LOCAL, MAX_NAME, Provider, Record, Status, Store, StoreError, StoreType,
};
use time::macros::datetime;
use tokio::task::JoinSet;

use super::{Place, changed, exists, for_each_store, is, missing, open};

const MANY: usize = 10_000;
/// So many are added to a file by the store itself.
const SLOWLY: usize = 200;
/// So many are added at the same time.
const AT_ONCE: usize = 16;

for_each_store!(
    records_come_back_as_they_went,
    of_many_that_add_one_wins,
    what_is_missing_is_neither_changed_nor_deleted,
    nothing_of_a_conditional_change_is_lost,
    lists_are_in_order,
    names_are_compared_byte_by_byte,
    ten_thousand_records,
);

/// A record that has everything.
fn full(name: &str) -> Record {
    let text = "Ünïcödé 🦀 中文 <script>alert('x')</script> \"q\" `b` \\ \u{202e}rtl\u{202c} \t\r\n $1 %s {{x}} \\u0000 ';--";
    let labels = [("app.kubernetes.io/name", "x.y"), ("a", ""), ("ключ", "значение"), ("quote'", "\"")];
    let labels: std::collections::BTreeMap<_, _> =
        labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Record {
        alias: text.to_owned(),
        description: format!("{text}{}", "long ".repeat(20_000)),
        icon: "data:image/svg+xml;base64,PHN2Zy8+".to_owned(),
        labels: labels.clone(),
        status: Status::Unhealthy,
        reason: "connection refused".to_owned(),
        provider: Provider {
            provider: "aliyun".to_owned(),
            cluster_id: "c-1".to_owned(),
            cluster_name: text.to_owned(),
            zone: "z".to_owned(),
            zone_id: "zi".to_owned(),
            region_id: "r".to_owned(),
            vpc_id: "v".to_owned(),
            labels,
        },
        api_server_url: "https://[2001:db8::1]:6443/a?b=c".to_owned(),
        dashboard_url: "https://x/#/y".to_owned(),
        kube_config_secret: "secret".to_owned(),
        ..Record::new(name)
    }
}

async fn records_come_back_as_they_went(place: Place) -> Result<()> {
    place.prepare().await?;
    let store = open(&place).await?;
    let added = store.add(full("prod")).await?;
    ensure!(
        added == Record { create_time: added.create_time, update_time: added.update_time, ..full("prod") }
    );
    ensure!(store.get("prod").await? == added);
    ensure!(open(&place).await?.get("prod").await? == added, "for others too");

    // Every field can be cleared.
    let empty =
        Record { create_time: added.create_time, update_time: added.update_time, ..Record::new("prod") };
    let cleared = store.put(empty.clone(), Expect::Any).await?;
    ensure!(cleared == Record { update_time: cleared.update_time, ..empty }, "{cleared:?}");
    ensure!(cleared.update_time > added.update_time);
    ensure!(store.get("prod").await? == cleared);
    // And filled again; the time of creation is the caller's.
    let create_time = datetime!(2020-02-03 4:05:06.789 UTC);
    let filled = store.put(Record { create_time, ..full("prod") }, Expect::Any).await?;
    ensure!(store.get("prod").await? == filled && filled.create_time == create_time);
    ensure!(store.list().await?.records == [filled]);
    store.delete("prod").await?;
    is(store.get("prod").await, missing)?;
    store.add(Record::new("prod")).await?;
    let healthy = Record { status: Status::Healthy, ..Record::new("prod") };
    store.put(healthy, Expect::Any).await?;
    let found = store.get("prod").await?;
    ensure!(found.status == Status::Healthy && found.alias.is_empty(), "nothing of the deleted one is left");
    Ok(())
}

async fn of_many_that_add_one_wins(place: Place) -> Result<()> {
    place.prepare().await?;
    // The first request of each store, too, at the same time.
    let mut adding = JoinSet::new();
    for _ in 0..4 {
        let store = Arc::new(open(&place).await?);
        for task in 0..4 {
            let store = Arc::clone(&store);
            let mine = Record { alias: format!("{store:p} {task}"), ..Record::new("prod") };
            adding.spawn(async move { store.add(mine).await });
        }
    }
    let mut winners = Vec::new();
    for result in adding.join_all().await {
        match result {
            Ok(record) => winners.push(record),
            Err(StoreError::Exists(name)) if name == "prod" => {}
            Err(other) => return Err(other.into()),
        }
    }
    ensure!(winners.len() == 1, "{} have won", winners.len());
    let store = open(&place).await?;
    ensure!(store.get("prod").await? == winners[0], "the winner's is stored");
    is(store.add(Record::new("prod")).await, exists)?;
    ensure!(store.list().await?.records == winners);
    Ok(())
}

async fn what_is_missing_is_neither_changed_nor_deleted(place: Place) -> Result<()> {
    place.prepare().await?;
    let store = open(&place).await?;
    ensure!(store.list().await? == Default::default(), "an empty store lists nothing");
    is(store.get("prod").await, missing)?;
    is(store.delete("prod").await, missing)?;
    is(store.put(Record::new("prod"), Expect::Any).await, missing)?;
    is(store.put(Record::new("prod"), Expect::UpdatedAt(datetime!(2020-01-01 0:00 UTC))).await, missing)?;
    ensure!(store.list().await? == Default::default(), "and none of these has made a record");
    store.add(Record::new("prod")).await?;
    store.delete("prod").await?;
    is(store.delete("prod").await, missing)?;
    is(store.put(Record::new("prod"), Expect::Any).await, missing)?;
    Ok(())
}

async fn nothing_of_a_conditional_change_is_lost(place: Place) -> Result<()> {
    const TASKS: usize = 6;
    const TIMES: usize = 5;
    place.prepare().await?;
    let store = open(&place).await?;
    let first = store.add(Record::new("prod")).await?;
    let second = store.put(first.clone(), Expect::UpdatedAt(first.update_time)).await?;
    is(store.put(first.clone(), Expect::UpdatedAt(first.update_time)).await, changed)?;
    ensure!(store.get("prod").await? == second, "what was refused has changed nothing");

    let mut counting = JoinSet::new();
    for _ in 0..TASKS {
        let store = open(&place).await?;
        counting.spawn(async move {
            for _ in 0..TIMES {
                count(&store, "prod").await?;
            }
            anyhow::Ok(())
        });
    }
    for counted in counting.join_all().await {
        counted?;
    }
    ensure!(store.get("prod").await?.description == (TASKS * TIMES).to_string());
    Ok(())
}

/// Adds one to the number that is a record's description.
pub(super) async fn count(store: &Store, name: &str) -> Result<()> {
    loop {
        let mut record = store.get(name).await?;
        let number: usize = record.description.parse().unwrap_or_default();
        record.description = (number + 1).to_string();
        let seen = record.update_time;
        match store.put(record, Expect::UpdatedAt(seen)).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Changed(_)) => {}
            Err(other) => return Err(other.into()),
        }
    }
}

async fn lists_are_in_order(place: Place) -> Result<()> {
    place.prepare().await?;
    let store = open(&place).await?;
    let (old, new) = (datetime!(2021-01-01 0:00 UTC), datetime!(2022-01-01 0:00 UTC));
    for (name, create_time) in [("m", old), ("b", new), ("a", new), ("z", old)] {
        store.add(Record::new(name)).await?;
        store.put(Record { create_time, ..Record::new(name) }, Expect::Any).await?;
    }
    let local = store.add(Record::new(LOCAL)).await?;
    ensure!(local.create_time.year() == 2999);
    let listing = store.list().await?;
    let names: Vec<_> = listing.records.iter().map(|record| record.name.as_str()).collect();
    ensure!(names == [LOCAL, "a", "b", "m", "z"], "{names:?}");
    Ok(())
}

async fn names_are_compared_byte_by_byte(place: Place) -> Result<()> {
    place.prepare().await?;
    let store = open(&place).await?;
    store.add(Record::new("prod")).await?;
    for other in [
        "Prod",
        "PROD",
        "prod ",
        "pro",
        "prod1",
        "",
        "prod@x",
        "..",
        "../prod",
        "a/../prod",
        "%",
        "prod%00",
        "pröd",
        ".*",
    ] {
        is(store.get(other).await, missing)?;
        is(store.delete(other).await, missing)?;
        is(store.put(Record::new(other), Expect::Any).await, |error| {
            matches!(error, StoreError::Invalid(_) | StoreError::Missing(_))
        })?;
    }
    is(store.add(Record::new("Prod")).await, |error| matches!(error, StoreError::Invalid(_)))?;
    ensure!(store.list().await?.records.len() == 1, "the one that was meant is still there");
    // Of any length that a record can have, a label of Kubernetes or not.
    let long = [63, 64, MAX_NAME].map(|length| format!("{}.{}", "l".repeat(40), "n".repeat(length - 41)));
    for name in &long {
        let added = store.add(Record::new(name)).await?;
        is(store.add(Record::new(name)).await, exists)?;
        ensure!(store.get(name).await? == added);
    }
    ensure!(store.list().await?.records.len() == 4);
    for name in &long {
        store.put(Record { alias: "x".to_owned(), ..Record::new(name) }, Expect::Any).await?;
        store.delete(name).await?;
    }
    ensure!(store.list().await?.records.len() == 1);
    Ok(())
}

/// Adds so many to a file at once.
async fn seed(store: &Store, place: &Place, count: usize) -> Result<usize> {
    store.list().await?;
    let mut file = rusqlite::Connection::open(place.file())?;
    let transaction = file.transaction()?;
    for number in 0..count {
        let (name, alias) = (format!("cluster-{number:05}"), format!("Cluster <{number}>"));
        transaction.execute("INSERT INTO vela_cluster (name, alias) VALUES (?, ?)", [name, alias])?;
    }
    transaction.commit()?;
    Ok(count)
}

async fn ten_thousand_records(place: Place) -> Result<()> {
    place.prepare().await?;
    let store = Arc::new(open(&place).await?);
    let begun = Instant::now();
    // A file that waits for the disk with each of them would take minutes.
    let seeded = if place.kind == StoreType::Sqlite { seed(&store, &place, MANY - SLOWLY).await? } else { 0 };
    let mut adding = JoinSet::new();
    for first in seeded..seeded + AT_ONCE {
        let store = Arc::clone(&store);
        adding.spawn(async move {
            for number in (first..MANY).step_by(AT_ONCE) {
                let alias = format!("Cluster <{number}>");
                store.add(Record { alias, ..Record::new(&format!("cluster-{number:05}")) }).await?;
            }
            anyhow::Ok(())
        });
    }
    for added in adding.join_all().await {
        added?;
    }
    let (added, begun) = (begun.elapsed(), Instant::now());
    let listing = store.list().await?;
    eprintln!(
        "{}: {MANY} records added in {added:.1?}, listed in {:.1?}",
        place.kind.as_str(),
        begun.elapsed()
    );
    let names: HashSet<_> = listing.records.iter().map(|record| record.name.as_str()).collect();
    ensure!(names.len() == MANY && listing.unreadable.is_empty(), "{} records", names.len());
    let one = listing.records.iter().find(|record| record.name == "cluster-07777").context("one of them")?;
    ensure!(one.alias == "Cluster <7777>");
    is(store.add(Record::new("cluster-07777")).await, exists)?;
    store.delete("cluster-07777").await?;
    ensure!(store.list().await?.records.len() == MANY - 1);
    Ok(())
}
