//! The load: wrk speaks HTTP/1.1, h2load HTTP/2.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::contender::Protocol;
use super::stats::percentile;
use crate::process::{self, Core};

/// So many streams share a connection at most.
const STREAMS: u32 = 32;

/// What is asked, and how much of it at once.
#[derive(Clone, Debug)]
pub(super) struct Load<'a> {
    pub(super) protocol: Protocol,
    pub(super) url: String,
    pub(super) token: &'a str,
    pub(super) in_flight: u32,
    /// A file to send with each request; HTTP/2 only.
    pub(super) upload: Option<&'a Path>,
    pub(super) turn: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) requests: u64,
    /// Microseconds.
    pub(super) p50: f64,
    pub(super) p99: f64,
}

impl Load<'_> {
    /// Sends requests and counts those that were answered well. Any other answer fails the whole run: the cost of errors
    /// is not what is asked. `scratch` is a file that may be overwritten.
    pub(super) fn run(&self, scratch: &Path) -> Result<Outcome> {
        let mut command = match self.protocol {
            Protocol::Http2 => self.h2load(scratch),
            Protocol::Http1 => self.wrk(),
        };
        command.args(["-H", &format!("authorization: Bearer {}", self.token)]).arg(&self.url);
        // h2load appends, and the last turn is no affair of this one.
        fs::write(scratch, "").context("empty h2load's log")?;
        let output = output(command.stdin(Stdio::null()))?;
        let outcome = match self.protocol {
            Protocol::Http2 => of_h2load(&output, &fs::read_to_string(scratch).context("read h2load's log")?),
            Protocol::Http1 => of_wrk(&output),
        };
        outcome.with_context(|| format!("not what a good run prints:\n{output}"))
    }

    fn h2load(&self, log: &Path) -> Command {
        let mut command = process::command(Core::Others, "h2load");
        let connections = self.in_flight.div_ceil(STREAMS);
        command.arg("-t1").arg(format!("-c{connections}"));
        command.arg(format!("-m{}", self.in_flight / connections));
        command.args(["--warm-up-time=0", "-D", &self.turn.as_secs().to_string()]);
        command.arg(format!("--log-file={}", log.display()));
        if let Some(file) = self.upload {
            command.arg("-d").arg(file);
        }
        command
    }

    fn wrk(&self) -> Command {
        let mut command = process::command(Core::Others, "wrk");
        command.args(["-t1", "--latency", "--timeout", "30s", "-c", &self.in_flight.to_string()]);
        command.args(["-d", &self.turn.as_secs().to_string()]);
        command
    }
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().context("start the load")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

/// `status codes: 66868 2xx, 0 3xx, 0 4xx, 0 5xx`, and no request that failed. The log has a line for each request: when,
/// which status, how many microseconds.
fn of_h2load(output: &str, log: &str) -> Option<Outcome> {
    let line = |start: &str| output.lines().find_map(|line| line.strip_prefix(start));
    let (good, others) = line("status codes: ")?.split_once(" 2xx, ")?;
    let all_well =
        others == "0 3xx, 0 4xx, 0 5xx" && line("requests: ")?.contains(" 0 failed, 0 errored, 0 timeout");
    let requests = good.parse().ok().filter(|&good| all_well && good > 0)?;
    let mut times = Vec::new();
    for line in log.lines() {
        times.push(line.split('\t').nth(2)?.parse().ok()?);
    }
    let (p50, p99) = (percentile(&mut times, 50.0), percentile(&mut times, 99.0));
    Some(Outcome { requests, p50, p99 })
}

/// `  61646 requests in 2.00s, 60.10MB read`, and neither of the lines that tell of something else.
fn of_wrk(output: &str) -> Option<Outcome> {
    let all_well = !output.contains("Non-2xx or 3xx responses") && !output.contains("Socket errors");
    let line = output.lines().find(|line| line.contains(" requests in "))?;
    let requests = line.split_whitespace().next()?.parse().ok().filter(|&good| all_well && good > 0)?;
    let percent = |name: &str| {
        let line = output.lines().find_map(|line| line.trim().strip_prefix(name))?;
        microseconds(line.trim())
    };
    Some(Outcome { requests, p50: percent("50%")?, p99: percent("99%")? })
}

fn microseconds(text: &str) -> Option<f64> {
    let number = text.trim_end_matches(|letter: char| letter.is_alphabetic());
    let unit = match &text[number.len()..] {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h2load_counts_only_when_all_is_well() {
        let well = "requests: 9 total, 9 started, 7 done, 7 succeeded, 0 failed, 0 errored, 0 timeout\n\
                    status codes: 7 2xx, 0 3xx, 0 4xx, 0 5xx\n";
        let log = "1700000000000000\t200\t500\n1700000000000400\t200\t900\n";
        let outcome = of_h2load(well, log).unwrap();
        assert_eq!((outcome.requests, outcome.p50, outcome.p99), (7, 500.0, 900.0));
        for (from, to) in [("0 5xx", "1 5xx"), ("0 errored", "2 errored"), ("7 2xx", "0 2xx")] {
            assert!(of_h2load(&well.replace(from, to), log).is_none(), "{to}");
        }
    }

    #[test]
    fn wrk_counts_only_when_all_is_well() {
        let well = "Running 2s test\n  Latency Distribution\n     50%    1.07ms\n     75%    1.10ms\n     99%  980.00us\n  \
                    61646 requests in 2.00s, 60.10MB read\nRequests/sec: 30823.12\n";
        let outcome = of_wrk(well).unwrap();
        assert_eq!((outcome.requests, outcome.p50, outcome.p99), (61_646, 1070.0, 980.0));
        assert!(of_wrk(&format!("{well}  Non-2xx or 3xx responses: 3\n")).is_none());
        assert!(of_wrk(&format!("{well}  Socket errors: connect 0, read 1, write 0, timeout 0\n")).is_none());
    }
}
