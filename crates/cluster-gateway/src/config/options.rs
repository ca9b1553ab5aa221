//! The flags, as typed. Nothing is derived here.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

mod audit;
mod common;
mod health;
mod konnectivity;
mod limits;
mod login;
mod manage;
mod renewal;
mod standalone;
mod store;

pub use audit::{AuditMode, AuditOptions};
pub use common::CommonOptions;
pub use health::HealthOptions;
pub use konnectivity::{KonnectivityOptions, ProxyModeOption};
pub use limits::LimitOptions;
pub use login::LoginOptions;
pub use manage::ManageOptions;
pub use renewal::RenewalOptions;
pub use standalone::{ContextsOption, DataOptions, OidcOptions, StandaloneOptions};
pub use store::StoreOptions;

/// Flags of the hub-mode server.
#[derive(Debug, Clone, Args)]
pub struct ApiserverOptions {
    /// What both servers have.
    #[command(flatten)]
    pub common: CommonOptions,

    /// Management.
    #[command(flatten)]
    pub manage: ManageOptions,

    /// Namespace of the hub that holds the clusters' credential Secrets [default: the pod's own namespace]
    #[arg(long, value_name = "NAMESPACE", help_heading = "Clusters")]
    pub secret_namespace: Option<String>,

    /// Let clusters be on a loopback address [default: true with --kubeconfig, false inside a cluster]
    #[arg(long, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Clusters")]
    pub allow_loopback_clusters: Option<bool>,

    /// Take endpoint and CA of a cluster from Open Cluster Management's ManagedCluster of its name, if there is one
    #[arg(long, value_name = "BOOL", default_value = "false", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Clusters")]
    pub ocm_integration: bool,

    /// Show the hub itself as the virtual cluster "local" (spelt as in the original)
    #[arg(long, value_name = "BOOL", default_value = "true", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Clusters")]
    pub virtual_clutser_with_control_plane: bool,

    /// Address to listen on
    #[arg(long, value_name = "IP", default_value = "0.0.0.0", help_heading = "Serving")]
    pub bind_address: String,

    /// Port to serve HTTPS on; 0 lets the system choose one
    #[arg(long, value_name = "PORT", default_value_t = 443, help_heading = "Serving")]
    pub secure_port: u16,

    /// Directory that may hold apiserver.crt and apiserver.key; they are served if they are there
    #[arg(long, value_name = "DIR", help_heading = "Serving")]
    pub cert_dir: Option<PathBuf>,

    /// Service that the hub finds this gateway by. For it, without certificate files, a certificate is made that renews
    /// itself, and the APIService's caBundle is kept right [default: cluster-gateway in a cluster, none with --kubeconfig]
    #[arg(long, value_name = "NAME", help_heading = "Serving")]
    pub service_name: Option<String>,

    /// Namespace of that Service, and of the Secret and the Lease of its certificate [default: the pod's own namespace]
    #[arg(long, value_name = "NAMESPACE", help_heading = "Serving")]
    pub service_namespace: Option<String>,

    /// Other names and addresses that clients use, for that certificate
    #[arg(long, value_name = "HOST,…", value_delimiter = ',', help_heading = "Serving")]
    pub advertise_host: Vec<String>,

    /// Kubeconfig of the hub [default: the pod's service account]
    #[arg(long, value_name = "FILE", help_heading = "Hub")]
    pub kubeconfig: Option<PathBuf>,

    /// Kubeconfig for TokenReviews and the hub's authentication configuration [default: --kubeconfig]
    #[arg(long, value_name = "FILE", help_heading = "Hub")]
    pub authentication_kubeconfig: Option<PathBuf>,

    /// Kubeconfig for SubjectAccessReviews [default: --kubeconfig]
    #[arg(long, value_name = "FILE", help_heading = "Hub")]
    pub authorization_kubeconfig: Option<PathBuf>,

    /// User-Agent towards the hub
    #[arg(long, value_name = "TEXT", default_value = concat!("cluster-gateway/", env!("CARGO_PKG_VERSION")), help_heading = "Hub")]
    pub user_agent: String,

    /// CA bundle for the front proxy's certificate [default: read from the hub, like the next five]
    #[arg(long, value_name = "FILE", help_heading = "Authentication")]
    pub requestheader_client_ca_file: Option<PathBuf>,

    /// Common names that a front-proxy certificate may have; none: any
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', help_heading = "Authentication")]
    pub requestheader_allowed_names: Vec<String>,

    /// Headers that carry the user's name
    #[arg(
        long,
        value_name = "HEADER,…",
        value_delimiter = ',',
        default_value = "x-remote-user",
        help_heading = "Authentication"
    )]
    pub requestheader_username_headers: Vec<String>,

    /// Headers that carry the user's id
    #[arg(long, value_name = "HEADER,…", value_delimiter = ',', help_heading = "Authentication")]
    pub requestheader_uid_headers: Vec<String>,

    /// Headers that carry groups
    #[arg(
        long,
        value_name = "HEADER,…",
        value_delimiter = ',',
        default_value = "x-remote-group",
        help_heading = "Authentication"
    )]
    pub requestheader_group_headers: Vec<String>,

    /// Prefixes of headers that carry extra attributes
    #[arg(
        long,
        value_name = "PREFIX,…",
        value_delimiter = ',',
        default_value = "x-remote-extra-",
        help_heading = "Authentication"
    )]
    pub requestheader_extra_headers_prefix: Vec<String>,

    /// Do not read the hub's authentication configuration
    #[arg(long, value_name = "BOOL", default_value = "false", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Authentication")]
    pub authentication_skip_lookup: bool,

    /// Start although the hub's authentication configuration may not be read
    #[arg(long, value_name = "BOOL", default_value = "false", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Authentication")]
    pub authentication_tolerate_lookup_failure: bool,

    /// How long a TokenReview's answer counts
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = crate::request::duration, help_heading = "Authentication")]
    pub authentication_token_webhook_cache_ttl: Duration,

    /// How long an answer "allowed" counts
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = crate::request::duration, help_heading = "Authorization")]
    pub authorization_webhook_cache_authorized_ttl: Duration,

    /// How long an answer "denied" counts
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = crate::request::duration, help_heading = "Authorization")]
    pub authorization_webhook_cache_unauthorized_ttl: Duration,
}
