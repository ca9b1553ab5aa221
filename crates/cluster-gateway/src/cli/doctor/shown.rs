//! Reports for people.

use std::fmt::Write as _;
use std::time::Duration;

use crate::cli::output::{Cell, Column, Mood, Table, printable};
use crate::diagnosis::{Finding, Hop, Outcome};
use crate::doctor::{Check, ClusterReport, Report, View};

const HERE: Column = Column::new("HERE");
const GATEWAY: Column = Column::new("GATEWAY");
/// Columns with both places, with one, with the other.
type Columns = [&'static [Column]; 3];
const HOPS: Columns = [
    &[Column::new("HOP"), HERE, GATEWAY, Column::wide("FOUND")],
    &[Column::new("HOP"), HERE, Column::wide("FOUND")],
    &[Column::new("HOP"), GATEWAY, Column::wide("FOUND")],
];
const CLUSTERS: Columns = [
    &[Column::new("CLUSTER"), HERE, GATEWAY, Column::new("FOUND")],
    &[Column::new("CLUSTER"), HERE, Column::new("FOUND")],
    &[Column::new("CLUSTER"), GATEWAY, Column::new("FOUND")],
];
const CHECKS: &[Column] = &[Column::new("HUB"), Column::new("OUTCOME"), Column::new("FOUND")];

/// One cluster: a line per hop, then what is wrong and what to do.
pub(super) fn cluster(report: &ClusterReport, wide: bool, colour: bool) -> String {
    let asked = asked(std::slice::from_ref(report));
    let mut table = Table::new(columns(HOPS, asked), "");
    for hop in Hop::ALL {
        let here = report.here.as_ref().map(|view| finding(view, hop));
        let gateway = report.gateway.as_ref().map(|view| finding(view, hop));
        let found = here.flatten().into_iter().chain(gateway.flatten()).next();
        let found = found.map(|finding| finding.found.clone()).unwrap_or_default();
        table.row(row(hop.as_str(), asked, [timed(here), timed(gateway)], &found));
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
    let asked = asked(&report.clusters);
    let mut table = Table::new(columns(CLUSTERS, asked), "There is no cluster.");
    for cluster in &report.clusters {
        let worst =
            cluster.views().filter_map(View::worst).max_by_key(|worst| worst.outcome == Outcome::Failed);
        let places = [short(cluster.here.as_ref()), short(cluster.gateway.as_ref())];
        let found = worst.map(|finding| finding.found.clone()).unwrap_or_else(|| unseen(cluster));
        table.row(row(&cluster.cluster, asked, places, &found));
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

/// Which places have a column: here, the gateway. Both, if there is nothing to say of either.
fn asked(clusters: &[ClusterReport]) -> [bool; 2] {
    let here = clusters.iter().any(|cluster| cluster.here.is_some());
    let gateway = clusters.iter().any(|cluster| cluster.gateway.is_some());
    if here || gateway { [here, gateway] } else { [true, true] }
}

fn columns([both, only_here, only_gateway]: Columns, asked: [bool; 2]) -> &'static [Column] {
    match asked {
        [true, false] => only_here,
        [false, true] => only_gateway,
        _ => both,
    }
}

fn row(first: &str, asked: [bool; 2], places: [Cell; 2], found: &str) -> Vec<Cell> {
    let places = asked.into_iter().zip(places).filter(|(asked, _)| *asked).map(|(_, cell)| cell);
    std::iter::once(first.into()).chain(places).chain([found.into()]).collect()
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
