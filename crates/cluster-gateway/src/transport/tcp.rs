//! TCP to a host that may have several addresses: the next one is tried soon, and what answered is remembered.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::idle::lock;
use super::resolve::Share;
use super::{AddressPolicy, Resolver, TransportError};

/// How long an address is waited for before the next one is tried beside it (RFC 8305, section 5).
const STAGGER: Duration = Duration::from_millis(250);
/// How long an address that failed is tried after the others.
const DEMOTION: Duration = Duration::from_secs(60);
/// Silence after which the kernel asks whether the peer is still there (rule 189), how often it asks and how many times.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(5), Duration::from_secs(2), 2);

/// How to connect.
#[derive(Clone, Copy)]
pub(super) struct Manner<'m> {
    /// When look-up and connect must be through.
    pub(super) deadline: Instant,
    /// Which addresses may be dialled.
    pub(super) policy: AddressPolicy,
    /// Who looks names up.
    pub(super) resolver: &'m Resolver,
}

/// What is known of the addresses of one host.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    memory: Mutex<Memory>,
    lookups: Share,
}

#[derive(Debug, Default)]
struct Memory {
    /// The one that answered last.
    good: Option<SocketAddr>,
    /// Those that failed, and when.
    failed: Vec<(SocketAddr, Instant)>,
}

impl Addresses {
    /// Connects to `host`, a name or an address. Of several addresses the one that answered last comes first and those
    /// that failed lately come last; the first failure in that order is the one that is reported.
    ///
    /// # Errors
    /// [`TransportError::Dial`], in Go's words (rule 177).
    pub(super) async fn connect(
        &self,
        (host, port): (&str, u16),
        manner: Manner<'_>,
    ) -> Result<TcpStream, TransportError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return dial(SocketAddr::new(address, port), manner).await;
        }
        let looking = manner.resolver.resolve(&self.lookups, host, port);
        let mut addresses = match timeout_at(manner.deadline, looking).await {
            Ok(found) => found.map_err(|error| TransportError::lookup(host, &error))?,
            Err(_) => return Err(TransportError::lookup_timeout(host)),
        };
        lock(&self.memory).sort(&mut addresses);
        let nothing = TransportError::Dial(format!("dial tcp: lookup {host}: no such host"));
        self.race(addresses, |address| dial(address, manner)).await.map_err(|e| e.unwrap_or(nothing))
    }

    /// Tries addresses, each a little after the one before or as soon as all before have failed; the first that answers
    /// wins. `Err(None)`: there is none.
    async fn race<S, F: Future<Output = Result<S, TransportError>>>(
        &self,
        addresses: Vec<SocketAddr>,
        dial: impl Fn(SocketAddr) -> F,
    ) -> Result<S, Option<TransportError>> {
        let mut waiting = addresses.into_iter().enumerate();
        let mut begun = FuturesUnordered::new();
        let mut first_failure: Option<(usize, TransportError)> = None;
        let mut next = Instant::now();
        loop {
            tokio::select! {
                Some((index, address, result)) = begun.next() => match result {
                    Ok(stream) => {
                        lock(&self.memory).answered(address);
                        return Ok(stream);
                    }
                    Err(failure) => {
                        lock(&self.memory).failed(address);
                        if first_failure.as_ref().is_none_or(|(first, _)| index < *first) {
                            first_failure = Some((index, failure));
                        }
                        next = Instant::now();
                    }
                },
                () = sleep_until(next), if waiting.len() > 0 => {
                    if let Some((index, address)) = waiting.next() {
                        let dial = dial(address);
                        begun.push(async move { (index, address, dial.await) });
                    }
                    next = Instant::now() + STAGGER;
                }
                else => return Err(first_failure.map(|(_, failure)| failure)),
            }
        }
    }
}

impl Memory {
    fn sort(&mut self, addresses: &mut [SocketAddr]) {
        self.failed.retain(|(address, when)| when.elapsed() < DEMOTION && addresses.contains(address));
        addresses.sort_by_key(|address| {
            let failed = self.failed.iter().any(|(failed, _)| failed == address);
            (self.good != Some(*address), failed)
        });
    }

    fn answered(&mut self, address: SocketAddr) {
        self.good = Some(address);
        self.failed.retain(|(failed, _)| *failed != address);
    }

    fn failed(&mut self, address: SocketAddr) {
        self.good = self.good.filter(|good| *good != address);
        self.failed.retain(|(failed, _)| *failed != address);
        self.failed.push((address, Instant::now()));
    }
}

/// Connects to one address.
///
/// # Errors
/// [`TransportError::Dial`], in Go's words (rule 177).
pub(super) async fn dial(address: SocketAddr, manner: Manner<'_>) -> Result<TcpStream, TransportError> {
    if let Some(kind) = manner.policy.denial(address.ip()) {
        return Err(TransportError::denied(address, kind));
    }
    let stream = timeout_at(manner.deadline, TcpStream::connect(address))
        .await
        .map_err(|_| TransportError::connect_timeout(address))?
        .map_err(|error| TransportError::connect(address, &error))?;
    prepare(&stream).map_err(|error| TransportError::connect(address, &error))?;
    Ok(stream)
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (time, interval, retries) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(retries);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// How long data may stay unacknowledged before the kernel ends the connection; `None`: as long as it does by itself.
pub(super) fn limit_unacknowledged(stream: &TcpStream, limit: Option<Duration>) {
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(limit) {
        tracing::debug!(%error, "the limit for unacknowledged data stays as it is");
    }
}

#[cfg(test)]
mod tests;
