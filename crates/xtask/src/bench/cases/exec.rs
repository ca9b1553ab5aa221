//! Echoes over an upgraded connection, as exec has them.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::super::contender::{Contender, Protocol, Upstream};
use super::super::load::Outcome;
use super::super::report::Report;
use super::super::rig::Rig;
use super::super::stats::percentile;
use super::super::turns::brief_rounds;

/// A key that somebody presses, with its frame.
const SIZE: usize = 32;
const PATH: &str = "/api/v1/namespaces/default/pods/p/exec";

pub(in super::super) fn run(rig: &Rig, report: &mut Report) -> Result<()> {
    let contenders = [rig.direct(), rig.haproxy()?, rig.nginx()?, rig.gateway()?];
    eprintln!("bench: echoes over upgraded connections");
    let summaries =
        brief_rounds(rig, &contenders, |contender, turn| rig.runtime.block_on(echoes(rig, contender, turn)))?;
    let columns = ["via", "echoes/s", "echoes/s per core", "CPU µs/echo", "p50 µs", "p99 µs"];
    let section =
        report.section("Exec echo", "32 bytes there and back over one upgraded connection.", &columns);
    for (contender, summary) in contenders.iter().zip(summaries) {
        section.row([contender.name.clone()].into_iter().chain(super::small::cells(&summary)));
    }
    Ok(())
}

async fn echoes(rig: &Rig, contender: &Contender, turn: Duration) -> Result<Outcome> {
    let endpoint = contender.endpoint(Upstream::Stub, Protocol::Http1)?;
    let mut connection = rig.dialer.http1(endpoint.port).await?;
    let token = rig.hub.token();
    let lines = format!("authorization: Bearer {token}\r\nconnection: upgrade\r\nupgrade: echo\r\n");
    connection.upgrade(&endpoint.path(PATH), &lines).await?;
    let (begun, mut times, mut back) = (Instant::now(), Vec::new(), [0; SIZE]);
    while begun.elapsed() < turn {
        let sent = Instant::now();
        connection.echo(&[b'k'; SIZE], &mut back).await?;
        times.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    let requests = times.len() as u64;
    let (p50, p99) = (percentile(&mut times, 50.0), percentile(&mut times, 99.0));
    Ok(Outcome { requests, p50, p99 })
}
