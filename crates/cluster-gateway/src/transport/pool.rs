//! Which connection a request takes.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::TryFutureExt;
use http::HeaderValue;
use http::uri::{Authority, Scheme};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

mod sibling;
mod tries;

pub(super) use tries::Tries;

use super::breaker::Breaker;
use super::dial::{Dialed, Dialer, Purpose};
use super::idle::{IdleConnections, lock};
use super::options::{Counters, OpenConnection};
use super::released::Released;
use super::{Failure, TransportError, TransportOptions, TransportSpec, h1, h2};

/// As long as anybody may wait for an answer that may begin at any time.
const NO_LIMIT: Duration = Duration::from_secs(365 * 24 * 3600);

/// The connections to one member. HTTP/2 ones are found without a lock.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) dialer: Dialer,
    authority: Authority,
    host: HeaderValue,
    shared: ArcSwap<Vec<Arc<h2::Connection>>>,
    idle: IdleConnections,
    /// The dial under way that everybody waits for who cannot be served.
    dialing: Mutex<Option<DialResult>>,
    released: Arc<Released>,
    /// The last connection was agreed to be HTTP/1.1: each request needs one of its own.
    http1: AtomicBool,
    /// Half idle timeouts passed since the first connection.
    tick: AtomicU32,
    sweeping: AtomicBool,
    /// Shared by transports to one member that differ in the client certificate only.
    breaker: Arc<Breaker>,
}

type DialResult = watch::Receiver<Option<Result<(), TransportError>>>;

/// A connection for one request.
pub(super) enum Lease {
    H2(h2::Slot),
    H1(h1::Connection),
}

impl Pool {
    pub(super) fn new(spec: TransportSpec, options: Arc<TransportOptions>) -> Self {
        // The registry has parsed the endpoint out of a URL. Should it not be an authority, no request must get
        // anywhere: `.invalid` is a host that never exists.
        let authority = Authority::try_from(spec.endpoint.authority())
            .unwrap_or_else(|_| Authority::from_static("member.invalid"));
        let host = HeaderValue::from_str(authority.as_str())
            .unwrap_or_else(|_| HeaderValue::from_static("member.invalid"));
        Self {
            dialer: Dialer::new(spec, options),
            authority,
            host,
            shared: ArcSwap::default(),
            idle: IdleConnections::default(),
            dialing: Mutex::default(),
            released: Arc::default(),
            http1: AtomicBool::new(false),
            tick: AtomicU32::new(0),
            sweeping: AtomicBool::new(false),
            breaker: Arc::new(Breaker::new()),
        }
    }

    pub(super) fn spec(&self) -> &TransportSpec {
        &self.dialer.spec
    }

    pub(super) fn options(&self) -> &TransportOptions {
        &self.dialer.options
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.dialer.counters
    }

    pub(super) fn released(&self) -> Arc<Released> {
        Arc::clone(&self.released)
    }

    pub(super) fn scheme(&self) -> &'static Scheme {
        if self.spec().endpoint.tls { &Scheme::HTTPS } else { &Scheme::HTTP }
    }

    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(super) fn host(&self) -> &HeaderValue {
        &self.host
    }

    pub(super) async fn dial(&self, purpose: Purpose) -> Result<Dialed, TransportError> {
        let dialed = self.dialer.dial(purpose).await;
        match &dialed {
            Err(error) => self.failed(error),
            // HTTP/2 has not agreed on anything yet.
            Ok(dialed) if dialed.http2 => {}
            Ok(_) => self.breaker.succeeded(),
        }
        dialed
    }

    pub(super) fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Tells the breaker what a connection failed of.
    pub(super) fn failed(&self, error: &TransportError) {
        if error.of_connection() {
            self.breaker.failed(&error.to_string());
        }
    }

    /// Waits for the head of an answer.
    pub(super) fn within_header_timeout<F: Future>(
        &self,
        limit: Option<Duration>,
        answer: F,
    ) -> impl Future<Output = Result<F::Output, Failure>> {
        // One kind of future instead of two: each request has room for what is made here.
        let limit = limit.unwrap_or(NO_LIMIT);
        timeout(limit, answer).map_err(move |_| TransportError::header_timeout(self.spec(), limit).into())
    }

    /// A connection for one request: one that stands if there is one, else a new one.
    pub(super) async fn lease(self: &Arc<Self>, tries: &mut Tries) -> Result<Lease, TransportError> {
        tries.take()?;
        if let Some(slot) = self.slot() {
            return Ok(Lease::H2(slot));
        }
        // Boxed: rare, and large; a request's future is moved and kept as a whole.
        Box::pin(self.lease_slowly(tries)).await
    }

    /// A connection for one request that has not been used before, or carries HTTP/2.
    pub(super) async fn lease_new(self: &Arc<Self>, tries: &mut Tries) -> Result<Lease, TransportError> {
        Box::pin(async {
            loop {
                tries.take()?;
                if let Some(lease) = self.own_connection().await? {
                    return Ok(lease);
                }
            }
        })
        .await
    }

    async fn lease_slowly(self: &Arc<Self>, tries: &mut Tries) -> Result<Lease, TransportError> {
        loop {
            if let Some(connection) = self.idle.take(self.options().http1_idle_timeout).await {
                return Ok(Lease::H1(connection));
            }
            let lease = if self.http1.load(Ordering::Relaxed) {
                self.own_connection().await?
            } else {
                self.shared_connection().await?
            };
            if let Some(lease) = lease {
                return Ok(lease);
            }
            tries.take()?;
        }
    }

    fn slot(&self) -> Option<h2::Slot> {
        self.shared.load().iter().find_map(h2::Connection::try_acquire)
    }

    /// Takes back an HTTP/1.1 connection after its answer.
    pub(super) fn bring_back(self: &Arc<Self>, connection: h1::Connection) {
        self.idle.put(connection, self.options().max_idle, self.tick.load(Ordering::Relaxed));
        self.sweep_later();
    }

    /// Dials for one request alone.
    async fn own_connection(self: &Arc<Self>) -> Result<Option<Lease>, TransportError> {
        self.breaker.admit()?;
        let open = self.room()?;
        let dialed = self.dial(Purpose::Pooled).await?;
        if dialed.http2 {
            self.share(dialed, open).await?;
            return Ok(self.slot().map(Lease::H2));
        }
        h1::Connection::start(dialed.stream, open, self).await.map(|connection| Some(Lease::H1(connection)))
    }

    /// Waits for the dial that is under way, or starts one; or for a place that becomes free meanwhile.
    async fn shared_connection(self: &Arc<Self>) -> Result<Option<Lease>, TransportError> {
        let _waiting = self.released.waiting();
        let mut freed = pin!(self.released.notified());
        freed.as_mut().enable();
        if let Some(slot) = self.slot() {
            return Ok(Some(Lease::H2(slot)));
        }
        // Before the dial under way is joined: it may be a trial, and only one request is to wait for that.
        self.breaker.admit()?;
        let mut dial = match self.join_dial()? {
            Joined::Slot(slot) => return Ok(Some(Lease::H2(slot))),
            Joined::Dial(dial) => dial,
        };
        tokio::select! {
            () = freed => {}
            result = dial.wait_for(Option::is_some) => {
                let result = result.map(|result| result.clone());
                match result {
                    Ok(Some(result)) => result?,
                    Ok(None) | Err(_) => return Err(TransportError::Dial("dial tcp: the dial was given up".into())),
                }
            }
        }
        Ok(self.slot().map(Lease::H2))
    }

    fn join_dial(self: &Arc<Self>) -> Result<Joined, TransportError> {
        let mut dialing = lock(&self.dialing);
        if let Some(dial) = &*dialing {
            return Ok(Joined::Dial(dial.clone()));
        }
        // A dial may have ended since we looked; it has published its connection before it left.
        if let Some(slot) = self.slot() {
            return Ok(Joined::Slot(slot));
        }
        let open = self.room()?;
        let (sender, dial) = watch::channel(None);
        *dialing = Some(dial.clone());
        drop(dialing);
        let ended = DialEnded(Arc::clone(self));
        tokio::spawn(async move {
            let result = ended.0.dial_for_all(open).await;
            drop(ended);
            sender.send_replace(Some(result));
        });
        Ok(Joined::Dial(dial))
    }

    async fn dial_for_all(self: &Arc<Self>, open: OpenConnection) -> Result<(), TransportError> {
        let dialed = self.dial(Purpose::Pooled).await?;
        if dialed.http2 {
            return self.share(dialed, open).await;
        }
        self.http1.store(true, Ordering::Relaxed);
        let connection = h1::Connection::start(dialed.stream, open, self).await?;
        self.bring_back(connection);
        Ok(())
    }

    async fn share(self: &Arc<Self>, dialed: Dialed, open: OpenConnection) -> Result<(), TransportError> {
        self.http1.store(false, Ordering::Relaxed);
        let connection = h2::Connection::start(dialed.stream, open, self).await;
        let connection = connection.inspect_err(|error| self.failed(error))?;
        self.breaker.succeeded();
        self.shared.rcu(|shared| {
            let mut shared = Vec::clone(shared);
            shared.push(Arc::clone(&connection));
            shared
        });
        if connection.is_closed() {
            self.remove(&connection);
        }
        self.sweep_later();
        Ok(())
    }

    /// Takes a connection out that can serve no more requests.
    pub(super) fn remove(&self, connection: &Arc<h2::Connection>) {
        self.shared.rcu(|shared| {
            shared.iter().filter(|other| !Arc::ptr_eq(other, connection)).cloned().collect::<Vec<_>>()
        });
    }

    /// Room for one more connection, taken before it is made: those who dial at the same time must see each other.
    fn room(&self) -> Result<OpenConnection, TransportError> {
        let most = self.options().max_connections;
        OpenConnection::new(&self.dialer.counters, most).ok_or_else(|| {
            let peer = self.spec().peer.name();
            TransportError::Saturated(format!("all {most} connections to the {peer} are in use"))
        })
    }

    /// Makes sure that idle connections are looked for as long as there are connections.
    fn sweep_later(self: &Arc<Self>) {
        if self.sweeping.swap(true, Ordering::AcqRel) {
            return;
        }
        let (pool, period) = (Arc::downgrade(self), self.options().idle_timeout / 2);
        tokio::spawn(async move {
            loop {
                sleep(period).await;
                if !pool.upgrade().is_some_and(|pool| pool.sweep()) {
                    return;
                }
            }
        });
    }

    /// Closes what nobody has used since the sweep before last. Returns whether it must be called again.
    fn sweep(&self) -> bool {
        let tick = self.tick.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.idle.sweep(tick, self.options().http1_idle_timeout);
        let unused: Vec<_> =
            self.shared.load().iter().filter(|connection| connection.idle_sweeps() > 2).cloned().collect();
        for connection in &unused {
            self.remove(connection);
        }
        self.has_connections() || self.has_more_to_sweep()
    }

    fn has_connections(&self) -> bool {
        !self.idle.is_empty() || !self.shared.load().is_empty()
    }

    /// Stops sweeping, unless a connection has come since we looked: whoever brought it saw us sweeping.
    fn has_more_to_sweep(&self) -> bool {
        self.sweeping.store(false, Ordering::Release);
        self.has_connections() && !self.sweeping.swap(true, Ordering::AcqRel)
    }
}

enum Joined {
    Slot(h2::Slot),
    Dial(DialResult),
}

/// Clears the dial under way, also if it panics, so that the next request starts another.
struct DialEnded(Arc<Pool>);

impl Drop for DialEnded {
    fn drop(&mut self) {
        *lock(&self.0.dialing) = None;
    }
}

#[cfg(test)]
mod tests;
