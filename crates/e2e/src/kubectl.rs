//! The stock kubectl.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::binaries::Binaries;
use crate::process;
use crate::running::{Output, Running};
use crate::scratch;

const TIMEOUT: Duration = Duration::from_secs(60);

/// One call of kubectl, being put together.
#[derive(Clone, Debug)]
pub struct Kubectl {
    kubeconfig: PathBuf,
    args: Vec<String>,
    environment: Vec<(String, String)>,
    stdin: Option<String>,
    timeout: Duration,
    terminal: Option<(u16, u16)>,
}

impl Kubectl {
    /// One with this kubeconfig.
    pub fn new<S: AsRef<str>>(kubeconfig: &Path, args: impl IntoIterator<Item = S>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Self {
            kubeconfig: kubeconfig.to_owned(),
            args,
            environment: Vec::new(),
            stdin: None,
            timeout: TIMEOUT,
            terminal: None,
        }
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives it `text` on standard input, and then the end of input.
    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = Some(text.to_owned());
        self
    }

    /// Allows more (or less) than a minute.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it in a terminal of this size.
    pub fn terminal(mut self, rows: u16, columns: u16) -> Self {
        self.terminal = Some((rows, columns));
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Result<Output> {
        let (timeout, stdin) = (self.timeout, self.stdin.clone());
        let mut running = self.spawn()?;
        if let Some(text) = stdin {
            running.write(&text)?;
        }
        running.finish(timeout)
    }

    /// Starts it and leaves it running: for watches and port-forwards.
    pub fn spawn(self) -> Result<Running> {
        let program = Binaries::shared()?.kubectl.to_string_lossy();
        let kubeconfig = self.kubeconfig.to_str().context("a path in UTF-8")?;
        let mut line = vec![program.as_ref(), "--kubeconfig", kubeconfig];
        line.extend(self.args.iter().map(String::as_str));
        let mut command = match self.terminal {
            None => directly(&line),
            Some((rows, columns)) => in_terminal(&line, rows, columns),
        };
        command.envs(self.environment);
        isolate(&mut command)?;
        Running::start(command)
    }
}

fn directly(line: &[&str]) -> Command {
    let mut command = process::command(line[0]);
    command.args(&line[1..]);
    command
}

fn in_terminal(line: &[&str], rows: u16, columns: u16) -> Command {
    let line: Vec<String> = line.iter().map(|word| quote(word)).collect();
    let line = format!("stty rows {rows} cols {columns}; exec {}", line.join(" "));
    let mut command = process::command("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command
}

/// One word of a shell's command line.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Keeps the person's own kubeconfig and discovery cache out of it: the ports, by which the cache is kept, are used
/// again by other runs.
pub(crate) fn isolate(command: &mut Command) -> Result<()> {
    static HOME: LazyLock<Result<TempDir>> = LazyLock::new(|| scratch::directory("home"));
    let home = HOME.as_ref().map_err(|error| anyhow::anyhow!("{error:#}")).context("a home for kubectl")?;
    command.env("HOME", home.path()).env_remove("KUBECONFIG");
    Ok(())
}
