//! Which clusters exist: a source of Secrets, turned into immutable snapshots behind one pointer.
//!
//! One task writes; readers take no lock. A snapshot is never modified. An entry that cannot be used is kept with the
//! reason, so it can be shown, and hurts no other entry. A broken watch leaves the last snapshot in force.

mod cluster;
mod parse;
mod source;

pub use cluster::{Cluster, Unusable, Upstream};
