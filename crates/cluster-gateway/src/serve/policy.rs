//! How clusters may be reached, by the configuration.

use std::sync::Arc;

use crate::config::{Config, Mode};
use crate::credential::ExecPlugins;
use crate::identity::Webhooks;
use crate::registry::ClusterPolicy;
use crate::transport::{AddressPolicy, ProxyServer, TransportOptions};

pub(super) fn policy(config: &Config) -> ClusterPolicy {
    let addresses = AddressPolicy { allow_loopback: config.allow_loopback_clusters };
    let response_header_timeout = config.response_header_timeout;
    let konnectivity = config.konnectivity.clone().map(|server| Arc::new(ProxyServer::new(server)));
    let transport = TransportOptions {
        addresses,
        konnectivity,
        response_header_timeout,
        remember_certificates: config.manage.is_some(),
        ..TransportOptions::default()
    };
    if !config.proxies.is_empty() {
        tracing::info!(
            "clusters whose Secret names no proxy are reached as HTTPS_PROXY, HTTP_PROXY and NO_PROXY say"
        );
    }
    ClusterPolicy {
        allow_insecure: config.allow_insecure_clusters,
        merge_managed_clusters: matches!(&config.mode, Mode::Hub(mode) if mode.ocm_integration),
        proxies: config.proxies.clone(),
        exec: Arc::new(ExecPlugins::new(config.exec.clone())),
        transport: Arc::new(transport),
        webhooks: Arc::new(Webhooks::of_clusters(config.identity.webhook_hosts.clone(), addresses)),
    }
}
