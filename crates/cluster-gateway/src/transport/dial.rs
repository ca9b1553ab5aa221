//! One function through which every connection is made.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use tokio::io::BufReader;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::certificates::LastSeen;
use super::hop::{Hop, Route};
use super::options::Counters;
use super::proxy::Tunnels;
use super::stream::{Socket, Stream};
use super::tcp::Addresses;
use super::tls::Tls;
use super::{TransportError, TransportOptions, TransportSpec, tcp};

/// How much is read from a socket at once.
pub(super) const READ_BUFFER: usize = 16 * 1024;

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
    /// Those of whatever is dialled: the member, or the proxy before it.
    addresses: Addresses,
    tunnels: Tunnels,
}

/// A new connection.
#[derive(Debug)]
pub(super) struct Dialed {
    pub(super) stream: Stream,
    pub(super) http2: bool,
}

impl Dialer {
    pub(super) fn new(spec: TransportSpec, options: Arc<TransportOptions>) -> Self {
        let (addresses, tunnels) = Default::default();
        Self { spec, options, counters: Arc::default(), tls: OnceLock::new(), addresses, tunnels }
    }

    /// What the member has shown last, if that is kept and there was a handshake.
    pub(super) fn last_seen(&self) -> Option<&LastSeen> {
        self.tls.get()?.as_ref().ok()?.last_seen.as_deref()
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
        let socket = self.reach().await?;
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

    /// The stream that carries TLS, or HTTP, to the member.
    pub(super) async fn reach(&self) -> Result<Socket, TransportError> {
        let (endpoint, options) = (&self.spec.endpoint, &self.options);
        let limit = options.dial_timeout;
        let hop = match (&self.spec.route, &options.konnectivity) {
            (Route::Direct, _) => {
                let target = (endpoint.host.as_str(), endpoint.port);
                let dial = self.addresses.connect(target, options.manner(Instant::now() + limit));
                let stream = dial.await?;
                tcp::limit_unacknowledged(&stream, Some(options.unacknowledged_timeout));
                Hop::Tcp(stream)
            }
            (Route::Proxy(proxy), _) => {
                return self.tunnels.open(proxy, endpoint, &self.addresses, options).await;
            }
            (Route::Konnectivity, Some(server)) => {
                let address = endpoint.authority();
                let tunnel = server.dial(&address, limit).await;
                tunnel.map(Hop::Tunnel).map_err(|error| TransportError::tunnel(&address, &error))?
            }
            (Route::Konnectivity, None) => {
                return Err(TransportError::Dial(format!(
                    "dial tcp {}: the gateway runs without --proxy-host",
                    endpoint.authority()
                )));
            }
        };
        Ok(BufReader::with_capacity(READ_BUFFER, hop))
    }
}
