//! Between requests and backends: bounded, never slower than a counter, and honest about what is lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::event::Entry;

/// How often lost events are complained of, at most.
const COMPLAINT: Duration = Duration::from_secs(60);

/// What happens when a backend does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Events are lost, counted and complained of.
    Batch,
    /// New requests wait.
    Blocking,
}

/// A place where events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file or standard output.
    Log,
    /// A server.
    Webhook,
}

impl Backend {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Log, Self::Webhook];

    /// Label value and log field.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Webhook => "webhook",
        }
    }
}

/// What has been counted since the start.
#[derive(Debug, Default)]
pub struct Counts {
    generated: AtomicU64,
    lost: [AtomicU64; 2],
}

impl Counts {
    pub(super) fn generated(&self) {
        self.generated.fetch_add(1, Ordering::Relaxed);
    }

    /// Events that requests have led to.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.generated.load(Ordering::Relaxed)
    }

    /// Events that a backend has lost.
    #[must_use]
    pub fn lost(&self, backend: Backend) -> u64 {
        self.lost[backend as usize].load(Ordering::Relaxed)
    }
}

/// Counts what a backend loses, and complains of it once a minute at most.
#[derive(Debug)]
pub(super) struct Losses {
    backend: Backend,
    counts: Arc<Counts>,
    complained: Mutex<Option<Instant>>,
}

impl Losses {
    pub(super) fn add(&self, events: usize, why: &str) {
        self.counts.lost[self.backend as usize].fetch_add(events as u64, Ordering::Relaxed);
        let now = Instant::now();
        {
            let mut last = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|last| now.duration_since(last) < COMPLAINT) {
                return;
            }
            *last = Some(now);
        }
        tracing::error!(
            backend = self.backend.as_str(),
            lost = self.counts.lost(self.backend),
            "audit events are lost: {why}"
        );
    }
}

/// The requests' end of a backend's queue.
#[derive(Debug)]
pub(super) struct Queue {
    mode: Mode,
    /// Its places; one event takes one, or more if it is very large.
    places: Arc<Semaphore>,
    size: u32,
    sender: mpsc::UnboundedSender<Message>,
    losses: Arc<Losses>,
    closing: CancellationToken,
}

/// The backend's end.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) messages: mpsc::UnboundedReceiver<Message>,
    pub(super) losses: Arc<Losses>,
    /// Cancelled as soon as the process is about to end, ahead of the messages: no more patience.
    pub(super) closing: CancellationToken,
}

/// What a backend is told.
#[derive(Debug)]
pub(super) enum Message {
    Event(Queued),
    /// Write what you have; somebody waits for it, as the process is about to end.
    Flush(oneshot::Sender<()>),
}

/// An event with its place in the queue, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) entry: Arc<Entry>,
    _room: Room,
}

/// Places in a queue, if any are held.
#[derive(Debug, Default)]
pub(super) struct Room(Option<OwnedSemaphorePermit>);

impl Queue {
    /// A queue for `size` events; `size` is at least 1.
    #[expect(
        clippy::disallowed_methods,
        reason = "the places are the bound, and open requests in blocking mode"
    )]
    pub(super) fn new(backend: Backend, mode: Mode, size: u32, counts: &Arc<Counts>) -> (Self, Inbox) {
        let (sender, messages) = mpsc::unbounded_channel();
        let losses = Arc::new(Losses { backend, counts: Arc::clone(counts), complained: Mutex::default() });
        let closing = CancellationToken::new();
        let queue = Self {
            mode,
            places: Arc::new(Semaphore::new(size as usize)),
            size,
            sender,
            losses: Arc::clone(&losses),
            closing: closing.clone(),
        };
        (queue, Inbox { messages, losses, closing })
    }

    /// Places for a new request if there are any, or if the request need not wait for them.
    pub(super) fn try_room(&self, cost: u32) -> Option<Room> {
        match self.mode {
            Mode::Batch => Some(Room::default()),
            Mode::Blocking => self.places(cost),
        }
    }

    /// Waits for places for a new request.
    pub(super) async fn room(&self, cost: u32) -> Room {
        match self.mode {
            Mode::Batch => Room::default(),
            Mode::Blocking => {
                let places = Arc::clone(&self.places).acquire_many_owned(cost.min(self.size));
                Room(places.await.ok())
            }
        }
    }

    /// Queues an event. Without room there is none for it in batch mode; in blocking mode it is taken nevertheless: new
    /// requests wait, so there are not more of these than open requests.
    pub(super) fn push(&self, entry: Arc<Entry>, room: Room) {
        let room = match (room, self.mode) {
            (Room(Some(held)), _) => Room(Some(held)),
            (Room(None), Mode::Blocking) => self.places(entry.cost()).unwrap_or_default(),
            (Room(None), Mode::Batch) => match self.places(entry.cost()) {
                Some(room) => room,
                None => return self.losses.add(1, "the backend does not keep up and its queue is full"),
            },
        };
        if self.sender.send(Message::Event(Queued { entry, _room: room })).is_err() {
            self.losses.add(1, "the backend has ended");
        }
    }

    /// Completes when everything queued so far has been written or given up. The process is about to end.
    pub(super) async fn flushed(&self) {
        self.closing.cancel();
        let (done, flushed) = oneshot::channel();
        if self.sender.send(Message::Flush(done)).is_ok() {
            // An error means that the backend has ended, and nothing is left to wait for.
            let _ = flushed.await;
        }
    }

    fn places(&self, cost: u32) -> Option<Room> {
        let held = Arc::clone(&self.places).try_acquire_many_owned(cost.min(self.size));
        held.ok().map(|held| Room(Some(held)))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}
