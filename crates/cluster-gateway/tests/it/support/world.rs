//! A whole server between a fake hub and a fake member, and callers for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use cluster_gateway::audit::AuditConfig;
use cluster_gateway::authn::{AuthenticationConfig, UserInfo};
use cluster_gateway::authz::AuthorizationConfig;
use cluster_gateway::config::{Config, FeatureGates, HubMode, ManageConfig, Mode};
use cluster_gateway::credential::ExecPolicy;
use cluster_gateway::health::HealthConfig;
use cluster_gateway::hub::HubConfig;
use cluster_gateway::identity::IdentityConfig;
use cluster_gateway::limits::LimitsConfig;
use cluster_gateway::manage::login::LoginConfig;
use cluster_gateway::manage::store::{StoreConfig, StoreType, StoreUrl};
use cluster_gateway::registry::ProxyEnvironment;
use cluster_gateway::renewal::RenewalConfig;
use cluster_gateway::serve::Server;
use cluster_gateway::server::TlsFiles;
use cluster_gateway::transport::ProxyServerConfig;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::caller::Caller;
use super::fake_hub::FakeHub;
use super::fake_member::{FakeMember, Leaf, Options, TestCa};

/// Namespace of the credential Secrets.
pub(crate) const NAMESPACE: &str = "vela-system";
/// Path of the cluster that the member is registered as.
pub(crate) const PROXY: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/m/proxy";
/// The member's token, which must never reach a caller.
pub(crate) const TOKEN: &str = "member-token";

/// What a test may change before the server starts.
pub(crate) struct Setup<'s> {
    pub(crate) member: Options<'s>,
    pub(crate) gates: FeatureGates,
    pub(crate) identity: IdentityConfig,
    pub(crate) authorization: AuthorizationConfig,
    pub(crate) poll: Duration,
    pub(crate) limits: LimitsConfig,
    pub(crate) shutdown_send_retry_after: bool,
    pub(crate) audit: Option<AuditConfig>,
    pub(crate) health: HealthConfig,
    pub(crate) renewal: RenewalConfig,
    /// Endpoints come from ManagedClusters, which the hub knows from the start.
    pub(crate) ocm_integration: bool,
    /// Programs that may be run for credentials.
    pub(crate) exec: ExecPolicy,
    /// Whether members may be on this machine, as all fake ones are.
    pub(crate) allow_loopback: bool,
    /// The proxy server of clusters without an address.
    pub(crate) konnectivity: Option<ProxyServerConfig>,
    /// The gateway shows this to the member instead of a token.
    pub(crate) certificate: Option<Leaf>,
    /// Whether management is served, too, with its records in a file.
    pub(crate) manage: bool,
    /// How people sign in there.
    pub(crate) login: LoginConfig,
    /// Whether its records are ConfigMaps of the hub instead.
    pub(crate) records_at_hub: bool,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            member: Options::default(),
            gates: FeatureGates::default(),
            identity: IdentityConfig::default(),
            authorization: AuthorizationConfig::default(),
            poll: Duration::from_secs(10),
            limits: LimitsConfig::default(),
            shutdown_send_retry_after: false,
            audit: None,
            health: HealthConfig::default(),
            renewal: RenewalConfig::default(),
            ocm_integration: false,
            exec: ExecPolicy::default(),
            allow_loopback: true,
            konnectivity: None,
            certificate: None,
            manage: false,
            login: LoginConfig::default(),
            records_at_hub: false,
        }
    }
}

/// Hub, member `m` and server, ready.
pub(crate) struct World {
    pub(crate) hub: FakeHub,
    pub(crate) member: FakeMember,
    pub(crate) server: Server,
    /// Of the server, for another replica.
    pub(crate) config: Config,
    pub(crate) front_proxy: TestCa,
    pub(crate) clients: TestCa,
    pub(crate) serving: TestCa,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(mut setup: Setup<'_>) -> Self {
        let hub = FakeHub::start().await;
        if setup.ocm_integration {
            hub.install_managed_clusters();
        }
        let member = FakeMember::start(std::mem::take(&mut setup.member)).await;
        let [front_proxy, clients, serving] = ["front proxy", "clients", "serving"].map(TestCa::new);
        hub.set_auth_config(&[
            ("requestheader-client-ca-file", &front_proxy.pem()),
            ("requestheader-allowed-names", "[\"front-proxy-client\"]"),
            ("requestheader-username-headers", "[\"X-Remote-User\"]"),
            ("requestheader-group-headers", "[\"X-Remote-Group\"]"),
            ("requestheader-extra-headers-prefix", "[\"X-Remote-Extra-\"]"),
            ("client-ca-file", &clients.pem()),
        ]);
        let leaf = serving.server(&["localhost"]);
        std::fs::write(hub.dir().join("tls.crt"), &leaf.certificate).unwrap();
        std::fs::write(hub.dir().join("tls.key"), &leaf.key).unwrap();
        let (certificate, allow_loopback) = (setup.certificate.take(), setup.allow_loopback);
        let records_at_hub = setup.records_at_hub;
        let mut config = config(&hub, setup);
        if let Some(manage) = config.manage.as_mut().filter(|_| records_at_hub) {
            manage.records = StoreConfig::new(StoreType::KubeApi, None, None).unwrap();
        }
        let server = Server::start(config.clone()).await.unwrap();
        let world = Self { hub, member, server, config, front_proxy, clients, serving };
        match certificate {
            None => world.register("m", &[]),
            Some(leaf) => world.register_certificate("m", &leaf),
        }
        let expected = if allow_loopback { 200 } else { 500 };
        world.ready(expected).await;
        world
    }

    /// Registers the member under `name`; `changes` go over its data.
    pub(crate) fn register(&self, name: &str, changes: &[(&str, &str)]) {
        self.hub.put_secret(&self.secret(name, changes));
    }

    /// Registers the member under `name`, with a client certificate.
    pub(crate) fn register_certificate(&self, name: &str, leaf: &Leaf) {
        let mut secret = self.secret(name, &[("tls.crt", &leaf.certificate), ("tls.key", &leaf.key)]);
        let labels = secret.metadata.labels.as_mut().unwrap();
        labels
            .insert("cluster.core.oam.dev/cluster-credential-type".to_owned(), "X509Certificate".to_owned());
        secret.data.as_mut().unwrap().remove("token");
        self.hub.put_secret(&secret);
    }

    pub(crate) fn secret(&self, name: &str, changes: &[(&str, &str)]) -> Secret {
        let mut data = BTreeMap::from([
            ("endpoint".to_owned(), ByteString(format!("https://{}", self.member.address).into_bytes())),
            ("ca.crt".to_owned(), ByteString(self.member.ca.pem().into_bytes())),
            ("token".to_owned(), ByteString(TOKEN.as_bytes().to_vec())),
        ]);
        for (key, value) in changes {
            data.insert((*key).to_owned(), ByteString(value.as_bytes().to_vec()));
        }
        let label = |key: &str, value: &str| (format!("cluster.core.oam.dev/{key}"), value.to_owned());
        Secret {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(NAMESPACE.to_owned()),
                labels: Some(BTreeMap::from([
                    label("cluster-credential-type", "ServiceAccountToken"),
                    label("cluster-endpoint-type", "Const"),
                ])),
                ..ObjectMeta::default()
            },
            data: Some(data),
            ..Secret::default()
        }
    }

    async fn ready(&self, expected: u16) {
        let caller = self.nobody();
        until(|| async { caller.get("/readyz").await.status == 200 }).await;
        until(|| async {
            let answer = self.masters().get(&format!("{PROXY}/plain")).await;
            answer.status == expected && !answer.message().contains("no such cluster")
        })
        .await;
    }

    /// The same caller at the listener of management.
    pub(crate) fn managing(&self, caller: Caller) -> Caller {
        caller.at(self.server.management_address().unwrap())
    }

    fn caller(&self) -> Caller {
        Caller::new(self.server.address(), &self.serving.der())
    }

    /// Waits until the gateway knows the cluster `name`.
    pub(crate) async fn listed(&self, name: &str) {
        let (clusters, _) = PROXY.split_once("/m/").unwrap();
        let (caller, path) = (self.masters(), format!("{clusters}/{name}"));
        until(|| async { caller.get(&path).await.status == 200 }).await;
    }

    /// Without any credential.
    pub(crate) fn nobody(&self) -> Caller {
        self.caller()
    }

    /// Through the front proxy, in `system:masters`.
    pub(crate) fn masters(&self) -> Caller {
        self.user("admin", &["system:masters"])
    }

    /// Through the front proxy.
    pub(crate) fn user(&self, name: &str, groups: &[&str]) -> Caller {
        let mut caller = self.caller().certificate(&self.front_proxy.client("front-proxy-client"));
        caller = caller.header("x-remote-user", name);
        groups.iter().fold(caller, |caller, group| caller.header("x-remote-group", group))
    }

    /// Straight, with a hub token of `name`.
    pub(crate) fn token(&self, name: &str, token: &str) -> Caller {
        self.hub.token(token, UserInfo { name: name.to_owned(), ..UserInfo::default() });
        self.caller().header("authorization", &format!("Bearer {token}"))
    }
}

/// A server of this hub, on a port of its own. Its certificate is in the hub's directory.
pub(crate) fn config(hub: &FakeHub, setup: Setup<'_>) -> Config {
    let tls = TlsFiles { certificate: hub.dir().join("tls.crt"), key: hub.dir().join("tls.key") };
    Config {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        serves_gateway: true,
        manage: setup
            .manage
            .then(|| ManageConfig { login: setup.login, ..management(&hub.dir().join("clusters.db")) }),
        tls: Some(tls),
        mode: Mode::Hub(HubMode {
            secret_namespace: NAMESPACE.to_owned(),
            hub: HubConfig { kubeconfig: Some(hub.kubeconfig_path()), ..HubConfig::default() },
            authentication: AuthenticationConfig::default(),
            certificate: None,
            ocm_integration: setup.ocm_integration,
            list_control_plane: true,
        }),
        authorization: setup.authorization,
        gates: setup.gates,
        audit: setup.audit,
        identity: setup.identity,
        health: setup.health,
        renewal: setup.renewal,
        response_header_timeout: None,
        allow_insecure_clusters: false,
        proxies: ProxyEnvironment::default(),
        exec: setup.exec,
        allow_loopback_clusters: setup.allow_loopback,
        konnectivity: setup.konnectivity,
        limits: setup.limits,
        shutdown_delay: Duration::ZERO,
        shutdown_send_retry_after: setup.shutdown_send_retry_after,
        poll: setup.poll,
    }
}

/// Management on a port that the system chooses, with TLS and its records in `file`.
pub(crate) fn management(file: &Path) -> ManageConfig {
    let url = StoreUrl::new(&file.display().to_string());
    ManageConfig {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: true,
        name: None,
        records: StoreConfig::new(StoreType::Sqlite, None, Some(&url)).unwrap(),
        login: LoginConfig::default(),
    }
}

/// Polls a condition; fails after ten seconds.
pub(crate) async fn until<F: Future<Output = bool>>(condition: impl Fn() -> F) {
    for _ in 0..3000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the condition never held");
}
