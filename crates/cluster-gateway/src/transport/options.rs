//! Settings that all clusters share, and what a transport counts.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Extensions;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use tokio::time::Instant;

use super::tcp::Manner;
use super::{AddressPolicy, LongRunning, ProxyServer, Resolver};
use crate::pki;

/// Timeouts, limits and address rules. One value serves all clusters.
#[derive(Debug, Clone)]
pub struct TransportOptions {
    /// Name resolution and TCP connect together, all addresses tried. Default 30 s (rule 128).
    pub dial_timeout: Duration,
    /// TLS handshake, and the member's first HTTP/2 SETTINGS. Default 10 s (rule 128).
    pub tls_handshake_timeout: Duration,
    /// From a request to the head of its answer; not for upgrades, nor for what is marked [`super::LongRunning`]. `None`:
    /// no limit. Default 65 s: kube-apiserver itself gives up after 60 s, and says more.
    pub response_header_timeout: Option<Duration>,
    /// From an upgrade request to the head of its answer. Default 60 s (rule 188).
    pub upgrade_header_timeout: Duration,
    /// How long a connection is kept that nobody uses; it may live half as long again. Default 90 s (rule 128).
    pub idle_timeout: Duration,
    /// How long an HTTP/1.1 connection is used again after its last answer. Default 50 s: many servers and load
    /// balancers close theirs after 60 s, and whoever comes second loses a request.
    pub http1_idle_timeout: Duration,
    /// Silence on an HTTP/2 connection after which it is pinged; it may be half as long again. Default 4 s: with the next
    /// two, a peer that has vanished is noticed in less than 10 s. Kubernetes' own clients take 30 s (rule 128).
    pub ping_interval: Duration,
    /// How long the answer to a ping may take before the connection counts as dead. Default 3.5 s; Kubernetes' own clients
    /// take 15 s (rule 128).
    pub ping_timeout: Duration,
    /// How long data may stay unacknowledged before the kernel ends the connection. Default 9 s. On an HTTP/1.1 connection
    /// it ends when so much has been sent that the peer may have stopped reading.
    pub unacknowledged_timeout: Duration,
    /// Idle HTTP/1.1 connections kept per cluster. Default 256: with fewer, requests that come in bursts dial again and again.
    pub max_idle: usize,
    /// Connections per cluster, upgraded ones not counted. Default 1024.
    pub max_connections: usize,
    /// Which resolved addresses may be dialled.
    pub addresses: AddressPolicy,
    /// The konnectivity proxy server behind which clusters are that have no address. Default: none.
    pub konnectivity: Option<Arc<ProxyServer>>,
    /// Who is asked for addresses.
    pub resolver: Resolver,
    /// What all TLS handshakes share.
    pub tls: TlsBasis,
    /// Whether the certificates of the last handshake with each member are kept, to be shown
    /// ([`Transport::certificates`](super::Transport::certificates)). Default: no, and then it costs nothing.
    pub remember_certificates: bool,
}

/// Cryptography and the system's root certificates, made once for all clusters.
#[derive(Debug, Clone)]
pub struct TlsBasis {
    provider: Arc<CryptoProvider>,
    system_roots: OnceLock<Arc<RootCertStore>>,
}

impl Default for TlsBasis {
    fn default() -> Self {
        Self { provider: pki::provider(), system_roots: OnceLock::new() }
    }
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self {
            dial_timeout: Duration::from_secs(30),
            tls_handshake_timeout: Duration::from_secs(10),
            response_header_timeout: Some(Duration::from_secs(65)),
            upgrade_header_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(90),
            http1_idle_timeout: Duration::from_secs(50),
            ping_interval: Duration::from_secs(4),
            ping_timeout: Duration::from_millis(3500),
            unacknowledged_timeout: Duration::from_secs(9),
            max_idle: 256,
            max_connections: 1024,
            addresses: AddressPolicy::default(),
            konnectivity: None,
            resolver: Resolver::default(),
            tls: TlsBasis::default(),
            remember_certificates: false,
        }
    }
}

impl TransportOptions {
    /// The same, but nothing that is waited for takes longer than `limit`: for somebody who wants to know what is wrong, and
    /// not to get through.
    #[must_use]
    pub fn hurried(&self, limit: Duration) -> Self {
        Self {
            dial_timeout: self.dial_timeout.min(limit),
            tls_handshake_timeout: self.tls_handshake_timeout.min(limit),
            response_header_timeout: Some(self.response_header_timeout.map_or(limit, |own| own.min(limit))),
            upgrade_header_timeout: self.upgrade_header_timeout.min(limit),
            remember_certificates: false,
            ..self.clone()
        }
    }

    /// How connections are made that must stand by `deadline`.
    pub(super) fn manner(&self, deadline: Instant) -> Manner<'_> {
        Manner { deadline, policy: self.addresses, resolver: &self.resolver }
    }

    /// How long to wait for the head of an answer to a request with these extensions.
    pub(super) fn header_timeout(&self, extensions: &Extensions) -> Option<Duration> {
        self.response_header_timeout.filter(|_| extensions.get::<LongRunning>().is_none())
    }
}

impl TlsBasis {
    pub(super) fn provider(&self) -> Arc<CryptoProvider> {
        Arc::clone(&self.provider)
    }

    /// The system's roots, read on first use and then kept.
    pub(super) fn system_roots(&self) -> Arc<RootCertStore> {
        Arc::clone(self.system_roots.get_or_init(|| {
            let loaded = rustls_native_certs::load_native_certs();
            for error in &loaded.errors {
                tracing::warn!(%error, "some of the system's root certificates cannot be read");
            }
            let mut roots = RootCertStore::empty();
            let (added, ignored) = roots.add_parsable_certificates(loaded.certs);
            tracing::debug!(added, ignored, "read the system's root certificates");
            Arc::new(roots)
        }))
    }
}

/// What a transport has done, for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) open: AtomicUsize,
    pub(super) dials: AtomicU64,
    pub(super) dial_failures: AtomicU64,
}

impl Counters {
    /// Connections open or being made now, upgraded ones not counted.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Connections asked for so far.
    #[must_use]
    pub fn dials(&self) -> u64 {
        self.dials.load(Ordering::Relaxed)
    }

    /// Those of them that failed.
    #[must_use]
    pub fn dial_failures(&self) -> u64 {
        self.dial_failures.load(Ordering::Relaxed)
    }
}

/// Counts a connection from before it is made until it has ended.
pub(super) struct OpenConnection(Arc<Counters>);

impl OpenConnection {
    /// `None`: there are `most` already.
    pub(super) fn new(counters: &Arc<Counters>, most: usize) -> Option<Self> {
        let before = counters.open.fetch_add(1, Ordering::Relaxed);
        let counted = Self(Arc::clone(counters));
        (before < most).then_some(counted)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
