//! Table and PartialObjectMetadata: the representations that kubectl and metadata clients ask for (contract rules
//! 200-205).

use cluster_gateway_client::v1alpha1::Metadata;
use serde::Serialize;
use serde_json::Value;
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
pub(super) struct Table<T> {
    kind: &'static str,
    api_version: &'static str,
    metadata: ListMeta,
    column_definitions: Option<&'static [Column]>,
    rows: Vec<Row<T>>,
}

#[derive(Serialize)]
struct Row<T> {
    cells: Vec<Value>,
    object: Option<RowObject<T>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum RowObject<T> {
    Metadata(PartialObjectMetadata),
    Object(T),
}

impl<T: Serialize> Table<T> {
    /// `columns`: `None` in all events of a watch but the first.
    pub(super) fn new<O: Object<Shown = T>>(
        objects: &[O],
        version: MetaVersion,
        include: Include,
        now: OffsetDateTime,
        metadata: ListMeta,
        columns: Option<&'static [Column]>,
    ) -> Self {
        let rows = objects.iter().map(|object| Row {
            cells: object.cells(now),
            object: match include {
                Include::None => None,
                Include::Metadata => {
                    Some(RowObject::Metadata(PartialObjectMetadata::new(object.metadata(), version)))
                }
                Include::Object => Some(RowObject::Object(object.show(true))),
            },
        });
        Self {
            kind: "Table",
            api_version: api_version(version),
            metadata,
            column_definitions: columns,
            rows: rows.collect(),
        }
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
        Self {
            kind: "PartialObjectMetadataList",
            api_version: api_version(version),
            metadata,
            items: objects
                .iter()
                .map(|object| PartialObjectMetadata::new(object.metadata(), version))
                .collect(),
        }
    }
}

/// `apiVersion` of the representations.
pub(super) fn api_version(version: MetaVersion) -> &'static str {
    match version {
        MetaVersion::V1 => "meta.k8s.io/v1",
        MetaVersion::V1beta1 => "meta.k8s.io/v1beta1",
    }
}
