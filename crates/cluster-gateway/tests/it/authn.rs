//! Who sends a request, asked of the public API with a fake hub behind it.

mod certificates;
mod configuration;
mod oidc;
mod standalone;
mod token_file;
mod tokens;

use std::sync::Arc;

use cluster_gateway::authn::{AuthenticationConfig, Authenticator, Connection, UserInfo};
use cluster_gateway::status::Error;
use http::request::Parts;
use rustls::pki_types::CertificateDer;

use crate::support::certificates::Ca;
use crate::support::fake_hub::FakeHub;

pub fn connection(certificates: &[&CertificateDer<'static>]) -> Connection {
    let certificates = certificates.iter().map(|&certificate| certificate.clone()).collect();
    Connection::new(([192, 0, 2, 1], 4711).into(), certificates)
}

pub fn request(headers: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::get("/apis");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

pub fn user(name: &str, groups: &[&str]) -> UserInfo {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    UserInfo { name: name.to_owned(), groups, ..UserInfo::default() }
}

/// A hub whose ConfigMap names two CAs, and an authenticator that has read it.
pub struct World {
    pub hub: FakeHub,
    pub front: Ca,
    pub clients: Ca,
    pub authenticator: Arc<Authenticator>,
}

impl World {
    pub async fn new() -> Self {
        Self::with(AuthenticationConfig::default()).await
    }

    pub async fn with(config: AuthenticationConfig) -> Self {
        let (front, clients) = (Ca::new("front"), Ca::new("clients"));
        let hub = FakeHub::start().await;
        publish(&hub, &front, &clients);
        let authenticator = Arc::new(Authenticator::for_hub(config, hub.hub().await));
        authenticator.load().await.unwrap();
        Self { hub, front, clients, authenticator }
    }

    /// Who sends these headers with these certificates.
    pub async fn who(
        &self,
        certificates: &[&CertificateDer<'static>],
        headers: &[(&str, &str)],
    ) -> Result<UserInfo, Error> {
        self.authenticator
            .authenticate(&connection(certificates), &mut request(headers))
            .await
            .map(Arc::unwrap_or_clone)
    }

    pub async fn who_has_token(&self, token: &str) -> Result<UserInfo, Error> {
        self.who(&[], &[("authorization", &format!("Bearer {token}"))]).await
    }
}

pub fn publish(hub: &FakeHub, front: &Ca, clients: &Ca) {
    hub.set_auth_config(&[
        ("client-ca-file", &clients.pem()),
        ("requestheader-client-ca-file", &front.pem()),
        ("requestheader-allowed-names", r#"["front-proxy"]"#),
        ("requestheader-username-headers", r#"["X-Remote-User","X-Alias","X_Odd"]"#),
        ("requestheader-group-headers", r#"["X-Remote-Group","X-Team"]"#),
        ("requestheader-uid-headers", r#"["X-Remote-Uid"]"#),
        ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-","X-More-"]"#),
    ]);
}
