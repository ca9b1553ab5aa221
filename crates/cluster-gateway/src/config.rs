//! Flags, environment and files → one resolved value. Every mistake is reported, all at once, before anything starts.
//!
//! The flags are those of the Go original and of the API server library under it, so that its manifests and KubeVela's
//! chart work unchanged (contract rule 135). The only module that reads the environment.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

mod certificate;
mod audit;
mod compat;
mod exec;
mod gates;
mod health;
mod hub;
mod konnectivity;
mod limits;
mod login;
mod manage;
mod operator;
mod options;
mod proxies;
mod renewal;
mod standalone;
mod store;

pub use compat::{Leftover, normalize};
pub use exec::exec_policy;
pub use gates::FeatureGates;
pub use manage::ManageConfig;
pub use operator::{find_program, kubeconfigs, operator_policy};
pub use options::{
    ApiserverOptions, AuditMode, AuditOptions, CommonOptions, ContextsOption, DataOptions, HealthOptions,
    KonnectivityOptions, LimitOptions, LoginOptions, ManageOptions, OidcOptions, ProxyModeOption,
    RenewalOptions, StandaloneOptions, StoreOptions,
};
pub use store::record_store;

use crate::audit::AuditConfig;
use crate::authn::{AuthenticationConfig, StandaloneAuthentication};
use crate::authz::{AuthorizationConfig, Policy, RbacConfig};
use crate::certificate::CertificateConfig;
use crate::credential::ExecPolicy;
use crate::health::HealthConfig;
use crate::hub::HubConfig;
use crate::identity::{IdentityConfig, RulesFile, WebhookHosts};
use crate::limits::LimitsConfig;
use crate::registry::{ClustersDirectory, ProxyEnvironment};
use crate::renewal::RenewalConfig;
use crate::server::TlsFiles;
use crate::transport::ProxyServerConfig;

/// How often files are read again, and derived settings renewed.
const POLL: Duration = Duration::from_secs(10);

/// Everything that a server needs, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub address: SocketAddr,
    /// Whether the gateway itself is served there. Default: yes; no, where management is all that is served.
    pub serves_gateway: bool,
    /// Management; `None`: it is not served.
    pub manage: Option<ManageConfig>,
    /// Serving certificate; `None`: one is made.
    pub tls: Option<TlsFiles>,
    /// Where clusters, users and rights come from.
    pub mode: Mode,
    /// How callers are authorized.
    pub authorization: AuthorizationConfig,
    /// Switches of the original.
    pub gates: FeatureGates,
    /// Which requests are audited, and where to; `None`: none is.
    pub audit: Option<AuditConfig>,
    /// What is made of callers' identities.
    pub identity: IdentityConfig,
    /// Whether clusters may be marked insecure.
    pub allow_insecure_clusters: bool,
    /// Whether clusters may be on a loopback address.
    pub allow_loopback_clusters: bool,
    /// Proxies on the way to clusters whose Secret names none.
    pub proxies: ProxyEnvironment,
    /// Programs that clusters may run for their credentials.
    pub exec: ExecPolicy,
    /// How members are looked after.
    pub health: HealthConfig,
    /// How tokens of members' service accounts are renewed.
    pub renewal: RenewalConfig,
    /// How long a member may leave an ordinary request without the head of an answer; `None`: no limit.
    pub response_header_timeout: Option<Duration>,
    /// The konnectivity proxy server behind which clusters are that have no address; `None`: such clusters cannot be used.
    pub konnectivity: Option<ProxyServerConfig>,
    /// How much may be under way at once, and for how long.
    pub limits: LimitsConfig,
    /// How long `/readyz` fails before the socket closes.
    pub shutdown_delay: Duration,
    /// Whether the socket then stays open, answering 429, until the open requests are through (rule 133).
    pub shutdown_send_retry_after: bool,
    /// How often the serving certificate's files are read again, and the CAs named in the handshake renewed. Resolved
    /// to 10 s (rule 56).
    pub poll: Duration,
}

/// Where clusters, users and rights come from. The path of a request is the same.
#[derive(Debug, Clone)]
pub enum Mode {
    /// From a hub.
    Hub(HubMode),
    /// From files.
    Standalone(StandaloneMode),
}

/// A server of a hub.
#[derive(Debug, Clone)]
pub struct HubMode {
    /// Namespace of the credential Secrets.
    pub secret_namespace: String,
    /// How to reach the hub.
    pub hub: HubConfig,
    /// How callers are authenticated.
    pub authentication: AuthenticationConfig,
    /// The certificate that renews itself; `None`: files are served, or one that is made for the process.
    pub certificate: Option<CertificateConfig>,
    /// Whether endpoint and CA of clusters come from ManagedClusters (`--ocm-integration`, rule 247).
    pub ocm_integration: bool,
    /// Whether the hub itself is among the virtual clusters (`--virtual-clutser-with-control-plane`, rule 214).
    pub list_control_plane: bool,
}

/// A server without a hub.
#[derive(Debug, Clone)]
pub struct StandaloneMode {
    /// Directory of clusters.
    pub clusters: ClustersDirectory,
    /// Directory of RBAC manifests; `None`: only `system:masters` may do anything.
    pub rbac: Option<RbacConfig>,
    /// Directory of the server's own certificate authorities.
    pub data_dir: PathBuf,
    /// Names and addresses that clients use, besides those of this machine's loopback.
    pub names: Vec<String>,
    /// How callers are authenticated; the CA is added when the data directory has been opened.
    pub authentication: StandaloneAuthentication,
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

/// What is resolved alike for both servers.
struct Common {
    tls: Option<TlsFiles>,
    authorization: AuthorizationConfig,
    gates: FeatureGates,
    proxies: ProxyEnvironment,
    exec: ExecPolicy,
    audit: Option<AuditConfig>,
    identity: IdentityConfig,
    health: HealthConfig,
    renewal: RenewalConfig,
    response_header_timeout: Option<Duration>,
    konnectivity: Option<ProxyServerConfig>,
    limits: LimitsConfig,
}

impl Common {
    fn resolve(options: &CommonOptions, mistakes: &mut Vec<String>) -> Self {
        check_files(
            &[
                ("--client-ca-file", &options.client_ca_file),
                ("--tls-cert-file", &options.tls_cert_file),
                ("--tls-private-key-file", &options.tls_private_key_file),
            ],
            mistakes,
        );
        let gates = FeatureGates::parse(&options.feature_gates).unwrap_or_else(|error| {
            mistakes.push(format!("--feature-gates: {error}"));
            FeatureGates::default()
        });
        let limit = options.health.response_header_timeout;
        Self {
            tls: tls(options, mistakes),
            authorization: authorization(options, mistakes),
            health: health::resolve(&options.health, &gates, mistakes),
            renewal: renewal::resolve(&options.renewal, mistakes),
            response_header_timeout: Some(limit).filter(|limit| !limit.is_zero()),
            gates,
            proxies: proxies::proxies(mistakes),
            exec: exec::policy(options, mistakes),
            audit: audit::resolve(&options.audit, mistakes),
            identity: identity(options, mistakes),
            konnectivity: konnectivity::proxy_server(&options.konnectivity, mistakes),
            limits: limits::limits(&options.limits, mistakes),
        }
    }
}

fn address(bind_address: &str, port: u16, mistakes: &mut Vec<String>) -> SocketAddr {
    let ip = bind_address.parse::<IpAddr>().unwrap_or_else(|_| {
        mistakes.push(format!("--bind-address: \"{bind_address}\" is not an IP address"));
        IpAddr::from([127, 0, 0, 1])
    });
    SocketAddr::new(ip, port)
}

fn tls(options: &CommonOptions, mistakes: &mut Vec<String>) -> Option<TlsFiles> {
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

fn authorization(options: &CommonOptions, mistakes: &mut Vec<String>) -> AuthorizationConfig {
    let config = AuthorizationConfig {
        always_allow_paths: options.authorization_always_allow_paths.clone(),
        policy: Policy {
            upgrade_needs_create: options.authorize_upgrade_as_create,
            proxied_requests: options.authorize_proxy_subpath,
        },
        ..AuthorizationConfig::default()
    };
    if let Err(error) = config.check() {
        mistakes.push(format!("--authorization-always-allow-paths: {error}"));
    }
    config
}

fn identity(options: &CommonOptions, mistakes: &mut Vec<String>) -> IdentityConfig {
    let webhook_hosts = WebhookHosts::parse(&options.identity_webhook_hosts).unwrap_or_else(|problems| {
        mistakes.extend(problems.iter().map(|problem| format!("--identity-webhook-hosts: {problem}")));
        WebhookHosts::default()
    });
    let config = IdentityConfig { webhook_hosts, ..IdentityConfig::default() };
    let Some(path) = &options.cluster_gateway_proxy_config else { return config };
    match RulesFile::load(path) {
        Ok((file, rules)) => IdentityConfig { rules, file: Some(file), ..config },
        Err(problem) => {
            mistakes.push(format!("--cluster-gateway-proxy-config: {problem}"));
            config
        }
    }
}

/// Names every file that cannot be read, with its flag.
fn check_files(files: &[(&str, &Option<PathBuf>)], mistakes: &mut Vec<String>) {
    for (flag, path) in files {
        let Some(path) = path else { continue };
        if let Err(error) = readable(path) {
            mistakes.push(format!("{flag}: cannot read {}: {error}", path.display()));
        }
    }
}

fn readable(path: &Path) -> std::io::Result<usize> {
    std::fs::File::open(path).and_then(|mut file| std::io::Read::read(&mut file, &mut [0]))
}
