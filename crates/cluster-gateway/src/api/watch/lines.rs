//! The lines of a watch, in the representation that was asked for.

use bytes::Bytes;
use serde::Serialize;

use crate::api::Clock;
use crate::api::discovery::group_version;
use crate::api::negotiate::MetaVersion;
use crate::api::object::{Object, Resource};
use crate::api::pages::ListMeta;
use crate::api::table::{Column, Include, PartialObjectMetadata, Table, api_version};
use crate::status::{Error, Status};

/// What objects are turned into.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    Object,
    Metadata(MetaVersion),
    Table(MetaVersion, Include),
}

/// What has happened to an object.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Type {
    Added,
    Modified,
    Deleted,
    Bookmark,
    Error,
}

#[derive(Serialize)]
struct Event<T> {
    #[serde(rename = "type")]
    kind: Type,
    object: T,
}

/// Lines that are to be sent together.
pub(super) struct Lines {
    form: Form,
    clock: Clock,
    text: Vec<u8>,
    /// Tables name their columns in the first event only.
    columns_sent: bool,
}

impl Lines {
    pub(super) fn new(form: Form, clock: Clock) -> Self {
        Self { form, clock, text: Vec::new(), columns_sent: false }
    }

    /// Bytes that are waiting.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn take(&mut self) -> Option<Bytes> {
        (!self.text.is_empty()).then(|| std::mem::take(&mut self.text).into())
    }

    pub(super) fn event<R: Resource>(&mut self, kind: Type, object: &R::Object<'_>) {
        match self.form {
            Form::Object => self.line(kind, object.show(true)),
            Form::Metadata(version) => {
                self.line(kind, PartialObjectMetadata::new(object.metadata(), version))
            }
            Form::Table(version, include) => {
                let version_of_object = object.metadata().resource_version;
                let metadata = ListMeta { resource_version: version_of_object, ..ListMeta::default() };
                let objects = std::slice::from_ref(object);
                let columns = self.columns::<R>();
                self.line(kind, Table::new(objects, version, include, (self.clock)(), metadata, columns));
            }
        }
    }

    /// Says that everything up to this version has been sent; `initial`: that this was all that was there.
    pub(super) fn bookmark<R: Resource>(&mut self, version: u64, initial: bool) {
        let (kind, api_version, rows) = match self.form {
            Form::Object => (R::KIND.one, group_version(), None),
            Form::Metadata(version) => ("PartialObjectMetadata", api_version(version).to_owned(), None),
            Form::Table(version, _) => ("Table", api_version(version).to_owned(), Some([])),
        };
        let annotations = initial.then_some(InitialEventsEnd { end: "true" });
        let metadata =
            BookmarkMeta { resource_version: version.to_string(), creation_timestamp: None, annotations };
        let column_definitions = rows.and_then(|_| self.columns::<R>());
        self.line(Type::Bookmark, Bookmark { kind, api_version, metadata, column_definitions, rows });
    }

    /// Says why the watch ends.
    pub(super) fn error(&mut self, error: &Error) {
        self.line(Type::Error, Status::from(error));
    }

    fn columns<R: Resource>(&mut self) -> Option<&'static [Column]> {
        (!std::mem::replace(&mut self.columns_sent, true)).then_some(R::KIND.columns)
    }

    fn line(&mut self, kind: Type, object: impl Serialize) {
        let length = self.text.len();
        match serde_json::to_writer(&mut self.text, &Event { kind, object }) {
            Ok(()) => self.text.push(b'\n'),
            // No type here can fail; half a line must not be sent in any case.
            Err(_) => self.text.truncate(length),
        }
    }
}

/// An object of which only the version counts.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bookmark {
    kind: &'static str,
    api_version: String,
    metadata: BookmarkMeta,
    #[serde(skip_serializing_if = "Option::is_none")]
    column_definitions: Option<&'static [Column]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<[(); 0]>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMeta {
    resource_version: String,
    creation_timestamp: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<InitialEventsEnd>,
}

#[derive(Serialize)]
struct InitialEventsEnd {
    #[serde(rename = "k8s.io/initial-events-end")]
    end: &'static str,
}
