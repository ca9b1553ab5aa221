//! Clusters that are being changed by this process right now.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Code, Refusal};

/// Names under which a change is under way that is made of several writes.
#[derive(Debug, Clone, Default)]
pub struct Busy(Arc<Mutex<BTreeSet<String>>>);

/// A name that is being changed; until it is dropped nobody else begins.
#[derive(Debug)]
pub struct Held {
    busy: Busy,
    name: String,
}

impl Busy {
    /// Takes the name.
    ///
    /// # Errors
    /// 41409: somebody has it.
    pub fn hold(&self, name: &str) -> Result<Held, Refusal> {
        if self.names().insert(name.to_owned()) {
            return Ok(Held { busy: self.clone(), name: name.to_owned() });
        }
        let message =
            format!("cluster \"{name}\" is being joined, changed or detached by somebody else right now");
        let mut refusal =
            Refusal::new(Code::Conflict, message).remedy("Look again when that is done; it takes seconds.");
        refusal.retry_after = Some(Duration::from_secs(2));
        Err(refusal)
    }

    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.busy.names().remove(&self.name);
    }
}
