//! Certificates for one test.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};

/// A certificate authority.
pub(crate) struct TestCa(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM.
#[derive(Clone)]
pub(crate) struct Leaf {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl TestCa {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A server's certificate for `names`, valid around now.
    pub(crate) fn server(&self, names: &[&str]) -> Leaf {
        self.issue(names, "member", ExtendedKeyUsagePurpose::ServerAuth, Duration::hours(1))
    }

    /// A server's certificate that ended an hour ago.
    pub(crate) fn expired_server(&self, names: &[&str]) -> Leaf {
        self.issue(names, "member", ExtendedKeyUsagePurpose::ServerAuth, Duration::hours(-1))
    }

    /// A client's certificate for the user `name`.
    pub(crate) fn client(&self, name: &str) -> Leaf {
        self.issue(&[], name, ExtendedKeyUsagePurpose::ClientAuth, Duration::hours(1))
    }

    /// A client's certificate for the user `name` that ends after `left`.
    pub(crate) fn client_for(&self, name: &str, left: std::time::Duration) -> Leaf {
        let left = Duration::try_from(left).unwrap();
        self.issue(&[], name, ExtendedKeyUsagePurpose::ClientAuth, left)
    }

    /// Any certificate.
    pub(crate) fn issue(
        &self,
        names: &[&str],
        common_name: &str,
        usage: ExtendedKeyUsagePurpose,
        left: Duration,
    ) -> Leaf {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages.push(usage);
        let now = OffsetDateTime::now_utc();
        params.not_before = now - Duration::hours(24);
        params.not_after = now + left;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Leaf { certificate, key: key.serialize_pem() }
    }
}

impl Leaf {
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        use rustls::pki_types::pem::PemObject;
        CertificateDer::pem_slice_iter(self.certificate.as_bytes()).map(Result::unwrap).collect()
    }

    pub(crate) fn private_key(&self) -> PrivateKeyDer<'static> {
        use rustls::pki_types::pem::PemObject;
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }
}

/// A server's TLS settings; with `client_ca`, clients must show a certificate of it.
pub(crate) fn server_config(
    leaf: &Leaf,
    client_ca: Option<&TestCa>,
    alpn: &[&[u8]],
) -> Arc<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(ca.der()).unwrap();
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let mut config = builder.with_single_cert(leaf.chain(), leaf.private_key()).unwrap();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}
