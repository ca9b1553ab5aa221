//! Flags of how members are looked after.

use std::time::Duration;

use clap::Args;

/// Probes of members, and how long they may leave a request without an answer.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Health of clusters")]
pub struct HealthOptions {
    /// Time between two probes of a cluster that is well; 0s: only clusters that cannot be reached are probed
    /// [default: 30s with the feature gate HealthinessCheck, otherwise 0s]
    #[arg(long, value_name = "DURATION", value_parser = crate::request::duration)]
    pub health_probe_interval: Option<Duration>,

    /// Longest time until a cluster begins to answer a request; not for watches, logs, exec and other long-running
    /// requests; 0s: no limit
    #[arg(long, value_name = "DURATION", default_value = "65s", value_parser = crate::request::duration)]
    pub response_header_timeout: Duration,
}
