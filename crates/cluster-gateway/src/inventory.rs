//! The clusters as people and programs ask for them: what there is, whether it answers, and kubeconfigs that lead there.
//!
//! Asks the gateway where it answers, and reads the store where it does not. Changes nothing, prints nothing; the results
//! serialise.

mod address;
mod capacity;
mod contexts;
mod list;
mod probe;
mod summary;
mod verify;
mod version;

pub use address::{Address, AddressError, GatewayService, find};
pub use capacity::{
    Capacity, CapacityError, LIMIT as CAPACITY_LIMIT, Node, Problem, Readiness, ResourceInfo, Resources,
    StorageClass, capacity, quantity,
};
pub use contexts::{ContextsError, Direct, Route, caveat, contexts};
pub use list::{ListError, from_store, is_selector, through_gateway};
pub use probe::{Probe, probe, probe_directly};
pub use summary::{Health, Summary};
pub use verify::{VerifyError, verify};
pub use version::{ServerVersion, server_version};
