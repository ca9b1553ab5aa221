//! What the two resources have in common: how one object or a list of them is selected, turned and written.

use cluster_gateway_client::v1alpha1::Metadata;
use http::Response;
use http::request::Parts;
use serde::Serialize;
use serde_json::Value;

use super::discovery::group_version;
use super::encode::respond;
use super::negotiate::{Format, Offer, Output, Target, Transform, negotiate};
use super::options::{ListOptions, refuse_export};
use super::table::{Column, Include, PartialObjectMetadata, PartialObjectMetadataList, Table};
use crate::body::Body;
use crate::request::ResourceTarget;
use crate::status::{Error, NotAcceptable};

/// What is said of a resource's objects.
pub(super) struct Kind {
    /// Resource, plural.
    pub(super) resource: &'static str,
    /// Kind of a list.
    pub(super) list: &'static str,
    /// Columns of its Table.
    pub(super) columns: &'static [Column],
    /// Whether items of a plain list carry kind and apiVersion (rule 212).
    pub(super) typed_items: bool,
    /// 406 of one object and of a list in protobuf (rule 206).
    pub(super) protobuf: [&'static str; 2],
    /// 406 of a list as one `PartialObjectMetadata`, and of one object as a list of them (rule 205).
    pub(super) partial: [&'static str; 2],
}

/// An object of one of the resources.
pub(super) trait Object: Serialize {
    const KIND: &'static Kind;
    fn metadata(&self) -> &Metadata;
    /// Cells of its row, one per column.
    fn cells(&self) -> Vec<Value>;
    /// The object with kind and apiVersion.
    fn typed(self) -> Self;
}

/// `meta.k8s.io` transforms, in both formats (rules 200, 201, 205).
fn transform(target: &Target<'_>, _: Format) -> Option<Transform> {
    use super::negotiate::MetaVersion::{V1, V1beta1};
    let version = match (target.group, target.version) {
        ("meta.k8s.io", "v1") => V1,
        ("meta.k8s.io", "v1beta1") => V1beta1,
        _ => return None,
    };
    match target.kind {
        "Table" => Some(Transform::Table(version)),
        "PartialObjectMetadata" => Some(Transform::PartialObjectMetadata(version)),
        "PartialObjectMetadataList" => Some(Transform::PartialObjectMetadataList(version)),
        _ => None,
    }
}

const ONE: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
const MANY: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf, \
                    application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

/// Answers a GET of one object; `find` is called once the representation and the options are agreed on.
pub(super) fn get<T: Object>(
    parts: &Parts,
    find: impl FnOnce() -> Result<T, Error>,
) -> Result<Response<Body>, Error> {
    let output = accepted::<T>(parts)?;
    refuse_export(parts.uri.query().unwrap_or_default())?;
    one(find()?, parts, output)
}

/// The representation in which one object is to be written.
pub(super) fn accepted<T: Object>(parts: &Parts) -> Result<Output, Error> {
    let offer = Offer { representations: ONE, protobuf: T::KIND.protobuf[0], transform };
    let output = negotiate(parts, &offer)?;
    match output.transform {
        Some(Transform::PartialObjectMetadataList(_)) => {
            Err(Error::NotAcceptable(NotAcceptable::Object(T::KIND.partial[1])))
        }
        _ => Ok(output),
    }
}

/// Writes one object.
pub(super) fn one<T: Object>(object: T, parts: &Parts, output: Output) -> Result<Response<Body>, Error> {
    match output.transform {
        Some(Transform::Table(version)) => {
            let include = Include::parse(parts.uri.query().unwrap_or_default())?;
            respond(&Table::new(vec![object], version, include), output)
        }
        Some(Transform::PartialObjectMetadata(version)) => {
            respond(&PartialObjectMetadata::new(object.metadata(), version), output)
        }
        Some(Transform::PartialObjectMetadataList(_) | Transform::Discovery(_)) | None => {
            respond(&object.typed(), output)
        }
    }
}

/// Answers a GET of the collection in the order that `all` gives it. The options are applied to what is shown, and so
/// is the name that was authorized (rule 92).
pub(super) fn list<T: Object>(
    target: &ResourceTarget,
    parts: &Parts,
    all: impl FnOnce(&ListOptions) -> Result<Vec<T>, Error>,
) -> Result<Response<Body>, Error> {
    let query = parts.uri.query().unwrap_or_default();
    let offer = Offer { representations: MANY, protobuf: T::KIND.protobuf[1], transform };
    let output = negotiate(parts, &offer)?;
    let options = ListOptions::parse(query)?;
    if options.watch {
        return Err(Error::WatchNotSupported(T::KIND.resource));
    }
    if options.continues {
        return Err(Error::Expired(
            "The provided continue parameter is unknown here: lists are never cut into pages. Ask again without it."
                .to_owned(),
        ));
    }
    let mut objects = all(&options)?;
    objects.retain(|object| {
        let name = &object.metadata().name;
        options.fields.matches(name) && (target.name.is_empty() || target.name == *name)
    });
    write_list(objects, query, output)
}

fn write_list<T: Object>(objects: Vec<T>, query: &str, output: Output) -> Result<Response<Body>, Error> {
    match output.transform {
        Some(Transform::Table(version)) => {
            let include = Include::parse(query)?;
            respond(&Table::new(objects, version, include), output)
        }
        Some(Transform::PartialObjectMetadataList(version)) => {
            let metadata = objects.iter().map(Object::metadata);
            respond(&PartialObjectMetadataList::new(metadata, version), output)
        }
        Some(Transform::PartialObjectMetadata(_)) => {
            Err(Error::NotAcceptable(NotAcceptable::Object(T::KIND.partial[0])))
        }
        Some(Transform::Discovery(_)) | None => {
            let items = objects
                .into_iter()
                .map(|object| if T::KIND.typed_items { object.typed() } else { object })
                .collect();
            respond(
                &List { kind: T::KIND.list, api_version: group_version(), metadata: Empty {}, items },
                output,
            )
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<T> {
    kind: &'static str,
    api_version: String,
    metadata: Empty,
    items: Vec<T>,
}

#[derive(Serialize)]
struct Empty {}
