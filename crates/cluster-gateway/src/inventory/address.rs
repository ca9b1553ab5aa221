//! Where the gateway can be reached without the hub in between.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cluster_gateway_client::v1alpha1::ANNOTATION_EXTERNAL_ADDRESS;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::Client;
use kube::api::Api;

use crate::hub::{CallError, call};

/// The APIService through which a hub finds its gateway.
const API_SERVICE: &str = concat!(cluster_gateway_client::version!(), ".", cluster_gateway_client::group!());

/// The Service of a gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayService {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Port at which the hub finds it.
    pub port: i32,
}

impl GatewayService {
    /// The name that the gateway's certificate carries for the hub.
    #[must_use]
    pub fn dns_name(&self) -> String {
        format!("{}.{}.svc", self.name, self.namespace)
    }
}

impl fmt::Display for GatewayService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What the hub knows of its gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The Service.
    pub service: GatewayService,
    /// The annotation of the Service that names the address for clients; `Err`: the Service cannot be read, and why.
    pub external: Result<Option<String>, CallError>,
    /// The bundle that the hub verifies the gateway with, PEM; `None`: it does not verify.
    pub ca: Option<String>,
}

/// Why the hub does not say where its gateway is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The APIService cannot be read.
    #[error(
        "cannot read the APIService {API_SERVICE}: {0}; without it, give --server and --certificate-authority"
    )]
    ApiService(CallError),
    /// The hub serves the group itself.
    #[error("the APIService {API_SERVICE} names no Service; give --server and --certificate-authority")]
    NoService,
}

/// Asks the hub: the APIService for Service and CA, the Service for its annotation
/// `cluster.core.oam.dev/external-address`.
///
/// # Errors
/// [`AddressError`].
pub async fn find(hub: &Client) -> Result<Address, AddressError> {
    let registered = Api::<APIService>::all(hub.clone());
    let spec = call(registered.get(API_SERVICE)).await.map_err(AddressError::ApiService)?.spec;
    let spec = spec.ok_or(AddressError::NoService)?;
    let service = spec.service.ok_or(AddressError::NoService)?;
    let (Some(name), Some(namespace)) = (service.name, service.namespace) else {
        return Err(AddressError::NoService);
    };
    let port = service.port.unwrap_or(443);
    let services = Api::<Service>::namespaced(hub.clone(), &namespace);
    let external = call(services.get(&name)).await.map(|service| {
        let annotations = service.metadata.annotations.unwrap_or_default();
        annotations.get(ANNOTATION_EXTERNAL_ADDRESS).cloned().filter(|address| !address.is_empty())
    });
    let ca = spec.ca_bundle.and_then(|bundle| pem(&bundle.0));
    Ok(Address { service: GatewayService { namespace, name, port }, external, ca })
}

/// The original's placeholder for a bundle is a line break.
fn pem(bundle: &[u8]) -> Option<String> {
    let text = String::from_utf8(bundle.to_vec()).ok().filter(|text| !text.trim().is_empty())?;
    let encoded = || String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok();
    if text.contains("-----BEGIN") { Some(text) } else { encoded() }
}
