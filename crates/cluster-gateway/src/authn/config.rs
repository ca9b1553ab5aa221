//! Settings of authentication, as plain values.

use std::path::PathBuf;
use std::time::Duration;

use super::OidcConfig;
use crate::pki::ClientCas;

/// How callers are authenticated.
#[derive(Debug, Clone)]
pub struct AuthenticationConfig {
    /// Whether requests without credentials are `system:anonymous` (default) or refused (rule 63).
    pub anonymous: bool,
    /// `--client-ca-file`: CAs of client certificates, instead of the hub's ConfigMap.
    pub client_ca_file: Option<PathBuf>,
    /// `--requestheader-*`: the front proxy, instead of the hub's ConfigMap if it names a CA file.
    pub request_header: RequestHeaderConfig,
    /// `--authentication-skip-lookup`: the hub's ConfigMap is not read at all. Default: no.
    pub skip_lookup: bool,
    /// `--authentication-tolerate-lookup-failure`: start also when the ConfigMap cannot be read. Default: no.
    pub tolerate_lookup_failure: bool,
    /// `--authentication-token-webhook-cache-ttl`: for how long the hub's word on a token holds. Default 10 s; zero: not
    /// at all.
    pub token_cache_ttl: Duration,
    /// How often the files are read again. Default 10 s.
    pub file_poll: Duration,
}

impl Default for AuthenticationConfig {
    fn default() -> Self {
        Self {
            anonymous: true,
            client_ca_file: None,
            request_header: RequestHeaderConfig::default(),
            skip_lookup: false,
            tolerate_lookup_failure: false,
            token_cache_ttl: Duration::from_secs(10),
            file_poll: Duration::from_secs(10),
        }
    }
}

/// How callers of a server without a hub are authenticated.
#[derive(Debug, Clone)]
pub struct StandaloneAuthentication {
    /// The server's own CA of client certificates; see [`crate::issuer`]. Default: none.
    pub ca: ClientCas,
    /// `--client-ca-file`: further CAs of client certificates.
    pub client_ca_file: Option<PathBuf>,
    /// `--token-auth-file`: tokens and whose they are, in kube-apiserver's CSV format.
    pub token_file: Option<PathBuf>,
    /// `--oidc-*`: the issuer whose ID tokens are believed.
    pub oidc: Option<OidcConfig>,
    /// Whether requests without credentials are `system:anonymous`. Default: no, they are refused.
    pub anonymous: bool,
    /// How often the files are read again. Default 10 s.
    pub file_poll: Duration,
}

impl Default for StandaloneAuthentication {
    fn default() -> Self {
        Self {
            ca: ClientCas::default(),
            client_ca_file: None,
            token_file: None,
            oidc: None,
            anonymous: false,
            file_poll: Duration::from_secs(10),
        }
    }
}

/// Whom to believe identity headers, and which (rules 65-71).
#[derive(Debug, Clone)]
pub struct RequestHeaderConfig {
    /// `--requestheader-client-ca-file`. Without it this whole section is not used.
    pub client_ca_file: Option<PathBuf>,
    /// `--requestheader-allowed-names`: common names of front proxies; empty: any certificate of the CA.
    pub allowed_names: Vec<String>,
    /// `--requestheader-username-headers`. Default `X-Remote-User`.
    pub username_headers: Vec<String>,
    /// `--requestheader-group-headers`. Default `X-Remote-Group`.
    pub group_headers: Vec<String>,
    /// `--requestheader-uid-headers`. Default: none.
    pub uid_headers: Vec<String>,
    /// `--requestheader-extra-headers-prefix`. Default `X-Remote-Extra-`.
    pub extra_header_prefixes: Vec<String>,
}

impl Default for RequestHeaderConfig {
    fn default() -> Self {
        Self {
            client_ca_file: None,
            allowed_names: Vec::new(),
            username_headers: vec!["X-Remote-User".to_owned()],
            group_headers: vec!["X-Remote-Group".to_owned()],
            uid_headers: Vec::new(),
            extra_header_prefixes: vec!["X-Remote-Extra-".to_owned()],
        }
    }
}

/// Why it is not known at start whom to trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The hub does not answer; trying again makes sense.
    #[error("the authentication configuration of the hub cannot be read yet: {0}")]
    Unreachable(String),
    /// Trying again will not help.
    #[error("{0}")]
    Fatal(String),
}
