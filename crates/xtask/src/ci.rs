//! `cargo xtask ci`: everything that must hold before a change goes in, in the order in which it fails soonest.

use std::io::{self, BufRead as _, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::{deny, rules, soak, workspace};

/// So many tests may fail in company, if each passes alone.
const MOST_UNSTEADY: usize = 3;

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
    // Before anything is compiled, so that it is embedded.
    step("console", || plain(console()))?;
    step("lints", || plain(cargo("clippy --workspace --all-targets --locked -- -D warnings")))?;
    // In the workspace it is compiled with its features, which the tests use.
    step("the client crate by itself", || plain(cargo("check -p cluster-gateway-client --locked")))?;
    step("tests", || tested(tests, out))?;
    step("examples in the documentation", || {
        counted(cargo("test --workspace --doc --locked"), tests, out).map(drop)
    })?;
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

fn console() -> Command {
    let mut command = Command::new("bash");
    command.arg(workspace::root().join("console/ci.sh"));
    command
}

fn plain(mut command: Command) -> Result<()> {
    let status = command.status().with_context(|| format!("start {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

/// All tests. What fails beside 700 others on a busy machine is run again by itself, once, and named: that tells a test
/// that waited too short a time from a defect. More than [`MOST_UNSTEADY`] are a defect.
fn tested(tests: &mut Tally, sink: &mut dyn Write) -> Result<()> {
    const ALL: &str = "test --workspace --lib --bins --tests --examples --locked";
    let failed = match counted(cargo(&format!("{ALL} --no-fail-fast")), tests, sink)? {
        failed if failed.is_empty() => return Ok(()),
        failed => failed,
    };
    println!("\nfailed: {}", failed.join(", "));
    ensure!(tests.lost == 0, "{} test programs ended without a result", tests.lost);
    ensure!(failed.len() <= MOST_UNSTEADY, "{} tests failed", failed.len());
    let mut alone = cargo(&format!("{ALL} -- --test-threads=1 --exact"));
    alone.args(&failed);
    let mut again = Tally::default();
    let failed_again = counted(alone, &mut again, sink)?;
    ensure!(failed_again.is_empty(), "failed twice: {}", failed_again.join(", "));
    ensure!(again.passed >= failed.len() as u64, "not all of them ran again");
    tests.unsteady(&again);
    println!("\nUNSTEADY, failed in company and passed alone: {}", failed.join(", "));
    Ok(())
}

/// Runs a command that runs tests, passes its output on, and adds up what it says of them. Names the tests that failed; a
/// command that fails without naming one is an error.
fn counted(mut command: Command, tests: &mut Tally, sink: &mut dyn Write) -> Result<Vec<String>> {
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("start {command:?}"))?;
    let mut output = BufReader::new(child.stdout.take().context("the output of a child")?);
    let (mut line, mut failed) = (Vec::new(), Vec::new());
    while output.read_until(b'\n', &mut line).context("read a child's output")? > 0 {
        sink.write_all(&line).context("pass a child's output on")?;
        let text = String::from_utf8_lossy(&line);
        tests.add(&text);
        failed.extend(failure(&text).map(str::to_owned));
        line.clear();
    }
    let status = child.wait().context("wait for a child")?;
    ensure!(status.success() || !failed.is_empty(), "{command:?}: {status}");
    ensure!(tests.passed + tests.failed > 0, "no test ran");
    Ok(failed)
}

/// The test that a line like `test some::test ... FAILED` names.
fn failure(line: &str) -> Option<&str> {
    line.trim_end()
        .strip_suffix(" ... FAILED")?
        .strip_prefix("test ")
        .map(|name| name.trim_end_matches(" - should panic"))
}

/// How many tests there were, over all their binaries.
#[derive(Debug, Default, Eq, PartialEq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// Test programs that began and did not say their result: they crashed.
    lost: u64,
}

impl Tally {
    /// Adds a line like `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, line: &str) {
        if line.starts_with("running ") && (line.ends_with(" tests\n") || line.ends_with(" test\n")) {
            self.lost += 1;
        }
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        self.lost = self.lost.saturating_sub(1);
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

    /// Those that failed have passed `again`.
    fn unsteady(&mut self, again: &Self) {
        self.passed += self.failed;
        self.failed = again.failed;
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
        assert_eq!(tests, Tally { passed: 5, failed: 1, ignored: 1, lost: 0 });
        assert_eq!(tests.line(), "5 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn a_failing_command_fails_and_is_counted_all_the_same() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'test result: FAILED. 1 passed; 1 failed; 0 ignored'; exit 3"]);
        let mut tests = Tally::default();
        let mut output = Vec::new();
        assert!(counted(command, &mut tests, &mut output).is_err(), "it names no test to run again");
        assert_eq!((tests.passed, tests.failed), (1, 1));
        assert!(output.ends_with(b"0 ignored\n"));
    }

    #[test]
    fn failed_tests_are_named_so_that_they_can_run_again() {
        let mut command = Command::new("sh");
        let said =
            "test a::b ... ok\ntest c::d ... FAILED\ntest result: FAILED. 1 passed; 1 failed; 0 ignored";
        command.args(["-c", &format!("echo '{said}'; exit 101")]);
        let mut tests = Tally::default();
        assert_eq!(counted(command, &mut tests, &mut io::sink()).unwrap(), ["c::d"]);
        tests.unsteady(&Tally { passed: 1, ..Tally::default() });
        assert_eq!(tests, Tally { passed: 2, ..Tally::default() });
    }

    #[test]
    fn a_program_that_crashes_is_missed() {
        let mut tests = Tally::default();
        for line in
            ["running 2 tests\n", "test a ... ok\n", "running 1 test\n", "test result: ok. 1 passed\n"]
        {
            tests.add(line);
        }
        assert_eq!(tests.lost, 1);
    }

    #[test]
    fn a_run_without_tests_fails() {
        assert!(counted(Command::new("true"), &mut Tally::default(), &mut io::sink()).is_err());
    }
}
