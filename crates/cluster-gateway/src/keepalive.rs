//! Whether the peer of an HTTP/2 connection is still there.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep, sleep};

/// Asks a silent peer for a sign of life (RFC 9113 §6.7). Bytes of any kind are one.
#[derive(Debug)]
pub struct Keepalive {
    pings: PingPong,
    heard: Arc<AtomicBool>,
    interval: Duration,
    timeout: Duration,
    timer: Pin<Box<Sleep>>,
    asked: bool,
    /// Pause after a ping that found silence, if it is another than `interval`.
    again: Option<Duration>,
    /// That pause is being made.
    quiet: bool,
}

impl Keepalive {
    /// Pings after `interval` of silence and gives up after `timeout` more. `heard` is set when bytes come in.
    #[must_use]
    pub fn new(pings: PingPong, heard: Arc<AtomicBool>, interval: Duration, timeout: Duration) -> Self {
        Self {
            pings,
            heard,
            interval,
            timeout,
            timer: Box::pin(sleep(interval)),
            asked: false,
            again: None,
            quiet: false,
        }
    }

    /// Pings again only after `pause` while nothing comes but the answers to pings. For peers that take pings for abuse.
    #[must_use]
    pub fn and_again_after(mut self, pause: Duration) -> Self {
        self.again = Some(pause);
        self
    }

    /// Ready once the peer counts as gone.
    pub fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.asked && matches!(self.pings.poll_pong(cx), Poll::Ready(Ok(_))) {
                self.listen();
                if let Some(pause) = self.again {
                    self.quiet = true;
                    self.heard.store(false, Ordering::Relaxed);
                    self.timer.as_mut().reset(Instant::now() + pause);
                }
            }
            if self.quiet && self.heard.swap(false, Ordering::Relaxed) {
                self.listen();
            }
            ready!(self.timer.as_mut().poll(cx));
            if self.heard.swap(false, Ordering::Relaxed) {
                self.listen();
            } else if self.asked {
                return Poll::Ready(());
            } else {
                // Refused only while an earlier ping is open, whose answer will do.
                let _ = self.pings.send_ping(Ping::opaque());
                self.asked = true;
                self.timer.as_mut().reset(Instant::now() + self.timeout);
            }
        }
    }

    fn listen(&mut self) {
        self.asked = false;
        self.quiet = false;
        self.timer.as_mut().reset(Instant::now() + self.interval);
    }
}
