//! Flags, environment and files → one resolved value. Every mistake is reported, all at once, before anything starts.
//!
//! The flags are those of the Go original and of the API server library under it, so that its manifests and KubeVela's
//! chart work unchanged (contract rule 135). The only module that reads the environment.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

mod compat;
mod gates;
mod options;

pub use compat::{Leftover, normalize};
pub use gates::FeatureGates;
pub use options::ApiserverOptions;

use crate::authn::{AuthenticationConfig, RequestHeaderConfig};
use crate::authz::{AuthorizationConfig, Policy};
use crate::hub::HubConfig;
use crate::identity::Rules;
use crate::server::TlsFiles;

/// See [`Config::poll`].
const POLL: Duration = Duration::from_secs(10);

/// Everything that the hub-mode server needs, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub address: SocketAddr,
    /// Serving certificate; `None`: one is made for this process.
    pub tls: Option<TlsFiles>,
    /// Namespace of the credential Secrets.
    pub secret_namespace: String,
    /// How to reach the hub.
    pub hub: HubConfig,
    /// How callers are authenticated.
    pub authentication: AuthenticationConfig,
    /// How callers are authorized.
    pub authorization: AuthorizationConfig,
    /// Switches of the original.
    pub gates: FeatureGates,
    /// Identity rules for all clusters.
    pub identity_rules: Rules,
    /// Whether clusters may be marked insecure.
    pub allow_insecure_clusters: bool,
    /// Whether clusters may be on a loopback address.
    pub allow_loopback_clusters: bool,
    /// How long `/readyz` fails before the socket closes.
    pub shutdown_delay: Duration,
    /// How often the serving certificate's files are read again, and the CAs named in the handshake renewed. Resolved
    /// to 10 s (rule 56).
    pub poll: Duration,
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
        let request_header = request_header(&options, &mut mistakes);
        let authorization = authorization(&options, &mut mistakes);
        let gates = FeatureGates::parse(&options.feature_gates).unwrap_or_else(|error| {
            mistakes.push(format!("--feature-gates: {error}"));
            FeatureGates::default()
        });
        let identity_rules = identity_rules(&options, &mut mistakes);
        if !mistakes.is_empty() {
            return Err(ConfigError(mistakes));
        }
        Ok(Self {
            address,
            tls,
            secret_namespace,
            allow_loopback_clusters: options.allow_loopback_clusters.unwrap_or(options.kubeconfig.is_some()),
            authentication: AuthenticationConfig {
                client_ca_file: options.client_ca_file,
                request_header,
                skip_lookup: options.authentication_skip_lookup,
                tolerate_lookup_failure: options.authentication_tolerate_lookup_failure,
                token_cache_ttl: options.authentication_token_webhook_cache_ttl,
                ..AuthenticationConfig::default()
            },
            authorization,
            hub: HubConfig {
                kubeconfig: options.kubeconfig,
                authentication_kubeconfig: options.authentication_kubeconfig,
                authorization_kubeconfig: options.authorization_kubeconfig,
                user_agent: options.user_agent,
            },
            gates,
            identity_rules,
            allow_insecure_clusters: options.allow_insecure_clusters,
            shutdown_delay: options.shutdown_delay_duration,
            poll: POLL,
        })
    }
}

fn authorization(options: &ApiserverOptions, mistakes: &mut Vec<String>) -> AuthorizationConfig {
    let config = AuthorizationConfig {
        always_allow_paths: options.authorization_always_allow_paths.clone(),
        allowed_ttl: options.authorization_webhook_cache_authorized_ttl,
        denied_ttl: options.authorization_webhook_cache_unauthorized_ttl,
        policy: Policy { upgrade_needs_create: options.authorize_upgrade_as_create },
    };
    if let Err(error) = config.check() {
        mistakes.push(format!("--authorization-always-allow-paths: {error}"));
    }
    config
}

fn identity_rules(options: &ApiserverOptions, mistakes: &mut Vec<String>) -> Rules {
    let Some(path) = &options.cluster_gateway_proxy_config else { return Rules::default() };
    // A file that cannot be read has been reported with the others.
    let Ok(yaml) = std::fs::read_to_string(path) else { return Rules::default() };
    Rules::parse(&yaml, None).unwrap_or_else(|error| {
        mistakes.push(format!("--cluster-gateway-proxy-config: {}: {error}", path.display()));
        Rules::default()
    })
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
        (Some(certificate), Some(key)) => {
            Some(TlsFiles { certificate: certificate.clone(), key: key.clone() })
        }
        (None, None) => None,
        _ => {
            mistakes.push(
                "--tls-cert-file and --tls-private-key-file belong together; give both or none".to_owned(),
            );
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
        if let Err(error) =
            std::fs::File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut [0]))
        {
            mistakes.push(format!("{flag}: cannot read {}: {error}", path.display()));
        }
    }
}

fn request_header(options: &ApiserverOptions, mistakes: &mut Vec<String>) -> RequestHeaderConfig {
    if options.requestheader_client_ca_file.is_none() && !options.requestheader_allowed_names.is_empty() {
        mistakes.push("--requestheader-allowed-names needs --requestheader-client-ca-file".to_owned());
    }
    let headers = [
        ("--requestheader-username-headers", &options.requestheader_username_headers),
        ("--requestheader-uid-headers", &options.requestheader_uid_headers),
        ("--requestheader-group-headers", &options.requestheader_group_headers),
        ("--requestheader-extra-headers-prefix", &options.requestheader_extra_headers_prefix),
    ];
    for (flag, names) in headers {
        for name in names.iter().filter(|name| http::HeaderName::from_bytes(name.as_bytes()).is_err()) {
            mistakes.push(format!("{flag}: \"{name}\" is not a header name"));
        }
    }
    RequestHeaderConfig {
        client_ca_file: options.requestheader_client_ca_file.clone(),
        allowed_names: options.requestheader_allowed_names.clone(),
        username_headers: options.requestheader_username_headers.clone(),
        uid_headers: options.requestheader_uid_headers.clone(),
        group_headers: options.requestheader_group_headers.clone(),
        extra_header_prefixes: options.requestheader_extra_headers_prefix.clone(),
    }
}
