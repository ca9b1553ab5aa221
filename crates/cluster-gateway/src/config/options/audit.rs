//! Flags of auditing, as kube-apiserver names them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

/// Which requests are audited, and where to.
#[derive(Debug, Clone, Args)]
pub struct AuditOptions {
    /// Which requests are audited: a Policy of audit.k8s.io/v1, YAML [default: none is]
    #[arg(long, value_name = "FILE", help_heading = "Audit")]
    pub audit_policy_file: Option<PathBuf>,

    /// File that events are appended to, one JSON object a line; - for standard output
    #[arg(long, value_name = "FILE", help_heading = "Audit")]
    pub audit_log_path: Option<PathBuf>,

    /// Form of the log; there is only json
    #[arg(long, value_name = "FORM", default_value = "json", value_parser = ["json"], help_heading = "Audit")]
    pub audit_log_format: String,

    /// When the log does not keep up: batch loses events, blocking lets new requests wait
    #[arg(long, value_name = "MODE", value_enum, default_value_t = AuditMode::Blocking, help_heading = "Audit")]
    pub audit_log_mode: AuditMode,

    /// Megabytes after which the log is renamed and a new one begun; 0: 100
    #[arg(long, value_name = "MB", default_value_t = 0, help_heading = "Audit")]
    pub audit_log_maxsize: u32,

    /// How many renamed logs are kept; 0: all
    #[arg(long, value_name = "COUNT", default_value_t = 0, help_heading = "Audit")]
    pub audit_log_maxbackup: u32,

    /// For how many days renamed logs are kept; 0: for ever
    #[arg(long, value_name = "DAYS", default_value_t = 0, help_heading = "Audit")]
    pub audit_log_maxage: u32,

    /// Kubeconfig of the server that events are sent to
    #[arg(long, value_name = "FILE", help_heading = "Audit")]
    pub audit_webhook_config_file: Option<PathBuf>,

    /// When the server does not keep up: batch loses events, blocking lets new requests wait
    #[arg(long, value_name = "MODE", value_enum, default_value_t = AuditMode::Batch, help_heading = "Audit")]
    pub audit_webhook_mode: AuditMode,

    /// Events that wait for the server, at most
    #[arg(long, value_name = "EVENTS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Audit")]
    pub audit_webhook_batch_buffer_size: u32,

    /// Events that are sent together, at most
    #[arg(long, value_name = "EVENTS", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Audit")]
    pub audit_webhook_batch_max_size: u32,

    /// How long a batch waits for more events
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = crate::request::duration, help_heading = "Audit")]
    pub audit_webhook_batch_max_wait: Duration,

    /// How long to wait before a batch is sent again; grows by half each time, five attempts in all
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = crate::request::duration, help_heading = "Audit")]
    pub audit_webhook_initial_backoff: Duration,
}

/// What happens when a backend does not keep up. There is no blocking-strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuditMode {
    /// Events are lost, counted and complained of.
    Batch,
    /// New requests wait.
    Blocking,
}
