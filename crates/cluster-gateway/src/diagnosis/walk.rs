//! From hop to hop, with the clock in hand.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::finding::Verdict;
use super::{Depth, Diagnosis, Event, Finding, Hop, Outcome, Watcher};

/// What a hop may take beyond its limit, so that whatever was waited for inside can say it in its own words.
const GRACE: Duration = Duration::from_millis(500);

/// A diagnosis in the making.
pub(super) struct Walk<'w> {
    cluster: String,
    watcher: Watcher<'w>,
    findings: Vec<Finding>,
    last: Hop,
    hop_limit: Duration,
    end: Instant,
}

impl<'w> Walk<'w> {
    pub(super) fn new(cluster: String, depth: &Depth, watcher: Watcher<'w>) -> Self {
        Self {
            cluster,
            watcher,
            findings: Vec::with_capacity(Hop::ALL.len()),
            last: depth.last,
            hop_limit: depth.hop_limit,
            end: Instant::now() + depth.limit,
        }
    }

    /// Whether `hop` is to be looked at: it was asked for, and nothing before it has failed.
    pub(super) fn goes_on(&self, hop: Hop) -> bool {
        hop <= self.last && self.findings.iter().all(|finding| finding.outcome != Outcome::Failed)
    }

    /// Looks at a hop, if it is to be looked at.
    pub(super) async fn step(&mut self, hop: Hop, look: impl Future<Output = Verdict>) {
        self.step_with(hop, async { (look.await, ()) }).await;
    }

    /// Looks at a hop that has more to tell.
    pub(super) async fn step_with<T>(
        &mut self,
        hop: Hop,
        look: impl Future<Output = (Verdict, T)>,
    ) -> Option<T> {
        if !self.goes_on(hop) {
            return None;
        }
        (self.watcher)(Event::Hop(hop));
        let begun = Instant::now();
        let limit = (self.hop_limit + GRACE).min(self.end.saturating_duration_since(begun));
        let (verdict, more) = match timeout(limit, look).await {
            Ok((verdict, more)) => (verdict, Some(more)),
            Err(_) => (too_slow(limit), None),
        };
        self.add(hop, verdict, begun.elapsed());
        more
    }

    /// Adds a hop that nobody had to wait for.
    pub(super) fn with(mut self, hop: Hop, verdict: Verdict) -> Self {
        self.add(hop, verdict, Duration::ZERO);
        self
    }

    fn add(&mut self, hop: Hop, verdict: Verdict, took: Duration) {
        let Verdict { outcome, found, remedy } = verdict;
        let finding = Finding { hop, outcome, found, remedy, took };
        (self.watcher)(Event::Finding(finding.clone()));
        self.findings.push(finding);
    }

    /// Adds to a hop that has passed what a later one has found out about it.
    pub(super) fn warn(&mut self, hop: Hop, note: (String, String)) {
        let Some(finding) = self.findings.iter_mut().find(|finding| finding.hop == hop) else { return };
        let (found, remedy) = note;
        if finding.outcome == Outcome::Passed {
            finding.outcome = Outcome::Warned;
        }
        finding.found = format!("{}; {found}", finding.found);
        finding.remedy = Some(match finding.remedy.take() {
            Some(before) => format!("{before}; {remedy}"),
            None => remedy,
        });
        (self.watcher)(Event::Finding(finding.clone()));
    }

    /// The diagnosis; what was not looked at is skipped.
    pub(super) fn end(mut self) -> Diagnosis {
        let failed = self.findings.iter().find(|finding| finding.outcome == Outcome::Failed);
        let reason = match failed {
            Some(finding) => format!("not looked at, because {} failed", finding.hop.as_str()),
            None => "not asked for".to_owned(),
        };
        for hop in Hop::ALL {
            if self.findings.iter().all(|finding| finding.hop != hop) {
                self.add(hop, Verdict::skipped(&*reason), Duration::ZERO);
            }
        }
        self.findings.sort_by_key(|finding| finding.hop);
        Diagnosis { cluster: self.cluster, findings: self.findings }
    }
}

fn too_slow(limit: Duration) -> Verdict {
    Verdict::failed(
        format!("not done within {limit:?} (i/o timeout)"),
        "see whether the member, or what stands before it, is overloaded; a firewall that drops packets looks the same",
    )
}
