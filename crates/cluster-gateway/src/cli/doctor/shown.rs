//! Reports for people.

use std::fmt::Write as _;
use std::time::Duration;

use crate::cli::output::{Cell, Column, Mood, Table, printable};
use crate::diagnosis::{Finding, Hop, Outcome};
use crate::doctor::{Check, ClusterReport, Report, View};

const HOPS: &[Column] =
    &[Column::new("HOP"), Column::new("HERE"), Column::new("GATEWAY"), Column::wide("FOUND")];
const CHECKS: &[Column] = &[Column::new("HUB"), Column::new("OUTCOME"), Column::new("FOUND")];
const CLUSTERS: &[Column] =
    &[Column::new("CLUSTER"), Column::new("HERE"), Column::new("GATEWAY"), Column::new("FOUND")];

/// One cluster: a line per hop, then what is wrong and what to do.
pub(super) fn cluster(report: &ClusterReport, wide: bool, colour: bool) -> String {
    let mut table = Table::new(HOPS, "");
    for hop in Hop::ALL {
        let here = report.here.as_ref().map(|view| finding(view, hop));
        let gateway = report.gateway.as_ref().map(|view| finding(view, hop));
        let found = here.flatten().into_iter().chain(gateway.flatten()).next();
        table.row(vec![
            hop.as_str().into(),
            timed(here),
            timed(gateway),
            found.map(|finding| finding.found.clone()).unwrap_or_default().into(),
        ]);
    }
    let mut text = format!("Cluster {}\n\n{}", printable(&report.cluster), table.render(wide, colour));
    for (place, view) in [("here", &report.here), ("the gateway", &report.gateway)] {
        match view {
            Some(View::Unseen { error, .. }) => {
                paragraph(&mut text, &format!("From {place}, nothing"), error, None)
            }
            Some(View::Seen { findings }) => {
                for finding in findings.iter().filter(|finding| finding.remedy.is_some()) {
                    let title = format!("{} {}, from {place}", finding.hop.as_str(), word(finding.outcome));
                    paragraph(&mut text, &title, &finding.found, finding.remedy.as_deref());
                }
            }
            None => {}
        }
    }
    if report.failing().is_none() {
        text.push_str("\nRequests come through.\n");
    }
    text
}

/// The hub, a line per thing; then a line per cluster; then what to do.
pub(super) fn report(report: &Report, wide: bool, colour: bool) -> String {
    let mut text = String::new();
    if !report.hub.is_empty() {
        let mut table = Table::new(CHECKS, "");
        for Check { subject, outcome, found, .. } in &report.hub {
            table.row(vec![
                (*subject).into(),
                Cell::with(mood(*outcome), word(*outcome)),
                found.as_str().into(),
            ]);
        }
        let _ = writeln!(text, "{}", table.render(wide, colour));
    }
    let mut table = Table::new(CLUSTERS, "There is no cluster.");
    for cluster in &report.clusters {
        let worst =
            cluster.views().filter_map(View::worst).max_by_key(|worst| worst.outcome == Outcome::Failed);
        table.row(vec![
            cluster.cluster.as_str().into(),
            short(cluster.here.as_ref()),
            short(cluster.gateway.as_ref()),
            worst.map(|finding| finding.found.clone()).unwrap_or_else(|| unseen(cluster)).into(),
        ]);
    }
    text.push_str(&table.render(wide, colour));
    for check in report.hub.iter().filter(|check| check.remedy.is_some()) {
        let title = format!("{} {}", check.subject, word(check.outcome));
        paragraph(&mut text, &title, &check.found, check.remedy.as_deref());
    }
    if report.clusters.iter().any(|cluster| cluster.failing().is_some()) {
        text.push_str("\nWhat to do about a cluster: cluster-gateway doctor NAME\n");
    }
    text
}

/// The clusters that do not work, for scripts.
pub(super) fn names_of_failing(report: &Report) -> Vec<String> {
    let failing = report.clusters.iter().filter(|cluster| cluster.failing().is_some());
    failing.map(|cluster| cluster.cluster.clone()).collect()
}

fn finding(view: &View, hop: Hop) -> Option<&Finding> {
    view.findings().iter().find(|finding| finding.hop == hop)
}

/// The outer `None`: nobody asked for that place; the inner: it could not be asked.
fn timed(finding: Option<Option<&Finding>>) -> Cell {
    match finding {
        None => Cell::with(Mood::Faint, ""),
        Some(None) => Cell::with(Mood::Faint, "?"),
        Some(Some(Finding { outcome: Outcome::Skipped, .. })) => Cell::with(Mood::Faint, "-"),
        Some(Some(Finding { outcome, took, .. })) => {
            Cell::with(mood(*outcome), format!("{} {}", word(*outcome), milliseconds(*took)))
        }
    }
}

fn short(view: Option<&View>) -> Cell {
    match view {
        None => Cell::with(Mood::Faint, ""),
        Some(View::Unseen { unasked: true, .. }) => Cell::with(Mood::Faint, "?"),
        Some(View::Unseen { .. }) => Cell::with(Mood::Bad, "?"),
        Some(view) => match view.worst() {
            None => Cell::with(Mood::Good, "ok"),
            Some(worst) => {
                Cell::with(mood(worst.outcome), format!("{} {}", worst.hop.as_str(), word(worst.outcome)))
            }
        },
    }
}

fn unseen(cluster: &ClusterReport) -> String {
    let error = cluster.views().find_map(|view| match view {
        View::Unseen { error, .. } => Some(error.clone()),
        View::Seen { .. } => None,
    });
    error.unwrap_or_default()
}

fn milliseconds(took: Duration) -> String {
    format!("{:.1}ms", took.as_secs_f64() * 1e3)
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "ok",
        Outcome::Warned => "warning",
        Outcome::Failed => "FAILED",
        Outcome::Skipped => "-",
    }
}

fn mood(outcome: Outcome) -> Mood {
    match outcome {
        Outcome::Passed => Mood::Good,
        Outcome::Warned => Mood::Warning,
        Outcome::Failed => Mood::Bad,
        Outcome::Skipped => Mood::Faint,
    }
}

/// Writing to a String cannot fail.
fn paragraph(text: &mut String, title: &str, found: &str, remedy: Option<&str>) {
    let _ = writeln!(text, "\n{title}:\n  {}", printable(found));
    if let Some(remedy) = remedy {
        let _ = writeln!(text, "  To do: {}", printable(remedy));
    }
}

#[cfg(test)]
mod tests;
