//! Table and PartialObjectMetadata: the representations that kubectl and metadata clients ask for (contract rules
//! 200-205).

use std::borrow::Cow;

use cluster_gateway_client::v1alpha1::Metadata;
use serde::Serialize;
use time::OffsetDateTime;

use super::negotiate::MetaVersion;
use super::object::Object;
use super::pages::ListMeta;
use crate::request::query_value;
use crate::status::Error;

/// A column of a [`Table`].
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Column {
    pub(super) name: &'static str,
    #[serde(rename = "type")]
    pub(super) column_type: &'static str,
    pub(super) format: &'static str,
    pub(super) description: &'static str,
    pub(super) priority: i32,
}

/// What stands in a row beside its cells (rule 202).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Include {
    None,
    Metadata,
    Object,
}

impl Include {
    /// Reads `includeObject`.
    ///
    /// # Errors
    /// [`Error::BadRequest`] on any other value.
    pub(super) fn parse(query: &str) -> Result<Self, Error> {
        let value = query_value(query, "includeObject").unwrap_or_default();
        match &*value {
            "" | "Metadata" => Ok(Self::Metadata),
            "Object" => Ok(Self::Object),
            "None" => Ok(Self::None),
            other => Err(Error::BadRequest(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', \
                 'Object', 'None', or empty"
            ))),
        }
    }
}

/// Rows and columns.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Table<'a, T> {
    kind: &'static str,
    api_version: &'static str,
    metadata: ListMeta,
    column_definitions: Option<&'static [Column]>,
    rows: Vec<Row<'a, T>>,
}

/// A row of a [`Table`].
#[derive(Serialize)]
pub(super) struct Row<'a, T> {
    cells: Vec<Cell<'a>>,
    object: Option<RowObject<T>>,
}

/// A cell of a [`Row`].
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Cell<'a> {
    Text(Cow<'a, str>),
    Bool(bool),
    Null,
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<Cow<'a, str>> for Cell<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Cell<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum RowObject<T> {
    Metadata(PartialObjectMetadata),
    Object(T),
}

impl<'a, T: Serialize> Row<'a, T> {
    pub(super) fn new<O: Object<Shown = T>>(
        object: &'a O,
        version: MetaVersion,
        include: Include,
        now: OffsetDateTime,
    ) -> Self {
        let cells = object.cells(now);
        let object = match include {
            Include::None => None,
            Include::Metadata => {
                Some(RowObject::Metadata(PartialObjectMetadata::new(object.metadata(), version)))
            }
            Include::Object => Some(RowObject::Object(object.show(true))),
        };
        Self { cells, object }
    }
}

impl<'a, T: Serialize> Table<'a, T> {
    /// `columns`: `None` in all events of a watch but the first.
    pub(super) fn new<O: Object<Shown = T>>(
        objects: &'a [O],
        version: MetaVersion,
        include: Include,
        now: OffsetDateTime,
        metadata: ListMeta,
        columns: Option<&'static [Column]>,
    ) -> Self {
        let rows = objects.iter().map(|object| Row::new(object, version, include, now)).collect();
        Self { rows, ..Self::empty(version, metadata, columns) }
    }

    pub(super) fn empty(
        version: MetaVersion,
        metadata: ListMeta,
        columns: Option<&'static [Column]>,
    ) -> Self {
        let api_version = api_version(version);
        Self { kind: "Table", api_version, metadata, column_definitions: columns, rows: Vec::new() }
    }
}

/// The metadata of one object.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartialObjectMetadata {
    kind: &'static str,
    api_version: &'static str,
    metadata: Metadata,
}

impl PartialObjectMetadata {
    pub(super) fn new(metadata: Metadata, version: MetaVersion) -> Self {
        Self { kind: "PartialObjectMetadata", api_version: api_version(version), metadata }
    }
}

/// The metadata of many objects.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartialObjectMetadataList {
    kind: &'static str,
    api_version: &'static str,
    metadata: ListMeta,
    items: Vec<PartialObjectMetadata>,
}

impl PartialObjectMetadataList {
    pub(super) fn new(objects: &[impl Object], version: MetaVersion, metadata: ListMeta) -> Self {
        let items = objects.iter().map(|object| PartialObjectMetadata::new(object.metadata(), version));
        Self { items: items.collect(), ..Self::empty(version, metadata) }
    }

    pub(super) fn empty(version: MetaVersion, metadata: ListMeta) -> Self {
        let api_version = api_version(version);
        Self { kind: "PartialObjectMetadataList", api_version, metadata, items: Vec::new() }
    }
}

/// `apiVersion` of the representations.
pub(super) fn api_version(version: MetaVersion) -> &'static str {
    match version {
        MetaVersion::V1 => "meta.k8s.io/v1",
        MetaVersion::V1beta1 => "meta.k8s.io/v1beta1",
    }
}
