//! How often a request tries to get a connection.

use super::TransportError;

/// How often one request may look for a connection: each that it does not get, or that hands it back unsent, is one.
const MOST_TRIES: usize = 100;

/// What is left of [`MOST_TRIES`].
#[derive(Debug)]
pub(in crate::transport) struct Tries(usize);

impl Default for Tries {
    fn default() -> Self {
        Self(MOST_TRIES)
    }
}

impl Tries {
    pub(super) fn take(&mut self) -> Result<(), TransportError> {
        self.0 = self.0.checked_sub(1).ok_or_else(|| {
            TransportError::Saturated(format!(
                "{MOST_TRIES} connections in a row were taken by others or closed by the member before they could be used"
            ))
        })?;
        Ok(())
    }
}
