//! Flags of signing in to management.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// How people sign in to management, and for how long.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Signing in to management")]
pub struct LoginOptions {
    /// Longest life of a session; it also ends with the token that it rests on [default: 8h]
    #[arg(long, value_name = "DURATION", value_parser = crate::request::duration)]
    pub session_lifetime: Option<Duration>,

    /// Keys of sessions, the base64 of 32 bytes per line: the first is used, the others are still taken [default: with a
    /// hub the Secret cluster-gateway-session-key, else a file in --data-dir; made on first use]
    #[arg(long, value_name = "FILE")]
    pub session_key_file: Option<PathBuf>,

    /// URL of an OpenID Connect provider at which people sign in [default: that of --oidc-issuer-url in standalone]
    #[arg(long, value_name = "URL")]
    pub login_oidc_issuer_url: Option<String>,

    /// Client that management is at the provider
    #[arg(long, value_name = "ID")]
    pub login_oidc_client_id: Option<String>,

    /// File with the client's secret [default: a public client, which has none]
    #[arg(long, value_name = "FILE")]
    pub login_oidc_client_secret_file: Option<PathBuf>,

    /// CA bundle of the provider's server [default: the system's roots]
    #[arg(long, value_name = "FILE")]
    pub login_oidc_ca_file: Option<PathBuf>,

    /// Claim that holds the user's name [default: sub]
    #[arg(long, value_name = "CLAIM")]
    pub login_oidc_username_claim: Option<String>,

    /// Prefix of user names; - for none [default: the issuer's URL and #, nothing if the claim is email]
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true)]
    pub login_oidc_username_prefix: Option<String>,

    /// Claim that holds the user's groups [default: no groups]
    #[arg(long, value_name = "CLAIM")]
    pub login_oidc_groups_claim: Option<String>,

    /// Prefix of groups [default: none]
    #[arg(long, value_name = "PREFIX")]
    pub login_oidc_groups_prefix: Option<String>,

    /// Claim that must have this value; may be given several times
    #[arg(long, value_name = "CLAIM=VALUE")]
    pub login_oidc_required_claim: Vec<String>,

    /// Algorithms that tokens may be signed with [default: RS256]
    #[arg(long, value_name = "ALG,…", value_delimiter = ',')]
    pub login_oidc_signing_algs: Vec<String>,

    /// What is asked for besides openid [default: profile,email,groups]
    #[arg(long, value_name = "SCOPE,…", value_delimiter = ',')]
    pub login_oidc_scopes: Option<Vec<String>>,

    /// https://HOST/api/v1/login/oidc/callback as browsers know it, where the provider is to lead back to [default: at the
    /// host that the browser asks for]
    #[arg(long, value_name = "URL")]
    pub login_oidc_redirect_url: Option<String>,

    /// What people call the provider [default: its host]
    #[arg(long, value_name = "NAME")]
    pub login_oidc_name: Option<String>,

    /// Let VelaUX' users in, by the tokens of its front end: whoever has its key can be any of them
    #[arg(long)]
    pub velaux_login: bool,

    /// File with VelaUX' key for tokens [default: its record of the system in --datastore-database]
    #[arg(long, value_name = "FILE")]
    pub velaux_signed_key_file: Option<PathBuf>,

    /// Prefix of the names of VelaUX' users; - for none [default: velaux:]
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true)]
    pub velaux_username_prefix: Option<String>,

    /// Groups that all of VelaUX' users are in [default: none]
    #[arg(long, value_name = "GROUP,…", value_delimiter = ',')]
    pub velaux_groups: Vec<String>,
}
