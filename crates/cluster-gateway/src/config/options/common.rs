//! Flags that both servers have.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};

use super::{AuditOptions, HealthOptions, KonnectivityOptions, LimitOptions, RenewalOptions};

/// Flags of `apiserver` and `standalone` alike.
#[derive(Debug, Clone, Args)]
pub struct CommonOptions {
    /// Let clusters marked `cluster.core.oam.dev/insecure-skip-tls-verify: "true"` go unverified or unencrypted
    #[arg(long, value_name = "BOOL", default_value = "false", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Clusters")]
    pub allow_insecure_clusters: bool,

    /// Program that clusters of credential type Dynamic may run for a token or certificate, absolute path; may be repeated
    /// [default: none]
    #[arg(long, value_name = "PATH", help_heading = "Clusters")]
    pub allow_exec_credential_command: Vec<PathBuf>,

    /// Variables of the gateway's environment that such programs get, besides PATH and those that their Secret sets
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', help_heading = "Clusters")]
    pub exec_credential_environment: Vec<String>,

    /// Identity rules for all clusters (a ClusterGatewayProxyConfiguration, YAML); used where the caller's identity is
    /// passed on; read again when it changes
    #[arg(long, value_name = "FILE", help_heading = "Clusters")]
    pub cluster_gateway_proxy_config: Option<PathBuf>,

    /// Hosts that clusters may name as identity webhooks in their annotations: HOST, HOST:PORT, *.DOMAIN, *.DOMAIN:PORT; 443 without
    /// a port [default: none, only the file of --cluster-gateway-proxy-config may name webhooks]
    #[arg(long, value_name = "HOST,…", value_delimiter = ',', help_heading = "Clusters")]
    pub identity_webhook_hosts: Vec<String>,

    /// Feature gates of the original, NAME=true or NAME=false: HealthinessCheck, ClientIdentityPenetration
    #[arg(long, value_name = "NAME=BOOL,…", help_heading = "Clusters")]
    pub feature_gates: Vec<String>,

    /// The konnectivity proxy server.
    #[command(flatten)]
    pub konnectivity: KonnectivityOptions,

    /// Serving certificate, PEM, leaf first; read again when it changes [default: one that is made here and renews itself]
    #[arg(long, value_name = "FILE", help_heading = "Serving")]
    pub tls_cert_file: Option<PathBuf>,

    /// Private key of the serving certificate, PEM
    #[arg(long, value_name = "FILE", help_heading = "Serving")]
    pub tls_private_key_file: Option<PathBuf>,

    /// How long /readyz fails before the socket closes at a stop
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = crate::request::duration, help_heading = "Serving")]
    pub shutdown_delay_duration: Duration,

    /// CA bundle for client certificates [default: with a hub, read from it]
    #[arg(long, value_name = "FILE", help_heading = "Authentication")]
    pub client_ca_file: Option<PathBuf>,

    /// Paths that everybody may read; a trailing * makes a prefix
    #[arg(
        long,
        value_name = "PATH,…",
        value_delimiter = ',',
        default_value = "/healthz,/readyz,/livez",
        help_heading = "Authorization"
    )]
    pub authorization_always_allow_paths: Vec<String>,

    /// Demand `create` on clustergateways/proxy for exec, attach, port-forward and other upgrades, besides the verb of
    /// the method; false behaves as the original, where `get` opens a shell
    #[arg(long, value_name = "BOOL", default_value = "true", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Authorization")]
    pub authorize_upgrade_as_create: bool,

    /// Authorize the proxied request itself, too: its own verb, resource, namespace and name, as the member would, besides
    /// clustergateways/proxy
    #[arg(long, value_name = "BOOL", default_value = "false", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Authorization")]
    pub authorize_proxy_subpath: bool,

    /// How members are looked after.
    #[command(flatten)]
    pub health: HealthOptions,

    /// How tokens are renewed.
    #[command(flatten)]
    pub renewal: RenewalOptions,

    /// Which requests are audited, and where to.
    #[command(flatten)]
    pub audit: AuditOptions,

    /// How much and for how long.
    #[command(flatten)]
    pub limits: LimitOptions,

    /// Verbosity of the log: 0 failures and changes, 4 a line per request, 6 connections, 8 libraries
    #[arg(short = 'v', long = "v", value_name = "LEVEL", default_value_t = 0, help_heading = "Log")]
    pub verbosity: u8,

    /// Form of the log: text or json
    #[arg(long, value_name = "FORM", default_value = "text", value_parser = ["text", "json"], help_heading = "Log")]
    pub logging_format: String,
}
