//! The one body type, for requests and responses on both sides.
//!
//! It never buffers. Whatever must live exactly as long as the stream (a slot, the record of a request) is tied to it
//! and dropped with it, also when nobody reads to the end.

use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

mod http2;

pub use http2::Sending;

/// Error of a stream that broke: the peer sees an aborted stream, never a clean end (contract rule 175).
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Watches a body pass; told once how it ended.
pub trait Observer: Send {
    /// `length` bytes of data pass.
    fn data(&mut self, length: usize);
    /// The body ended: `Ok` cleanly, `Err` broken by its sender. Not called when the reader went away first; the
    /// observer is dropped then.
    fn end(&mut self, result: Result<(), &BodyError>);
}

/// A request's or a response's body.
pub struct Body {
    inner: Inner,
    observer: Option<Box<dyn Observer>>,
    trailers: Option<fn(&mut HeaderMap)>,
    guards: Vec<Box<dyn Any + Send>>,
}

enum Inner {
    Full(Option<Bytes>),
    Incoming(Incoming),
    Received(RecvStream),
    Boxed(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BodyError> + Send>>),
}

impl Inner {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        use http_body::Body as _;
        Poll::Ready(match self {
            Self::Full(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
            Self::Incoming(incoming) => {
                ready!(Pin::new(incoming).poll_frame(cx)).map(|frame| frame.map_err(BodyError::from))
            }
            Self::Received(stream) => ready!(http2::poll_received(stream, cx)),
            Self::Boxed(body) => ready!(body.as_mut().poll_frame(cx)),
        })
    }
}

impl Body {
    /// A body of no bytes.
    #[must_use]
    pub fn empty() -> Self {
        Inner::Full(None).into()
    }

    /// A body that comes in over HTTP/2. A stream that is reset, whatever the reason, has not ended cleanly (rule 175).
    #[must_use]
    pub fn received(stream: RecvStream) -> Self {
        Inner::Received(stream).into()
    }

    /// Any other body, for documents made as they are read and for tests.
    pub fn boxed(body: impl http_body::Body<Data = Bytes, Error = BodyError> + Send + 'static) -> Self {
        Inner::Boxed(Box::pin(body)).into()
    }

    /// As [`Body::boxed`], for a body whose errors are of another type.
    pub fn boxed_any<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        use http_body_util::BodyExt as _;
        Self::boxed(body.map_err(Into::into))
    }

    /// Keeps `guard` until the body has been read to its end or is dropped.
    #[must_use]
    pub fn holding(mut self, guard: impl Any + Send) -> Self {
        self.guards.push(Box::new(guard));
        self
    }

    /// Lets `observer` see what passes. A body has at most one; a second replaces the first.
    #[must_use]
    pub fn observed(mut self, observer: Box<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Takes away from the trailers what `filter` takes away; none left, none are sent. A second filter replaces the
    /// first.
    #[must_use]
    pub fn filtering_trailers(mut self, filter: fn(&mut HeaderMap)) -> Self {
        self.trailers = Some(filter);
        self
    }

    /// The bytes of a body that is there as a whole and has not been read.
    #[must_use]
    pub fn as_full(&self) -> Option<&Bytes> {
        match &self.inner {
            Inner::Full(bytes) => bytes.as_ref(),
            Inner::Incoming(_) | Inner::Received(_) | Inner::Boxed(_) => None,
        }
    }

    fn finish(&mut self, result: Result<(), &BodyError>) {
        if let Some(mut observer) = self.observer.take() {
            observer.end(result);
        }
        self.guards.clear();
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = &mut *self;
        let frame = loop {
            let mut frame = ready!(this.inner.poll(cx));
            if let (Some(filter), Some(Ok(frame))) = (this.trailers, &mut frame)
                && let Some(trailers) = frame.trailers_mut()
            {
                filter(trailers);
                if trailers.is_empty() {
                    continue;
                }
            }
            break frame;
        };
        match &frame {
            Some(Ok(frame)) => {
                if let (Some(observer), Some(data)) = (&mut this.observer, frame.data_ref()) {
                    observer.data(data.len());
                }
            }
            Some(Err(error)) => this.finish(Err(error)),
            None => this.finish(Ok(())),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        // An observer learns of the end only by being polled once more.
        self.observer.is_none()
            && match &self.inner {
                Inner::Full(bytes) => bytes.is_none(),
                Inner::Incoming(incoming) => incoming.is_end_stream(),
                Inner::Received(stream) => stream.is_end_stream(),
                Inner::Boxed(body) => body.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Inner::Incoming(incoming) => incoming.size_hint(),
            Inner::Received(stream) if stream.is_end_stream() => SizeHint::with_exact(0),
            Inner::Received(_) => SizeHint::default(),
            Inner::Boxed(body) => body.size_hint(),
        }
    }
}

impl Default for Body {
    /// A body of no bytes.
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Inner> for Body {
    fn from(inner: Inner) -> Self {
        Self { inner, observer: None, trailers: None, guards: Vec::new() }
    }
}

impl From<Incoming> for Body {
    fn from(incoming: Incoming) -> Self {
        Inner::Incoming(incoming).into()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Inner::Full(Some(bytes).filter(|bytes| !bytes.is_empty())).into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match &self.inner {
            Inner::Full(_) => "Full",
            Inner::Incoming(_) | Inner::Received(_) => "Incoming",
            Inner::Boxed(_) => "Boxed",
        };
        f.debug_tuple("Body").field(&kind).finish()
    }
}
