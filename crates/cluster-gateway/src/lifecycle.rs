//! What changes the set of clusters: join, detach, rename, labels, alias, rotate. Each looks first, says what it would change,
//! and puts back what was there if it fails.
//!
//! Writes only to the store; a running gateway learns of it by its own watch, like everyone else.
//!
//! Each change has two steps: `prepare` only looks, and gives a [`Plan`]; `commit` writes, in a [`Transaction`]. Names, labels
//! and annotations are those of KubeVela's `vela cluster`, so that either tool manages what the other has joined.

mod account;
mod change;
mod detach;
mod error;
mod gateway;
mod join;
mod kubeconfig;
mod labels;
mod name;
pub mod ocm;
mod outlook;
mod plan;
mod preflight;
mod references;
mod rename;
mod rotate;
mod step;
mod store;
mod trackers;
mod transaction;

pub use account::{AccountChoice, AccountRequest};
pub use change::{Edit, edit, edit_in};
pub use detach::{Detach, Detached};
pub use error::{Failure, LifecycleError, Undo};
pub use gateway::{Gateway, NamespaceOutcome};
pub use join::{Committed, Join, JoinRequest, Joined};
pub use kubeconfig::{Contexts, ContextsError, KubeconfigSource, Member, NamedContext};
pub use labels::{LabelError, check_label, check_label_key, parse_labels};
pub use name::{LOCAL, NameError};
pub use ocm::Side;
pub use outlook::{CredentialOutlook, Renewer};
pub use plan::{Change, Detail, Plan, Verb};
pub use preflight::{ANNOTATION_VERSION, ClusterVersion, member_version};
pub use references::{References, TrackerUse};
pub use rename::{Rename, Renamed};
pub use rotate::{NewCredential, Rotate, Rotated};
pub use step::{Step, StepOutcome, StepWatcher};
pub use store::{DirectoryStore, HubStore, Snapshot, Store, StoreError, is_cluster};
pub use transaction::Transaction;
