//! Connections that are opened for one request each.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::super::contender::{Contender, Protocol, Upstream};
use super::super::load::Outcome;
use super::super::report::Report;
use super::super::rig::{Rig, SMALL};
use super::super::stats::percentile;
use super::super::turns::brief_rounds;

const AT_ONCE: usize = 16;

const NOTE: &str = "TCP, TLS 1.3 without resumption, one small GET over HTTP/1.1, close; 16 at once. The proxies keep their \
                    connections to the member. The load shares the member's core and needs about as long as the server.";

pub(in super::super) fn run(rig: &Rig, report: &mut Report) -> Result<()> {
    let contenders = [rig.direct(), rig.haproxy()?, rig.nginx()?, rig.gateway()?];
    eprintln!("bench: new connections");
    let summaries = brief_rounds(rig, &contenders, |contender, turn| {
        rig.runtime.block_on(connections(rig, contender, turn))
    })?;
    let columns = ["via", "connections/s", "connections/s per core", "CPU µs/connection", "p50 µs", "p99 µs"];
    let section = report.section("New connections", NOTE, &columns);
    for (contender, summary) in contenders.iter().zip(summaries) {
        section.row([contender.name.clone()].into_iter().chain(super::small::cells(&summary)));
    }
    Ok(())
}

async fn connections(rig: &Rig, contender: &Contender, turn: Duration) -> Result<Outcome> {
    let endpoint = contender.endpoint(Upstream::Files, Protocol::Http1)?;
    let (port, path) = (endpoint.port, endpoint.path(SMALL));
    let lines = format!("authorization: Bearer {}\r\n", rig.hub.token());
    let begun = Instant::now();
    let workers: Vec<_> = (0..AT_ONCE)
        .map(|_| {
            let (dialer, path, lines) = (rig.dialer.clone(), path.clone(), lines.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                while begun.elapsed() < turn {
                    let opened = Instant::now();
                    let mut connection = dialer.http1(port).await?;
                    connection.get(&path, &lines).await?;
                    times.push(opened.elapsed().as_secs_f64() * 1e6);
                    connection.reset()?;
                }
                anyhow::Ok(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for worker in workers {
        times.extend(worker.await.context("a task that opens connections")??);
    }
    let requests = times.len() as u64;
    let (p50, p99) = (percentile(&mut times, 50.0), percentile(&mut times, 99.0));
    Ok(Outcome { requests, p50, p99 })
}
