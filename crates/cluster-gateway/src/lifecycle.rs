//! What changes the set of clusters: join, detach, rename, labels, alias, rotate. Each looks first, says what it would change,
//! and puts back what was there if it fails.
//!
//! Writes only to the store; a running gateway learns of it by its own watch, like everyone else.

mod name;
pub mod ocm;
mod store;

pub use name::{LOCAL, NameError};
pub use store::{DirectoryStore, HubStore, Snapshot, Store, StoreError, is_cluster};
