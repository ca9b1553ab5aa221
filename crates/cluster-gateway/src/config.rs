//! Flags, environment and files → one resolved value. Every mistake is reported, all at once, before anything starts.
//!
//! The flags are those of the Go original and of the API server library under it, so that its manifests and KubeVela's
//! chart work unchanged (contract rule 135). The only module that reads the environment.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

mod compat;
mod gates;
mod options;

pub use compat::{Leftover, normalize};
pub use gates::FeatureGates;
pub use options::ApiserverOptions;

use crate::authz::AlwaysAllowPaths;
use crate::server::TlsFiles;

/// Everything that the hub-mode server needs, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub address: SocketAddr,
    /// Serving certificate; `None`: one is made for this process.
    pub tls: Option<TlsFiles>,
    /// Namespace of the credential Secrets.
    pub secret_namespace: String,
    /// How to reach the hub for Secrets and for whatever has no kubeconfig of its own.
    pub kubeconfig: Option<PathBuf>,
    /// How to reach the hub for TokenReviews and its authentication configuration.
    pub authentication_kubeconfig: Option<PathBuf>,
    /// How to reach the hub for SubjectAccessReviews.
    pub authorization_kubeconfig: Option<PathBuf>,
    /// How callers are authenticated.
    pub authentication: Authentication,
    /// How callers are authorized.
    pub authorization: Authorization,
    /// Switches of the original.
    pub gates: FeatureGates,
    /// `User-Agent` towards the hub.
    pub user_agent: String,
    /// Whether clusters may be marked insecure.
    pub allow_insecure_clusters: bool,
    /// Whether clusters may be on a loopback address.
    pub allow_loopback_clusters: bool,
    /// How long `/readyz` fails before the socket closes.
    pub shutdown_delay: Duration,
}

/// How callers are authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authentication {
    /// PEM bundle of client certificates.
    pub client_ca_file: Option<PathBuf>,
    /// Front proxy from flags instead of the hub's ConfigMap.
    pub request_header: Option<RequestHeader>,
    /// Do not read the hub's ConfigMap.
    pub skip_lookup: bool,
    /// Start although the hub's ConfigMap cannot be read.
    pub tolerate_lookup_failure: bool,
    /// How long a TokenReview's answer counts.
    pub token_ttl: Duration,
}

/// Front-proxy settings from flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// PEM bundle that front-proxy certificates verify against.
    pub client_ca_file: PathBuf,
    /// Common names that are believed; empty: all.
    pub allowed_names: Vec<String>,
    /// Headers that carry the user's name.
    pub username_headers: Vec<String>,
    /// Headers that carry the user's id.
    pub uid_headers: Vec<String>,
    /// Headers that carry groups.
    pub group_headers: Vec<String>,
    /// Prefixes of headers that carry extra attributes.
    pub extra_header_prefixes: Vec<String>,
}

/// How callers are authorized.
#[derive(Debug, Clone)]
pub struct Authorization {
    /// Paths that everybody may read.
    pub always_allow: AlwaysAllowPaths,
    /// How long an answer "yes" counts.
    pub allowed_ttl: Duration,
    /// How long an answer "no" counts.
    pub denied_ttl: Duration,
    /// Whether an upgrade through the proxy needs `create` besides the verb of its method (rule 90).
    pub upgrade_needs_create: bool,
}

/// All mistakes in the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub Vec<String>);

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_slice() {
            [one] => f.write_str(one),
            many => {
                write!(f, "{} settings are wrong:", many.len())?;
                many.iter().try_for_each(|text| write!(f, "\n  - {text}"))
            }
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Checks what was typed.
    ///
    /// # Errors
    /// [`ConfigError`] with every mistake.
    pub fn resolve(options: ApiserverOptions) -> Result<Self, ConfigError> {
        let mut mistakes = Vec::new();
        let address = address(&options, &mut mistakes);
        let tls = tls(&options, &mut mistakes);
        let secret_namespace = options.secret_namespace.clone().or_else(own_namespace).unwrap_or_else(|| {
            mistakes.push("--secret-namespace is required outside of a cluster".to_owned());
            String::new()
        });
        check_files(&options, &mut mistakes);
        refuse_unsupported(&options, &mut mistakes);
        let always_allow = AlwaysAllowPaths::parse(&options.authorization_always_allow_paths)
            .map_err(|error| mistakes.push(format!("--authorization-always-allow-paths: {error}")));
        let request_header = request_header(&options, &mut mistakes);
        let gates = FeatureGates::parse(&options.feature_gates)
            .map_err(|error| mistakes.push(format!("--feature-gates: {error}")));
        let (Ok(always_allow), Ok(gates), true) = (always_allow, gates, mistakes.is_empty()) else {
            return Err(ConfigError(mistakes));
        };
        Ok(Self {
            address,
            tls,
            secret_namespace,
            allow_loopback_clusters: options.allow_loopback_clusters.unwrap_or(options.kubeconfig.is_some()),
            authentication: Authentication {
                client_ca_file: options.client_ca_file,
                request_header,
                skip_lookup: options.authentication_skip_lookup,
                tolerate_lookup_failure: options.authentication_tolerate_lookup_failure,
                token_ttl: options.authentication_token_webhook_cache_ttl,
            },
            authorization: Authorization {
                always_allow,
                allowed_ttl: options.authorization_webhook_cache_authorized_ttl,
                denied_ttl: options.authorization_webhook_cache_unauthorized_ttl,
                upgrade_needs_create: options.authorize_upgrade_as_create,
            },
            kubeconfig: options.kubeconfig,
            authentication_kubeconfig: options.authentication_kubeconfig,
            authorization_kubeconfig: options.authorization_kubeconfig,
            gates,
            user_agent: options.user_agent,
            allow_insecure_clusters: options.allow_insecure_clusters,
            shutdown_delay: options.shutdown_delay_duration,
        })
    }
}

/// Flags whose absence would make the server laxer than it was asked to be are refused, not ignored.
fn refuse_unsupported(options: &ApiserverOptions, mistakes: &mut Vec<String>) {
    for (given, flag) in [
        (options.authorize_proxy_subpath, "--authorize-proxy-subpath"),
        (options.ocm_integration, "--ocm-integration"),
    ] {
        if given {
            mistakes.push(format!("{flag} is not supported by this version; remove it"));
        }
    }
}

fn address(options: &ApiserverOptions, mistakes: &mut Vec<String>) -> SocketAddr {
    let ip = options.bind_address.parse::<IpAddr>().unwrap_or_else(|_| {
        mistakes.push(format!("--bind-address: \"{}\" is not an IP address", options.bind_address));
        IpAddr::from([127, 0, 0, 1])
    });
    SocketAddr::new(ip, options.secure_port)
}

fn tls(options: &ApiserverOptions, mistakes: &mut Vec<String>) -> Option<TlsFiles> {
    match (&options.tls_cert_file, &options.tls_private_key_file) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate: certificate.clone(), key: key.clone() }),
        (None, None) => None,
        _ => {
            mistakes.push("--tls-cert-file and --tls-private-key-file belong together; give both or none".to_owned());
            None
        }
    }
}

/// Namespace of the pod, as Kubernetes mounts it; the original's default.
fn own_namespace() -> Option<String> {
    let path = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Names every file that cannot be read, with its flag.
fn check_files(options: &ApiserverOptions, mistakes: &mut Vec<String>) {
    let files = [
        ("--kubeconfig", &options.kubeconfig),
        ("--authentication-kubeconfig", &options.authentication_kubeconfig),
        ("--authorization-kubeconfig", &options.authorization_kubeconfig),
        ("--client-ca-file", &options.client_ca_file),
        ("--requestheader-client-ca-file", &options.requestheader_client_ca_file),
        ("--cluster-gateway-proxy-config", &options.cluster_gateway_proxy_config),
        ("--tls-cert-file", &options.tls_cert_file),
        ("--tls-private-key-file", &options.tls_private_key_file),
    ];
    for (flag, path) in files {
        let Some(path) = path else { continue };
        if let Err(error) = std::fs::File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut [0])) {
            mistakes.push(format!("{flag}: cannot read {}: {error}", path.display()));
        }
    }
}

fn request_header(options: &ApiserverOptions, mistakes: &mut Vec<String>) -> Option<RequestHeader> {
    let Some(client_ca_file) = options.requestheader_client_ca_file.clone() else {
        if !options.requestheader_allowed_names.is_empty() {
            mistakes.push("--requestheader-allowed-names needs --requestheader-client-ca-file".to_owned());
        }
        return None;
    };
    for name in options.requestheader_username_headers.iter().chain(&options.requestheader_group_headers) {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            mistakes.push(format!("--requestheader-…-headers: \"{name}\" is not a header name"));
        }
    }
    Some(RequestHeader {
        client_ca_file,
        allowed_names: options.requestheader_allowed_names.clone(),
        username_headers: options.requestheader_username_headers.clone(),
        uid_headers: options.requestheader_uid_headers.clone(),
        group_headers: options.requestheader_group_headers.clone(),
        extra_header_prefixes: options.requestheader_extra_headers_prefix.clone(),
    })
}
