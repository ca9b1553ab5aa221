//! The load: wrk speaks HTTP/1.1, h2load HTTP/2.

use std::fmt;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::process::{self, Core};

/// What both sides of the proxy speak.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Protocol {
    Http2,
    Http1,
}

impl Protocol {
    pub(super) const ALL: [Self; 2] = [Self::Http2, Self::Http1];
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http2 => "h2→h2",
            Self::Http1 => "h1→h1",
        })
    }
}

/// Where a request goes, and with which proof.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) url: String,
    pub(super) token: String,
}

/// Sends requests for `turn` and returns how many were answered well. Any other answer fails the whole run: the cost of
/// errors is not what is asked.
pub(super) fn run(protocol: Protocol, target: &Target, turn: Duration) -> Result<u64> {
    let seconds = turn.as_secs().to_string();
    let header = format!("authorization: Bearer {}", target.token);
    let mut command = match protocol {
        Protocol::Http2 => {
            let mut command = process::command(Core::Others, "h2load");
            command.args(["-t1", "-c8", "-m32", "--warm-up-time=0", "-D", &seconds]);
            command
        }
        Protocol::Http1 => {
            let mut command = process::command(Core::Others, "wrk");
            command.args(["-t1", "-c64", "-d", &seconds]);
            command
        }
    };
    command.args(["-H", &header]).arg(&target.url).stdin(Stdio::null());
    let output = output(&mut command)?;
    let counted = match protocol {
        Protocol::Http2 => of_h2load(&output),
        Protocol::Http1 => of_wrk(&output),
    };
    counted.with_context(|| format!("not what a good run prints:\n{output}"))
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output().context("start the load")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{}\n{text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

/// `status codes: 66868 2xx, 0 3xx, 0 4xx, 0 5xx`, and no request that failed.
fn of_h2load(output: &str) -> Option<u64> {
    let line = |start: &str| output.lines().find_map(|line| line.strip_prefix(start));
    let codes = line("status codes: ")?;
    let (good, others) = codes.split_once(" 2xx, ")?;
    let requests = line("requests: ")?;
    let all_well = others == "0 3xx, 0 4xx, 0 5xx" && requests.contains(" 0 failed, 0 errored, 0 timeout");
    good.parse().ok().filter(|&good| all_well && good > 0)
}

/// `  61646 requests in 2.00s, 60.10MB read`, and neither of the lines that tell of something else.
fn of_wrk(output: &str) -> Option<u64> {
    let all_well = !output.contains("Non-2xx or 3xx responses") && !output.contains("Socket errors");
    let line = output.lines().find(|line| line.contains(" requests in "))?;
    line.split_whitespace().next()?.parse().ok().filter(|&good| all_well && good > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h2load_counts_only_when_all_is_well() {
        let well = "requests: 9 total, 9 started, 7 done, 7 succeeded, 0 failed, 0 errored, 0 timeout\n\
                    status codes: 7 2xx, 0 3xx, 0 4xx, 0 5xx\n";
        assert_eq!(of_h2load(well), Some(7));
        assert_eq!(of_h2load(&well.replace("0 5xx", "1 5xx")), None);
        assert_eq!(of_h2load(&well.replace("0 errored", "2 errored")), None);
        assert_eq!(of_h2load(&well.replace("7 2xx", "0 2xx")), None);
    }

    #[test]
    fn wrk_counts_only_when_all_is_well() {
        let well = "Running 2s test\n  61646 requests in 2.00s, 60.10MB read\nRequests/sec: 30823.12\n";
        assert_eq!(of_wrk(well), Some(61_646));
        assert_eq!(of_wrk(&format!("{well}  Non-2xx or 3xx responses: 3\n")), None);
        assert_eq!(of_wrk(&format!("{well}  Socket errors: connect 0, read 1, write 0, timeout 0\n")), None);
    }
}
