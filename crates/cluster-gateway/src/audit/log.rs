//! The log backend: one JSON object a line, in a file that is rotated, or on standard output.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use super::StartError;
use super::queue::{Backend, Counts, Inbox, Message, Mode, Queue, Queued};

mod rotate;

use rotate::Rotated;

/// Events that wait to be written, at most.
const QUEUE: u32 = 10_000;
/// Bytes that are gathered for one write.
const CHUNK: usize = 64 << 10;

/// Where and how the log is written.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// `--audit-log-path`.
    pub target: LogTarget,
    /// `--audit-log-mode`. Default blocking.
    pub mode: Mode,
    /// `--audit-log-maxsize`, in megabytes: a larger file is renamed and a new one begun. Default 0, which means 100.
    pub max_size: u32,
    /// `--audit-log-maxbackup`: how many renamed files are kept. Default 0: all.
    pub max_backups: u32,
    /// `--audit-log-maxage`: for how many days. Default 0: for ever.
    pub max_age: u32,
}

impl LogConfig {
    /// The defaults, for this target.
    #[must_use]
    pub fn to(target: LogTarget) -> Self {
        Self { target, mode: Mode::Blocking, max_size: 0, max_backups: 0, max_age: 0 }
    }
}

/// Where the log is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// `-`
    Stdout,
    /// A file, appended to, readable by its owner only.
    File(PathBuf),
}

/// Opens the log and starts to write it.
pub(super) fn start(config: &LogConfig, counts: &Arc<Counts>) -> Result<Queue, StartError> {
    let output = match &config.target {
        LogTarget::Stdout => Output::Stdout,
        LogTarget::File(path) => {
            let wrong = |cause| StartError::Log { path: path.display().to_string(), cause };
            Output::File(Rotated::open(path, config).map_err(wrong)?)
        }
    };
    let (queue, inbox) = Queue::new(Backend::Log, config.mode, QUEUE, counts);
    let writer = Writer { output, chunk: Vec::with_capacity(CHUNK), held: Vec::new(), inbox };
    tokio::task::spawn_blocking(move || writer.run());
    Ok(queue)
}

enum Output {
    Stdout,
    File(Rotated),
}

impl Output {
    fn write(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Stdout => {
                let mut stdout = std::io::stdout().lock();
                stdout.write_all(chunk).and_then(|()| stdout.flush())
            }
            Self::File(file) => file.write(chunk),
        }
    }
}

/// Writes until nobody can record anything more.
struct Writer {
    output: Output,
    /// Whole lines that have not been written yet, and their events, whose places in the queue are taken until then.
    chunk: Vec<u8>,
    held: Vec<Queued>,
    inbox: Inbox,
}

impl Writer {
    fn run(mut self) {
        while let Some(message) = self.inbox.messages.blocking_recv() {
            self.take(message);
            while self.chunk.len() < CHUNK
                && let Ok(message) = self.inbox.messages.try_recv()
            {
                self.take(message);
            }
            self.write();
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Event(queued) => {
                let start = self.chunk.len();
                if let Err(error) = serde_json::to_writer(&mut self.chunk, &queued.entry.event(true)) {
                    self.chunk.truncate(start);
                    return self.inbox.losses.add(1, &format!("an event makes no JSON: {error}"));
                }
                self.chunk.push(b'\n');
                self.held.push(queued);
            }
            Message::Flush(done) => {
                self.write();
                // Whoever asked may have given up waiting.
                let _ = done.send(());
            }
        }
    }

    fn write(&mut self) {
        if self.chunk.is_empty() {
            return;
        }
        if let Err(error) = self.output.write(&self.chunk) {
            self.inbox.losses.add(self.held.len(), &format!("cannot write --audit-log-path: {error}"));
        }
        self.chunk.clear();
        self.held.clear();
    }
}

#[cfg(test)]
mod tests;
