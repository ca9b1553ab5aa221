//! One function through which every connection is made.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::options::Counters;
use super::resolve::Share;
use super::stream::{Socket, Stream};
use super::tls::Tls;
use super::{TransportError, TransportOptions, TransportSpec};

/// How much is read from a socket at once.
const READ_BUFFER: usize = 16 * 1024;
/// The least time an address gets before the next one is tried.
const LEAST_TIME: Duration = Duration::from_secs(2);
/// Silence after which the kernel asks whether the peer is still there (rule 189), how often it asks and how many times.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(5), Duration::from_secs(2), 2);

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The pool: HTTP/2 if the member agrees.
    Pooled,
    /// An upgrade: HTTP/1.1 only.
    Upgrade,
}

/// Makes connections to one member.
#[derive(Debug)]
pub(super) struct Dialer {
    pub(super) spec: TransportSpec,
    pub(super) options: Arc<TransportOptions>,
    pub(super) counters: Arc<Counters>,
    tls: OnceLock<Result<Tls, TransportError>>,
    lookups: Share,
}

/// A new connection.
#[derive(Debug)]
pub(super) struct Dialed {
    pub(super) stream: Stream,
    pub(super) http2: bool,
}

impl Dialer {
    pub(super) fn new(spec: TransportSpec, options: Arc<TransportOptions>) -> Self {
        Self { spec, options, counters: Arc::default(), tls: OnceLock::new(), lookups: Share::default() }
    }

    /// Connects and agrees on TLS and a protocol.
    pub(super) async fn dial(&self, purpose: Purpose) -> Result<Dialed, TransportError> {
        self.counters.dials.fetch_add(1, Ordering::Relaxed);
        let result = self.connect_and_agree(purpose).await;
        if result.is_err() {
            self.counters.dial_failures.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    async fn connect_and_agree(&self, purpose: Purpose) -> Result<Dialed, TransportError> {
        let socket = BufReader::with_capacity(READ_BUFFER, self.connect().await?);
        if self.spec.endpoint.tls {
            self.handshake(socket, purpose).await
        } else {
            Ok(Dialed { stream: Stream::Plain(socket), http2: false })
        }
    }

    async fn handshake(&self, socket: Socket, purpose: Purpose) -> Result<Dialed, TransportError> {
        let tls =
            self.tls.get_or_init(|| Tls::new(&self.spec, &self.options)).as_ref().map_err(Clone::clone)?;
        let config = match purpose {
            Purpose::Pooled => &tls.pooled,
            Purpose::Upgrade => &tls.http1,
        };
        let handshake = TlsConnector::from(Arc::clone(config)).connect(tls.server_name.clone(), socket);
        let limit = self.options.tls_handshake_timeout;
        let stream = timeout(limit, handshake)
            .await
            .map_err(|_| TransportError::handshake_timeout(&self.spec, limit))?
            .map_err(|error| TransportError::handshake(&self.spec, &error))?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Dialed { stream: Stream::Tls(Box::new(stream)), http2 })
    }

    /// Tries the member's addresses one after the other; the first failure is the one that is reported.
    async fn connect(&self) -> Result<TcpStream, TransportError> {
        let deadline = Instant::now() + self.options.dial_timeout;
        let addresses = self.resolve(deadline).await?;
        let mut first_failure = None;
        for (index, &address) in addresses.iter().enumerate() {
            let share = share(deadline, addresses.len() - index);
            match self.connect_to(address, share).await {
                Ok(stream) => return Ok(stream),
                Err(failure) => first_failure = first_failure.or(Some(failure)),
            }
        }
        let host = &self.spec.endpoint.host;
        Err(first_failure
            .unwrap_or_else(|| TransportError::Dial(format!("dial tcp: lookup {host}: no such host"))))
    }

    async fn resolve(&self, deadline: Instant) -> Result<Vec<SocketAddr>, TransportError> {
        let (host, port) = (self.spec.endpoint.host.as_str(), self.spec.endpoint.port);
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        match timeout_at(deadline, self.options.resolver.resolve(&self.lookups, host, port)).await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => Err(TransportError::lookup(host, &error)),
            Err(_) => Err(TransportError::lookup_timeout(host)),
        }
    }

    async fn connect_to(&self, address: SocketAddr, deadline: Instant) -> Result<TcpStream, TransportError> {
        if let Some(kind) = self.options.addresses.denial(address.ip()) {
            return Err(TransportError::denied(address, kind));
        }
        let stream = timeout_at(deadline, TcpStream::connect(address))
            .await
            .map_err(|_| TransportError::connect_timeout(address))?
            .map_err(|error| TransportError::connect(address, &error))?;
        prepare(&stream, self.options.unacknowledged_timeout)
            .map_err(|error| TransportError::connect(address, &error))?;
        Ok(stream)
    }
}

fn prepare(stream: &TcpStream, unacknowledged: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (time, interval, retries) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(retries);
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(unacknowledged))
}

/// When the next of `left` addresses must have answered: a fair part of the time that is left, if that is enough.
fn share(deadline: Instant, left: usize) -> Instant {
    let now = Instant::now();
    let remaining = deadline.saturating_duration_since(now);
    let part = remaining / u32::try_from(left).unwrap_or(u32::MAX).max(1);
    now + part.max(LEAST_TIME).min(remaining)
}
