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
    /// Nothing has come for half an interval.
    silent: bool,
    asked: bool,
    /// Pause after a ping that found silence, if it is another than `interval`.
    again: Option<Duration>,
    /// That pause is being made.
    quiet: bool,
}

impl Keepalive {
    /// Pings after `interval` of silence, or up to half of it later, and gives up after `timeout` more. `heard` is set when
    /// bytes come in.
    #[must_use]
    pub fn new(pings: PingPong, heard: Arc<AtomicBool>, interval: Duration, timeout: Duration) -> Self {
        Self {
            pings,
            heard,
            interval,
            timeout,
            timer: Box::pin(sleep(interval / 2)),
            silent: false,
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
                    self.silent = true;
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
            } else if !self.silent {
                self.silent = true;
                self.timer.as_mut().reset(Instant::now() + self.interval / 2);
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
        self.silent = false;
        self.timer.as_mut().reset(Instant::now() + self.interval / 2);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use bytes::Bytes;
    use tokio::time::timeout;

    use super::*;
    use crate::io::Coalesced;

    const INTERVAL: Duration = Duration::from_secs(5);
    const TIMEOUT: Duration = Duration::from_secs(4);

    /// A client's connection whose server answers pings, or is never heard of again.
    async fn client(
        answers: bool,
    ) -> (Keepalive, tokio::task::JoinHandle<()>, h2::client::SendRequest<Bytes>) {
        let (here, there) = tokio::io::duplex(1 << 16);
        let here = Coalesced::new(here);
        let heard = here.heard();
        let (sender, mut connection) = h2::client::handshake(here).await.unwrap();
        let pings = connection.ping_pong().unwrap();
        // What the client has written leaves when its connection is polled.
        tokio::spawn(async move { _ = connection.await });
        let mut server = h2::server::handshake(there).await.unwrap();
        let server = tokio::spawn(async move {
            if answers {
                _ = server.accept().await;
            }
            std::future::pending::<()>().await;
            drop(server);
        });
        (Keepalive::new(pings, heard, INTERVAL, TIMEOUT), server, sender)
    }

    #[tokio::test(start_paused = true)]
    async fn rule_128_a_peer_that_answers_is_there_however_silent() {
        let (mut keepalive, _server, _sender) = client(true).await;
        let gone = poll_fn(|cx| keepalive.poll_gone(cx));
        assert!(timeout(INTERVAL * 20, gone).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn rule_128_a_peer_that_does_not_answer_is_gone_after_its_time() {
        let (mut keepalive, _server, _sender) = client(false).await;
        let begun = Instant::now();
        poll_fn(|cx| keepalive.poll_gone(cx)).await;
        assert!(begun.elapsed() >= INTERVAL + TIMEOUT, "{:?}", begun.elapsed());
        assert!(begun.elapsed() < (INTERVAL + TIMEOUT) * 3, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn rule_128_bytes_of_any_kind_are_a_sign_of_life() {
        let (mut keepalive, _server, _sender) = client(false).await;
        let heard = Arc::clone(&keepalive.heard);
        let talk = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                heard.store(true, Ordering::Relaxed);
            }
        };
        let gone = poll_fn(|cx| keepalive.poll_gone(cx));
        tokio::select! {
            () = gone => panic!("it was heard every second"),
            () = talk => unreachable!(),
            () = tokio::time::sleep(INTERVAL * 20) => {}
        }
    }
}
