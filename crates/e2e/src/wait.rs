//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

const PAUSE: Duration = Duration::from_millis(25);

/// Asks `probe` until it gives a value; an error of the probe counts as "not yet" and is what a timeout reports.
pub fn eventually<T>(what: &str, timeout: Duration, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        let last = match probe() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => anyhow!("the condition never held"),
            Err(error) => error,
        };
        if Instant::now() >= deadline {
            return Err(last.context(format!("waited {timeout:?} for {what}")));
        }
        std::thread::sleep(PAUSE);
    }
}
