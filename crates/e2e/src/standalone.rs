//! The program under test, without a hub.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::access::{Access, Credential};
use crate::curl::Curl;
use crate::process::{self, Server};
use crate::running::{Output, Running};
use crate::{binaries, scratch};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// A `cluster-gateway standalone`, running or about to, with folders of its own: `clusters`, `rbac`, and `data`, which
/// it makes itself. Killed on drop.
#[derive(Debug)]
pub struct Standalone {
    server: Option<Server>,
    port: u16,
    directory: TempDir,
}

impl Standalone {
    /// Empty folders, and a port.
    pub fn new() -> Result<Self> {
        let directory = scratch::directory("standalone")?;
        for folder in ["clusters", "rbac"] {
            fs::create_dir(directory.path().join(folder)).with_context(|| format!("create {folder}"))?;
        }
        Ok(Self { server: None, port: scratch::free_port()?, directory })
    }

    /// Starts the server with these flags besides its folders, and does not wait for it.
    pub fn launch(&mut self, flags: &[&str]) -> Result<&mut Server> {
        let mut command = self.command("standalone")?;
        command.arg("--rbac-dir").arg(self.path("rbac")).args(flags);
        let server = Server::start("cluster-gateway", command, self.directory.path())?;
        Ok(self.server.insert(server))
    }

    /// Starts the server and waits until it is ready.
    pub fn start(&mut self) -> Result<()> {
        self.start_with(&[])
    }

    /// As [`Standalone::start`], with additional flags.
    pub fn start_with(&mut self, flags: &[&str]) -> Result<()> {
        let (ca, address) = (self.path("data/serving-ca.crt"), self.address());
        let mut readyz: Option<Curl> = None;
        let port = format!("--secure-port={}", self.port);
        self.launch(&[&[port.as_str()], flags].concat())?.wait_ready(START_TIMEOUT, || {
            if readyz.is_none()
                && let Ok(ca) = fs::read_to_string(&ca)
            {
                readyz = Some(Access::new(&address, &ca, Credential::Anonymous)?.request("GET", "/readyz"));
            }
            readyz.as_ref().map_or(Ok(false), |readyz| Ok(readyz.clone().send()?.code == 200))
        })
    }

    /// A file or folder of its own, by its name below all of them.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces a file as a whole.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let draft = self.path("draft");
        fs::write(&draft, text).with_context(|| format!("write {name}"))?;
        fs::rename(draft, self.path(name)).with_context(|| format!("write {name}"))
    }

    /// Runs `cluster-gateway kubeconfig` for this server, with additional flags.
    pub fn kubeconfig(&self, flags: &[&str]) -> Result<Output> {
        let mut command = self.command("kubeconfig")?;
        command.args(["--server", &self.address()]).args(flags);
        Running::start(command)?.finish(COMMAND_TIMEOUT)
    }

    /// A kubeconfig in `file`, for whom `flags` say, written by `cluster-gateway kubeconfig`.
    pub fn write_kubeconfig(&self, file: &str, flags: &[&str]) -> Result<PathBuf> {
        let path = self.path(file);
        let output = path.to_str().context("a path in UTF-8")?;
        self.kubeconfig(&[&["--output", output], flags].concat())?.success()?;
        Ok(path)
    }

    /// The port that it serves on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.server.as_ref().map(Server::log).unwrap_or_default()
    }

    /// Asks it to stop and waits for its end, which must be a success.
    pub fn stop(&mut self) -> Result<()> {
        let server = self.server.as_mut().context("it was never started")?;
        server.process().signal(Signal::TERM)?;
        let status = server.process().wait(STOP_TIMEOUT)?;
        ensure!(status.success(), "the server ended with {status}; its log:\n{}", self.log());
        Ok(())
    }

    fn address(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    fn command(&self, subcommand: &str) -> Result<Command> {
        let mut command = process::command(binaries::gateway()?);
        command.arg(subcommand).arg("--clusters-dir").arg(self.path("clusters"));
        command.arg("--data-dir").arg(self.path("data"));
        Ok(command)
    }
}
