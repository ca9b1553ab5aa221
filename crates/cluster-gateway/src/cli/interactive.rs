//! What commands that change something share: signals, questions, plans.

use std::fmt::Write as _;
use std::io::{BufRead, IsTerminal, Write as _};

use anyhow::bail;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::output::{self, Format};
pub(super) use super::process::run;
use crate::diagnosis::{Diagnosis, Outcome};
use crate::lifecycle::{Change, Detail, Plan, Side};

/// Is cancelled by Ctrl-C, or when somebody else asks the process to end. A second Ctrl-C ends it at once. To be called just
/// before the first write: until then ending the process is all that there is to do.
pub(super) fn stopped_by_signals() -> anyhow::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        output::note(
            "interrupted: what has been written is put back; press Ctrl-C again to leave it as it is",
        );
        cancelled.cancel();
        interrupt.recv().await;
        // Whoever asks twice does not want to wait for the end of what is under way.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    });
    Ok(stop)
}

/// Shows a plan, and asks on a terminal. Without one, only what destroys nothing goes on unasked.
pub(super) fn agreed(plan: &Plan, yes: bool) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !terminal {
        if plan.destroys() {
            bail!(
                "this replaces or deletes something, and there is no terminal to ask on: add --yes (--plan shows what it does)"
            );
        }
        return Ok(true);
    }
    let mut stderr = std::io::stderr();
    write!(stderr, "{}Go on? [y/N] ", plan_text(plan))?;
    stderr.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    let agreed = matches!(answer.trim().to_lowercase().as_str(), "y" | "yes");
    if !agreed {
        output::note("nothing has been changed");
    }
    Ok(agreed)
}

/// Prints a result: a sentence for people, the whole for programs.
pub(super) fn print<T: Serialize>(
    format: Format,
    result: &T,
    name: &str,
    sentence: &str,
) -> anyhow::Result<()> {
    match format {
        Format::Table | Format::Wide => output::write(sentence),
        Format::Name => output::write(&format!("{name}\n")),
        Format::Json => output::write(&(serde_json::to_string_pretty(result)? + "\n")),
        Format::Yaml => output::write(&serde_saphyr::to_string(result)?),
    }
}

/// A plan for people.
pub(super) fn plan_text(plan: &Plan) -> String {
    let mut text = String::new();
    let both_ends = plan.changes.iter().any(|change| change.side == Some(Side::Member));
    for Change { verb, object, side, details } in &plan.changes {
        let end = match side {
            Some(Side::Member) => format!(" in {}", plan.cluster),
            Some(Side::Hub) if both_ends => " at the hub".to_owned(),
            Some(Side::Hub) | None => String::new(),
        };
        let _ = writeln!(text, "{} {object}{end}", verb.as_str());
        for Detail { what, before, after } in details {
            let _ = match (before, after) {
                (None, Some(after)) => writeln!(text, "  + {what}: {after}"),
                (Some(before), None) => writeln!(text, "  - {what}: {before}"),
                (Some(before), Some(after)) => writeln!(text, "  ~ {what}: {before} -> {after}"),
                (None, None) => writeln!(text, "  {what}"),
            };
        }
    }
    for note in &plan.notes {
        let _ = writeln!(text, "note: {note}");
    }
    text + &plan.preflight.as_ref().map(warnings).unwrap_or_default()
}

/// What is odd about a cluster, for people.
pub(super) fn warnings(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    for finding in diagnosis.findings.iter().filter(|finding| finding.outcome == Outcome::Warned) {
        let remedy = finding.remedy.as_ref().map_or_else(String::new, |remedy| format!("; {remedy}"));
        let _ = writeln!(text, "warning: {}: {}{remedy}", finding.hop.as_str(), finding.found);
    }
    text
}
