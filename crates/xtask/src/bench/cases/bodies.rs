//! Large bodies.

use std::fs;

use anyhow::{Context, Result};

use super::super::contender::{Contender, Protocol, Upstream};
use super::super::load::Load;
use super::super::report::{Report, short};
use super::super::rig::{LARGE, MEGABYTE, Rig, UPLOAD};
use super::super::turns::{Summary, brief_rounds};

/// What is moved, and how many bytes of it at once.
struct Body {
    title: &'static str,
    path: &'static str,
    megabytes: f64,
    in_flight: u32,
    upload: bool,
    protocols: &'static [Protocol],
}

/// wrk sends no bodies that are worth it.
const BODIES: [Body; 3] = [
    Body {
        title: "1 MB down",
        path: MEGABYTE,
        megabytes: 1.0,
        in_flight: 8,
        upload: false,
        protocols: &Protocol::ALL,
    },
    Body {
        title: "1 MB up",
        path: UPLOAD,
        megabytes: 1.0,
        in_flight: 8,
        upload: true,
        protocols: &[Protocol::Http2],
    },
    Body {
        title: "50 MB down",
        path: LARGE,
        megabytes: 50.0,
        in_flight: 2,
        upload: false,
        protocols: &Protocol::ALL,
    },
];

pub(in super::super) fn run(rig: &Rig, report: &mut Report) -> Result<()> {
    let contenders = [rig.direct(), rig.haproxy()?, rig.nginx()?, rig.gateway()?];
    fs::write(rig.file("upload"), vec![b'u'; 1 << 20]).context("write what is uploaded")?;
    let columns = ["", "", "via", "MB/s", "CPU µs/MB", "p50 ms", "p99 ms", "RSS MiB"];
    let section = report.section("Bodies", "Eight at once of 1 MB, two at once of 50 MB.", &columns);
    for body in &BODIES {
        for &protocol in body.protocols {
            eprintln!("bench: bodies, {}, {protocol}", body.title);
            let summaries = measure(rig, &contenders, body, protocol)?;
            for (contender, summary) in contenders.iter().zip(summaries) {
                section.row([
                    body.title.to_owned(),
                    protocol.to_string(),
                    contender.name.clone(),
                    short(summary.rate * body.megabytes),
                    short(summary.cpu / body.megabytes),
                    short(summary.p50 / 1e3),
                    short(summary.p99 / 1e3),
                    short(contender.memory()? as f64 / 1024.0),
                ]);
            }
        }
    }
    Ok(())
}

fn measure(rig: &Rig, contenders: &[Contender], body: &Body, protocol: Protocol) -> Result<Vec<Summary>> {
    let file = rig.file("upload");
    brief_rounds(rig, contenders, |contender, turn| {
        let upstream = if body.upload { Upstream::Stub } else { Upstream::Files };
        let url = contender.endpoint(upstream, protocol)?.url(body.path);
        let upload = body.upload.then_some(file.as_path());
        let load = Load { protocol, url, token: rig.hub.token(), in_flight: body.in_flight, upload, turn };
        load.run(&rig.file("h2load.log"))
    })
}
