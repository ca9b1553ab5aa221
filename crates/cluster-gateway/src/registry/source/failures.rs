//! Failures to read from the hub, as they are logged.

use std::time::Duration;

use tokio::time::Instant;

use super::SecretSource;

/// Reports the first failure of a row, and then one a minute, not each.
#[derive(Default)]
pub(super) struct Failures {
    since: Option<Instant>,
    reported: Option<Instant>,
}

impl Failures {
    pub(super) fn failed(&mut self, source: &SecretSource, error: &kube::Error) {
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        if self.reported.is_some_and(|last| now - last < Duration::from_secs(60)) {
            return;
        }
        self.reported = Some(now);
        tracing::warn!(
            hub = source.hub,
            namespace = source.namespace,
            failing_for_seconds = (now - since).as_secs(),
            error = %words(error),
            "cannot read cluster Secrets from the hub; the last known clusters stay in force; trying again"
        );
    }

    pub(super) fn recovered(&mut self, source: &SecretSource) {
        if self.since.take().is_some() {
            self.reported = None;
            tracing::info!(
                hub = source.hub,
                namespace = source.namespace,
                "reading cluster Secrets from the hub again"
            );
        }
    }
}

/// The words for an error. What cannot be read is a Secret, and the reader's own words may repeat a part of it.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::SerdeError(error) => format!(
            "the hub's answer is no Secret ({:?} error in line {}, column {})",
            error.classify(),
            error.line(),
            error.column()
        ),
        kube::Error::Api(status) => format!("{} ({} {})", status.message, status.code, status.reason),
        error => chain(error),
    }
}

/// An error with all its causes, on one line.
pub(in crate::registry) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some libraries print their causes themselves.
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
