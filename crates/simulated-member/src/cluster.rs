//! What the member has and what it knows of it.

use std::sync::Arc;

use crate::schema::Schemas;
use crate::store::Store;

/// The version that the member says it is of.
pub(crate) const VERSION: &str = "v1.34.0+simulated";

/// Objects and what their kinds are made of.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) store: Arc<Store>,
    pub(crate) schemas: Schemas,
}
