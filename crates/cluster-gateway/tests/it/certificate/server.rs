//! A whole server with it.

use cluster_gateway::authn::AuthenticationConfig;
use cluster_gateway::authz::AuthorizationConfig;
use cluster_gateway::config::{Config, FeatureGates, HubMode, Mode};
use cluster_gateway::hub::HubConfig;
use cluster_gateway::identity::IdentityConfig;
use cluster_gateway::limits::LimitsConfig;
use cluster_gateway::serve::Server;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::support::caller::Caller;
use crate::support::fake_hub::Fault;
use crate::support::fake_member::TestCa;

async fn start(hub: &FakeHub) -> Server {
    let clients = TestCa::new("clients");
    hub.set_auth_config(&[("client-ca-file", &clients.pem())]);
    let kubeconfig = Some(hub.kubeconfig_path());
    let config = Config {
        serves_gateway: true,
        manage: None,
        address: ([127, 0, 0, 1], 0).into(),
        tls: None,
        mode: Mode::Hub(HubMode {
            secret_namespace: "clusters".to_owned(),
            hub: HubConfig { kubeconfig, ..HubConfig::default() },
            authentication: AuthenticationConfig::default(),
            certificate: Some(config()),
            ocm_integration: false,
            list_control_plane: true,
        }),
        authorization: AuthorizationConfig {
            always_allow_paths: ["/livez", "/readyz", "/metrics"].map(str::to_owned).into(),
            ..AuthorizationConfig::default()
        },
        gates: FeatureGates::default(),
        audit: None,
        health: cluster_gateway::health::HealthConfig::default(),
        renewal: cluster_gateway::renewal::RenewalConfig::default(),
        response_header_timeout: None,
        identity: IdentityConfig::default(),
        allow_insecure_clusters: false,
        allow_loopback_clusters: true,
        proxies: cluster_gateway::registry::ProxyEnvironment::default(),
        exec: cluster_gateway::credential::ExecPolicy::default(),
        konnectivity: None,
        limits: LimitsConfig::default(),
        shutdown_delay: Duration::ZERO,
        shutdown_send_retry_after: false,
        poll: Duration::from_secs(10),
    };
    Server::start(config).await.unwrap()
}

/// Takes whatever certificate it is shown.
#[derive(Debug)]
struct Anything(CryptoProvider);

impl ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

async fn connect(server: &Server) -> TlsStream<TcpStream> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider.clone()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything(provider)))
        .with_no_client_auth();
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

/// What a server shows in the handshake.
async fn shown(server: &Server) -> CertificateDer<'static> {
    connect(server).await.get_ref().1.peer_certificates().unwrap()[0].clone()
}

/// The status line of an answer.
async fn ask(server: &Server, path: &str) -> String {
    let mut stream = connect(server).await;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    String::from_utf8_lossy(&head).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_shows_the_shared_certificate_as_soon_as_it_is_ready_and_says_when_it_expires() {
    let hub = FakeHub::start().await;
    put_api_service(&hub, "gateway", &json!({}));
    let server = start(&hub).await;
    tokio::time::timeout(Duration::from_secs(60), server.ready()).await.unwrap();
    let cas = pki::certificates(secret_text(&hub, "ca.crt").as_bytes()).unwrap();
    let caller = Caller::new(server.address(), &cas[0]);
    assert_eq!(caller.get("/readyz").await.status, 200);
    let metrics = caller.get("/metrics").await.text();
    let stored = pki::certificates(secret_text(&hub, "tls.crt").as_bytes()).unwrap();
    let end =
        pki::validity(&stored[0]).unwrap().end().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let line = format!("cluster_gateway_serving_certificate_not_after_seconds{{}} {end}");
    assert!(metrics.lines().any(|own| own == line), "{line} is not in\n{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_016_without_its_hub_it_serves_its_health_and_becomes_ready_with_the_shared_certificate() {
    let hub = FakeHub::start().await;
    hub.fault("/", Fault::Reset);
    let server = start(&hub).await;
    assert_eq!(ask(&server, "/livez").await, "HTTP/1.1 200");
    assert_eq!(ask(&server, "/readyz").await, "HTTP/1.1 500");
    // Everything but the certificate: it is what is waited for.
    hub.heal();
    hub.fault(NAME, Fault::Status(500));
    until(|| async { hub.requests("watch=true") >= 2 }).await;
    rounds(&hub).await;
    assert_eq!(ask(&server, "/readyz").await, "HTTP/1.1 500");
    hub.heal();
    tokio::time::timeout(Duration::from_secs(60), server.ready()).await.unwrap();
    let stored = pki::certificates(secret_text(&hub, "tls.crt").as_bytes()).unwrap();
    assert_eq!(shown(&server).await, stored[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_057_without_the_rights_it_serves_with_a_certificate_of_its_own_until_they_are_granted() {
    let hub = FakeHub::start().await;
    hub.fault("leases", Fault::Status(403));
    let server = start(&hub).await;
    tokio::time::timeout(Duration::from_secs(60), server.ready()).await.unwrap();
    assert!(secret(&hub).is_none(), "who holds no Lease writes nothing");
    let own = shown(&server).await;
    assert!(config().server_names().unwrap().covered_by(&own));
    assert_eq!(ask(&server, "/readyz").await, "HTTP/1.1 200");

    hub.heal();
    until(|| async { secret(&hub).is_some() && shown(&server).await != own }).await;
}
