//! What is wrong with a source is said when it begins and not at every look.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tracing::{info, warn};

/// What was complained of last, by source.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<BTreeMap<&'static str, Vec<String>>>);

impl Complaints {
    /// Logs what was not logged for this source last time, and when everything is in order again.
    pub(super) fn tell(&self, source: &'static str, problems: Vec<String>) {
        let mut complaints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = complaints.remove(source).unwrap_or_default();
        for problem in problems.iter().filter(|problem| !before.contains(problem)) {
            warn!(source, "authentication configuration: {problem}; what was loaded before stays in force");
        }
        if problems.is_empty() && !before.is_empty() {
            info!(source, "authentication configuration is in order again");
        }
        complaints.insert(source, problems);
    }
}
