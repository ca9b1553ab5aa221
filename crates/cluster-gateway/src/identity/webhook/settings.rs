//! What a rule may say of its webhook, and what all webhooks share.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use http::uri::PathAndQuery;
use tokio::sync::Semaphore;

use super::{Answers, Key, MAX_QUESTIONS, Settings, Verdict, Webhook};
use crate::credential::{ClientCertificate, Credential, CredentialError};
use crate::identity::rules::ReadFile;
use crate::identity::schema::RawWebhook;
use crate::pki;
use crate::request::duration;
use crate::transport::{
    AddressPolicy, Endpoint, EndpointUrl, Peer, Route, Transport, TransportOptions, TransportSpec,
    Verification,
};

/// Of a question, unless the rule says otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest that a rule may say.
const MAX_TIMEOUT: Duration = Duration::from_secs(30);
/// For how long an answer counts, unless the rule says otherwise.
const TTL: Duration = Duration::from_secs(10);
/// Longest that a rule may say: so long a right lives on that the webhook has taken back.
const MAX_TTL: Duration = Duration::from_secs(3600);

/// Hosts that clusters may name as webhooks. Whoever may write a cluster's Secret could else make the gateway ask any
/// server that it can reach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookHosts(Vec<AllowedHost>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct AllowedHost {
    /// The host, or what follows its first label.
    host: String,
    any_label: bool,
    port: u16,
}

impl WebhookHosts {
    /// Reads `HOST`, `HOST:PORT`, and both with `*.` before: any host right below. Without a port, 443.
    ///
    /// # Errors
    /// Every item that is none of these.
    pub fn parse(items: &[String]) -> Result<Self, Vec<String>> {
        let (mut hosts, mut mistakes) = (Vec::new(), Vec::new());
        for item in items.iter().map(|item| item.trim()).filter(|item| !item.is_empty()) {
            let (any_label, host) = item.strip_prefix("*.").map_or((false, item), |rest| (true, rest));
            match EndpointUrl::parse(&format!("https://{host}")) {
                Ok(EndpointUrl { endpoint, base_path, .. })
                    if base_path.is_empty() && !host.contains('/') =>
                {
                    hosts.push(AllowedHost { host: endpoint.host, any_label, port: endpoint.port });
                }
                _ => mistakes.push(format!("\"{item}\" is not HOST[:PORT] or *.DOMAIN[:PORT]")),
            }
        }
        if mistakes.is_empty() { Ok(Self(hosts)) } else { Err(mistakes) }
    }

    fn allow(&self, endpoint: &Endpoint) -> bool {
        self.0.iter().any(|allowed| {
            let below = || endpoint.host.split_once('.').is_some_and(|(_, rest)| rest == allowed.host);
            let host = if allowed.any_label { below() } else { endpoint.host == allowed.host };
            host && endpoint.port == allowed.port
        })
    }
}

/// What the webhooks of one origin share: limits of their connections, and, of annotations, a memory for their answers.
#[derive(Debug)]
pub struct Webhooks {
    transport: Arc<TransportOptions>,
    hosts: WebhookHosts,
    /// Made for the first webhook: most gateways have none.
    answers: OnceLock<Arc<Answers<Key, Verdict>>>,
    next: AtomicU64,
}

impl Webhooks {
    /// For the operator's rules: any host may be named, also on a loopback address.
    #[must_use]
    pub fn of_operator() -> Self {
        Self::new(WebhookHosts::default(), AddressPolicy { allow_loopback: true })
    }

    /// For the annotations of clusters: of these hosts, and not where `addresses` forbids it.
    #[must_use]
    pub fn of_clusters(hosts: WebhookHosts, addresses: AddressPolicy) -> Self {
        Self::new(hosts, addresses)
    }

    fn new(hosts: WebhookHosts, addresses: AddressPolicy) -> Self {
        let transport = TransportOptions {
            dial_timeout: MAX_TIMEOUT,
            // With HTTP/1.1 each takes one; those that just end count, too.
            max_connections: 2 * MAX_QUESTIONS,
            max_idle: MAX_QUESTIONS,
            addresses,
            ..TransportOptions::default()
        };
        Self { transport: Arc::new(transport), hosts, answers: OnceLock::new(), next: AtomicU64::new(0) }
    }

    /// The webhook of a rule: of a cluster's annotation, or of the operator's file, where `read` reads the files that it
    /// names.
    ///
    /// # Errors
    /// What cannot be understood, or is not allowed there.
    pub(in crate::identity) fn of_rule(
        &self,
        raw: &RawWebhook,
        cluster: Option<&str>,
        read: &mut ReadFile<'_>,
    ) -> Result<Webhook, String> {
        let (url, path) = url(raw.url.as_deref())?;
        if cluster.is_some() {
            self.check_annotation(raw, &url.endpoint)?;
        }
        let settings = Settings {
            origin: url.origin,
            path,
            spec: TransportSpec {
                endpoint: url.endpoint,
                route: Route::Direct,
                verification: verification(raw, read)?,
                server_name: None,
                client_certificate: client_certificate(raw, read)?,
                peer: Peer::Webhook,
            },
            timeout: time("timeout", raw.timeout.as_deref(), TIMEOUT, Duration::from_millis(1), MAX_TIMEOUT)?,
            ttl: time("cacheTTL", raw.cache_ttl.as_deref(), TTL, Duration::ZERO, MAX_TTL)?,
        };
        Ok(Webhook {
            transport: Transport::new(settings.spec.clone(), Arc::clone(&self.transport)),
            settings,
            answers: match cluster {
                Some(_) => Arc::clone(self.answers.get_or_init(Arc::default)),
                // The operator has few, each for many clusters.
                None => Arc::default(),
            },
            number: self.next.fetch_add(1, Ordering::Relaxed),
            places: Semaphore::new(MAX_QUESTIONS),
            failing: AtomicBool::new(false),
        })
    }

    /// An annotation names no files of this machine, and no host that the operator has not named.
    fn check_annotation(&self, raw: &RawWebhook, endpoint: &Endpoint) -> Result<(), String> {
        let files = [
            ("caFile", &raw.ca_file),
            ("clientCertificateFile", &raw.client_certificate_file),
            ("clientKeyFile", &raw.client_key_file),
        ];
        if let Some((field, _)) = files.iter().find(|(_, file)| file.is_some()) {
            return Err(format!(
                "{field} names a file of the gateway's machine, which an annotation may not; use caBundle, or move the \
                 rule to the file of --cluster-gateway-proxy-config"
            ));
        }
        if !self.hosts.allow(endpoint) {
            return Err(format!(
                "webhook {} is not among the hosts that annotations may name; add it to --identity-webhook-hosts, or \
                 move the rule to the file of --cluster-gateway-proxy-config",
                endpoint.authority()
            ));
        }
        Ok(())
    }
}

impl Default for Webhooks {
    /// No annotation may name a webhook.
    fn default() -> Self {
        Self::of_clusters(WebhookHosts::default(), AddressPolicy::default())
    }
}

fn url(text: Option<&str>) -> Result<(EndpointUrl, PathAndQuery), String> {
    let text = text.ok_or("url is missing; expected https://HOST[:PORT]/PATH")?;
    let url = EndpointUrl::parse(text).map_err(|error| format!("url: {error}"))?;
    if !url.endpoint.tls {
        return Err("url must be https: who answers it decides who callers are".to_owned());
    }
    // As it is written, with its last slash: the way to an endpoint has lost it.
    let path = text.parse::<Uri>().ok().and_then(|uri| uri.path_and_query().cloned());
    Ok((url, path.unwrap_or(PathAndQuery::from_static("/"))))
}

fn verification(raw: &RawWebhook, read: &mut ReadFile<'_>) -> Result<Verification, String> {
    let (field, pem) = match (&raw.ca_bundle, &raw.ca_file) {
        (None, None) => return Ok(Verification::SystemRoots),
        (Some(_), Some(_)) => return Err("caBundle and caFile are both given; give one".to_owned()),
        (Some(bundle), None) => ("caBundle", decoded(bundle)?),
        (None, Some(path)) => ("caFile", read_named("caFile", path, read)?),
    };
    pki::ClientCas::from_pem(&pem).map_err(|error| format!("{field} {error}"))?;
    Ok(Verification::Bundle(pem.into()))
}

/// PEM as it is, or in base64 as Kubernetes' own webhook configurations have it.
fn decoded(bundle: &str) -> Result<Vec<u8>, String> {
    if bundle.contains("-----BEGIN") {
        return Ok(bundle.as_bytes().to_vec());
    }
    let compact: String = bundle.split_whitespace().collect();
    STANDARD.decode(compact).map_err(|_| "caBundle is neither PEM nor PEM in base64".to_owned())
}

fn client_certificate(
    raw: &RawWebhook,
    read: &mut ReadFile<'_>,
) -> Result<Option<ClientCertificate>, String> {
    let (certificate, key) = match (&raw.client_certificate_file, &raw.client_key_file) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => {
            return Err(
                "clientCertificateFile and clientKeyFile belong together; give both or none".to_owned()
            );
        }
    };
    let chain = read_named("clientCertificateFile", certificate, read)?;
    let secret = read_named("clientKeyFile", key, read)?;
    let credential = Credential::x509(&chain, &secret).map_err(|error| {
        let (field, cause) = match &error {
            CredentialError::Missing("tls.key") => ("clientKeyFile", "is empty".to_owned()),
            CredentialError::Pki { key: "tls.key", cause } => ("clientKeyFile", cause.to_string()),
            CredentialError::Pki { cause, .. } => ("clientCertificateFile", cause.to_string()),
            _ => ("clientCertificateFile", "is empty".to_owned()),
        };
        format!("{field} {cause}")
    })?;
    Ok(credential.client_certificate().cloned())
}

fn read_named(field: &str, path: &Path, read: &mut ReadFile<'_>) -> Result<Vec<u8>, String> {
    read(path).map_err(|problem| format!("{field}: {problem}"))
}

fn time(
    field: &str,
    text: Option<&str>,
    default: Duration,
    least: Duration,
    most: Duration,
) -> Result<Duration, String> {
    let Some(text) = text else { return Ok(default) };
    let time = duration(text).map_err(|problem| format!("{field}: {problem}"))?;
    if (least..=most).contains(&time) {
        Ok(time)
    } else {
        Err(format!("{field}: {text} is not between {least:?} and {most:?}"))
    }
}
