//! One dead cluster of a hundred.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::registration;
use http::{HeaderMap, Method};

use super::super::contender::{Protocol, Upstream};
use super::super::drive::{Make, Until, drive};
use super::super::load::Outcome;
use super::super::report::{Report, short};
use super::super::rig::{Rig, SMALL, cluster};
use super::super::stats::median;
use crate::wire::{self, Http2};

const NAMESPACE: &str = "bench-dead";
const ALIVE: u64 = 99;
const IN_FLIGHT: usize = 32;

const NOTE: &str = "32 requests at once over 99 clusters that live, with and without 32 more at the hundredth, whose address \
                    takes connections and never says a word. Paired rounds.";

pub(in super::super) fn run(rig: &Rig, report: &mut Report) -> Result<()> {
    eprintln!("bench: one dead cluster of a hundred");
    let silent = TcpListener::bind("127.0.0.1:0").context("listen")?;
    let dead_port = silent.local_addr().context("a port")?.port();
    let member = rig.member_port(Upstream::Files, Protocol::Http2)?;
    rig.hub.namespace(NAMESPACE)?;
    let mut secrets: Vec<_> =
        (0..ALIVE).map(|number| cluster(NAMESPACE, &format!("alive-{number}"), member, &rig.ca())).collect();
    secrets.push(cluster(NAMESPACE, "dead", dead_port, &rig.ca()));
    rig.hub.create(&rig.runtime, NAMESPACE, &secrets)?;
    let gateway = rig.gateway_with("hundred", NAMESPACE, &[])?;
    let port = gateway.endpoint(Upstream::Files, Protocol::Http2)?.port;
    let (alone, beside) = rig.runtime.block_on(phases(rig, port))?;
    let of = |outcomes: &[Outcome], value: fn(&Outcome) -> f64| median(outcomes.iter().map(value));
    let ratio = median(alone.iter().zip(&beside).map(|(alone, beside)| beside.p99 / alone.p99));
    report.at_most("one dead cluster of 100: the others' p99, of what it is without", 1.1, ratio, "x");
    let columns = ["", "requests/s", "p50 µs", "p99 µs"];
    let section = report.section("One dead cluster of 100", NOTE, &columns);
    let seconds = rig.scale.turn.as_secs_f64();
    for (name, outcomes) in [("nobody asks it", &alone), ("32 requests at it", &beside)] {
        let rate = of(outcomes, |outcome| outcome.requests as f64) / seconds;
        let (p50, p99) = (of(outcomes, |outcome| outcome.p50), of(outcomes, |outcome| outcome.p99));
        section.row([name.to_owned()].into_iter().chain([rate, p50, p99].map(short)));
    }
    Ok(())
}

async fn phases(rig: &Rig, port: u16) -> Result<(Vec<Outcome>, Vec<Outcome>)> {
    let connections = [rig.dialer.http2(port).await?];
    let troubled = rig.dialer.http2(port).await?;
    let headers = rig.headers()?;
    let make: Make = {
        let headers = headers.clone();
        Arc::new(move |number| {
            let path = format!("{}{SMALL}", registration::proxy_path(&format!("alive-{}", number % ALIVE)));
            wire::request(Method::GET, &path, &headers)
        })
    };
    drive(&connections, IN_FLIGHT, Until::Count(ALIVE * 20), make.clone()).await?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..rig.scale.rounds {
        let until = Until::Time(rig.scale.turn);
        alone.push(drive(&connections, IN_FLIGHT, until, make.clone()).await?);
        let trouble: Vec<_> =
            (0..IN_FLIGHT).map(|_| tokio::spawn(knock(troubled.clone(), headers.clone()))).collect();
        beside.push(drive(&connections, IN_FLIGHT, until, make.clone()).await?);
        for task in trouble {
            task.abort();
        }
    }
    Ok((alone, beside))
}

/// Asks the dead cluster again and again; what it says does not matter.
async fn knock(connection: Http2, headers: HeaderMap) {
    let path = format!("{}{SMALL}", registration::proxy_path("dead"));
    while let Ok(request) = wire::request(Method::GET, &path, &headers) {
        let _ = connection.call(request, None).await;
        // Whoever is refused at once waits a little, as clients do.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
