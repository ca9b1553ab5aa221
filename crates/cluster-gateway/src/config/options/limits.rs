//! Flags that say how much and for how long.

use std::time::Duration;

use clap::{ArgAction, Args};

/// Limits of `apiserver` and `standalone` alike.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitOptions {
    /// Requests for the gateway's own resources that change nothing, at once; more are answered 429. 0: no limit
    #[arg(long, value_name = "NUMBER", default_value_t = 400)]
    pub max_requests_inflight: usize,

    /// Requests for the gateway's own resources that change something, at once. 0: no limit
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    pub max_mutating_requests_inflight: usize,

    /// Proxied requests of one user at once, watches included, over all clusters. 0: no limit
    #[arg(long, value_name = "NUMBER", default_value_t = 20_000)]
    pub max_proxied_requests_per_user: usize,

    /// Upgraded streams (exec, attach, port-forward) of one user at once, over all clusters. 0: no limit
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    pub max_upgrades_per_user: usize,

    /// Proxied requests to one cluster at once, watches included. 0: no limit
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000)]
    pub max_proxied_requests_per_cluster: usize,

    /// Upgraded streams to one cluster at once. 0: no limit
    #[arg(long, value_name = "NUMBER", default_value_t = 2_000)]
    pub max_upgrades_per_cluster: usize,

    /// Longest time for a request for the gateway's own resources; watches and proxied requests have none
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = crate::request::duration)]
    pub request_timeout: Duration,

    /// Chance, from 0 to 0.02, that a request over HTTP/2 makes its connection end after its open streams, so that
    /// clients spread over replicas again
    #[arg(long, value_name = "CHANCE", default_value_t = 0.0)]
    pub goaway_chance: f64,

    /// At a stop, after --shutdown-delay-duration, keep the socket open and answer 429 with Retry-After until the open
    /// requests are through
    #[arg(long, value_name = "BOOL", default_value = "false", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub shutdown_send_retry_after: bool,
}
