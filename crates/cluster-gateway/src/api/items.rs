//! Lists, written as the client takes them: ten thousand clusters are some megabytes of text, which nobody needs at once.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::Frame;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::compress::{self, Packing};
use super::negotiate::MetaVersion;
use super::object::{List, Object, Resource};
use super::pages::Page;
use super::table::{Include, PartialObjectMetadata, PartialObjectMetadataList, Row, Table};
use crate::body::{Body, BodyError};
use crate::status::Error;

/// Bytes that are written before others have their turn.
const PIECE: usize = 64 << 10;

/// What the objects of a list are turned into.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Object,
    Metadata(MetaVersion),
    Table(MetaVersion, Include),
}

/// A list in compact JSON, as far as it has been written.
pub(super) struct Items<R> {
    resource: R,
    page: Page,
    form: Form,
    now: OffsetDateTime,
    /// The object to be written next.
    next: usize,
    /// What stands behind the last object; taken when it has been written.
    tail: Option<Bytes>,
    text: Vec<u8>,
}

impl<R: Resource> Items<R> {
    /// # Errors
    /// [`Error::Internal`] if it cannot be written, which no type here can cause.
    pub(super) fn new(resource: R, mut page: Page, form: Form, now: OffsetDateTime) -> Result<Self, Error> {
        let metadata = std::mem::take(&mut page.metadata);
        let columns = Some(R::KIND.columns);
        let empty = match form {
            Form::Object => serde_json::to_vec(&List::<Value>::new(R::KIND, metadata, Vec::new())),
            Form::Metadata(version) => {
                serde_json::to_vec(&PartialObjectMetadataList::empty(version, metadata))
            }
            Form::Table(version, _) => serde_json::to_vec(&Table::<Value>::empty(version, metadata, columns)),
        };
        let mut text = empty.map_err(|error| Error::Internal(error.to_string()))?;
        // The list of objects comes last in all of them.
        text.truncate(text.len().saturating_sub(b"]}".len()));
        let tail = Some(Bytes::from_static(b"]}\n"));
        Ok(Self { resource, page, form, now, next: 0, tail, text })
    }

    /// The answer: a short list whole, a long one piece by piece, compressed if the client takes that (rule 208).
    pub(super) fn respond(mut self, request: &HeaderMap) -> Result<Response<Body>, Error> {
        while self.text.len() <= compress::THRESHOLD && self.tail.is_some() {
            self.write()?;
        }
        let packed = self.text.len() > compress::THRESHOLD && compress::accepts_gzip(request);
        let body = match (&self.tail, packed) {
            (None, false) => std::mem::take(&mut self.text).into(),
            _ => Body::boxed(Pieces { items: self, packing: packed.then(Packing::begin), pause: false }),
        };
        let mut response = Response::new(body);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if packed {
            compress::mark(response.headers_mut());
        }
        Ok(response)
    }

    /// Writes the next object, or what stands behind the last.
    fn write(&mut self) -> Result<(), Error> {
        let written = match self.page.object(self.resource, self.next) {
            Some(object) => {
                if self.next > 0 {
                    self.text.push(b',');
                }
                self.next += 1;
                match self.form {
                    Form::Object => put(&mut self.text, &object.show(R::KIND.typed_items)),
                    Form::Metadata(version) => {
                        put(&mut self.text, &PartialObjectMetadata::new(object.metadata(), version))
                    }
                    Form::Table(version, include) => {
                        put(&mut self.text, &Row::new(&object, version, include, self.now))
                    }
                }
            }
            None => {
                self.text.extend_from_slice(&self.tail.take().unwrap_or_default());
                Ok(())
            }
        };
        written.map_err(|error| Error::Internal(error.to_string()))
    }

    /// The next bytes; `None`: all have been written.
    fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        while self.text.len() < PIECE && self.tail.is_some() {
            self.write()?;
        }
        if self.text.is_empty() {
            return Ok(None);
        }
        // Room for the next piece, and for the object that goes beyond it.
        Ok(Some(std::mem::replace(&mut self.text, Vec::with_capacity(PIECE + PIECE / 8)).into()))
    }
}

fn put(text: &mut Vec<u8>, value: &impl Serialize) -> serde_json::Result<()> {
    serde_json::to_writer(text, value)
}

/// The body of a long list.
struct Pieces<R> {
    items: Items<R>,
    packing: Option<Packing>,
    /// A piece has just been written: others have their turn.
    pause: bool,
}

impl<R: Resource> http_body::Body for Pieces<R> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if std::mem::replace(&mut this.pause, false) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.pause = true;
        let piece = this.items.piece().map_err(|error| error.to_string())?;
        let piece = match (piece, &mut this.packing) {
            (Some(piece), Some(packing)) => Some(packing.add(&piece)?),
            (None, Some(_)) => this.packing.take().map(Packing::finish).transpose()?,
            (piece, None) => piece,
        };
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}
