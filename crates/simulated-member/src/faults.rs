//! Faults that tests switch on and off while the member runs.

mod body;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::tls::{Certificate, Certificates};

pub(crate) use body::{broken, huge_list};

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No answer at all; the connection stays open.
    StallBeforeHeaders,
    /// The body stops after so many bytes and never ends.
    StallMidBody {
        /// Bytes that still come.
        after: usize,
    },
    /// The TCP connection is reset, before the answer or after so many bytes of its body.
    Reset {
        /// Bytes that still come; `None`: not even headers.
        after: Option<usize>,
    },
    /// The body breaks off after so many bytes: over HTTP/2 only its stream is reset, over HTTP/1.1 the connection ends.
    Abort {
        /// Bytes that still come.
        after: usize,
    },
    /// `429` with `Retry-After`.
    TooManyRequests {
        /// Seconds to wait.
        retry_after: u64,
    },
    /// The body comes in small pieces with pauses between them.
    SlowBytes {
        /// Bytes in a piece, at least one.
        chunk: usize,
        /// The pause after each.
        every: Duration,
    },
    /// Every list has so many config maps, made while they are sent.
    HugeList {
        /// How many objects.
        objects: usize,
        /// Bytes of data in each.
        bytes: usize,
    },
}

/// The switches. A clone works on the same member.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    active: Mutex<Vec<Active>>,
    listening: watch::Sender<bool>,
    bound: watch::Receiver<bool>,
    connections: Mutex<CancellationToken>,
    going_away: Mutex<CancellationToken>,
    certificates: Arc<Certificates>,
}

#[derive(Debug, Clone)]
struct Active {
    prefix: String,
    fault: Fault,
    left: Option<usize>,
}

/// The listener's side of the switches.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) wanted: watch::Receiver<bool>,
    pub(crate) bound: watch::Sender<bool>,
}

impl Faults {
    pub(crate) fn new(certificates: Arc<Certificates>) -> (Self, Listening) {
        let (listening, wanted) = watch::channel(true);
        let (bound, is_bound) = watch::channel(true);
        let inner = Inner {
            active: Mutex::default(),
            listening,
            bound: is_bound,
            connections: Mutex::default(),
            going_away: Mutex::default(),
            certificates,
        };
        (Self(Arc::new(inner)), Listening { wanted, bound })
    }

    /// Lets every request fail in this way, until [`Faults::clear`]. Of several faults the one that was set last counts.
    pub fn set(&self, fault: Fault) {
        self.add("", fault, None);
    }

    /// The same for requests whose path begins with `prefix`.
    pub fn set_for(&self, prefix: &str, fault: Fault) {
        self.add(prefix, fault, None);
    }

    /// Lets the next `count` requests whose path begins with `prefix` fail.
    pub fn set_times(&self, prefix: &str, fault: Fault, count: usize) {
        self.add(prefix, fault, Some(count));
    }

    /// Ends all faults of requests. Those that a fault has caught stay caught.
    pub fn clear(&self) {
        self.active().clear();
    }

    /// Refuses new connections, by closing the port, or takes them again; open ones stay. Returns when it is so.
    pub async fn refuse_connections(&self, refuse: bool) {
        self.0.listening.send_replace(!refuse);
        let mut bound = self.0.bound.clone();
        // An error means that the member has stopped, and then nobody listens any more.
        let _ = bound.wait_for(|bound| *bound != refuse).await;
    }

    /// Resets every open connection, and closes those that have been upgraded.
    pub fn disconnect(&self) {
        let mut connections = self.0.connections.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *connections).cancel();
    }

    /// Sends GOAWAY on every open HTTP/2 connection: what is under way is answered, and then it closes.
    pub fn go_away(&self) {
        let mut going_away = self.0.going_away.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *going_away).cancel();
    }

    /// Shows another certificate from the next handshake on. Open connections stay: see [`Faults::disconnect`].
    ///
    /// # Errors
    /// If no such certificate can be made.
    pub fn show_certificate(&self, certificate: Certificate) -> anyhow::Result<()> {
        self.0.certificates.show(certificate)
    }

    /// What goes wrong with a request for `path`; one that fails a number of times counts it.
    pub(crate) fn catch(&self, path: &str) -> Option<Fault> {
        let mut active = self.active();
        let index = active.iter().rposition(|one| path.starts_with(&one.prefix))?;
        let fault = active[index].fault;
        if let Some(left) = &mut active[index].left {
            *left -= 1;
            if *left == 0 {
                active.remove(index);
            }
        }
        Some(fault)
    }

    /// Cancelled when all connections that are open now are to be reset.
    pub(crate) fn connection(&self) -> CancellationToken {
        self.0.connections.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Cancelled when all HTTP/2 connections that are open now are to be given up in good order.
    pub(crate) fn going_away(&self) -> CancellationToken {
        self.0.going_away.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, prefix: &str, fault: Fault, left: Option<usize>) {
        if left != Some(0) {
            self.active().push(Active { prefix: prefix.to_owned(), fault, left });
        }
    }

    fn active(&self) -> std::sync::MutexGuard<'_, Vec<Active>> {
        self.0.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Ca;

    fn faults() -> Faults {
        let certificates = Certificates::new(Ca::new("ca").unwrap(), vec!["localhost".to_owned()]).unwrap();
        Faults::new(Arc::new(certificates)).0
    }

    #[test]
    fn the_last_fault_that_fits_counts() {
        let faults = faults();
        assert_eq!(faults.catch("/a"), None);
        faults.set(Fault::StallBeforeHeaders);
        faults.set_for("/api", Fault::TooManyRequests { retry_after: 1 });
        assert_eq!(faults.catch("/a"), Some(Fault::StallBeforeHeaders));
        assert_eq!(faults.catch("/api/v1"), Some(Fault::TooManyRequests { retry_after: 1 }));
        faults.clear();
        assert_eq!(faults.catch("/api/v1"), None);
    }

    #[test]
    fn a_counted_fault_ends() {
        let faults = faults();
        faults.set_times("/a", Fault::StallBeforeHeaders, 2);
        let caught: Vec<bool> =
            ["/b", "/a", "/a", "/a"].iter().map(|path| faults.catch(path).is_some()).collect();
        assert_eq!(caught, [false, true, true, false]);
        faults.set_times("/a", Fault::StallBeforeHeaders, 0);
        assert_eq!(faults.catch("/a"), None);
    }
}
