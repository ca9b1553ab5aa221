//! One file for each case.

pub(super) mod bodies;
pub(super) mod clusters;
pub(super) mod connections;
pub(super) mod dead;
pub(super) mod exec;
pub(super) mod features;
pub(super) mod hub;
pub(super) mod join;
pub(super) mod konnectivity;
pub(super) mod many;
pub(super) mod small;
pub(super) mod watches;
