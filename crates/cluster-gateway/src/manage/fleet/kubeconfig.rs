//! A kubeconfig for one cluster: for the caller, with a credential of theirs or none. Never the member's, never the session's.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cluster_gateway_client::v1alpha1::ANNOTATION_EXTERNAL_ADDRESS;
use http::{HeaderMap, Uri, header};
use kube::config::{AuthInfo, Cluster, Context, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext};
use serde::{Deserialize, Serialize};

use crate::authn::GROUP_AUTHENTICATED;
use crate::hub::Hub;
use crate::inventory::{self, Direct, VerifyError, contexts};
use crate::issuer::{CertificateAuthority, DataDir, IssuerError, Role};
use crate::manage::events::rfc3339;
use crate::manage::{Caller, ClusterName, Code, Json, Manage, Place, Refusal};

/// Longest life of a certificate that is issued here.
const LIFETIME: Duration = Duration::from_secs(8 * 3600);
/// How contexts call the caller.
const USER: &str = "me";

/// Which way a kubeconfig leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// Through the hub's aggregator.
    Hub,
    /// To the gateway's own address.
    Direct,
}

/// What a standalone server knows of itself that its users need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfAddress {
    /// Where it listens as a gateway.
    pub address: SocketAddr,
    /// Where the CA is that it trusts its clients by.
    pub data_dir: PathBuf,
    /// Whether its serving certificate comes from a CA in that directory, too.
    pub own_certificate: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    route: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Given {
    kubeconfig: String,
    file_name: String,
    credential: Credential,
    expires: Option<String>,
    notes: Vec<String>,
}

/// What proves the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Credential {
    /// Nothing yet: they add their own.
    None,
    /// A certificate that was issued for them.
    ClientCertificate,
}

/// A way to the cluster, and the user on it.
struct Way {
    base: Cluster,
    route: inventory::Route,
    user: Option<AuthInfo>,
    expires: Option<String>,
    notes: Vec<String>,
}

impl Route {
    /// The ways that there are, the preferred one first.
    #[must_use]
    pub fn of(place: &Place) -> &'static [Self] {
        match place {
            Place::Hub { .. } => &[Self::Hub, Self::Direct],
            Place::Directory(_) => &[Self::Direct],
        }
    }
}

pub(super) async fn kubeconfig(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    ClusterName(name): ClusterName,
    uri: Uri,
    headers: HeaderMap,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Given>, Refusal> {
    manage.seen(&caller, &name).await?;
    let route = Route::of(&manage.place).iter().find(|route| route.as_str() == wanted.route);
    let way = match (&manage.place, route) {
        (_, None) => {
            let all: Vec<_> = Route::of(&manage.place).iter().map(|route| route.as_str()).collect();
            let shown: String = wanted.route.escape_debug().take(40).collect();
            let message = format!("there is no route \"{shown}\" here; there is {}", all.join(" and "));
            return Err(value(message).field("route"));
        }
        (Place::Hub { hub, .. }, Some(Route::Hub)) => through_hub(hub).await?,
        (Place::Hub { hub, .. }, Some(Route::Direct)) => to_gateway(hub).await?,
        (Place::Directory(_), Some(_)) => to_self(&manage, &caller, &host(&uri, &headers)).await?,
    };
    given(&name, way).map(Json)
}

impl Route {
    fn as_str(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Direct => "direct",
        }
    }
}

fn given(name: &str, way: Way) -> Result<Given, Refusal> {
    let Way { base, route, user, expires, notes } = way;
    let credential = if user.is_some() { Credential::ClientCertificate } else { Credential::None };
    let user = user.map(|auth_info| NamedAuthInfo {
        name: USER.to_owned(),
        auth_info: Some(auth_info),
        ..NamedAuthInfo::default()
    });
    let context = Context {
        cluster: USER.to_owned(),
        user: user.as_ref().map(|user| user.name.clone()),
        ..Context::default()
    };
    let from = Kubeconfig {
        current_context: Some(USER.to_owned()),
        clusters: vec![NamedCluster {
            name: USER.to_owned(),
            cluster: Some(base),
            ..NamedCluster::default()
        }],
        contexts: vec![NamedContext {
            name: USER.to_owned(),
            context: Some(context),
            ..NamedContext::default()
        }],
        auth_infos: user.into_iter().collect(),
        ..Kubeconfig::default()
    };
    let failed = |error: &dyn std::fmt::Display| Refusal::new(Code::Internal, error.to_string());
    let mut written = contexts(&from, None, &[name.to_owned()], &route).map_err(|error| failed(&error))?;
    // Only the one cluster that was asked for.
    written.clusters.retain(|cluster| cluster.name == name);
    written.contexts.retain(|context| context.name == name);
    written.current_context = Some(name.to_owned());
    let kubeconfig = serde_saphyr::to_string(&written).map_err(|error| failed(&error))?;
    Ok(Given { kubeconfig, file_name: format!("{name}.kubeconfig"), credential, expires, notes })
}

const OWN_USER: &str = "There is no user in it: add the one that you have at the hub (kubectl config set-credentials, then kubectl \
                        config set-context --current --user=…).";

async fn through_hub(hub: &Hub) -> Result<Way, Refusal> {
    let mut notes = vec!["Goes through the hub: its audit log has every request.".to_owned()];
    let (server, ca) = match public_address(hub).await {
        Some(known) => known,
        None => {
            if hub.in_cluster() {
                notes.push(format!(
                    "{} is the hub's address inside of itself: put the one in its place by which you reach the hub.",
                    hub.url()
                ));
            }
            (hub.url().trim_end_matches('/').to_owned(), hub.ca_pem().map(|pem| STANDARD.encode(pem)))
        }
    };
    notes.push(OWN_USER.to_owned());
    let base = Cluster { server: Some(server), certificate_authority_data: ca, ..Cluster::default() };
    Ok(Way { base, route: inventory::Route::Hub, user: None, expires: None, notes })
}

/// The address of the hub and its CA as kubeadm publishes them for everybody, where the gateway knows only the address inside.
async fn public_address(hub: &Hub) -> Option<(String, Option<String>)> {
    if !hub.in_cluster() {
        return None;
    }
    let published = hub.config_map("kube-public", "cluster-info").await.ok().flatten()?;
    let published = Kubeconfig::from_yaml(published.data?.get("kubeconfig")?).ok()?;
    let cluster = published.clusters.into_iter().next()?.cluster?;
    Some((cluster.server?, cluster.certificate_authority_data))
}

async fn to_gateway(hub: &Hub) -> Result<Way, Refusal> {
    let address = inventory::find(&hub.client()).await.map_err(|error| value(error.to_string()))?;
    let service = &address.service;
    let server = match &address.external {
        Ok(Some(server)) => server.trim_end_matches('/').to_owned(),
        Ok(None) => {
            return Err(value(format!("the Service {service} does not say where clients reach the gateway"))
                .remedy(format!(
                    "Say it once for all: kubectl -n {} annotate service {} {ANNOTATION_EXTERNAL_ADDRESS}=https://HOST:PORT",
                    service.namespace, service.name
                )));
        }
        Err(error) => return Err(value(format!("the Service {service} cannot be read: {error}"))),
    };
    let ca = address.ca.clone().ok_or_else(|| {
        value("the hub does not verify its gateway: the APIService has no caBundle")
            .remedy("Let the gateway keep it: --service-name and --service-namespace.")
    })?;
    let mut notes =
        vec!["Goes to the gateway itself: quicker, and the audit is the gateway's own.".to_owned()];
    let tls_server_name = match inventory::verify(&server, &ca, Some(&service.dns_name())).await {
        Ok(name) => name,
        Err(VerifyError::Connect { .. }) => {
            notes.push(format!(
                "{server} could not be reached from the gateway's own place, and so not be checked."
            ));
            None
        }
        Err(error) => return Err(value(error.to_string())),
    };
    notes.push(OWN_USER.to_owned());
    let base = Cluster { server: Some(server.clone()), ..Cluster::default() };
    let route = inventory::Route::Direct(Direct { server, ca, tls_server_name });
    Ok(Way { base, route, user: None, expires: None, notes })
}

/// To this very process, with a certificate for the caller.
async fn to_self(manage: &Manage, caller: &Caller, host: &str) -> Result<Way, Refusal> {
    let Some(own) = manage.own.clone() else {
        return Err(value("this process serves management alone; ask the one that serves the gateway"));
    };
    let (user, lifetime) = (Arc::clone(&caller.user), lifetime(caller)?);
    let server = format!("https://{host}:{}", own.address.port());
    let issued = tokio::task::spawn_blocking(move || {
        let data = DataDir::open(&own.data_dir)?;
        // It is in by itself, for everybody.
        let groups: Vec<_> =
            user.groups.iter().filter(|group| *group != GROUP_AUTHENTICATED).cloned().collect();
        let issued = CertificateAuthority::load_or_create(&data, Role::Clients)?
            .issue(&user.name, &groups, lifetime)?;
        let ca = match own.own_certificate {
            true => {
                Some(CertificateAuthority::load_or_create(&data, Role::Serving)?.certificate_pem().to_owned())
            }
            false => None,
        };
        Ok::<_, IssuerError>((issued, ca))
    });
    let issued = issued.await.map_err(|error| Refusal::new(Code::Internal, error.to_string()))?;
    let (issued, ca) = issued.map_err(|error| {
        // It names files of the server, which are nothing to its users.
        tracing::error!(%error, "no certificate could be issued for a user's kubeconfig");
        Refusal::new(Code::Internal, "no certificate could be issued; the log of the server says why")
    })?;
    let mut notes = vec![format!(
        "The certificate in it is yours alone and cannot be taken back; it ends at {}.",
        rfc3339(issued.expires)
    )];
    if ca.is_none() {
        notes.push("The server's certificate is verified by the CAs of your own machine.".to_owned());
    }
    let base = Cluster {
        server: Some(server),
        certificate_authority_data: ca.map(|pem| STANDARD.encode(pem)),
        ..Cluster::default()
    };
    let user = AuthInfo {
        client_certificate_data: Some(STANDARD.encode(&issued.certificate)),
        client_key_data: Some(STANDARD.encode(&issued.key).into()),
        ..AuthInfo::default()
    };
    let expires = Some(rfc3339(issued.expires));
    Ok(Way { base, route: inventory::Route::Hub, user: Some(user), expires, notes })
}

/// A certificate lives no longer than what the caller has come with.
fn lifetime(caller: &Caller) -> Result<Duration, Refusal> {
    let left = caller.expires.map(|expires| expires.duration_since(SystemTime::now()).unwrap_or_default());
    match left.unwrap_or(LIFETIME).min(LIFETIME) {
        left if left < Duration::from_secs(1) => {
            Err(Refusal::new(Code::Unauthenticated, "the session has ended"))
        }
        left => Ok(left),
    }
}

/// The name by which the caller has reached this process: by that they will reach its other port, too.
fn host(uri: &Uri, headers: &HeaderMap) -> String {
    let named = uri.authority().map(|authority| authority.as_str().to_owned());
    let named = named.or_else(|| headers.get(header::HOST)?.to_str().ok().map(str::to_owned));
    let host = named.and_then(|named| named.parse::<http::uri::Authority>().ok());
    let host = host.map(|authority| authority.host().to_owned());
    let is_plain = |host: &String| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
    };
    host.filter(is_plain).unwrap_or_else(|| "localhost".to_owned())
}

fn value(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::Value, message)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_gateway_is_where_management_was_reached() {
        let of = |uri: &'static str, name: &'static str| {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(name))]);
            host(&Uri::from_static(uri), &headers)
        };
        assert_eq!(of("/api", "gateway.example.com:9444"), "gateway.example.com");
        assert_eq!(of("https://h2.example.com/api", "other"), "h2.example.com");
        assert_eq!(of("/api", "[::1]:9444"), "[::1]");
        assert_eq!(of("/api", "user@10.0.0.1:1"), "10.0.0.1");
        for wrong in ["", "a\"b", "a b", "a_b$"] {
            assert_eq!(of("/api", wrong), "localhost");
        }
    }
}
