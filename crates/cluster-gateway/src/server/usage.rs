//! Which HTTP/2 connections are idle: hyper does not end them by itself (contract rule 58).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// What an HTTP/2 connection is used for.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Cloned into every open stream.
    open: Arc<()>,
    used: AtomicBool,
}

impl Usage {
    /// A stream opens; it is open until the guard is dropped.
    pub(super) fn open(&self) -> Arc<()> {
        self.used.store(true, Ordering::Relaxed);
        Arc::clone(&self.open)
    }

    /// Completes when no stream has been open for [`IDLE_TIMEOUT`], at most twice as long.
    pub(super) async fn idle(&self) {
        loop {
            tokio::time::sleep(IDLE_TIMEOUT).await;
            if !self.used.swap(false, Ordering::Relaxed) && Arc::strong_count(&self.open) == 1 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rule_058_an_http2_connection_without_streams_is_idle_after_its_time() {
        let usage = Usage::default();
        let mut idle = std::pin::pin!(usage.idle());
        let open = usage.open();
        let mut still =
            async |periods| tokio::time::timeout(IDLE_TIMEOUT * periods, idle.as_mut()).await.is_err();
        assert!(still(10).await, "a stream is open");
        drop(open);
        drop(usage.open());
        assert!(!still(3).await, "nothing was open for a whole period");
    }

    #[tokio::test(start_paused = true)]
    async fn rule_058_a_used_http2_connection_is_not_idle() {
        let usage = Usage::default();
        let mut idle = std::pin::pin!(usage.idle());
        for _ in 0..10 {
            drop(usage.open());
            assert!(tokio::time::timeout(IDLE_TIMEOUT * 2 / 3, idle.as_mut()).await.is_err());
        }
    }
}
