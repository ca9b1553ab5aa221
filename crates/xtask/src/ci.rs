//! `cargo xtask ci`: everything that must hold before a change goes in, in the order in which it fails soonest.

use std::io::{self, BufRead as _, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::{deny, rules, soak, workspace};

/// Runs every step and stops at the first that fails. The last line says how many tests passed and failed.
pub(crate) fn run() -> Result<()> {
    let begun = Instant::now();
    let mut tests = Tally::default();
    let outcome = steps(&mut tests);
    println!("\nwhole run: {:.0?}\n{}", begun.elapsed(), tests.line());
    outcome
}

fn steps(tests: &mut Tally) -> Result<()> {
    let out = &mut io::stdout();
    step("format", || plain(cargo("fmt --all --check")))?;
    step("lints", || plain(cargo("clippy --workspace --all-targets --locked -- -D warnings")))?;
    step("tests", || {
        counted(cargo("test --workspace --lib --bins --tests --examples --locked"), tests, out)
    })?;
    step("examples in the documentation", || counted(cargo("test --workspace --doc --locked"), tests, out))?;
    step("documentation", || {
        let mut command = cargo("doc --workspace --no-deps --locked");
        command.env("RUSTDOCFLAGS", "-D warnings");
        plain(command)
    })?;
    step("dependencies", || plain(deny::command()?))?;
    step("soak", || soak::run(&soak::Options::short()))?;
    step("rules of the contract", || rules::run(&rules::Options::default()))
}

fn step(title: &str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n=== {title} ===");
    let begun = Instant::now();
    let outcome = run();
    println!("=== {title}: {} in {:.1?} ===", if outcome.is_ok() { "ok" } else { "FAILED" }, begun.elapsed());
    outcome.with_context(|| format!("step \"{title}\""))
}

fn cargo(arguments: &str) -> Command {
    let mut command = workspace::cargo();
    command.args(arguments.split(' '));
    command
}

fn plain(mut command: Command) -> Result<()> {
    let status = command.status().with_context(|| format!("start {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

/// Runs a command that runs tests, passes its output on, and adds up what it says of them.
fn counted(mut command: Command, tests: &mut Tally, sink: &mut dyn Write) -> Result<()> {
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("start {command:?}"))?;
    let mut output = BufReader::new(child.stdout.take().context("the output of a child")?);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).context("read a child's output")? > 0 {
        sink.write_all(&line).context("pass a child's output on")?;
        tests.add(&String::from_utf8_lossy(&line));
        line.clear();
    }
    let status = child.wait().context("wait for a child")?;
    ensure!(status.success(), "{command:?}: {status}");
    ensure!(tests.passed > 0, "no test ran");
    Ok(())
}

/// How many tests there were, over all their binaries.
#[derive(Debug, Default, Eq, PartialEq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    /// Adds a line like `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for count in counts.split(';') {
            let mut words = count.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.ignored += number,
                _ => {}
            }
        }
    }

    fn line(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_several_binaries_add_up() {
        let mut tests = Tally::default();
        tests.add(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.00s\n",
        );
        tests.add("test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n");
        tests.add("test some::test ... ok\n");
        assert_eq!(tests, Tally { passed: 5, failed: 1, ignored: 1 });
        assert_eq!(tests.line(), "5 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn a_failing_command_fails_and_is_counted_all_the_same() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'test result: FAILED. 1 passed; 1 failed; 0 ignored'; exit 3"]);
        let mut tests = Tally::default();
        let mut output = Vec::new();
        assert!(counted(command, &mut tests, &mut output).is_err());
        assert_eq!((tests.passed, tests.failed), (1, 1));
        assert!(output.ends_with(b"0 ignored\n"));
    }

    #[test]
    fn a_run_without_tests_fails() {
        assert!(counted(Command::new("true"), &mut Tally::default(), &mut io::sink()).is_err());
    }
}
