//! What the commands for people share: the form of their output, tables, colour, progress, and how they end.
//!
//! Results go to standard output, everything else to standard error. Nothing here decides anything.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde::Serialize;

mod progress;
mod table;

pub(super) use progress::Progress;
pub(super) use table::{Cell, Column, Mood, Table, printable};

/// The form of a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Aligned columns
    #[default]
    Table,
    /// The table with all its columns
    Wide,
    /// JSON, indented
    Json,
    /// YAML
    Yaml,
    /// Names only, one a line
    Name,
}

/// The flag `--output`.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct OutputOptions {
    /// Form of the output
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORM",
        value_enum,
        default_value_t,
        help_heading = "Output"
    )]
    pub(super) format: Format,
}

/// How a command ends. The numbers are documented in docs/cli.md and never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(super) enum Exit {
    /// 0: it did what it was asked for.
    Done,
    /// 1: it failed; standard error says why.
    Failed,
    /// 2: the command line or a setting is wrong; nothing was begun.
    Usage,
    /// 10 and more: which hop on the way to a cluster fails, counted from 0 (`doctor`).
    #[allow(dead_code, reason = "for doctor")]
    Hop(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Hop(hop) => 10_u8.saturating_add(hop),
        })
    }
}

/// What a stream that people may be reading can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terminal {
    /// Whether colours are shown.
    pub(super) colour: bool,
    /// Whether a line can be drawn over: progress is shown only then.
    pub(super) redraws: bool,
}

impl Terminal {
    /// Standard output.
    pub(super) fn of_stdout() -> Self {
        Self::of(std::io::stdout().is_terminal())
    }

    /// Standard error.
    pub(super) fn of_stderr() -> Self {
        Self::of(std::io::stderr().is_terminal())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "NO_COLOR and TERM belong to the terminal and are no settings of ours"
    )]
    fn of(is_terminal: bool) -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self::decide(
            is_terminal,
            variable("NO_COLOR").is_some(),
            variable("TERM").is_none_or(|term| term == "dumb"),
        )
    }

    fn decide(is_terminal: bool, no_colour: bool, dumb: bool) -> Self {
        let redraws = is_terminal && !dumb;
        Self { colour: redraws && !no_colour, redraws }
    }
}

/// Prints a result in the form that was asked for. `table` and `names` are asked only where they are needed.
pub(super) fn print<T: Serialize>(
    format: Format,
    result: &T,
    table: impl FnOnce() -> Table,
    names: impl FnOnce() -> Vec<String>,
) -> anyhow::Result<()> {
    let text = match format {
        Format::Table => table().render(false, Terminal::of_stdout().colour),
        Format::Wide => table().render(true, Terminal::of_stdout().colour),
        Format::Json => serde_json::to_string_pretty(result)? + "\n",
        Format::Yaml => serde_saphyr::to_string(result)?,
        Format::Name => names().into_iter().map(|name| name + "\n").collect(),
    };
    write(&text)
}

/// Writes to standard output. Whoever has closed it (`| head`) has read enough.
pub(super) fn write(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("cannot write to standard output"))
        }
        _ => Ok(()),
    }
}

/// Says something beside the result.
pub(super) fn note(text: &str) {
    // Nothing is left to tell it to if standard error is closed.
    let _ = writeln!(std::io::stderr(), "{}", table::printable(text));
}

/// Ends `command`: a failure is told with all its causes.
pub(super) fn finish(command: &str, result: anyhow::Result<Exit>) -> ExitCode {
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            for line in format!("cluster-gateway {command}: {error:#}").lines() {
                note(line);
            }
            Exit::Failed.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_whose_owner_wants_it() {
        let decided = |terminal, no_colour, dumb| {
            let Terminal { colour, redraws } = Terminal::decide(terminal, no_colour, dumb);
            (colour, redraws)
        };
        assert_eq!(decided(true, false, false), (true, true));
        assert_eq!(decided(true, true, false), (false, true), "NO_COLOR");
        assert_eq!(decided(true, false, true), (false, false), "TERM=dumb, or none");
        assert_eq!(decided(false, false, false), (false, false), "a pipe or a file");
    }
}
