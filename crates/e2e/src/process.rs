//! Child processes that cannot outlive the test process.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::wait;

/// A command that is killed when this process ends, whatever ends it.
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program.as_ref());
    command
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Linux sends the death signal when the *thread* that forked ends, and tests run in short-lived threads: so every
/// child comes from one thread that lives as long as the process.
static SPAWNER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
    let (orders, inbox) = mpsc::channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, reply) in inbox {
            let _ = reply.send(command.process_group(0).spawn());
        }
    });
    orders
});

/// A process and its descendants, killed together on drop.
#[derive(Debug)]
pub struct Group {
    pub(crate) child: Child,
    ended: Option<ExitStatus>,
}

impl Group {
    pub(crate) fn spawn(command: Command) -> Result<Self> {
        let what = format!("{command:?}");
        let (reply, result) = mpsc::channel();
        SPAWNER.send((command, reply)).context("the spawning thread is gone")?;
        let child = result.recv().context("the spawning thread is gone")?;
        Ok(Self { child: child.with_context(|| format!("start {what}"))?, ended: None })
    }

    /// How the process ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().context("wait for a child")?;
        }
        Ok(self.ended)
    }

    /// Sends a signal to the process alone: a shell's Ctrl-C is for the group, a `kill` is not.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if self.ended.is_none() {
            kill_process(Pid::from_child(&self.child), signal).context("signal a child")?;
        }
        Ok(())
    }

    /// How much memory of the process is resident now, in KiB.
    pub fn resident(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        line.trim().trim_end_matches(" kB").parse().with_context(|| format!("a number: {line}"))
    }

    pub(crate) fn interrupt(&self) -> Result<()> {
        if self.ended.is_none() {
            kill_process_group(Pid::from_child(&self.child), Signal::INT).context("signal a group")?;
        }
        Ok(())
    }

    /// Waits until the process has ended by itself.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        wait::eventually("a process to end", timeout, || self.ended())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Once reaped, the number may belong to somebody else's group.
        if self.ended().is_ok_and(|ended| ended.is_none()) {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// The processes of a group, by what `/proc` says; their leader need no longer be there.
pub fn in_group(group: u32) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context("list /proc")?.flatten() {
        // What is no process, or no longer one, has nothing to read there.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // After the name, which is in parentheses and may hold anything: state, parent, group.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        if rest.split_whitespace().nth(2) == Some(&group.to_string()) {
            found.push(stat);
        }
    }
    Ok(found)
}

/// A long-running server that writes to a log file.
#[derive(Debug)]
pub struct Server {
    name: String,
    group: Group,
    log: PathBuf,
}

impl Server {
    /// Starts `command`, with both outputs going to `DIRECTORY/NAME.log`.
    pub fn start(name: &str, mut command: Command, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("create {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        Ok(Self { name: name.to_owned(), group: Group::spawn(command)?, log })
    }

    /// Everything that the server has written so far.
    pub fn log(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Polls `ready`; a server that exits meanwhile, or is not ready in time, is an error that shows its last lines.
    pub fn wait_ready(&mut self, timeout: Duration, mut ready: impl FnMut() -> Result<bool>) -> Result<()> {
        let group = &mut self.group;
        let mut exited = None;
        let result = wait::eventually("the server to be ready", timeout, || {
            exited = group.ended()?;
            Ok((exited.is_some() || ready()?).then_some(()))
        });
        let failure = match (exited, result) {
            (Some(status), _) => anyhow::anyhow!("exited with {status}"),
            (None, Err(error)) => error,
            (None, Ok(())) => return Ok(()),
        };
        Err(failure.context(format!("{} did not start; its last lines:\n{}", self.name, self.last_lines())))
    }

    /// The process itself, to signal it or to wait for its end.
    pub fn process(&mut self) -> &mut Group {
        &mut self.group
    }

    fn last_lines(&self) -> String {
        const LINES: usize = 40;
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}
