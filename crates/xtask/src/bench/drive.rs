//! A load of our own, whose requests may differ: many users, many clusters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use http::Request;

use super::load::Outcome;
use super::stats::percentile;
use crate::wire::{self, Http2};

/// The requests that are sent, by their number.
pub(super) type Make = Arc<dyn Fn(u64) -> Result<Request<()>> + Send + Sync>;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    Time(Duration),
    Count(u64),
}

/// Keeps `in_flight` requests on their way over `connections`; every answer must be a 200.
pub(super) async fn drive(
    connections: &[Http2],
    in_flight: usize,
    until: Until,
    make: Make,
) -> Result<Outcome> {
    let (begun, next) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let workers: Vec<_> = (0..in_flight)
        .map(|worker| {
            let connection = connections[worker % connections.len()].clone();
            tokio::spawn(work(connection, begun, until, next.clone(), make.clone()))
        })
        .collect();
    let mut times = Vec::new();
    for worker in workers {
        times.extend(worker.await.context("a task of the load")??);
    }
    let requests = times.len() as u64;
    let (p50, p99) = (percentile(&mut times, 50.0), percentile(&mut times, 99.0));
    Ok(Outcome { requests, p50, p99 })
}

async fn work(
    connection: Http2,
    begun: Instant,
    until: Until,
    next: Arc<AtomicU64>,
    make: Make,
) -> Result<Vec<f64>> {
    let mut times = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let done = match until {
            Until::Time(time) => begun.elapsed() >= time,
            Until::Count(count) => number >= count,
        };
        if done {
            return Ok(times);
        }
        let request = make(number)?;
        let path = request.uri().path().to_owned();
        let sent = Instant::now();
        let (head, mut body) = connection.send(request, None).await?.into_parts();
        while wire::next(&mut body).await?.is_some() {}
        times.push(sent.elapsed().as_secs_f64() * 1e6);
        ensure!(head.status == 200, "GET {path}: {}", head.status);
    }
}
