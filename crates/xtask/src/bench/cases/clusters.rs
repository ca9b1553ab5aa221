//! Many registered clusters.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::registration;
use http::{HeaderMap, HeaderValue, header};

use super::super::contender::{Contender, Protocol, Upstream};
use super::super::report::{Report, short};
use super::super::rig::{Rig, idle_clusters};
use super::super::stats::median;

const NAMESPACE: &str = "bench-clusters";
/// What kubectl asks for.
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const JSON: &str = "application/json";
const LISTS: u32 = 9;
/// After this time memory that is free has been given back.
const SETTLED: Duration = Duration::from_secs(2);

const NOTE: &str = "Secrets of some 2 KB, each with a CA of its own. Ready: from the start of the process to 200 at \
                    /readyz, which waits for all of them. Memory is looked at two seconds after that and after the last list. \
                    Lists: the whole answer, at a client on the other core; their processor time is the gateway's.";

pub(in super::super) fn run(rig: &Rig, report: &mut Report) -> Result<()> {
    let count = rig.scale.clusters;
    eprintln!("bench: {count} clusters");
    rig.hub.namespace(NAMESPACE)?;
    let begun = Instant::now();
    rig.hub.create(&rig.runtime, NAMESPACE, &idle_clusters(NAMESPACE, count)?)?;
    eprintln!("bench: they were registered in {:.1?}", begun.elapsed());
    let mut ready = Vec::new();
    for _ in 0..rig.scale.rounds.min(3) {
        let begun = Instant::now();
        rig.gateway_with("again", NAMESPACE, &[])?;
        ready.push(begun.elapsed().as_secs_f64());
    }
    let gateway = rig.gateway_with("many", NAMESPACE, &[])?;
    let start_cpu = gateway.cpu()?.as_secs_f64();
    let at_start = settled(&gateway)?;
    let json = list(rig, &gateway, JSON, count)?;
    let table = list(rig, &gateway, TABLE, count)?;
    let after_lists = settled(&gateway)?;
    let ready = median(ready);
    if count == 10_000 {
        report.at_most("10,000 clusters: ready", 2.0, ready, " s");
        report.at_most("10,000 clusters: RSS when ready", 80.0, at_start, " MiB");
        report.at_most("10,000 clusters: RSS after lists", 80.0, after_lists, " MiB");
        report.at_most("10,000 clusters: list as JSON", 100.0, json.time, " ms");
        report.at_most("10,000 clusters: list as a Table", 40.0, table.time, " ms");
    }
    let columns = ["", "ms", "CPU ms", "RSS afterwards MiB"];
    let section = report.section(&format!("{count} registered clusters"), NOTE, &columns);
    let mut row = |what: &str, numbers: [Option<f64>; 3]| {
        let numbers = numbers.map(|number| number.map(short).unwrap_or_default());
        section.row([what.to_owned()].into_iter().chain(numbers));
    };
    row("start", [Some(ready * 1e3), Some(start_cpu * 1e3), Some(at_start)]);
    row("list, JSON", [Some(json.time), Some(json.cpu), None]);
    row("list, Table", [Some(table.time), Some(table.cpu), Some(after_lists)]);
    Ok(())
}

/// MiB.
fn settled(gateway: &Contender) -> Result<f64> {
    std::thread::sleep(SETTLED);
    Ok(gateway.memory()? as f64 / 1024.0)
}

/// What a whole list takes.
struct Listed {
    /// Median, in ms.
    time: f64,
    /// Mean, in ms.
    cpu: f64,
}

fn list(rig: &Rig, gateway: &Contender, form: &'static str, count: u32) -> Result<Listed> {
    let mut headers = rig.headers()?;
    headers.insert(header::ACCEPT, HeaderValue::from_static(form));
    let port = gateway.endpoint(Upstream::Files, Protocol::Http2)?.port;
    let before = gateway.cpu()?;
    let times = rig.runtime.block_on(lists(rig, port, &headers, count))?;
    let cpu = gateway.cpu()?.saturating_sub(before).as_secs_f64() * 1e3 / f64::from(LISTS);
    Ok(Listed { time: median(times), cpu })
}

async fn lists(rig: &Rig, port: u16, headers: &HeaderMap, count: u32) -> Result<Vec<f64>> {
    let connection = rig.dialer.http2(port).await?;
    let path = format!("{}/clustergateways", registration::BASE);
    let mut times = Vec::new();
    for _ in 0..LISTS {
        let begun = Instant::now();
        let body = connection.get(&path, headers).await.context("list clusters")?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        let names = body.windows(6).filter(|window| window == b"\"idle-").count();
        ensure!(names >= count as usize, "a list of {count} clusters has {names}");
    }
    Ok(times)
}
