//! A way to a member that can be shut: connections to it are relayed, closed, or left without an answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// They lead to the member.
    Open,
    /// They are closed at once, those that stand, too.
    Shut,
    /// New ones stay without an answer until the way is another; those that stand are closed.
    Silent,
}

/// The way; it ends when dropped.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    way: watch::Sender<Way>,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Gate {
    pub(crate) async fn before(member: SocketAddr, way: Way) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (way, watched) = watch::channel(way);
        let accepted = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(relay(socket, member, watched.clone()));
            }
        });
        Self { address, way, accepted, task }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(mut socket: TcpStream, member: SocketAddr, mut way: watch::Receiver<Way>) {
    let now = *way.borrow_and_update();
    match now {
        Way::Shut => {}
        Way::Silent => _ = way.changed().await,
        Way::Open => {
            let mut on = TcpStream::connect(member).await.unwrap();
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut socket, &mut on) => {}
                _ = way.changed() => {}
            }
        }
    }
}
