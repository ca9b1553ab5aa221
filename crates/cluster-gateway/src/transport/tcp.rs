//! TCP connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::resolve::Share;
use super::{AddressPolicy, Resolver, TransportError};

/// The least time an address gets before the next one is tried.
const LEAST_TIME: Duration = Duration::from_secs(2);
/// Silence after which the kernel asks whether the peer is still there (rule 189), how often it asks and how many times.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(5), Duration::from_secs(2), 2);

/// Connects to `host` within `limit`. Its addresses are tried one after the other; the first failure is the one that is
/// reported.
pub(super) async fn connect(
    host: &str,
    port: u16,
    limit: Duration,
    addresses: AddressPolicy,
    lookups: (&Resolver, &Share),
) -> Result<TcpStream, TransportError> {
    let deadline = Instant::now() + limit;
    let found = resolve(host, port, deadline, lookups).await?;
    let mut first_failure = None;
    for (index, &address) in found.iter().enumerate() {
        let share = share(deadline, found.len() - index);
        match connect_to(address, share, addresses).await {
            Ok(stream) => return Ok(stream),
            Err(failure) => first_failure = first_failure.or(Some(failure)),
        }
    }
    Err(first_failure
        .unwrap_or_else(|| TransportError::Dial(format!("dial tcp: lookup {host}: no such host"))))
}

async fn resolve(
    host: &str,
    port: u16,
    deadline: Instant,
    (resolver, share): (&Resolver, &Share),
) -> Result<Vec<SocketAddr>, TransportError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    match timeout_at(deadline, resolver.resolve(share, host, port)).await {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(TransportError::lookup(host, &error)),
        Err(_) => Err(TransportError::lookup_timeout(host)),
    }
}

async fn connect_to(
    address: SocketAddr,
    deadline: Instant,
    addresses: AddressPolicy,
) -> Result<TcpStream, TransportError> {
    if let Some(kind) = addresses.denial(address.ip()) {
        return Err(TransportError::denied(address, kind));
    }
    let stream = timeout_at(deadline, TcpStream::connect(address))
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

/// When the next of `left` addresses must have answered: a fair part of the time that is left, if that is enough.
fn share(deadline: Instant, left: usize) -> Instant {
    let now = Instant::now();
    let remaining = deadline.saturating_duration_since(now);
    let part = remaining / u32::try_from(left).unwrap_or(u32::MAX).max(1);
    now + part.max(LEAST_TIME).min(remaining)
}
