//! The HTTP/2 connection to the proxy server that all tunnels share.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::io::{AsyncRead, AsyncWrite};

use super::channel::Channel;
use super::error::advise;
use super::grpc;
use crate::io::Coalesced;
use crate::keepalive::Keepalive;
use crate::transport::fault::chain;
use crate::transport::idle::lock;

/// Bytes that the proxy server may send ahead in one tunnel.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Bytes that it may send ahead in all tunnels: the most that HTTP/2 has, so that readers who stand still never use up the
/// share of the others (rule 240). What one tunnel may hold is bounded by its own window.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// h2 ends a connection on which small frames have piled up to this many bytes, counting each as 256.
const SMALL_FRAMES: usize = STREAM_WINDOW as usize * 1024;
/// Bytes kept per tunnel while the proxy server does not take them.
const SEND_BUFFER: usize = 64 * 1024;
/// Silence after which the proxy server is asked for a sign of life (rule 242).
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long that may take.
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// Pause after a ping that found nothing but silence. gRPC servers end a connection that is pinged more often than every
/// five minutes while they have nothing to send (gRFC A8), and with it every open shell.
const PING_AGAIN: Duration = Duration::from_secs(305);
/// How often is looked whether any tunnel is open; after two looks that found none, the connection is given up.
const UNUSED: Duration = Duration::from_secs(45);

/// A connection to the proxy server. It ends when no tunnel and nobody else holds it.
#[derive(Debug)]
pub(super) struct Connection {
    /// `None`: it takes no new tunnels.
    sender: Mutex<Option<SendRequest<Bytes>>>,
    tunnels: AtomicUsize,
    /// Why it has ended, if it has.
    end: Arc<OnceLock<String>>,
    /// `host:port` of the proxy server.
    pub(super) server: Arc<str>,
}

/// One tunnel's place on a connection; free again when dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Connection>);

impl Connection {
    /// Starts HTTP/2 on `stream`.
    pub(super) async fn start<S>(stream: S, server: Arc<str>) -> Result<Arc<Self>, h2::Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = Coalesced::new(stream);
        let heard = stream.heard();
        let (sender, mut connection) = builder().handshake::<_, Bytes>(stream).await?;
        let keepalive = connection.ping_pong().map(|pings| {
            Keepalive::new(pings, heard, PING_INTERVAL, PING_TIMEOUT).and_again_after(PING_AGAIN)
        });
        let this = Arc::new(Self {
            sender: Mutex::new(Some(sender)),
            tunnels: AtomicUsize::new(0),
            end: Arc::default(),
            server,
        });
        let (weak, end) = (Arc::downgrade(&this), Arc::clone(&this.end));
        tokio::spawn(async move {
            let cause = tokio::select! {
                cause = drive(connection, keepalive) => cause,
                never = retire_unused(&weak) => match never {},
            };
            tracing::debug!(cause, "the connection to the konnectivity proxy server ended");
            let _ = end.set(cause);
            if let Some(this) = weak.upgrade() {
                this.retire();
            }
        });
        Ok(this)
    }

    /// Whether another tunnel can be opened.
    pub(super) fn is_usable(&self) -> bool {
        let limit = lock(&self.sender).as_ref().map_or(0, SendRequest::current_max_send_streams);
        self.tunnels.load(Ordering::Relaxed) < limit
    }

    /// Takes no more tunnels; those that are open go on.
    fn retire(&self) {
        *lock(&self.sender) = None;
    }

    /// Opens a stream.
    pub(super) async fn open(self: &Arc<Self>) -> Result<Channel, String> {
        let place = Place::new(self);
        let sender = lock(&self.sender).clone();
        let gone = || self.why(None);
        let sender = sender.ok_or_else(gone)?;
        let mut sender = sender.ready().await.map_err(|error| self.lost(&error))?;
        let request = grpc::request(&self.server).map_err(|error| error.to_string())?;
        let (answer, send) = sender.send_request(request, false).map_err(|error| self.lost(&error))?;
        Ok(Channel::new(answer, send, place))
    }

    fn lost(&self, error: &h2::Error) -> String {
        self.retire();
        self.why(Some(error))
    }

    /// Why a stream has ended: what is known of the connection, if it has ended too.
    pub(super) fn why(&self, error: Option<&h2::Error>) -> String {
        let cause = match (self.end.get(), error) {
            (Some(end), _) => end.clone(),
            (None, Some(error)) => chain(error),
            (None, None) => "it takes no more tunnels".to_owned(),
        };
        advise(cause)
    }
}

impl Place {
    fn new(connection: &Arc<Connection>) -> Self {
        connection.tunnels.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connection))
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.tunnels.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Keeps a connection going until it ends; says why it has.
async fn drive<S>(
    mut connection: h2::client::Connection<S, Bytes>,
    mut keepalive: Option<Keepalive>,
) -> String
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    poll_fn(|cx| {
        if let Poll::Ready(result) = Pin::new(&mut connection).poll(cx) {
            return Poll::Ready(
                result.err().map_or_else(|| "it was closed".to_owned(), |error| chain(&error)),
            );
        }
        let gone = keepalive.as_mut().is_some_and(|keepalive| keepalive.poll_gone(cx).is_ready());
        if gone { Poll::Ready("it does not answer pings".to_owned()) } else { Poll::Pending }
    })
    .await
}

/// Retires a connection that nobody uses, so that none is kept up for clusters that nobody asks for.
async fn retire_unused(connection: &Weak<Connection>) -> std::convert::Infallible {
    let mut unused = false;
    loop {
        tokio::time::sleep(UNUSED).await;
        let Some(connection) = connection.upgrade() else { std::future::pending().await };
        let now = connection.tunnels.load(Ordering::Relaxed) == 0;
        if unused && now {
            connection.retire();
        }
        unused = now;
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .data_frame_budget(SMALL_FRAMES)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(64 * 1024)
        .enable_push(false);
    builder
}

#[cfg(test)]
mod tests;
