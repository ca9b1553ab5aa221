//! The latest probes of a member, in little room: there are ten thousand members.

use std::time::Duration;

/// Probes that are kept.
const KEPT: usize = 24;
/// There was no answer.
const NONE: u32 = u32::MAX;

/// From each of the latest probes to the head of its answer, to a tenth of a millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latencies {
    /// Tenths of milliseconds, the newest last.
    tenths: [u32; KEPT],
    known: u8,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { tenths: [NONE; KEPT], known: 0 }
    }
}

impl Latencies {
    /// The same, with one more probe; `None`: it got no answer.
    #[must_use]
    pub fn and(mut self, latency: Option<Duration>) -> Self {
        self.tenths.rotate_left(1);
        self.tenths[KEPT - 1] = latency.map_or(NONE, |latency| {
            u32::try_from(latency.as_micros() / 100).unwrap_or(NONE - 1).min(NONE - 1)
        });
        self.known = (self.known + 1).min(KEPT as u8);
        self
    }

    /// Milliseconds, the newest last; `None`: there was no answer.
    pub fn milliseconds(&self) -> impl ExactSizeIterator<Item = Option<f64>> {
        let known = &self.tenths[KEPT - usize::from(self.known)..];
        known.iter().map(|&tenths| (tenths != NONE).then(|| f64::from(tenths) / 10.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept_and_none_is_none() {
        let shown = |latencies: Latencies| latencies.milliseconds().collect::<Vec<_>>();
        let mut latencies = Latencies::default();
        assert_eq!(shown(latencies), []);
        latencies = latencies.and(Some(Duration::from_micros(12_480))).and(None).and(Some(Duration::ZERO));
        assert_eq!(shown(latencies), [Some(12.4), None, Some(0.0)]);
        for i in 0..30 {
            latencies = latencies.and(Some(Duration::from_millis(i)));
        }
        assert_eq!(shown(latencies), (6..30).map(|i| Some(f64::from(i))).collect::<Vec<_>>());
        assert_eq!(shown(latencies.and(Some(Duration::MAX))).last(), Some(&Some(f64::from(NONE - 1) / 10.0)));
        assert!(size_of::<Latencies>() <= 100);
    }
}
