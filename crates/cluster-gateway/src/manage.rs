//! What people manage clusters with, besides the command line: records of clusters that say more than their Secrets do.
//!
//! No proxied request ever waits for it.

pub mod store;
