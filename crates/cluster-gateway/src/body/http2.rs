//! Bodies on HTTP/2 streams, in both directions.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use http_body::{Body as _, Frame};

use super::{Body, BodyError};

type Item = Option<Result<Frame<Bytes>, BodyError>>;

/// The next frame of a body that comes in. The window opens again as the reader reads.
pub(super) fn poll_received(stream: &mut RecvStream, cx: &mut Context<'_>) -> Poll<Item> {
    Poll::Ready(match ready!(stream.poll_data(cx)) {
        Some(Ok(data)) => {
            // Fails only for more than was received.
            let _ = stream.flow_control().release_capacity(data.len());
            Some(Ok(Frame::data(data)))
        }
        Some(Err(error)) => Some(Err(error.into())),
        None => match ready!(stream.poll_trailers(cx)) {
            Ok(trailers) => trailers.map(|trailers| Ok(Frame::trailers(trailers))),
            Err(error) => Some(Err(error.into())),
        },
    })
}

/// Sends a body on a stream, no faster than the peer reads. Ends when the body has been sent or the peer wants no more of
/// it; an error says that the stream was reset, by the peer or because the body broke off (contract rule 175).
pub struct Sending {
    body: Body,
    stream: SendStream<Bytes>,
    /// What has been read from the body and not been sent.
    ahead: Option<Item>,
    ended: bool,
}

impl std::fmt::Debug for Sending {
    /// Nothing of what is sent.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sending").field("body", &self.body).finish_non_exhaustive()
    }
}

/// What is known after data has been sent.
enum Sent {
    /// That was the end.
    All,
    /// The next frame has been read.
    MoreIsThere,
    /// The body will tell when there is more.
    MoreMayCome,
}

impl Drop for Sending {
    /// Whoever gives a body up before its end takes back what waits for room, too: left to itself, h2 would tell the peer
    /// only behind that.
    fn drop(&mut self) {
        if !self.ended {
            self.stream.send_reset(Reason::CANCEL);
        }
    }
}

impl Sending {
    /// Nothing is sent before this is polled.
    #[must_use]
    pub fn new(body: Body, stream: SendStream<Bytes>) -> Self {
        Self { body, stream, ahead: None, ended: false }
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Item> {
        match self.ahead.take() {
            Some(item) => Poll::Ready(item),
            None => Pin::new(&mut self.body).poll_frame(cx),
        }
    }

    /// Whether the peer has room for data. One byte is claimed, and only with data in hand: what one stream claims no
    /// other of the connection gets. What of a frame exceeds the room is kept in the connection.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        self.stream.reserve_capacity(1);
        while self.stream.capacity() == 0 {
            match ready!(self.stream.poll_capacity(cx)) {
                Some(room) => _ = room?,
                None => return Poll::Ready(Err("the stream ended before its body".into())),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends data, and with it the end of the stream if that is known by then.
    fn send(&mut self, data: Bytes, cx: &mut Context<'_>) -> Result<Sent, BodyError> {
        let sent = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(None) => Sent::All,
            Poll::Ready(item) => {
                self.ahead = Some(item);
                Sent::MoreIsThere
            }
            Poll::Pending => Sent::MoreMayCome,
        };
        self.stream.send_data(data, matches!(sent, Sent::All))?;
        Ok(sent)
    }

    /// Waits for the peer to want no more.
    fn poll_unwanted(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        match ready!(self.stream.poll_reset(cx))? {
            Reason::NO_ERROR => Poll::Ready(Ok(())),
            reason => Poll::Ready(Err(h2::Error::from(reason).into())),
        }
    }
}

impl Future for Sending {
    type Output = Result<(), BodyError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let result = ready!(this.poll_sent(cx));
        this.ended = true;
        Poll::Ready(result)
    }
}

impl Sending {
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        let this = self;
        loop {
            let Poll::Ready(item) = this.poll_item(cx) else { return this.poll_unwanted(cx) };
            let frame = match item {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    this.stream.send_reset(Reason::INTERNAL_ERROR);
                    return Poll::Ready(Err(error));
                }
                None => {
                    this.stream.send_data(Bytes::new(), true)?;
                    return Poll::Ready(Ok(()));
                }
            };
            match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    if this.poll_room(cx)?.is_pending() {
                        this.ahead = Some(Some(Ok(Frame::data(data))));
                        return this.poll_unwanted(cx);
                    }
                    match this.send(data, cx)? {
                        Sent::All => return Poll::Ready(Ok(())),
                        Sent::MoreIsThere => {}
                        // Whoever said that has others go first, and is not asked again before.
                        Sent::MoreMayCome => return this.poll_unwanted(cx),
                    }
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        this.stream.reserve_capacity(0);
                        this.stream.send_trailers(trailers)?;
                        return Poll::Ready(Ok(()));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
