//! Why joining or detaching did not work, and what is left.

use std::fmt;
use std::time::Duration;

use super::{Side, Step};
use crate::hub::CallError;

/// Why a cluster was not joined or detached. Never holds key material.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OcmError {
    /// OCM cannot have a cluster of this name.
    Name(String),
    /// A request failed.
    Call {
        /// Where it went.
        side: Side,
        /// Why.
        cause: CallError,
    },
    /// Something is not as it must be; the text says what and what to do.
    Refused(String),
    /// Somebody else's work was not done in time.
    TimedOut {
        /// How long was waited.
        after: Duration,
        /// What was seen last.
        seen: String,
    },
    /// Somebody asked to stop.
    Interrupted,
}

impl fmt::Display for OcmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(
                f,
                "\"{name}\" is no name for a cluster of OCM: it must be a DNS label (at most 63 of a-z, 0-9 and -, none of \
                 them - at an end)"
            ),
            Self::Call { side, cause: CallError::Unreachable(cause) } => {
                write!(f, "{} does not answer as it should: {cause}", side.as_str())
            }
            Self::Call { side, cause } => write!(f, "{} refuses: {cause}", side.as_str()),
            Self::Refused(reason) => f.write_str(reason),
            Self::TimedOut { after, seen } => write!(f, "gave up after {} s: {seen}", after.as_secs()),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for OcmError {}

/// A failure, when it came, and what could not be put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OcmFailure {
    /// What was being done.
    pub step: Step,
    /// What went wrong.
    pub error: OcmError,
    /// Objects that could not be put back as they were, each with the reason; empty: both ends are as before.
    pub left: Vec<String>,
}

impl fmt::Display for OcmFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step.describe(), self.error)?;
        match self.left.as_slice() {
            [] => Ok(()),
            left => write!(f, "; it could not all be undone, remove by hand: {}", left.join("; ")),
        }
    }
}

impl std::error::Error for OcmFailure {}
