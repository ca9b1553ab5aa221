//! Writes of `clustergateways/NAME/health`: recorded in two annotations of the cluster's Secret, as the original does
//! it (contract rules 127, 223, 232-234, 260).
//!
//! Unlike the original's, a write changes nothing but these annotations, notices when somebody else has changed the
//! Secret, and can be a patch. Whether recorded health is shown and acted on elsewhere is another question (rule 211).

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster_gateway_client::v1alpha1::{
    ANNOTATION_HEALTHY, ANNOTATION_HEALTHY_REASON, ClusterGatewayStatus, LABEL_CREDENTIAL_TYPE,
};
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderValue, Method, Response, header};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::cluster_gateways::{self, ClusterGateways, Gateway, RESOURCE};
use super::object::Object as _;
use super::uid::uid;
use super::{Api, object};
use crate::body::Body;
use crate::hub::{Annotate, SecretMetadata, WriteError};
use crate::registry::Cluster;
use crate::status::Error;

mod change;
mod decode;
mod options;

use change::{Change, Wanted};
use options::{FieldValidation, WriteOptions};

/// Kind of the object, for messages about its contents.
const KIND: &str = concat!("ClusterGateway.", cluster_gateway_client::group!());
/// Who is recorded as the annotations' owner when the caller names nobody.
const FIELD_MANAGER: &str = "cluster-gateway";
/// How often a write is tried while others change the Secret at the same time.
const ATTEMPTS: usize = 5;
/// What is said of a write that somebody else's came before; the words are kube-apiserver's.
const MODIFIED: &str =
    "the object has been modified; please apply your changes to the latest version and try again";

/// Where the health of clusters is recorded: the metadata of their Secrets.
pub trait HealthRecords: Send + Sync {
    /// The metadata of a cluster's Secret as it is now, not as a cache knows it.
    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<ObjectMeta, WriteError>>;
    /// Sets annotations of a cluster's Secret; gives its metadata after that.
    fn annotate<'a>(
        &'a self,
        name: &'a str,
        change: &'a Annotate,
    ) -> BoxFuture<'a, Result<ObjectMeta, WriteError>>;
    /// Where the Secrets are, for messages.
    fn namespace(&self) -> &str;
}

impl HealthRecords for SecretMetadata {
    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<ObjectMeta, WriteError>> {
        Box::pin(self.get(name))
    }

    fn annotate<'a>(
        &'a self,
        name: &'a str,
        change: &'a Annotate,
    ) -> BoxFuture<'a, Result<ObjectMeta, WriteError>> {
        Box::pin(self.annotate(name, change))
    }

    fn namespace(&self) -> &str {
        self.namespace()
    }
}

/// Answers a PUT or a PATCH; everything that can be wrong with it is said before anything is written.
pub(super) async fn write(api: &Api, name: &str, parts: &Parts, body: Body) -> Result<Response<Body>, Error> {
    let records = api.health.as_deref().ok_or(Error::NowhereToRecord)?;
    let patch = parts.method == Method::PATCH;
    let patch = if patch { Some(change::patch_format(&parts.headers)?) } else { None };
    let output = object::accepted::<ClusterGateways>(parts)?;
    let bytes = decode::read(body).await?;
    let options = WriteOptions::parse(parts.uri.query().unwrap_or_default(), patch.is_some())?;
    let change = match patch {
        Some(format) => Change::patch(format, &bytes)?,
        None => Change::replace(&parts.headers, &bytes, name)?,
    };
    let snapshot = api.snapshot()?;
    let cluster = snapshot.get(name).ok_or_else(|| not_found(name))?;
    let (recorded, warnings) = Record { records, cluster, options }.write(&change).await?;
    let mut response = object::one(&cluster_gateways::KIND, &recorded, parts, output, api.now())?;
    for warning in warnings {
        response.headers_mut().append(header::WARNING, warning);
    }
    Ok(response)
}

/// One write.
struct Record<'a> {
    records: &'a dyn HealthRecords,
    cluster: &'a Arc<Cluster>,
    options: WriteOptions,
}

impl<'a> Record<'a> {
    /// Tries until nobody comes in between. Who names a version that is no longer there is told at once: with each try
    /// it is compared with the newest.
    async fn write(&self, change: &Change) -> Result<(Gateway<'a>, Vec<HeaderValue>), Error> {
        for _ in 0..ATTEMPTS {
            let metadata = self.records.get(self.name()).await.map_err(|error| self.failed(error))?;
            if !metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(LABEL_CREDENTIAL_TYPE)) {
                return Err(not_found(self.name()));
            }
            let wanted = change.apply(shown(self.cluster, &metadata).show(true))?;
            self.check(&wanted, &metadata)?;
            let warnings = self.validate(&wanted.unknown)?;
            if recorded_health(&metadata) == Some((wanted.healthy, wanted.reason.as_str())) {
                return Ok((shown(self.cluster, &metadata), warnings));
            }
            match self.records.annotate(self.name(), &self.annotate(&wanted, metadata)).await {
                Ok(metadata) => return Ok((shown(self.cluster, &metadata), warnings)),
                Err(WriteError::Conflict) => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Err(conflict(self.name(), MODIFIED.to_owned()))
    }

    fn name(&self) -> &str {
        &self.cluster.name
    }

    /// Whether the object is the one that the caller knows (rule 233).
    fn check(&self, wanted: &Wanted, metadata: &ObjectMeta) -> Result<(), Error> {
        wanted.check_name(self.name())?;
        if !wanted.resource_version.is_empty() && !self.is_current(&wanted.resource_version, metadata) {
            return Err(conflict(self.name(), MODIFIED.to_owned()));
        }
        let uid = uid(RESOURCE, metadata.uid.as_deref().unwrap_or_default()).unwrap_or_default();
        if !wanted.uid.is_empty() && wanted.uid != uid {
            let message = format!(
                "Precondition failed: UID in precondition: {}, UID in object meta: {uid}",
                wanted.uid
            );
            return Err(conflict(self.name(), message));
        }
        Ok(())
    }

    /// Whether a version is that of the Secret as it is now, or the one that is shown of it.
    fn is_current(&self, version: &str, metadata: &ObjectMeta) -> bool {
        let now = metadata.resource_version.as_deref().unwrap_or_default();
        version == now || now == self.cluster.resource_version && version == self.cluster.version.to_string()
    }

    /// What `fieldValidation` makes of fields that nobody knows: a failure, or warnings.
    fn validate(&self, unknown: &[String]) -> Result<Vec<HeaderValue>, Error> {
        let named = unknown.iter().map(|field| format!("unknown field \"{field}\""));
        match self.options.field_validation {
            FieldValidation::Strict if !unknown.is_empty() => Err(Error::BadRequest(format!(
                "ClusterGateway in version \"v1alpha1\" cannot be handled as a ClusterGateway: strict decoding error: {}",
                named.collect::<Vec<_>>().join(", ")
            ))),
            FieldValidation::Warn => {
                let quoted = named.map(|text| format!("299 - \"{}\"", text.escape_default()));
                Ok(quoted.filter_map(|text| HeaderValue::try_from(text).ok()).collect())
            }
            FieldValidation::Strict | FieldValidation::Ignore => Ok(Vec::new()),
        }
    }

    fn annotate(&self, wanted: &Wanted, metadata: ObjectMeta) -> Annotate {
        let manager = &self.options.field_manager;
        Annotate {
            annotations: BTreeMap::from([
                (ANNOTATION_HEALTHY.to_owned(), wanted.healthy.to_string()),
                (ANNOTATION_HEALTHY_REASON.to_owned(), wanted.reason.clone()),
            ]),
            resource_version: metadata.resource_version.unwrap_or_default(),
            field_manager: if manager.is_empty() { FIELD_MANAGER.to_owned() } else { manager.clone() },
            dry_run: self.options.dry_run,
        }
    }

    fn failed(&self, error: WriteError) -> Error {
        match error {
            WriteError::NotFound => not_found(self.name()),
            WriteError::Conflict => conflict(self.name(), MODIFIED.to_owned()),
            WriteError::Invalid(message) => Error::Invalid { kind: KIND, message },
            WriteError::Refused(_) => Error::Hub(format!(
                "health cannot be recorded: {error}; the gateway needs the rights to get and patch secrets in \
                 namespace {}",
                self.records.namespace()
            )),
            WriteError::Unreachable(_) => Error::Hub(format!("health cannot be recorded: {error}")),
        }
    }
}

/// The cluster with the version and the health of its Secret as it is now, whatever the gate says (rule 232).
fn shown<'a>(cluster: &'a Cluster, metadata: &ObjectMeta) -> Gateway<'a> {
    let version = metadata.resource_version.as_deref().and_then(|version| version.parse().ok());
    let (healthy, reason) = recorded_health(metadata).unwrap_or_default();
    let healthy_reason = Some(reason.to_owned()).filter(|reason| !reason.is_empty());
    let status = ClusterGatewayStatus { healthy, healthy_reason };
    Gateway::with_status(cluster, version.unwrap_or(cluster.version), status)
}

/// What the two annotations say; `None`: they do not say it the way that it is written here.
fn recorded_health(metadata: &ObjectMeta) -> Option<(bool, &str)> {
    let annotations = metadata.annotations.as_ref()?;
    let healthy = annotations.get(ANNOTATION_HEALTHY)?.parse().ok()?;
    Some((healthy, annotations.get(ANNOTATION_HEALTHY_REASON)?))
}

fn not_found(name: &str) -> Error {
    Error::NotFound { resource: RESOURCE, name: name.to_owned() }
}

fn conflict(name: &str, message: String) -> Error {
    Error::Conflict { resource: RESOURCE, name: name.to_owned(), message }
}
