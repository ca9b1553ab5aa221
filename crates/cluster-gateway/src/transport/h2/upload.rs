//! Request bodies on their way to a member.

use std::sync::Arc;

use bytes::Bytes;
use tokio::task::AbortHandle;

use super::Slot;
use super::joining::Joining;
use crate::body::{Body, Sending};

/// The task that sends a body. Dropping this ends it: nobody waits for more than the answer, and a member that has
/// stopped reading must not hold a place for ever.
pub(super) struct Upload(AbortHandle);

/// Sends `body` while the member is already answering. `slot` stays taken until the end.
pub(super) fn start(body: Body, stream: ::h2::SendStream<Bytes>, slot: Arc<Slot>) -> Upload {
    let body = Body::boxed(Joining::new(body));
    let task = tokio::spawn(async move {
        if let Err(error) = Sending::new(body, stream).await {
            tracing::debug!(%error, "a request's body was not sent to its end");
        }
        drop(slot);
    });
    Upload(task.abort_handle())
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.0.abort();
    }
}
