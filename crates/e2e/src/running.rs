//! Programs that a test talks to and waits for, never for longer than it says.

use std::io::{Read, Write};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use crate::process::Group;

/// What a finished program has left.
#[derive(Debug)]
pub struct Output {
    /// The command line, for messages.
    pub what: String,
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// The standard output of a program that succeeded; anything else is an error that shows everything.
    pub fn success(self) -> Result<String> {
        ensure!(self.code == Some(0), "{self}");
        Ok(self.stdout)
    }

    /// The standard error of a program that failed, as it should have.
    pub fn failure(self) -> Result<String> {
        ensure!(self.code.is_some_and(|code| code != 0), "should have failed: {self}");
        Ok(self.stderr)
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, code, stdout, stderr } = self;
        write!(f, "{what}\nexit code {code:?}\nstdout: {stdout}\nstderr: {stderr}")
    }
}

/// A program whose streams are held by the test.
#[derive(Debug)]
pub struct Running {
    what: String,
    group: Group,
    stdin: Option<ChildStdin>,
    stdout: Capture,
    stderr: Capture,
}

impl Running {
    /// Starts `command` with all three streams piped.
    pub fn start(mut command: Command) -> Result<Self> {
        let what = format!("{command:?}");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut group = Group::spawn(command)?;
        let stdin = group.child.stdin.take();
        let stdout = Capture::of(group.child.stdout.take());
        let stderr = Capture::of(group.child.stderr.take());
        Ok(Self { what, group, stdin, stdout, stderr })
    }

    /// Writes to the program's standard input and leaves it open.
    pub fn write(&mut self, text: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("standard input is closed already")?;
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).context("write to a child")
    }

    /// Ends the program's standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits until the standard output contains `text`, and returns all of it.
    pub fn wait_for(&self, text: &str, timeout: Duration) -> Result<String> {
        self.wait_until(text, timeout, |output| output.contains(text))
    }

    /// Waits until the standard output satisfies `enough`, and returns all of it.
    pub fn wait_until(&self, what: &str, timeout: Duration, enough: impl Fn(&str) -> bool) -> Result<String> {
        let output = self.stdout.wait(timeout, |captured| captured.ended || enough(&captured.text()));
        if enough(&output) {
            return Ok(output);
        }
        bail!(
            "{}: no {what:?} within {timeout:?}; stdout: {output}\nstderr: {}",
            self.what,
            self.stderr.text()
        )
    }

    /// What the program has written to its standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What the program has written to its standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.group.signal(signal)
    }

    /// Interrupts the program and its descendants, as Ctrl-C in a terminal does.
    pub fn interrupt(&self) -> Result<()> {
        self.group.interrupt()
    }

    /// The number of the process, and of the group of its descendants.
    pub fn id(&self) -> u32 {
        self.group.child.id()
    }

    /// Ends the program's standard input and waits for the program; when that takes too long it is killed, and that
    /// is an error.
    pub fn finish(mut self, timeout: Duration) -> Result<Output> {
        self.close_stdin();
        let deadline = Instant::now() + timeout;
        for capture in [&self.stdout, &self.stderr] {
            capture.wait(deadline.saturating_duration_since(Instant::now()), |captured| captured.ended);
        }
        let status = self.group.wait(deadline.saturating_duration_since(Instant::now()));
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        let status = status.with_context(|| {
            format!("{} did not end within {timeout:?}; stdout: {stdout}\nstderr: {stderr}", self.what)
        })?;
        Ok(Output { what: self.what, code: status.code(), stdout, stderr })
    }
}

/// What a pipe has given so far, read by a thread of its own.
#[derive(Clone, Debug)]
struct Capture(Arc<(Mutex<Captured>, Condvar)>);

#[derive(Debug, Default)]
struct Captured {
    bytes: Vec<u8>,
    ended: bool,
}

impl Captured {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Capture {
    fn of(pipe: Option<impl Read + Send + 'static>) -> Self {
        let capture = Self(Arc::default());
        let ours = capture.clone();
        std::thread::spawn(move || {
            if let Some(mut pipe) = pipe {
                let mut chunk = [0; 8192];
                while let Ok(read @ 1..) = pipe.read(&mut chunk) {
                    ours.update(|captured| captured.bytes.extend_from_slice(&chunk[..read]));
                }
            }
            ours.update(|captured| captured.ended = true);
        });
        capture
    }

    fn lock(&self) -> MutexGuard<'_, Captured> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut Captured)) {
        change(&mut self.lock());
        self.0.1.notify_all();
    }

    fn text(&self) -> String {
        self.lock().text()
    }

    fn wait(&self, timeout: Duration, enough: impl Fn(&Captured) -> bool) -> String {
        let waited = self.0.1.wait_timeout_while(self.lock(), timeout, |captured| !enough(captured));
        waited.unwrap_or_else(PoisonError::into_inner).0.text()
    }
}
