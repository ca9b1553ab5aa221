//! Metadata of Secrets: read, and changed by annotations. What a Secret holds is neither asked for nor received; a token can
//! be put there.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::{Hub, chain};

/// Longest time for one request.
const LIMIT: Duration = Duration::from_secs(10);

/// The metadata of the Secrets of one namespace. Cheap to clone.
#[derive(Clone)]
pub struct SecretMetadata {
    secrets: Api<Secret>,
    namespace: String,
}

/// Annotations to set on a Secret, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotate {
    /// The annotations. All others stay as they are.
    pub annotations: BTreeMap<String, String>,
    /// `resourceVersion` that the Secret must have; a change in the meantime is a [`WriteError::Conflict`].
    pub resource_version: String,
    /// Who is recorded as having changed them; at most 128 bytes.
    pub field_manager: String,
    /// Whether the hub is only to say what it would do.
    pub dry_run: bool,
}

/// A new token for a Secret, and the annotations that go with it.
#[derive(Clone)]
pub struct TokenChange {
    /// The token; it stands in the Secret under `token`. All other keys stay as they are.
    pub token: String,
    /// As for [`Annotate`], without a dry run.
    pub annotations: BTreeMap<String, String>,
    /// As for [`Annotate`].
    pub resource_version: String,
    /// As for [`Annotate`].
    pub field_manager: String,
}

/// Why a Secret could not be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// There is no such Secret (any more).
    #[error("there is no such Secret")]
    NotFound,
    /// It has been changed by somebody else in the meantime.
    #[error("the Secret has been changed in the meantime")]
    Conflict,
    /// The hub does not take the values; its words.
    #[error("{0}")]
    Invalid(String),
    /// The hub refuses: somebody must grant a right.
    #[error("the hub refuses: {0}")]
    Refused(String),
    /// The hub does not answer, or cannot right now.
    #[error("the hub cannot be asked: {0}")]
    Unreachable(String),
}

impl Hub {
    /// The metadata of the Secrets of a namespace.
    #[must_use]
    pub fn secret_metadata(&self, namespace: &str) -> SecretMetadata {
        SecretMetadata { secrets: Api::namespaced(self.client(), namespace), namespace: namespace.to_owned() }
    }
}

impl SecretMetadata {
    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Reads the metadata of one Secret as it is now.
    ///
    /// # Errors
    /// [`WriteError`]; also after 10 s without an answer.
    pub async fn get(&self, name: &str) -> Result<ObjectMeta, WriteError> {
        let answer = in_time(self.secrets.get_metadata(name)).await?;
        Ok(answer.metadata)
    }

    /// Sets annotations by a merge patch that names nothing else; returns the metadata after it.
    ///
    /// # Errors
    /// [`WriteError`]; also after 10 s without an answer.
    pub async fn annotate(&self, name: &str, change: &Annotate) -> Result<ObjectMeta, WriteError> {
        let patch = Patch::Merge(json!({ "metadata": {
            "resourceVersion": change.resource_version,
            "annotations": change.annotations,
        } }));
        let params = PatchParams {
            dry_run: change.dry_run,
            field_manager: Some(change.field_manager.clone()).filter(|manager| !manager.is_empty()),
            ..PatchParams::default()
        };
        let answer = in_time(self.secrets.patch_metadata(name, &params, &patch)).await?;
        Ok(answer.metadata)
    }
}

impl SecretMetadata {
    /// Replaces the token by a merge patch that names it and the annotations and nothing else. What comes back is metadata.
    ///
    /// # Errors
    /// [`WriteError`]; also after 10 s without an answer.
    pub async fn put_token(&self, name: &str, change: &TokenChange) -> Result<(), WriteError> {
        let patch = Patch::Merge(json!({
            "metadata": {"resourceVersion": change.resource_version, "annotations": change.annotations},
            "data": {"token": STANDARD.encode(&change.token)},
        }));
        let params =
            PatchParams { field_manager: Some(change.field_manager.clone()), ..PatchParams::default() };
        in_time(self.secrets.patch_metadata(name, &params, &patch)).await.map(drop)
    }
}

async fn in_time<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, WriteError> {
    match tokio::time::timeout(LIMIT, request).await {
        Ok(answer) => answer.map_err(WriteError::from),
        Err(_) => Err(WriteError::Unreachable(format!("no answer within {} s", LIMIT.as_secs()))),
    }
}

impl From<kube::Error> for WriteError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                404 => Self::NotFound,
                409 => Self::Conflict,
                400 | 413 | 422 => Self::Invalid(status.message.clone()),
                429 | 500.. => Self::Unreachable(status.message.clone()),
                _ => Self::Refused(status.message.clone()),
            },
            other => Self::Unreachable(chain(&other)),
        }
    }
}

impl fmt::Debug for SecretMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretMetadata").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl fmt::Debug for TokenChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenChange").field("annotations", &self.annotations).finish_non_exhaustive()
    }
}
