//! Waiting for a place on a connection.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Tells those who wait for a place that one has become free.
#[derive(Debug, Default)]
pub(super) struct Released {
    waiting: AtomicUsize,
    notify: Notify,
}

impl Released {
    /// A place is free.
    pub(super) fn notify(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.notify.notify_one();
        }
    }

    /// Counts the caller among those who wait, until the answer is dropped.
    pub(super) fn waiting(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(self)
    }

    /// Completes when a place is free. Whoever waits must look for a place after enabling this and before awaiting it.
    pub(super) fn notified(&self) -> Notified<'_> {
        self.notify.notified()
    }
}

/// Somebody waits for a place.
pub(super) struct Waiting<'r>(&'r Released);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
