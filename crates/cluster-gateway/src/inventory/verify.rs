//! Whether an address is the gateway's.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::hub::chain;
use crate::pki;

/// How long connection and handshake may take together.
const LIMIT: Duration = Duration::from_secs(10);

/// Why an address is not written into a kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// It is not `https://HOST[:PORT]`.
    #[error("\"{0}\" is not an address of the form https://HOST:PORT, without a path")]
    NotAnAddress(String),
    /// The bundle cannot be read.
    #[error("the CA of the gateway {0}")]
    Ca(String),
    /// Nobody answers there.
    #[error("cannot connect to {address}: {cause}")]
    Connect {
        /// `HOST:PORT`.
        address: String,
        /// Why.
        cause: String,
    },
    /// Somebody answers with another certificate.
    #[error(
        "{address} answers, but not with a certificate of the gateway: {cause}; is it the gateway's address, and is the \
         name among the gateway's --advertise-host?"
    )]
    Certificate {
        /// `HOST:PORT`.
        address: String,
        /// What is wrong with the certificate.
        cause: String,
    },
}

/// Connects to `server` (`https://HOST[:PORT]`) and verifies its certificate with `ca` (PEM): by the address's own name, or
/// else by `service_name`. Gives the name to verify by where that is not the address's own.
///
/// # Errors
/// [`VerifyError`].
pub async fn verify(
    server: &str,
    ca: &str,
    service_name: Option<&str>,
) -> Result<Option<String>, VerifyError> {
    let (host, port) = parse(server).ok_or_else(|| VerifyError::NotAnAddress(server.to_owned()))?;
    let connector = connector(ca)?;
    let names =
        std::iter::once((host.as_str(), None)).chain(service_name.map(|name| (name, Some(name.to_owned()))));
    let mut first = None;
    for (name, shown) in names {
        match handshake(&connector, (&host, port), name).await {
            Ok(()) => return Ok(shown),
            Err(error @ VerifyError::Certificate { .. }) => first = first.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    Err(first.unwrap_or_else(|| VerifyError::NotAnAddress(server.to_owned())))
}

fn parse(server: &str) -> Option<(String, u16)> {
    let url: http::Uri = server.parse().ok()?;
    let plain = url.scheme_str() == Some("https")
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && !url.authority()?.as_str().contains('@');
    let host = url.host()?.trim_start_matches('[').trim_end_matches(']');
    (plain && !host.is_empty()).then(|| (host.to_owned(), url.port_u16().unwrap_or(443)))
}

fn connector(ca: &str) -> Result<TlsConnector, VerifyError> {
    let mut roots = RootCertStore::empty();
    for certificate in pki::certificates(ca.as_bytes()).map_err(|error| VerifyError::Ca(error.to_string()))? {
        roots.add(certificate).map_err(|error| VerifyError::Ca(format!("cannot be used: {error}")))?;
    }
    let config = ClientConfig::builder_with_provider(pki::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| VerifyError::Ca(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn handshake(
    connector: &TlsConnector,
    (host, port): (&str, u16),
    name: &str,
) -> Result<(), VerifyError> {
    let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let connect = |cause: String| VerifyError::Connect { address: address.clone(), cause };
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| VerifyError::NotAnAddress(format!("https://{address}")))?;
    let attempt = async {
        let stream = TcpStream::connect((host, port)).await.map_err(|error| connect(error.to_string()))?;
        connector.connect(name, stream).await.map_err(|error| match error.get_ref() {
            Some(cause) if cause.is::<rustls::Error>() => {
                VerifyError::Certificate { address: address.clone(), cause: chain(&error) }
            }
            _ => connect(error.to_string()),
        })
    };
    match timeout(LIMIT, attempt).await {
        Ok(answer) => answer.map(drop),
        Err(_) => Err(connect(format!("no answer within {LIMIT:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_https_address_without_a_path_is_one() {
        assert_eq!(parse("https://gateway:9443"), Some(("gateway".to_owned(), 9443)));
        assert_eq!(parse("https://gateway/"), Some(("gateway".to_owned(), 443)));
        assert_eq!(parse("https://[::1]:1"), Some(("::1".to_owned(), 1)));
        for wrong in
            ["gateway:9443", "http://gateway", "https://gateway/path", "https://u@gateway", "https://g?x", ""]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn an_address_is_taken_only_with_a_certificate_that_the_ca_has_issued() {
        use std::time::SystemTime;

        use crate::issuer::{CertificateAuthority, Role, ServerNames};

        let day = Duration::from_secs(86_400);
        let now = SystemTime::now();
        let made = CertificateAuthority::generate(Role::Serving, day, now).unwrap();
        let certificate = pki::certificates(made.certificate.as_bytes()).unwrap().remove(0);
        let ca = CertificateAuthority::from_pair(certificate, &made.key).unwrap();
        let other = CertificateAuthority::generate(Role::Serving, day, now).unwrap().certificate;
        let names = ServerNames::with_localhost(&["cluster-gateway.ns.svc".to_owned()]).unwrap();
        let served = ca.issue_server(&names, day, now).unwrap();
        let key = pki::certified_key(served.certificate.as_bytes(), served.key.as_bytes()).unwrap();
        let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // An address that the certificate does not name.
        let server = format!("https://127.0.0.2:{port}");
        let config = rustls::ServerConfig::builder_with_provider(pki::provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key)));
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(acceptor.accept(stream));
            }
        });
        let good = &made.certificate;
        let named = verify(&format!("https://localhost:{port}"), good, Some("cluster-gateway.ns.svc")).await;
        assert_eq!(named, Ok(None), "its own name is enough");
        let by_service = verify(&server, good, Some("cluster-gateway.ns.svc")).await;
        assert_eq!(by_service, Ok(Some("cluster-gateway.ns.svc".to_owned())));
        let by_address = verify(&server, good, None).await.unwrap_err().to_string();
        assert!(by_address.contains("--advertise-host"), "{by_address}");
        let foreign = verify(&server, &other, Some("cluster-gateway.ns.svc")).await;
        assert!(matches!(foreign, Err(VerifyError::Certificate { .. })), "{foreign:?}");
        let nobody = verify("https://127.0.0.1:1", good, None).await;
        assert!(matches!(nobody, Err(VerifyError::Connect { .. })), "{nobody:?}");
        let junk = verify(&server, "no pem", None).await;
        assert!(matches!(junk, Err(VerifyError::Ca(_))), "{junk:?}");
    }
}
