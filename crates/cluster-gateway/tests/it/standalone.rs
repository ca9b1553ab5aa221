//! The whole server without a hub: files, a fake member, real sockets.

mod audit;
mod clusters;
mod rights;
mod start;
mod users;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster_gateway::authn::{GROUP_MASTERS, StandaloneAuthentication};
use cluster_gateway::authz::{AuthorizationConfig, RbacConfig};
use cluster_gateway::config::{Config, FeatureGates, Mode, StandaloneMode};
use cluster_gateway::credential::ExecPolicy;
use cluster_gateway::identity::IdentityConfig;
use cluster_gateway::issuer::{CertificateAuthority, DataDir, Role};
use cluster_gateway::limits::LimitsConfig;
use cluster_gateway::registry::{ClustersDirectory, ProxyEnvironment};
use cluster_gateway::serve::Server;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::caller::Caller;
use crate::support::fake_member::{FakeMember, Leaf, Options};
use crate::support::world::until;

/// How often files are looked at here.
const POLL: Duration = Duration::from_millis(20);
const HOUR: Duration = Duration::from_secs(3600);
const CLUSTERS: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
/// The member's token, which must never reach a caller.
const TOKEN: &str = "member-token";

/// The folders of a server. Removed when dropped.
pub(crate) struct Files(TempDir);

impl Files {
    /// Empty folders of clusters and of rights; the data directory is left to the server.
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        for folder in ["clusters", "rbac"] {
            std::fs::create_dir(files.path(folder)).unwrap();
        }
        files
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Replaces a file as a whole.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let draft = self.path("draft");
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, self.path(name)).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.path(name)).unwrap();
    }

    fn config(&self) -> Config {
        Config {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            serves_gateway: true,
            manage: None,
            tls: None,
            mode: Mode::Standalone(StandaloneMode {
                clusters: ClustersDirectory {
                    directory: self.path("clusters"),
                    poll: POLL,
                    ..ClustersDirectory::default()
                },
                rbac: Some(RbacConfig { directory: self.path("rbac"), poll: POLL }),
                data_dir: self.path("data"),
                names: Vec::new(),
                authentication: StandaloneAuthentication {
                    file_poll: POLL,
                    ..StandaloneAuthentication::default()
                },
            }),
            authorization: AuthorizationConfig::default(),
            gates: FeatureGates::default(),
            audit: None,
            health: cluster_gateway::health::HealthConfig::default(),
            renewal: cluster_gateway::renewal::RenewalConfig::default(),
            response_header_timeout: None,
            identity: IdentityConfig::default(),
            allow_insecure_clusters: false,
            allow_loopback_clusters: true,
            proxies: ProxyEnvironment::default(),
            exec: ExecPolicy::default(),
            konnectivity: None,
            limits: LimitsConfig::default(),
            shutdown_delay: Duration::ZERO,
            shutdown_send_retry_after: false,
            poll: POLL,
        }
    }
}

/// The settings of files in a configuration.
fn standalone(config: &mut Config) -> &mut StandaloneMode {
    match &mut config.mode {
        Mode::Standalone(mode) => mode,
        Mode::Hub(_) => panic!("a hub"),
    }
}

/// A running server with one member, which is cluster `m` once [`Alone::start`] returns.
pub(crate) struct Alone {
    pub(crate) server: Server,
    pub(crate) member: FakeMember,
    pub(crate) files: Files,
}

impl Alone {
    pub(crate) async fn start() -> Self {
        Self::with(|_, _| ()).await
    }

    /// Starts it after a change of its files and settings, and waits until it is ready.
    pub(crate) async fn with(change: impl FnOnce(&Files, &mut Config)) -> Self {
        let (files, member) = (Files::new(), FakeMember::start(Options::default()).await);
        files.write("clusters/m.json", &secret("m", &member, TOKEN).to_string());
        let mut config = files.config();
        change(&files, &mut config);
        let server = Server::start(config).await.unwrap();
        let alone = Self { server, member, files };
        let nobody = alone.nobody();
        until(|| async { nobody.get("/readyz").await.status == 200 }).await;
        alone
    }

    /// Without any credential.
    pub(crate) fn nobody(&self) -> Caller {
        let ca = authority(&self.files.path("data"), Role::Serving);
        let ca = CertificateDer::from_pem_slice(ca.certificate_pem().as_bytes()).unwrap();
        Caller::new(self.server.address(), &ca)
    }

    /// With a certificate that the server's own CA has issued.
    pub(crate) fn user(&self, name: &str, groups: &[&str]) -> Caller {
        self.nobody().certificate(&issue(&self.files.path("data"), name, groups, HOUR))
    }

    pub(crate) fn admin(&self) -> Caller {
        self.user("admin", &[GROUP_MASTERS])
    }
}

fn authority(data: &Path, role: Role) -> CertificateAuthority {
    CertificateAuthority::load_or_create(&DataDir::open(data).unwrap(), role).unwrap()
}

/// As `cluster-gateway kubeconfig` does it.
fn issue(data: &Path, name: &str, groups: &[&str], ttl: Duration) -> Leaf {
    let groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
    let issued = authority(data, Role::Clients).issue(name, &groups, ttl).unwrap();
    Leaf { certificate: issued.certificate, key: issued.key }
}

pub(crate) fn secret(name: &str, member: &FakeMember, token: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "labels": {"cluster.core.oam.dev/cluster-credential-type": "ServiceAccountToken"},
        },
        "stringData": {
            "endpoint": format!("https://{}", member.address),
            "ca.crt": member.ca.pem(),
            "token": token,
        },
    })
}

fn proxy(cluster: &str, path: &str) -> String {
    format!("{CLUSTERS}/{cluster}/proxy{path}")
}

/// Waits until `path` is answered with this status.
async fn answered(caller: &Caller, path: &str, status: u16) {
    until(|| async { caller.get(path).await.status == status }).await;
}

/// Names of the clusters that are listed.
async fn listed(caller: &Caller) -> Vec<String> {
    let list = caller.get(CLUSTERS).await.json();
    let names = list["items"].as_array().unwrap().iter();
    names.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}
