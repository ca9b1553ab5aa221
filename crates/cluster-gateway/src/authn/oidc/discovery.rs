//! Fetching an issuer's keys: its discovery document says where they are. HTTPS only, small documents, little patience.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::OidcConfig;
use super::keys::KeySet;
use crate::pki;

/// Time for both documents.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a document.
const MAX_DOCUMENT: usize = 1024 * 1024;

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// The keys that the issuer publishes now.
///
/// # Errors
/// What failed, at which address.
pub(super) async fn keys(config: &OidcConfig) -> Result<KeySet, String> {
    tokio::time::timeout(PATIENCE, fetch_keys(config))
        .await
        .unwrap_or_else(|_| Err(format!("{}: no answer within {} s", config.issuer_url, PATIENCE.as_secs())))
}

async fn fetch_keys(config: &OidcConfig) -> Result<KeySet, String> {
    let tls = TlsConnector::from(Arc::new(client(roots(config).await?)?));
    let url = format!("{}/.well-known/openid-configuration", config.issuer_url.trim_end_matches('/'));
    let document = fetch(&tls, &url).await?;
    let discovery: Discovery = serde_json::from_slice(&document)
        .map_err(|error| format!("{url}: is no OpenID Connect discovery document: {error}"))?;
    if discovery.issuer != config.issuer_url {
        return Err(format!(
            "{url}: the issuer calls itself {:?}; --oidc-issuer-url must be exactly that",
            discovery.issuer
        ));
    }
    let document = fetch(&tls, &discovery.jwks_uri).await?;
    KeySet::parse(&document).map_err(|problem| format!("{}: {problem}", discovery.jwks_uri))
}

/// The roots to verify the issuer's server with.
///
/// # Errors
/// If the file of the settings cannot be used.
pub(super) async fn roots(config: &OidcConfig) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = &config.ca_file else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let wrong = |problem: &dyn std::fmt::Display| format!("--oidc-ca-file: {}: {problem}", path.display());
    let pem = tokio::fs::read(path).await.map_err(|error| wrong(&error))?;
    for certificate in pki::certificates(&pem).map_err(|error| wrong(&error))? {
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    Ok(roots)
}

fn client(roots: RootCertStore) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(pki::provider());
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

async fn fetch(tls: &TlsConnector, url: &str) -> Result<Bytes, String> {
    let uri = url.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("https") && !url.contains('@'));
    let uri = uri.ok_or_else(|| format!("{url:?} is no https:// URL, or names a user"))?;
    get(tls, &uri).await.map_err(|problem| format!("{url}: {problem}"))
}

async fn get(tls: &TlsConnector, uri: &Uri) -> Result<Bytes, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let authority = uri.authority().ok_or("names no host")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned()).map_err(|error| text(&error))?;
    let socket = TcpStream::connect((host, authority.port_u16().unwrap_or(443)));
    let socket = socket.await.map_err(|error| text(&error))?;
    let stream = tls.connect(name, socket).await.map_err(|error| text(&error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| text(&error))?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, authority.as_str())
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, concat!("cluster-gateway/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|error| text(&error))?;
    let response = sender.send_request(request).await.map_err(|error| text(&error))?;
    if response.status() != StatusCode::OK {
        return Err(format!("the answer is {}, not 200 OK", response.status()));
    }
    let body = Limited::new(response.into_body(), MAX_DOCUMENT).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(|error| text(&error))
}
