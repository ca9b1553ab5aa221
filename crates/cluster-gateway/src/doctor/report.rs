//! What a doctor says.

use serde::Serialize;

use crate::diagnosis::{Finding, Outcome};

/// Everything that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The hub and the gateway; empty without a hub.
    pub hub: Vec<Check>,
    /// Its clusters, by name.
    pub clusters: Vec<ClusterReport>,
}

/// One thing about the hub or the gateway.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What was looked at: `APIService`, `Secrets`.
    pub subject: &'static str,
    /// How it is.
    pub outcome: Outcome,
    /// What was found, in one line.
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// One cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterReport {
    /// Its name.
    pub cluster: String,
    /// From here; `None`: nobody asked for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub here: Option<View>,
    /// From the gateway's place; `None`: nobody asked for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<View>,
}

/// A cluster from one place.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", untagged)]
pub enum View {
    /// It was looked at.
    Seen {
        /// One finding per hop.
        findings: Vec<Finding>,
    },
    /// It could not be looked at from there.
    Unseen {
        /// Why.
        error: String,
        /// Whether that place cannot be asked by nature or by right; then it says nothing about the cluster.
        unasked: bool,
    },
}

impl Check {
    pub(super) fn passed(subject: &'static str, found: impl Into<String>) -> Self {
        Self { subject, outcome: Outcome::Passed, found: found.into(), remedy: None }
    }

    pub(super) fn warned(subject: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { subject, outcome: Outcome::Warned, found: found.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn failed(subject: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { subject, outcome: Outcome::Failed, found: found.into(), remedy: Some(remedy.into()) }
    }
}

impl View {
    pub(super) fn unseen(error: impl Into<String>) -> Self {
        Self::Unseen { error: error.into(), unasked: false }
    }

    pub(super) fn unasked(error: impl Into<String>) -> Self {
        Self::Unseen { error: error.into(), unasked: true }
    }

    /// Its findings; none if it could not be looked at.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Seen { findings } => findings,
            Self::Unseen { .. } => &[],
        }
    }

    /// The number of the hop that failed; 0: the place could not be asked.
    fn failing(&self) -> Option<u8> {
        match self {
            Self::Seen { findings } => first(findings, Outcome::Failed).map(|finding| finding.hop.number()),
            Self::Unseen { unasked, .. } => (!unasked).then_some(0),
        }
    }

    /// The worst of it: the first hop that failed, else the first that is warned of.
    #[must_use]
    pub fn worst(&self) -> Option<&Finding> {
        let findings = self.findings();
        first(findings, Outcome::Failed).or_else(|| first(findings, Outcome::Warned))
    }
}

fn first(findings: &[Finding], outcome: Outcome) -> Option<&Finding> {
    findings.iter().find(|finding| finding.outcome == outcome)
}

impl ClusterReport {
    /// From both places, in the order in which they are shown.
    pub fn views(&self) -> impl Iterator<Item = &View> {
        self.here.iter().chain(&self.gateway)
    }

    /// The number of the first hop that failed, from whatever place; 0: a place could not be asked. If nobody at all could
    /// look, that is a failure, too.
    #[must_use]
    pub fn failing(&self) -> Option<u8> {
        if self.views().all(|view| matches!(view, View::Unseen { .. })) {
            return Some(0);
        }
        self.views().filter_map(View::failing).min()
    }
}

impl Report {
    /// As [`ClusterReport::failing`]; what is wrong with the hub is 0.
    #[must_use]
    pub fn failing(&self) -> Option<u8> {
        if self.hub.iter().any(|check| check.outcome == Outcome::Failed) {
            return Some(0);
        }
        self.clusters.iter().filter_map(ClusterReport::failing).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::{Hop, absent};

    fn seen(hop: Option<Hop>) -> View {
        let mut findings = absent("c", "nothing").findings;
        for finding in &mut findings {
            finding.outcome = if Some(finding.hop) == hop { Outcome::Failed } else { Outcome::Passed };
        }
        View::Seen { findings }
    }

    fn report(here: Option<View>, gateway: Option<View>) -> ClusterReport {
        ClusterReport { cluster: "c".to_owned(), here, gateway }
    }

    #[test]
    fn the_first_hop_that_fails_counts_from_whatever_place() {
        let [good, tls, dns] = [None, Some(Hop::Tls), Some(Hop::Dns)].map(seen);
        let failing =
            |here: &View, gateway: &View| report(Some(here.clone()), Some(gateway.clone())).failing();
        assert_eq!(failing(&good, &good), None);
        assert_eq!(failing(&good, &tls), Some(6));
        assert_eq!(failing(&tls, &dns), Some(3));
        let (unasked, unseen) = (View::unasked("no right"), View::unseen("no answer"));
        assert_eq!(failing(&good, &unasked), None, "a place that says nothing says nothing");
        assert_eq!(failing(&good, &unseen), Some(0));
        assert_eq!(failing(&unasked, &unasked), Some(0), "nobody has looked");
        assert_eq!(report(None, Some(tls.clone())).failing(), Some(6));
        let clusters = vec![report(Some(tls), None), report(Some(dns), None)];
        let mut all = Report { hub: Vec::new(), clusters };
        assert_eq!(all.failing(), Some(3));
        all.hub.push(Check::warned("Rights", "few", "ask"));
        assert_eq!(all.failing(), Some(3), "warnings do not fail");
        all.hub.push(Check::failed("Hub", "away", "start it"));
        assert_eq!(all.failing(), Some(0));
    }
}
