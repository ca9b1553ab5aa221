//! The numbers as Markdown: what was aimed at first, then a table for each case.

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Between these lines of a document the report stands; the rest of the document stays as it is.
const BEGIN: &str = "<!-- bench: begin -->";
const END: &str = "<!-- bench: end -->";

/// Everything that was measured.
#[derive(Debug, Default)]
pub(super) struct Report {
    conditions: Vec<String>,
    targets: Vec<Target>,
    sections: Vec<Section>,
}

/// What was aimed at, and what it came to.
#[derive(Debug)]
struct Target {
    what: String,
    wanted: String,
    measured: String,
    met: bool,
}

/// One table.
#[derive(Debug)]
pub(super) struct Section {
    title: String,
    note: String,
    rows: Vec<Vec<String>>,
}

impl Report {
    /// Says something of the circumstances.
    pub(super) fn condition(&mut self, text: String) {
        self.conditions.push(text);
    }

    /// Begins a table with these columns.
    pub(super) fn section(&mut self, title: &str, note: &str, columns: &[&str]) -> &mut Section {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        self.sections.push(Section { title: title.to_owned(), note: note.to_owned(), rows: vec![columns] });
        let last = self.sections.len() - 1;
        &mut self.sections[last]
    }

    /// `measured` must not be larger than `limit`.
    pub(super) fn at_most(&mut self, what: &str, limit: f64, measured: f64, unit: &str) {
        self.target(what, format!("≤ {}{unit}", short(limit)), measured, unit, measured <= limit);
    }

    /// `measured` must not be smaller than `limit`.
    pub(super) fn at_least(&mut self, what: &str, limit: f64, measured: f64, unit: &str) {
        self.target(what, format!("≥ {}{unit}", short(limit)), measured, unit, measured >= limit);
    }

    fn target(&mut self, what: &str, wanted: String, measured: f64, unit: &str, met: bool) {
        let measured = format!("{}{unit}", short(measured));
        self.targets.push(Target { what: what.to_owned(), wanted, measured, met });
    }

    /// Puts the report into a document: between its marks if it has them, else it is the document.
    pub(super) fn write_into(&self, file: &Path) -> Result<()> {
        let old = fs::read_to_string(file).unwrap_or_default();
        fs::write(file, placed(&old, &self.to_string())).with_context(|| format!("write {}", file.display()))
    }
}

fn placed(document: &str, report: &str) -> String {
    let marked =
        document.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = marked.unwrap_or(("", "\n"));
    format!("{before}{BEGIN}\n{report}{END}{after}")
}

impl Section {
    /// Adds a row; the first cell says whose it is.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for condition in &self.conditions {
            writeln!(f, "{condition}\n")?;
        }
        writeln!(f, "### Targets\n\n| | target | measured | |\n|---|---|---|---|")?;
        for Target { what, wanted, measured, met } in &self.targets {
            writeln!(f, "| {what} | {wanted} | {measured} | {} |", if *met { "met" } else { "**missed**" })?;
        }
        for Section { title, note, rows } in &self.sections {
            writeln!(f, "\n### {title}\n")?;
            if !note.is_empty() {
                writeln!(f, "{note}\n")?;
            }
            for (index, row) in rows.iter().enumerate() {
                writeln!(f, "| {} |", row.join(" | "))?;
                if index == 0 {
                    writeln!(f, "|{}", "---|".repeat(row.len()))?;
                }
            }
        }
        writeln!(f)
    }
}

/// Three digits that matter.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_says_whether_it_is_met() {
        let mut report = Report::default();
        report.at_most("p99", 1.5, 1.2, "x");
        report.at_least("rate", 1.0, 0.63, "x");
        report.section("Small", "Paired.", &["via", "rate"]).row(["HAProxy".to_owned(), short(1234.5)]);
        let text = report.to_string();
        assert!(text.contains("| p99 | ≤ 1.50x | 1.20x | met |\n"), "{text}");
        assert!(text.contains("| rate | ≥ 1.00x | 0.63x | **missed** |\n"), "{text}");
        assert!(
            text.contains("### Small\n\nPaired.\n\n| via | rate |\n|---|---|\n| HAProxy | 1234 |\n"),
            "{text}"
        );
    }

    #[test]
    fn what_could_not_be_measured_is_missed() {
        let mut report = Report::default();
        report.at_most("p99", 1.5, f64::NAN, "x");
        assert!(report.to_string().contains("**missed**"));
    }

    #[test]
    fn a_document_keeps_what_people_wrote() {
        let document = format!("# Numbers\n{BEGIN}\nold\n{END}\n## Why\n");
        assert_eq!(placed(&document, "new\n"), format!("# Numbers\n{BEGIN}\nnew\n{END}\n## Why\n"));
        assert_eq!(placed("", "new\n"), format!("{BEGIN}\nnew\n{END}\n"));
    }
}
