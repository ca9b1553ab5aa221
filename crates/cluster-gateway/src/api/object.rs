//! What the two resources have in common: how one object or a list of them is found, selected, turned and written.

use std::sync::Arc;

use cluster_gateway_client::v1alpha1::Metadata;
use http::Response;
use http::request::Parts;
use serde::Serialize;
use time::OffsetDateTime;

use super::discovery::group_version;
use super::encode::respond;
use super::items::{Form, Items};
use super::negotiate::{Format, Offer, Output, Target, Transform, negotiate};
use super::options::{ListOptions, at_least, refuse_export};
use super::pages::{ListMeta, Page};
use super::selector::LabelSelector;
use super::table::{Cell, Column, Include, PartialObjectMetadata, PartialObjectMetadataList, Table};
use super::{Api, watch};
use crate::body::Body;
use crate::registry::Cluster;
use crate::request::ResourceTarget;
use crate::status::{Error, NotAcceptable};

/// What is said of a resource's objects.
pub(super) struct Kind {
    /// Kind of one object.
    pub(super) one: &'static str,
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

/// One of the resources.
pub(super) trait Resource: Copy + Send + Sync + Unpin + 'static {
    const KIND: &'static Kind;
    type Object<'a>: Object;
    /// The object that is there whatever clusters are registered.
    fn constant<'a>(self) -> Option<Self::Object<'a>>;
    /// Whether lists and watches show that object; it comes first.
    fn is_listed(self) -> bool;
    /// The object of a cluster, at this `resourceVersion`. `None`: the cluster has none.
    fn object<'a>(self, cluster: &'a Cluster, version: u64) -> Option<Self::Object<'a>>;
    /// Brings clusters, which come sorted by name, into the order of lists.
    fn sort(self, clusters: &mut [&Arc<Cluster>]);
}

/// An object of one of the resources: a view of a cluster, made when it is shown.
pub(super) trait Object {
    type Shown: Serialize;
    fn name(&self) -> &str;
    fn selected_by(&self, labels: &LabelSelector) -> bool;
    fn metadata(&self) -> Metadata;
    /// Cells of its row, one per column.
    fn cells(&self, now: OffsetDateTime) -> Vec<Cell<'_>>;
    /// The object; `typed`: with kind and apiVersion.
    fn show(&self, typed: bool) -> Self::Shown;
    /// Its place in the order of lists, for the next page to begin behind.
    fn place(&self) -> String;
    /// Whether it comes behind such a place.
    fn is_behind(&self, place: &str) -> bool;
}

/// Which objects are asked for.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) options: ListOptions,
    /// The name that was authorized (rule 92); empty: all.
    name: String,
}

impl Selection {
    pub(super) fn matches(&self, object: &impl Object) -> bool {
        let name = object.name();
        (self.name.is_empty() || self.name == name)
            && self.options.fields.matches(name)
            && object.selected_by(&self.options.labels)
    }

    pub(super) fn is_everything(&self) -> bool {
        self.name.is_empty() && self.options.fields.is_empty() && self.options.labels.is_empty()
    }
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

/// Answers a GET of one object.
pub(super) async fn get<R: Resource>(
    api: &Api,
    resource: R,
    name: &str,
    parts: &Parts,
) -> Result<Response<Body>, Error> {
    let query = parts.uri.query().unwrap_or_default();
    let output = accepted::<R>(parts)?;
    refuse_export(query)?;
    let version = at_least(query)?;
    if let Some(object) = resource.constant().filter(|object| object.name() == name) {
        return one(R::KIND, &object, parts, output, api.now());
    }
    let snapshot = api.fresh(version).await?;
    let found = snapshot.get_virtual(name).and_then(|cluster| resource.object(cluster, cluster.version));
    let not_found = || Error::NotFound { resource: R::KIND.resource, name: name.to_owned() };
    one(R::KIND, &found.ok_or_else(not_found)?, parts, output, api.now())
}

/// The representation in which one object is to be written.
pub(super) fn accepted<R: Resource>(parts: &Parts) -> Result<Output, Error> {
    let offer = Offer { representations: ONE, protobuf: R::KIND.protobuf[0], transform };
    let output = negotiate(parts, &offer)?;
    match output.transform {
        Some(Transform::PartialObjectMetadataList(_)) => {
            Err(Error::NotAcceptable(NotAcceptable::Object(R::KIND.partial[1])))
        }
        _ => Ok(output),
    }
}

/// Writes one object.
pub(super) fn one<O: Object>(
    kind: &'static Kind,
    object: &O,
    parts: &Parts,
    output: Output,
    now: OffsetDateTime,
) -> Result<Response<Body>, Error> {
    match output.transform {
        Some(Transform::Table(version)) => {
            let include = Include::parse(parts.uri.query().unwrap_or_default())?;
            let metadata =
                ListMeta { resource_version: object.metadata().resource_version, ..ListMeta::default() };
            let objects = std::slice::from_ref(object);
            respond(&Table::new(objects, version, include, now, metadata, Some(kind.columns)), output)
        }
        Some(Transform::PartialObjectMetadata(version)) => {
            respond(&PartialObjectMetadata::new(object.metadata(), version), output)
        }
        Some(Transform::PartialObjectMetadataList(_) | Transform::Discovery(_)) | None => {
            respond(&object.show(true), output)
        }
    }
}

/// Answers a GET of the collection: a list, or a watch. The options are applied to what is shown, and so is the name
/// that was authorized (rule 92).
pub(super) async fn list<R: Resource>(
    api: &Api,
    resource: R,
    target: &ResourceTarget,
    parts: &Parts,
) -> Result<Response<Body>, Error> {
    let query = parts.uri.query().unwrap_or_default();
    let offer = Offer { representations: MANY, protobuf: R::KIND.protobuf[1], transform };
    let output = negotiate(parts, &offer)?;
    let selection = Selection { options: ListOptions::parse(query)?, name: target.name.clone() };
    if selection.options.watch {
        return watch::serve(api, resource, selection, query, output).await;
    }
    let page = Page::read(api, resource, &selection).await?;
    let form = form(R::KIND, query, output)?;
    match output.format {
        Format::Json if !output.pretty => {
            Items::new(resource, page, form, api.now())?.respond(&parts.headers)
        }
        Format::Json | Format::Yaml => whole(resource, page, form, output, api.now()),
    }
}

fn form(kind: &Kind, query: &str, output: Output) -> Result<Form, Error> {
    Ok(match output.transform {
        Some(Transform::Table(version)) => Form::Table(version, Include::parse(query)?),
        Some(Transform::PartialObjectMetadataList(version)) => Form::Metadata(version),
        Some(Transform::PartialObjectMetadata(_)) => {
            return Err(Error::NotAcceptable(NotAcceptable::Object(kind.partial[0])));
        }
        Some(Transform::Discovery(_)) | None => Form::Object,
    })
}

/// A list for people: all at once.
fn whole<R: Resource>(
    resource: R,
    mut page: Page,
    form: Form,
    output: Output,
    now: OffsetDateTime,
) -> Result<Response<Body>, Error> {
    let (kind, metadata) = (R::KIND, std::mem::take(&mut page.metadata));
    let objects = page.objects(resource);
    match form {
        Form::Table(version, include) => {
            respond(&Table::new(&objects, version, include, now, metadata, Some(kind.columns)), output)
        }
        Form::Metadata(version) => {
            respond(&PartialObjectMetadataList::new(&objects, version, metadata), output)
        }
        Form::Object => {
            let items = objects.iter().map(|object| object.show(kind.typed_items)).collect();
            respond(&List::new(kind, metadata, items), output)
        }
    }
}

/// Objects as they are.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<T> {
    kind: &'static str,
    api_version: String,
    metadata: ListMeta,
    items: Vec<T>,
}

impl<T> List<T> {
    pub(super) fn new(kind: &Kind, metadata: ListMeta, items: Vec<T>) -> Self {
        Self { kind: kind.list, api_version: group_version(), metadata, items }
    }
}
