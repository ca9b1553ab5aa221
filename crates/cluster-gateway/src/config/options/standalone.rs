//! Flags of the server without a hub.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::{CommonOptions, ManageOptions};

/// Flags of `standalone`.
#[derive(Debug, Clone, Args)]
pub struct StandaloneOptions {
    /// What both servers have.
    #[command(flatten)]
    pub common: CommonOptions,

    /// Where clusters and certificates lie.
    #[command(flatten)]
    pub data: DataOptions,

    /// Issuer of ID tokens.
    #[command(flatten)]
    pub oidc: OidcOptions,

    /// Management.
    #[command(flatten)]
    pub manage: ManageOptions,

    /// Directory of ClusterRoles and ClusterRoleBindings, with --authorize-proxy-subpath also Roles and RoleBindings;
    /// read again when it changes [default: only system:masters may do anything]
    #[arg(long, value_name = "DIR", help_heading = "Authorization")]
    pub rbac_dir: Option<PathBuf>,

    /// Address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", help_heading = "Serving")]
    pub bind_address: String,

    /// Port to serve HTTPS on; 0 lets the system choose one
    #[arg(long, value_name = "PORT", default_value_t = 9443, help_heading = "Serving")]
    pub secure_port: u16,

    /// Names and addresses that clients use, for the serving certificate made here [default: localhost and its addresses]
    #[arg(long, value_name = "HOST,…", value_delimiter = ',', help_heading = "Serving")]
    pub advertise_host: Vec<String>,

    /// Tokens and whose they are: CSV lines token,user,uid,"group1,group2", as kube-apiserver reads them
    #[arg(long, value_name = "FILE", help_heading = "Authentication")]
    pub token_auth_file: Option<PathBuf>,

    /// Take requests without credentials as system:anonymous
    #[arg(long, value_name = "BOOL", default_value = "false", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true, help_heading = "Authentication")]
    pub anonymous_auth: bool,
}

/// Where a standalone server keeps what it needs; `kubeconfig` reads the same places.
#[derive(Debug, Clone, Args)]
pub struct DataOptions {
    /// Directory of clusters: Secret manifests and kubeconfigs; read again when it changes
    #[arg(long, value_name = "DIR", help_heading = "Clusters")]
    pub clusters_dir: PathBuf,

    /// Contexts of a kubeconfig that become clusters
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = ContextsOption::All, help_heading = "Clusters")]
    pub kubeconfig_contexts: ContextsOption,

    /// Directory of the server's own certificate authorities, made on first use
    /// [default: ~/.local/state/cluster-gateway]
    #[arg(long, value_name = "DIR", help_heading = "Serving")]
    pub data_dir: Option<PathBuf>,
}

/// Which contexts of a kubeconfig become clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ContextsOption {
    /// One cluster for each.
    All,
    /// Only that of `current-context`.
    Current,
}

/// Flags of an OIDC issuer, as kube-apiserver names them.
#[derive(Debug, Clone, Args)]
pub struct OidcOptions {
    /// URL of an issuer whose ID tokens are believed
    #[arg(long, value_name = "URL", requires = "oidc_client_id", help_heading = "OpenID Connect")]
    pub oidc_issuer_url: Option<String>,

    /// Client that the tokens must be meant for
    #[arg(long, value_name = "ID", requires = "oidc_issuer_url", help_heading = "OpenID Connect")]
    pub oidc_client_id: Option<String>,

    /// Claim that holds the user's name
    #[arg(long, value_name = "CLAIM", default_value = "sub", help_heading = "OpenID Connect")]
    pub oidc_username_claim: String,

    /// Prefix of user names; - for none [default: the issuer's URL and #, nothing if the claim is email]
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true, help_heading = "OpenID Connect")]
    pub oidc_username_prefix: Option<String>,

    /// Claim that holds the user's groups
    #[arg(long, value_name = "CLAIM", help_heading = "OpenID Connect")]
    pub oidc_groups_claim: Option<String>,

    /// Prefix of groups
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "",
        hide_default_value = true,
        help_heading = "OpenID Connect"
    )]
    pub oidc_groups_prefix: String,

    /// Claim that must have this value; may be given several times
    #[arg(long, value_name = "CLAIM=VALUE", help_heading = "OpenID Connect")]
    pub oidc_required_claim: Vec<String>,

    /// CA bundle of the issuer's server [default: the system's roots]
    #[arg(long, value_name = "FILE", help_heading = "OpenID Connect")]
    pub oidc_ca_file: Option<PathBuf>,

    /// Algorithms that tokens may be signed with
    #[arg(
        long,
        value_name = "ALG,…",
        value_delimiter = ',',
        default_value = "RS256",
        help_heading = "OpenID Connect"
    )]
    pub oidc_signing_algs: Vec<String>,
}
