//! Tunnels through a proxy: HTTP CONNECT (RFC 9110, section 9.3.6) and SOCKS5 (RFC 1928, 1929).
//!
//! The proxy resolves the member's name. Whatever goes through the tunnel is as it would be without one: TLS with the
//! member is verified as always, and the proxy sees none of it.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::dial::READ_BUFFER;
use super::hop::{Hop, Route};
use super::stream::Socket;
use super::tcp::{Addresses, limit_unacknowledged};
use super::tls::Tls;
use super::{Endpoint, Peer, TransportError, TransportOptions, TransportSpec, Verification};

mod http_connect;
mod socks5;

/// A proxy on the way to a member.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxySpec {
    /// What it speaks.
    pub protocol: ProxyProtocol,
    /// DNS name or IP address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Who we are to it. A secret.
    pub login: Option<ProxyLogin>,
    /// CAs of its certificate, PEM, already checked to parse; `None`: the system's roots. Of no use but for
    /// [`ProxyProtocol::Https`].
    pub ca: Option<Arc<[u8]>>,
}

/// What a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// HTTP CONNECT in clear text.
    Http,
    /// HTTP CONNECT inside TLS.
    Https,
    /// SOCKS version 5; the proxy resolves names.
    Socks5,
}

/// User name and password. Neither has a `Debug` or ever stands in a message.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyLogin {
    /// User name; without a colon for HTTP, at most 255 bytes for SOCKS5.
    pub user: String,
    /// Password; may be empty.
    pub password: String,
}

impl ProxyProtocol {
    fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
        }
    }
}

/// `scheme://host:port`, as messages name it: without the login.
impl fmt::Display for ProxySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.protocol.scheme(), self.as_endpoint().authority())
    }
}

impl fmt::Debug for ProxySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxySpec({self})")
    }
}

impl fmt::Debug for ProxyLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyLogin")
    }
}

impl ProxySpec {
    fn as_endpoint(&self) -> Endpoint {
        Endpoint { tls: self.protocol == ProxyProtocol::Https, host: self.host.clone(), port: self.port }
    }

    /// TLS with the proxy, as if it were a member.
    fn as_spec(&self) -> TransportSpec {
        let verification = self.ca.clone().map_or(Verification::SystemRoots, Verification::Bundle);
        TransportSpec {
            endpoint: self.as_endpoint(),
            route: Route::Direct,
            verification,
            server_name: None,
            client_certificate: None,
            peer: Peer::Proxy,
        }
    }
}

/// Opens tunnels through one proxy.
#[derive(Debug, Default)]
pub(super) struct Tunnels {
    /// Apart, because most clusters have no such proxy.
    tls: OnceLock<Box<Result<Tls, TransportError>>>,
}

/// Why a proxy gave no tunnel, in words that follow its name.
type Refusal = String;

impl Tunnels {
    /// A stream to `target` through `proxy`.
    ///
    /// # Errors
    /// [`TransportError::Dial`]: the text says which hop failed and how to mend it.
    pub(super) async fn open(
        &self,
        proxy: &ProxySpec,
        target: &Endpoint,
        addresses: &Addresses,
        options: &TransportOptions,
    ) -> Result<Socket, TransportError> {
        check(target, options)?;
        let deadline = Instant::now() + options.dial_timeout;
        let failed = |refusal: Refusal| {
            TransportError::Dial(format!("dial tcp {}: proxy {proxy} {refusal}", target.authority()))
        };
        let socket = addresses
            .connect((&proxy.host, proxy.port), options.manner(deadline))
            .await
            .map_err(|error| TransportError::Dial(format!("proxyconnect tcp: {error}")))?;
        limit_unacknowledged(&socket, Some(options.unacknowledged_timeout));
        let tunnel = self.agree(proxy, target, socket, options);
        match timeout_at(deadline, tunnel).await {
            Ok(tunnel) => tunnel.map_err(failed),
            Err(_) => Err(failed(silent(options.dial_timeout))),
        }
    }

    async fn agree(
        &self,
        proxy: &ProxySpec,
        target: &Endpoint,
        socket: TcpStream,
        options: &TransportOptions,
    ) -> Result<Socket, Refusal> {
        let hop = match proxy.protocol {
            ProxyProtocol::Http | ProxyProtocol::Socks5 => Hop::Tcp(socket),
            ProxyProtocol::Https => self.encrypt(proxy, socket, options).await?,
        };
        let mut socket = BufReader::with_capacity(READ_BUFFER, hop);
        match proxy.protocol {
            ProxyProtocol::Http | ProxyProtocol::Https => {
                http_connect::open(&mut socket, target, proxy.login.as_ref()).await?;
            }
            ProxyProtocol::Socks5 => socks5::open(&mut socket, target, proxy.login.as_ref()).await?,
        }
        Ok(socket)
    }

    async fn encrypt(
        &self,
        proxy: &ProxySpec,
        socket: TcpStream,
        options: &TransportOptions,
    ) -> Result<Hop, Refusal> {
        let spec = proxy.as_spec();
        let tls = self.tls.get_or_init(|| Box::new(Tls::new(&spec, options)));
        let tls = tls.as_ref().as_ref().map_err(|error| format!("cannot be asked: {error}"))?;
        let connector = TlsConnector::from(Arc::clone(&tls.http1));
        let limit = options.tls_handshake_timeout;
        let handshake = connector.connect(tls.server_name.clone(), socket);
        match tokio::time::timeout(limit, handshake).await {
            Ok(Ok(stream)) => Ok(Hop::Proxy(Box::new(stream))),
            Ok(Err(error)) => Err(format!("cannot be trusted: {}", TransportError::handshake(&spec, &error))),
            Err(_) => Err(silent(limit)),
        }
    }
}

/// What of rule 168 can be checked of a member that another machine dials: an address that stands in the endpoint. Names
/// are resolved by the proxy.
fn check(target: &Endpoint, options: &TransportOptions) -> Result<(), TransportError> {
    let address = target.host.parse::<IpAddr>().ok();
    match address.and_then(|address| options.addresses.denial(address)) {
        Some(kind) => Err(TransportError::Dial(format!(
            "dial tcp {}: connect: the gateway does not ask a proxy for {kind} addresses",
            target.authority()
        ))),
        None => Ok(()),
    }
}

fn silent(limit: Duration) -> Refusal {
    format!("did not answer within {limit:?} (i/o timeout)")
}

/// What broke while the proxy was spoken to.
fn broke(error: &std::io::Error) -> Refusal {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => {
            "closed the connection instead of answering; is this the address of such a proxy?".to_owned()
        }
        _ => format!("broke the connection off: {error}"),
    }
}
