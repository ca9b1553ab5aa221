//! Small frames of a request's body leave together.
//!
//! Many share the connection, and servers count frames of a few bytes, which cost them more than they bring: they end the
//! connection on which such frames pile up.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};

use crate::body::{Body, BodyError};

/// Frames of fewer bytes wait for those that are there already.
const SMALL: usize = 1024;
/// Bytes that are joined to one frame.
const JOINED: usize = 16 * 1024;

/// A body whose small frames leave together.
pub(super) struct Joining {
    body: Body,
    /// What came behind the frames that were joined.
    next: Option<Polled>,
}

type Polled = Option<Result<Frame<Bytes>, BodyError>>;

impl http_body::Body for Joining {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Polled> {
        if let Some(next) = self.next.take() {
            return Poll::Ready(next);
        }
        let first = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if data.len() < SMALL => data,
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(other) => return Poll::Ready(Some(Ok(other))),
            },
            end => return Poll::Ready(end),
        };
        let data = self.join(first, cx);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.next.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Joining {
    pub(super) fn new(body: Body) -> Self {
        Self { body, next: None }
    }

    /// Adds what is there to `first`. Whoever is told [`Poll::Pending`] here is told again when it asks again.
    fn join(&mut self, first: Bytes, cx: &mut Context<'_>) -> Bytes {
        let mut joined = BytesMut::new();
        while joined.len() < JOINED && !self.body.is_end_stream() {
            let polled = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(polled) => polled,
            };
            match polled.as_ref().and_then(|frame| frame.as_ref().ok()).and_then(Frame::data_ref) {
                Some(data) if data.len() < SMALL => {
                    if joined.is_empty() {
                        joined.extend_from_slice(&first);
                    }
                    joined.extend_from_slice(data);
                }
                _ => {
                    self.next = Some(polled);
                    break;
                }
            }
        }
        if joined.is_empty() { first } else { joined.freeze() }
    }
}

#[cfg(test)]
mod tests;
