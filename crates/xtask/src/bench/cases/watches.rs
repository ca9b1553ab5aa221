//! Idle watches, and an event that all of them are told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http::Method;
use tokio::sync::mpsc;

use super::super::contender::{Contender, GATEWAY, Protocol, Upstream};
use super::super::report::{Report, short};
use super::super::rig::{Rig, SMALL, WATCH};
use super::super::stats::{median, percentile};
use crate::wire::{self, Http2};

/// Streams that share a connection: informers of one controller, many controllers.
const STREAMS: u32 = 100;
const TIMEOUT: Duration = Duration::from_secs(60);

const NOTE: &str = "All watches at once, a hundred on each client connection, all of the same member, in fresh processes. \
                    Memory is what they add, connections included. An event of 450 bytes is sent to all of them at once; \
                    its time is from the member's decision to the client.";

pub(in super::super) fn run(rig: &Rig, report: &mut Report) -> Result<()> {
    let count = rig.scale.watches;
    let mut rows = Vec::new();
    for contender in [rig.direct(), rig.haproxy()?, rig.nginx()?, rig.gateway()?] {
        eprintln!("bench: {count} watches, {}", contender.name);
        let measured = rig.runtime.block_on(watches(rig, &contender, count))?;
        if contender.name == GATEWAY {
            report.at_most(&format!("RSS for each of {count} idle watches"), 12.0, measured.kib_each, " KiB");
        }
        rows.push((contender.name, measured));
    }
    let columns =
        ["via", "RSS KiB each", "opened in s", "event: p50 ms", "event: p99 ms", "event: CPU µs/watch"];
    let section = report.section(&format!("{count} idle watches"), NOTE, &columns);
    for (name, Measured { kib_each, opened, p50, p99, cpu }) in rows {
        section.row([name].into_iter().chain([kib_each, opened, p50, p99, cpu].map(short)));
    }
    Ok(())
}

struct Measured {
    kib_each: f64,
    /// Seconds.
    opened: f64,
    /// Milliseconds.
    p50: f64,
    p99: f64,
    /// Microseconds for each watch.
    cpu: f64,
}

async fn watches(rig: &Rig, contender: &Contender, count: u32) -> Result<Measured> {
    let endpoint = contender.endpoint(Upstream::Stub, Protocol::Http2)?;
    let headers = rig.headers()?;
    rig.dialer.http2(endpoint.port).await?.get(&endpoint.path(SMALL), &headers).await?;
    let before = contender.memory()?;
    let begun = Instant::now();
    let (told, mut events) = mpsc::channel(1024);
    let path: Arc<str> = endpoint.path(WATCH).into();
    for first in (0..count).step_by(STREAMS as usize) {
        let connection = rig.dialer.http2(endpoint.port).await?;
        for _ in first..count.min(first + STREAMS) {
            tokio::spawn(watch(connection.clone(), path.clone(), headers.clone(), told.clone()));
        }
        // Those of one connection at once, then the next: nobody opens ten thousand streams in a moment.
        arrivals(&mut events, count.min(first + STREAMS) - first).await?;
    }
    drop(told);
    let opened = begun.elapsed().as_secs_f64();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let kib_each = (contender.memory()?.saturating_sub(before)) as f64 / f64::from(count);
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    let cpu_before = contender.cpu()?;
    for _ in 0..rig.scale.rounds {
        let rung = Instant::now();
        rig.stub.ring();
        let arrived = arrivals(&mut events, count).await?;
        let mut times: Vec<_> =
            arrived.iter().map(|time| time.duration_since(rung).as_secs_f64() * 1e3).collect();
        p50.push(percentile(&mut times, 50.0));
        p99.push(percentile(&mut times, 99.0));
    }
    let cpu = contender.cpu()?.saturating_sub(cpu_before).as_secs_f64() * 1e6;
    let cpu = cpu / f64::from(count * rig.scale.rounds);
    Ok(Measured { kib_each, opened, p50: median(p50), p99: median(p99), cpu })
}

async fn arrivals(events: &mut mpsc::Receiver<Instant>, count: u32) -> Result<Vec<Instant>> {
    let arriving = async {
        let mut arrived = Vec::new();
        while arrived.len() < count as usize {
            arrived.push(events.recv().await.context("all watches have ended")?);
        }
        Ok(arrived)
    };
    tokio::time::timeout(TIMEOUT, arriving).await.context("not every watch was told in time")?
}

/// Tells when each event arrives, until the connection ends.
async fn watch(
    connection: Http2,
    path: Arc<str>,
    headers: http::HeaderMap,
    told: mpsc::Sender<Instant>,
) -> Result<()> {
    let answer = connection.send(wire::request(Method::GET, &path, &headers)?, None).await?;
    ensure!(answer.status() == 200, "a watch: {}", answer.status());
    let mut body = answer.into_body();
    while wire::next(&mut body).await?.is_some() {
        told.send(Instant::now()).await?;
    }
    Ok(())
}
