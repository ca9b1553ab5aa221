//! What is known of a member, besides whether connections can be made.

use std::time::{Duration, SystemTime};

use super::{Latencies, Opened};

/// How a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// Nobody has looked yet, or nobody is to look.
    #[default]
    Unknown,
    /// It answers, and says that it is ready.
    Healthy,
    /// It answers, but says that it is not ready; or it did not answer probes.
    Unhealthy,
    /// No connection can be made: the breaker is open, requests are refused without being sent.
    Open,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::Healthy, Self::Unhealthy, Self::Open];

    /// Label value and log field.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Open => "open",
        }
    }
}

/// What is known of a member. It is kept as long as its transport: a Secret that changes in other things loses nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// How it is.
    pub state: State,
    /// Why, in words; of a healthy member empty, or what is odd about it.
    pub reason: String,
    /// Since when it has been in this state; `None`: nobody has looked.
    pub since: Option<SystemTime>,
    /// When it was last probed.
    pub probed: Option<SystemTime>,
    /// From the last probe to the head of its answer.
    pub latency: Option<Duration>,
    /// Those of the latest probes.
    pub latencies: Latencies,
    /// Version that it says it has.
    pub version: Option<String>,
}

impl Condition {
    /// The same, as long as no connection can be made.
    pub(super) fn but_open(self, opened: &Opened) -> Self {
        Self { state: State::Open, reason: opened.cause.clone(), since: Some(opened.since), ..self }
    }
}
