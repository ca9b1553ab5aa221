//! The stock kubectl.

use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::access::Access;
use crate::binaries::Binaries;
use crate::process;
use crate::running::{Output, Running};
use crate::scratch;

const TIMEOUT: Duration = Duration::from_secs(60);

/// One call of kubectl, being put together.
#[derive(Clone, Debug)]
pub struct Kubectl {
    access: Access,
    args: Vec<String>,
    environment: Vec<(String, String)>,
    stdin: Option<String>,
    timeout: Duration,
}

impl Kubectl {
    pub(crate) fn new<S: AsRef<str>>(access: &Access, args: impl IntoIterator<Item = S>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Self { access: access.clone(), args, environment: Vec::new(), stdin: None, timeout: TIMEOUT }
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
        let mut command = process::command(&Binaries::shared()?.kubectl);
        command.arg("--kubeconfig").arg(self.access.kubeconfig()).args(self.args).envs(self.environment);
        isolate(&mut command)?;
        Running::start(command)
    }
}

/// Keeps the person's own kubeconfig and discovery cache out of it: the ports, by which the cache is kept, are used
/// again by other runs.
fn isolate(command: &mut Command) -> Result<()> {
    static HOME: LazyLock<Result<TempDir>> = LazyLock::new(|| scratch::directory("home"));
    let home = HOME.as_ref().map_err(|error| anyhow::anyhow!("{error:#}")).context("a home for kubectl")?;
    command.env("HOME", home.path()).env_remove("KUBECONFIG");
    Ok(())
}
