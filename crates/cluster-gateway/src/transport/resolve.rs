//! Names → addresses, a bounded number at a time.
//!
//! The system's resolver blocks a thread, for half a minute where the name servers are dead, and cannot be interrupted:
//! the thread is counted until it comes back, whoever has stopped waiting.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Look-ups at once, of all clusters together.
const MOST: usize = 128;
/// Look-ups at once of one cluster: those of a dead zone must not take the places of the others.
const MOST_OF_ONE: usize = 2;
/// Addresses of one name that are tried.
const MOST_ADDRESSES: usize = 32;

/// Looks up one name.
pub type Lookup = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Looks names up. One value, and its copies, serve all clusters.
#[derive(Clone)]
pub struct Resolver {
    lookup: Arc<Lookup>,
    places: Arc<Semaphore>,
}

impl Resolver {
    /// A resolver that asks `lookup`, which may block its thread. [`Resolver::default`] asks the system.
    pub fn new(lookup: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self { lookup: Arc::new(lookup), places: Arc::new(Semaphore::new(MOST)) }
    }

    /// The addresses of a name, in the order in which to try them.
    pub(super) async fn resolve(&self, share: &Share, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let places = [take(&share.0).await?, take(&self.places).await?];
        let (lookup, host) = (Arc::clone(&self.lookup), host.to_owned());
        let looking = tokio::task::spawn_blocking(move || {
            let found = lookup(&host, port);
            drop(places);
            found
        });
        let mut addresses = looking.await.map_err(io::Error::other)??;
        addresses.truncate(MOST_ADDRESSES);
        Ok(addresses)
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new(|host, port| Ok((host, port).to_socket_addrs()?.collect()))
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("places", &self.places.available_permits()).finish_non_exhaustive()
    }
}

/// One cluster's part of the look-ups.
#[derive(Debug)]
pub(super) struct Share(Arc<Semaphore>);

impl Default for Share {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_OF_ONE)))
    }
}

async fn take(places: &Arc<Semaphore>) -> io::Result<OwnedSemaphorePermit> {
    Arc::clone(places).acquire_owned().await.map_err(io::Error::other)
}
