//! The task of an HTTP/2 connection.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use ::h2::client::Connection;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::{MAX_STREAMS, State};
use crate::io::Coalesced;
use crate::keepalive::Keepalive;
use crate::transport::TransportOptions;
use crate::transport::stream::Stream;

/// Why a connection ended before the member had told its limits.
pub(super) type Learnt = oneshot::Sender<Result<(), ::h2::Error>>;

/// Drives a connection and keeps its limit up to date.
pub(super) struct Driver {
    connection: Connection<Coalesced<Stream>, Bytes>,
    state: Arc<State>,
    learnt: Option<Learnt>,
    keepalive: Option<Keepalive>,
}

impl Driver {
    pub(super) fn new(
        mut connection: Connection<Coalesced<Stream>, Bytes>,
        state: Arc<State>,
        learnt: Learnt,
        options: &TransportOptions,
        heard: Arc<AtomicBool>,
    ) -> Self {
        let keepalive = connection
            .ping_pong()
            .map(|pings| Keepalive::new(pings, heard, options.ping_interval, options.ping_timeout));
        Self { connection, state, learnt: Some(learnt), keepalive }
    }

    pub(super) async fn drive(mut self) {
        let result = poll_fn(|cx| self.poll(cx)).await;
        self.state.limit.store(0, Ordering::Relaxed);
        self.state.closed.store(true, Ordering::Relaxed);
        if let Err(error) = result {
            tracing::debug!(%error, "HTTP/2 connection to a member ended");
            if let Some(learnt) = self.learnt.take() {
                let _ = learnt.send(Err(error));
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ::h2::Error>> {
        let polled = Pin::new(&mut self.connection).poll(cx);
        if polled.is_ready() {
            return polled;
        }
        let limit = match self.state.closed.load(Ordering::Relaxed) {
            true => 0,
            false => self.connection.max_concurrent_send_streams().min(MAX_STREAMS),
        };
        self.state.limit.store(limit, Ordering::Relaxed);
        if limit > 0
            && let Some(learnt) = self.learnt.take()
        {
            let _ = learnt.send(Ok(()));
        }
        let Some(keepalive) = &mut self.keepalive else { return Poll::Pending };
        ready!(keepalive.poll_gone(cx));
        self.state.silent.store(true, Ordering::Relaxed);
        tracing::debug!("a member does not answer pings; its HTTP/2 connection is given up");
        Poll::Ready(Ok(()))
    }
}
