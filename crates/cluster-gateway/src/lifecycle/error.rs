//! Why a change was not made, and what has become of what was begun.

use std::fmt;

use super::{LabelError, NameError, References, StoreError};
use crate::diagnosis::Diagnosis;

/// Why a change was not made. Never holds key material.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LifecycleError {
    /// The cluster cannot have this name.
    #[error("{0}")]
    Name(#[from] NameError),
    /// A label is none.
    #[error("{0}")]
    Label(#[from] LabelError),
    /// The kubeconfig cannot be used.
    #[error("kubeconfig: {0}")]
    Kubeconfig(String),
    /// Clusters could not be read or written.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// There is a cluster of this name, and nobody has said that it is to be replaced.
    #[error("there is a cluster {0} already; choose another name, or add --overwrite to replace it")]
    Taken(String),
    /// The cluster does not work.
    #[error("{}", preflight(.0))]
    Preflight(Box<Diagnosis>),
    /// The cluster does not answer through the gateway.
    #[error("{0}")]
    Gateway(String),
    /// No service account could be made in the cluster, or no token of it.
    #[error("{0}")]
    Account(String),
    /// The cluster is still in use.
    #[error("{}", in_use(.0))]
    InUse(Box<References>),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// Somebody has asked to stop.
    #[error("interrupted")]
    Interrupted,
}

/// What has become of what was written before a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// Nothing had been written.
    Untouched,
    /// Everything is as it was before.
    Restored,
    /// Some of it could not be put back; what, and why.
    Incomplete(Vec<String>),
}

/// A change that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Why.
    pub cause: LifecycleError,
    /// What has become of what was written.
    pub undo: Undo,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        match &self.undo {
            Undo::Untouched => f.write_str("; nothing has been changed"),
            Undo::Restored => f.write_str("; what was there before has been put back"),
            Undo::Incomplete(what) => {
                write!(f, "; NOT everything could be put back, look at it yourself: {}", what.join("; "))
            }
        }
    }
}

impl std::error::Error for Failure {}

fn preflight(diagnosis: &Diagnosis) -> String {
    let Some(failed) = diagnosis.failed() else { return "the cluster cannot be used".to_owned() };
    let remedy = failed.remedy.as_ref().map_or_else(String::new, |remedy| format!("; {remedy}"));
    format!("the cluster cannot be used from here: {}: {}{remedy}", failed.hop.as_str(), failed.found)
}

fn in_use(references: &References) -> String {
    format!("the cluster is still in use: {}; add --force to go on all the same", references.summary())
}
