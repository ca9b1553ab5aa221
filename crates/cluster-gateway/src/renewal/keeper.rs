//! Where a renewed token is written: the Secret that the cluster was read from.

use cluster_gateway_client::v1alpha1::CredentialType;

use super::ServiceAccountRef;
use super::token::Token;
use crate::hub::{SecretMetadata, TokenChange, WriteError};
use crate::registry::{Cluster, ClustersDirectory};

/// Where the Secrets of clusters are kept.
#[derive(Debug, Clone)]
pub enum Keeper {
    /// At the hub; boxed, because it is large.
    Hub(Box<SecretMetadata>),
    /// In a directory: only a file that holds this one Secret can be written, and is replaced as a whole.
    Directory(ClustersDirectory),
}

/// Why a token was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeepError {
    /// The Secret is no longer the one that was read: the next look knows better.
    #[error("the cluster's Secret has been changed in the meantime")]
    Changed,
    /// A right is missing, or the file cannot be written.
    #[error("{0}")]
    Refused(String),
    /// The hub does not answer.
    #[error("{0}")]
    Unreachable(String),
}

impl Keeper {
    /// Writes the token over that of `cluster`, unless its Secret has been changed since it was read.
    pub(super) async fn keep(
        &self,
        cluster: &Cluster,
        account: &ServiceAccountRef,
        token: Token,
    ) -> Result<(), KeepError> {
        let annotations = token.annotations(account);
        match self {
            Self::Hub(secrets) => {
                let change = TokenChange {
                    token: token.text,
                    annotations,
                    resource_version: cluster.resource_version.clone(),
                    field_manager: "cluster-gateway-credentials".to_owned(),
                };
                secrets.put_token(&cluster.name, &change).await.map_err(|error| match error {
                    WriteError::Conflict | WriteError::NotFound => KeepError::Changed,
                    WriteError::Unreachable(_) => KeepError::Unreachable(error.to_string()),
                    WriteError::Refused(_) | WriteError::Invalid(_) => KeepError::Refused(format!(
                        "{error}; the gateway needs the right to patch secrets in namespace {}",
                        secrets.namespace()
                    )),
                })
            }
            Self::Directory(directory) => {
                let Ok(upstream) = &cluster.upstream else { return Err(KeepError::Changed) };
                let (directory, name) = (directory.clone(), cluster.name.clone());
                let before = upstream.credential.clone();
                let write = move || directory.put_token(&name, &before, &token.text, &annotations);
                match tokio::task::spawn_blocking(write).await {
                    Ok(Ok(true)) => Ok(()),
                    Ok(Ok(false)) | Err(_) => Err(KeepError::Changed),
                    Ok(Err(reason)) => Err(KeepError::Refused(reason)),
                }
            }
        }
    }
}

/// Whether there is a token to renew: its account, or why not although the Secret names one.
pub(super) fn account(cluster: &Cluster) -> Option<Result<ServiceAccountRef, String>> {
    use cluster_gateway_client::v1alpha1::ANNOTATION_SERVICE_ACCOUNT;
    let text = cluster.annotations.get(ANNOTATION_SERVICE_ACCOUNT)?;
    let account = ServiceAccountRef::parse(text)
        .map_err(|error| format!("annotation {ANNOTATION_SERVICE_ACCOUNT}: {error}"));
    Some(account.and_then(|account| match cluster.credential_type {
        Some(CredentialType::ServiceAccountToken) => Ok(account),
        _ => Err(format!(
            "annotation {ANNOTATION_SERVICE_ACCOUNT} names a service account, but the credential is no token; remove the \
             annotation"
        )),
    }))
}
