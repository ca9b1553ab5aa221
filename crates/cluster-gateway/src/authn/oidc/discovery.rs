//! Fetching an issuer's keys: its discovery document says where they are. HTTPS only, small documents, little patience.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
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

/// What an issuer says of itself.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Discovery {
    issuer: String,
    jwks_uri: String,
    /// Where people sign in.
    #[serde(default)]
    pub(super) authorization_endpoint: String,
    /// Where a code becomes a token.
    #[serde(default)]
    pub(super) token_endpoint: String,
    /// How a client may say there who it is; `None`: in the header.
    pub(super) token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// The keys that the issuer publishes now.
///
/// # Errors
/// What failed, at which address.
pub(super) async fn keys(config: &OidcConfig) -> Result<KeySet, String> {
    in_time(config, async {
        let tls = connector(config).await?;
        let uri = discover(config, &tls).await?.jwks_uri;
        let document = fetch(&tls, &uri).await?;
        KeySet::parse(&document).map_err(|problem| format!("{uri}: {problem}"))
    })
    .await
}

/// What the issuer says of itself now.
///
/// # Errors
/// What failed, at which address.
pub(super) async fn discovery(config: &OidcConfig) -> Result<Discovery, String> {
    in_time(config, async { discover(config, &connector(config).await?).await }).await
}

/// Sends a form; the answer's code and body. `authorization`: a header of this value.
///
/// # Errors
/// What failed, at which address; never what was sent.
pub(super) async fn post(
    config: &OidcConfig,
    url: &str,
    form: String,
    authorization: Option<HeaderValue>,
) -> Result<(StatusCode, Bytes), String> {
    in_time(config, async {
        let (tls, uri) = (connector(config).await?, checked(url)?);
        let mut request = Request::post(path(&uri))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(form))
            .map_err(|error| error.to_string())?;
        if let Some(authorization) = authorization {
            request.headers_mut().insert(header::AUTHORIZATION, authorization);
        }
        send(&tls, &uri, request).await.map_err(|problem| format!("{url}: {problem}"))
    })
    .await
}

async fn in_time<T>(config: &OidcConfig, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or_else(|_| Err(format!("{}: no answer within {} s", config.issuer_url, PATIENCE.as_secs())))
}

async fn connector(config: &OidcConfig) -> Result<TlsConnector, String> {
    Ok(TlsConnector::from(Arc::new(client(roots(config).await?)?)))
}

async fn discover(config: &OidcConfig, tls: &TlsConnector) -> Result<Discovery, String> {
    let url = format!("{}/.well-known/openid-configuration", config.issuer_url.trim_end_matches('/'));
    let document = fetch(tls, &url).await?;
    let discovery: Discovery = serde_json::from_slice(&document)
        .map_err(|error| format!("{url}: is no OpenID Connect discovery document: {error}"))?;
    if discovery.issuer != config.issuer_url {
        return Err(format!(
            "{url}: the issuer calls itself {:?}; {}issuer-url must be exactly that",
            discovery.issuer, config.flags
        ));
    }
    Ok(discovery)
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
    let wrong =
        |problem: &dyn std::fmt::Display| format!("{}ca-file: {}: {problem}", config.flags, path.display());
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
    let uri = checked(url)?;
    let request = Request::get(path(&uri)).body(Full::default()).map_err(|error| error.to_string())?;
    let answer = send(tls, &uri, request).await.and_then(|(code, body)| match code {
        StatusCode::OK => Ok(body),
        other => Err(format!("the answer is {other}, not 200 OK")),
    });
    answer.map_err(|problem| format!("{url}: {problem}"))
}

/// A URL that may be asked: HTTPS, and without a user.
pub(super) fn checked(url: &str) -> Result<Uri, String> {
    let uri = url.parse::<Uri>().ok().filter(|uri| uri.scheme_str() == Some("https") && !url.contains('@'));
    uri.ok_or_else(|| format!("{url:?} is no https:// URL, or names a user"))
}

fn path(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |path| path.as_str())
}

async fn send(
    tls: &TlsConnector,
    uri: &Uri,
    mut request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), String> {
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
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::try_from(authority.as_str()).map_err(|error| text(&error))?);
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let agent = concat!("cluster-gateway/", env!("CARGO_PKG_VERSION"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    let response = sender.send_request(request).await.map_err(|error| text(&error))?;
    let code = response.status();
    let body = Limited::new(response.into_body(), MAX_DOCUMENT).collect().await;
    body.map(|body| (code, body.to_bytes())).map_err(|error| text(&error))
}
