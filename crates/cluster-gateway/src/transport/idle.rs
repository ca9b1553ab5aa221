//! HTTP/1.1 connections that wait for a request.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::h1;

/// The idle connections of one member; the one used last is taken first.
#[derive(Debug, Default)]
pub(super) struct IdleConnections(Mutex<Vec<Idle>>);

struct Idle {
    connection: h1::Connection,
    since: Instant,
    tick: u32,
}

impl std::fmt::Debug for Idle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Idle").field("since", &self.since).finish_non_exhaustive()
    }
}

impl IdleConnections {
    /// A connection that is ready and has been idle for less than `limit`, if there is one.
    pub(super) async fn take(&self, limit: Duration) -> Option<h1::Connection> {
        match self.try_take(limit) {
            Ok(connection) => connection,
            // A connection comes back an instant before its task has noticed that the answer is through.
            Err(NotYet) => {
                tokio::task::yield_now().await;
                self.try_take(limit).unwrap_or(None)
            }
        }
    }

    fn try_take(&self, limit: Duration) -> Result<Option<h1::Connection>, NotYet> {
        let mut idle = lock(&self.0);
        if idle.is_empty() {
            return Ok(None);
        }
        let now = Instant::now();
        let fresh = |idle: &Idle| now.duration_since(idle.since) < limit;
        // Nearly always the last, so the others are not looked at: they are many where many requests come at once.
        if let Some(index) = idle.iter().rposition(|idle| idle.connection.sender.is_ready() && fresh(idle)) {
            return Ok(Some(idle.remove(index).connection));
        }
        idle.retain(|idle| !idle.connection.sender.is_closed() && fresh(idle));
        if idle.is_empty() { Ok(None) } else { Err(NotYet) }
    }

    /// Keeps `connection`, which came free in sweep period `tick`; of more than `most` the oldest goes.
    pub(super) fn put(&self, connection: h1::Connection, most: usize, tick: u32) {
        if connection.sender.is_closed() || most == 0 {
            return;
        }
        let mut idle = lock(&self.0);
        if idle.len() >= most {
            idle.remove(0);
        }
        idle.push(Idle { connection, since: Instant::now(), tick });
    }

    /// Closes what has been idle for two whole sweep periods before `tick`, or for `limit`.
    pub(super) fn sweep(&self, tick: u32, limit: Duration) {
        let now = Instant::now();
        lock(&self.0).retain(|idle| {
            !idle.connection.sender.is_closed()
                && tick.wrapping_sub(idle.tick) <= 2
                && now.duration_since(idle.since) < limit
        });
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.0).is_empty()
    }
}

/// A connection that was brought back is not ready yet.
struct NotYet;

/// No code that holds these locks can leave the data half changed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
