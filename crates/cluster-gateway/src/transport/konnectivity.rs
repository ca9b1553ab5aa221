//! Clusters behind a konnectivity proxy server (apiserver-network-proxy, Open Cluster Management's cluster-proxy): the
//! agent of a cluster has connected to the server from inside, and the server passes our connections on to it (contract
//! rules 235-246).
//!
//! A tunnel is one more way to make a TCP connection. What happens on it, TLS verified against the cluster's own CA and a
//! pool of HTTP/2 connections included, is the same for all clusters: the proxy server and the agent see no token.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, Shared};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

mod channel;
mod connection;
mod credentials;
mod error;
mod grpc;
mod http_connect;
mod packet;
mod tunnel;

use connection::Connection;
use credentials::Credentials;
pub use credentials::ProxyFiles;
pub(super) use error::DialError;
use error::advise;
use tunnel::GrpcTunnel;

use super::fault::chain;
use super::idle::lock;
use super::stream::forward;
use super::tcp::{Addresses, Manner};
use super::{AddressPolicy, Resolver};

/// Name that API servers have in every cluster (rule 244).
pub const SERVER_NAME: &str = "kubernetes.default.svc";
/// TLS with the proxy server.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a dial begins anew on another connection to the proxy server: once, after one that has just ended.
const ATTEMPTS: usize = 2;

/// Where the proxy server is, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyServerConfig {
    /// DNS name or IP address, which its certificate must have (`--proxy-host`).
    pub host: String,
    /// Its port for API servers (`--proxy-port`).
    pub port: u16,
    /// Its mode (`--proxy-mode`).
    pub mode: ProxyMode,
    /// Certificates.
    pub files: ProxyFiles,
}

/// What a proxy server speaks with its clients (`--mode` of the server).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProxyMode {
    /// Many tunnels on one HTTP/2 connection.
    #[default]
    Grpc,
    /// A TLS connection per tunnel, opened by HTTP's CONNECT (rule 245).
    HttpConnect,
}

/// The proxy server, as all clusters behind it share it. Nothing is connected before the first dial.
pub struct ProxyServer {
    config: ProxyServerConfig,
    /// `host:port`.
    authority: Arc<str>,
    lookups: Arc<Lookups>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    credentials: Option<Arc<Credentials>>,
    /// The connection of mode gRPC, or the dial that will make it, and with which credentials.
    connection: Option<(Arc<Credentials>, Connecting)>,
    /// What was last said of files that cannot be used.
    complaint: Option<String>,
}

type Connecting = Shared<BoxFuture<'static, Result<Arc<Connection>, DialError>>>;

impl ProxyServer {
    /// A proxy server that nobody has connected to.
    #[must_use]
    pub fn new(config: ProxyServerConfig) -> Self {
        let authority = super::authority(&config.host, config.port).into();
        Self { config, authority, lookups: Arc::default(), state: Mutex::default() }
    }

    /// Connects to `address`, as the agent of its cluster understands it, within `limit`.
    pub(super) async fn dial(&self, address: &str, limit: Duration) -> Result<Tunnel, DialError> {
        let server = || self.authority.to_string();
        timeout(limit, self.dial_without_limit(address))
            .await
            .unwrap_or_else(|_| Err(DialError::Timeout { server: server(), limit }))
    }

    async fn dial_without_limit(&self, address: &str) -> Result<Tunnel, DialError> {
        let credentials = self.credentials().await?;
        if self.config.mode == ProxyMode::HttpConnect {
            let stream = self.target().connect(&credentials, b"http/1.1").await?;
            let stream = http_connect::connect(stream, &self.authority, address).await?;
            return Ok(Tunnel::HttpConnect(Box::new(stream)));
        }
        let mut attempt = 1;
        loop {
            match self.dial_on_shared(&credentials, address).await {
                Err(DialError::Broken { .. }) if attempt < ATTEMPTS => attempt += 1,
                result => return result.map(|tunnel| Tunnel::Grpc(Box::new(tunnel))),
            }
        }
    }

    async fn dial_on_shared(
        &self,
        credentials: &Arc<Credentials>,
        address: &str,
    ) -> Result<GrpcTunnel, DialError> {
        let connection = self.connection(credentials).await?;
        let broken = |cause| DialError::Broken { server: self.authority.to_string(), cause };
        let channel = connection.open().await.map_err(broken)?;
        let (channel, connect_id) = channel::dial(channel, address).await?;
        Ok(GrpcTunnel::new(channel, connect_id))
    }

    /// The connection that all tunnels share: the one that stands, or the one that somebody is making, or a new one.
    fn connection(&self, credentials: &Arc<Credentials>) -> Connecting {
        let mut state = lock(&self.state);
        if let Some((made_with, connection)) = &state.connection
            && Arc::ptr_eq(made_with, credentials)
            && connection.peek().is_none_or(|made| made.as_ref().is_ok_and(|made| made.is_usable()))
        {
            return connection.clone();
        }
        let (target, made_with) = (self.target(), Arc::clone(credentials));
        // A task of its own: whoever has asked first may go away.
        let dial = tokio::spawn(async move {
            let stream = target.connect(&made_with, b"h2").await?;
            let server = target.authority.to_string();
            Connection::start(stream, target.authority)
                .await
                .map_err(|error| DialError::Broken { server, cause: advise(chain(&error)) })
        });
        let server = self.authority.to_string();
        let dial = dial.map(|ended| {
            ended.unwrap_or_else(|error| Err(DialError::Broken { server, cause: error.to_string() }))
        });
        let connection = dial.boxed().shared();
        state.connection = Some((Arc::clone(credentials), connection.clone()));
        connection
    }

    /// What stands in the files now. If that cannot be used, what stood there before.
    async fn credentials(&self) -> Result<Arc<Credentials>, DialError> {
        let current = lock(&self.state).credentials.clone();
        let (files, known) = (self.config.files.clone(), current.clone());
        let loaded = tokio::task::spawn_blocking(move || files.load(known.as_ref()));
        let loaded = loaded.await.unwrap_or_else(|error| Err(error.to_string()));
        let mut state = lock(&self.state);
        match (loaded, current) {
            (Ok(credentials), _) => {
                state.complaint = None;
                // Others may have read the same in the meantime.
                let known = state.credentials.as_ref().filter(|known| known.says_the_same(&credentials));
                if let Some(known) = known {
                    return Ok(Arc::clone(known));
                }
                if state.credentials.replace(Arc::clone(&credentials)).is_some() {
                    tracing::info!(server = %self.authority, "certificates for the konnectivity proxy server reloaded");
                }
                Ok(credentials)
            }
            (Err(error), Some(current)) => {
                if state.complaint.as_ref() != Some(&error) {
                    tracing::warn!(
                        error,
                        "certificates for the konnectivity proxy server not reloaded; the last good ones stay in use"
                    );
                    state.complaint = Some(error);
                }
                Ok(current)
            }
            (Err(error), None) => Err(DialError::Files(error)),
        }
    }

    fn target(&self) -> Target {
        Target {
            host: self.config.host.clone(),
            port: self.config.port,
            authority: Arc::clone(&self.authority),
            lookups: Arc::clone(&self.lookups),
        }
    }
}

impl fmt::Debug for ProxyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyServer").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Where to connect to.
struct Target {
    host: String,
    port: u16,
    authority: Arc<str>,
    lookups: Arc<Lookups>,
}

/// Look-ups of the proxy server's own, so that those of members that hang do not stand before them.
#[derive(Default)]
struct Lookups {
    resolver: Resolver,
    addresses: Addresses,
}

impl Target {
    async fn connect(
        &self,
        credentials: &Credentials,
        protocol: &[u8],
    ) -> Result<TlsStream<TcpStream>, DialError> {
        let server = || self.authority.to_string();
        // The operator has named the server, so it may be anywhere. The limit is that of the whole dial.
        let anywhere = AddressPolicy { allow_loopback: true };
        let (addresses, resolver) = (&self.lookups.addresses, &self.lookups.resolver);
        let manner = Manner { deadline: Instant::now() + DIAL_TIMEOUT, policy: anywhere, resolver };
        let target = (self.host.as_str(), self.port);
        let socket = addresses
            .connect(target, manner)
            .await
            .map_err(|error| DialError::Unreachable { server: server(), cause: error.to_string() })?;
        let tls = |cause| DialError::Tls { server: server(), cause };
        let name = ServerName::try_from(self.host.clone())
            .map_err(|_| tls(format!("\"{}\" cannot be the name of a TLS server", self.host)))?;
        let handshake = TlsConnector::from(credentials.tls(protocol)).connect(name, socket);
        timeout(TLS_TIMEOUT, handshake)
            .await
            .map_err(|_| tls(format!("none within {TLS_TIMEOUT:?}")))?
            .map_err(|error| tls(advise(chain(&error))))
    }
}

/// Finding the proxy server and connecting to it.
const DIAL_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection through the proxy server.
#[derive(Debug)]
pub(super) enum Tunnel {
    Grpc(Box<GrpcTunnel>),
    HttpConnect(Box<TlsStream<TcpStream>>),
}

forward!(Tunnel { Grpc, HttpConnect });
