//! The numbers as tables.

use std::fmt;
use std::time::Duration;

use anyhow::Result;

use super::contender::Contender;
use super::load::Protocol;

/// What everything is compared with.
const REFERENCE: &str = "HAProxy";

/// One turn of one contender.
#[derive(Debug)]
pub(super) struct Measurement {
    pub(super) contender: &'static str,
    pub(super) protocol: Protocol,
    pub(super) requests: u64,
    pub(super) turn: Duration,
    /// What the contender itself used, the load and the member apart.
    pub(super) cpu: Duration,
}

/// All turns, and what was read of memory in between.
#[derive(Debug, Default)]
pub(super) struct Report {
    measurements: Vec<Measurement>,
    /// When, who, KiB.
    memory: Vec<(String, &'static str, u64)>,
}

impl Report {
    pub(super) fn add(&mut self, measurement: Measurement) {
        self.measurements.push(measurement);
    }

    /// Reads how much memory everybody occupies now.
    pub(super) fn memory(&mut self, when: &str, contenders: &[Contender]) -> Result<()> {
        for contender in contenders {
            self.memory.push((when.to_owned(), contender.name, contender.server.memory()?));
        }
        Ok(())
    }

    /// Requests in a second and microseconds of processor in a request: the medians of the rounds.
    fn medians(&self, contender: &str, protocol: Protocol) -> Option<(f64, f64)> {
        let turns = || {
            self.measurements.iter().filter(|turn| turn.contender == contender && turn.protocol == protocol)
        };
        let rate = median(turns().map(|turn| turn.requests as f64 / turn.turn.as_secs_f64()));
        let cost = median(turns().map(|turn| turn.cpu.as_secs_f64() * 1e6 / turn.requests as f64));
        rate.zip(cost)
    }

    fn contenders(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for turn in &self.measurements {
            if !names.contains(&turn.contender) {
                names.push(turn.contender);
            }
        }
        names.sort_unstable();
        names
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| 1 KiB GET | | requests/s | µs CPU/request | requests/s of {REFERENCE}'s | CPU of {REFERENCE}'s |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for protocol in Protocol::ALL {
            let reference = self.medians(REFERENCE, protocol);
            for contender in self.contenders() {
                let Some((rate, cost)) = self.medians(contender, protocol) else { continue };
                let (faster, dearer) = reference.map_or((f64::NAN, f64::NAN), |(r, c)| (rate / r, cost / c));
                writeln!(
                    f,
                    "| {protocol} | {contender} | {rate:.0} | {cost:.1} | {faster:.2} | {dearer:.2} |"
                )?;
            }
        }
        writeln!(f, "\n| memory (RSS) | | MiB |\n|---|---|---|")?;
        for (when, contender, kibibytes) in &self.memory {
            writeln!(f, "| {when} | {contender} | {:.1} |", *kibibytes as f64 / 1024.0)?;
        }
        Ok(())
    }
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        _ if values.is_empty() => None,
        0 => Some((values[middle - 1] + values[middle]) / 2.0),
        _ => Some(values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_do_not_move_with_one_bad_round() {
        assert_eq!(median([3.0, 1.0, 900.0].into_iter()), Some(3.0));
        assert_eq!(median([4.0, 1.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn the_table_has_rates_costs_and_ratios() {
        let mut report = Report::default();
        for (contender, requests, cpu) in [(REFERENCE, 2000, 20), ("ours", 1000, 20)] {
            let (turn, cpu) = (Duration::from_secs(2), Duration::from_millis(cpu));
            report.add(Measurement { contender, protocol: Protocol::Http2, requests, turn, cpu });
        }
        let text = report.to_string();
        assert!(text.contains("| h2→h2 | HAProxy | 1000 | 10.0 | 1.00 | 1.00 |\n"), "{text}");
        assert!(text.contains("| h2→h2 | ours | 500 | 20.0 | 0.50 | 2.00 |\n"), "{text}");
    }
}
