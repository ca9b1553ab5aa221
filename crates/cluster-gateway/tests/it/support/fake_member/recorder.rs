//! What a fake member was asked, and what it waits to be told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use tokio::sync::{Notify, mpsc};

/// The head of a request, as the member received it.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Request target: path and query, as on the wire.
    pub(crate) target: String,
    /// `:authority` of HTTP/2.
    pub(crate) authority: Option<String>,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    /// Number of the connection it came on.
    pub(crate) connection: usize,
    /// Whether the client showed a certificate.
    pub(crate) certificate: bool,
}

/// An open `/watch`.
#[derive(Debug)]
pub(crate) struct Watch(pub(super) mpsc::Sender<Result<Bytes, std::io::Error>>);

impl Watch {
    /// Sends an event.
    pub(crate) async fn send(&self, event: &'static str) {
        self.0.send(Ok(Bytes::from_static(event.as_bytes()))).await.unwrap();
    }

    /// Breaks the stream off.
    pub(crate) async fn fail(&self) {
        let _ = self.0.send(Err(std::io::ErrorKind::ConnectionReset.into())).await;
    }

    /// Waits until the client has gone away.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

#[derive(Debug, Default)]
pub(crate) struct Recorder {
    requests: Mutex<Vec<Request>>,
    watches: Mutex<Vec<Watch>>,
    upgraded: Mutex<Vec<u8>>,
    uploads: Mutex<Vec<Option<usize>>>,
    connections: AtomicUsize,
    changed: Notify,
}

impl Recorder {
    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The only request so far.
    pub(crate) fn only_request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }

    /// Connections accepted so far; failed handshakes count.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits for the next open watch and takes it.
    pub(crate) async fn watch(&self) -> Watch {
        self.until(|| self.watches.lock().unwrap().pop()).await
    }

    /// Waits until `count` watches are open and takes them.
    pub(crate) async fn watches(&self, count: usize) -> Vec<Watch> {
        self.until(|| {
            let mut watches = self.watches.lock().unwrap();
            (watches.len() >= count).then(|| watches.drain(..).collect())
        })
        .await
    }

    /// Waits until `count` requests have come.
    pub(crate) async fn received(&self, count: usize) {
        self.until(|| (self.requests.lock().unwrap().len() >= count).then_some(())).await;
    }

    /// All bytes that came behind upgrades so far.
    pub(crate) fn upgraded(&self) -> Vec<u8> {
        self.upgraded.lock().unwrap().clone()
    }

    /// How each body that was read has ended: its length, or `None` if it broke off.
    pub(crate) fn uploads(&self) -> Vec<Option<usize>> {
        self.uploads.lock().unwrap().clone()
    }

    pub(super) fn uploaded(&self, length: Option<usize>) {
        self.uploads.lock().unwrap().push(length);
        self.changed.notify_waiters();
    }

    pub(super) fn accepted(&self) -> usize {
        self.connections.fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn request(&self, request: Request) {
        self.requests.lock().unwrap().push(request);
        self.changed.notify_waiters();
    }

    pub(super) fn opened(&self, watch: Watch) {
        self.watches.lock().unwrap().push(watch);
        self.changed.notify_waiters();
    }

    pub(super) fn read(self: &Arc<Self>, bytes: &[u8]) {
        self.upgraded.lock().unwrap().extend_from_slice(bytes);
        self.changed.notify_waiters();
    }

    async fn until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(value) = ready() {
                return value;
            }
            changed.await;
        }
    }
}
