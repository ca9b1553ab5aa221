//! For a standalone server: a certificate from its own authority.

use std::path::Path;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cluster_gateway_client::ProxyPath;
use serde_json::{Value, json};

use super::{KubeconfigOptions, save};
use crate::authn::GROUP_MASTERS;
use crate::config::{ContextsOption, DataOptions};
use crate::issuer::{CertificateAuthority, DataDir, Issued, Role};
use crate::registry::DirectorySource;

/// Where a standalone server listens if nobody says otherwise.
const SERVER: &str = "https://localhost:9443";

pub(super) fn write(options: &KubeconfigOptions, clusters_dir: &Path) -> anyhow::Result<()> {
    let data = DataOptions {
        clusters_dir: clusters_dir.to_owned(),
        kubeconfig_contexts: options.kubeconfig_contexts.unwrap_or(ContextsOption::All),
        data_dir: options.target.data_dir.clone(),
    };
    let mut mistakes = Vec::new();
    let directory = data.data_dir(&mut mistakes);
    ensure!(mistakes.is_empty(), "{}", mistakes.join("; "));
    let server = options.server.as_deref().unwrap_or(SERVER);
    ensure!(server.starts_with("https://"), "--server: \"{server}\" does not begin with https://");
    let authorities = DataDir::open(directory)?;
    let (user, groups) = match &options.user {
        Some(user) => (user.as_str(), options.groups.clone()),
        None => ("admin", vec![GROUP_MASTERS.to_owned()]),
    };
    let issued = CertificateAuthority::load_or_create(&authorities, Role::Clients)?.issue(
        user,
        &groups,
        options.ttl,
    )?;
    let server_ca = match &options.certificate_authority {
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
        }
        None => {
            CertificateAuthority::load_or_create(&authorities, Role::Serving)?.certificate_pem().to_owned()
        }
    };
    let clusters = DirectorySource::load(data.clusters())?.names();
    let kubeconfig = kubeconfig(server, &server_ca, user, &issued, clusters.iter().map(String::as_str));
    save(&options.output, &kubeconfig, options.overwrite)
}

/// The context of the server itself, and its name where a cluster has that; no cluster can be called the second.
pub(in crate::cli) const OWN: [&str; 2] = ["cluster-gateway", "cluster-gateway:self"];

/// A kubeconfig with one context per cluster, and one named `cluster-gateway` for the server itself.
pub(in crate::cli) fn kubeconfig<'n>(
    server: &str,
    server_ca: &str,
    user: &str,
    issued: &Issued,
    clusters: impl Iterator<Item = &'n str> + Clone,
) -> Value {
    let server = server.trim_end_matches('/');
    let own = if clusters.clone().any(|name| name == OWN[0]) { OWN[1] } else { OWN[0] };
    let members = clusters.map(|name| (name, format!("{server}{}", ProxyPath::prefix(name))));
    let first = members.clone().next().map_or(own, |(name, _)| name);
    let entries: Vec<_> = members.clone().chain([(own, server.to_owned())]).collect();
    let ca = STANDARD.encode(server_ca);
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": first,
        "clusters": entries.iter().map(|(name, url)| json!({
            "name": name,
            "cluster": {"server": url, "certificate-authority-data": ca},
        })).collect::<Vec<_>>(),
        "contexts": entries.iter().map(|(name, _)| json!({
            "name": name,
            "context": {"cluster": name, "user": user},
        })).collect::<Vec<_>>(),
        "users": [{
            "name": user,
            "user": {
                "client-certificate-data": STANDARD.encode(&issued.certificate),
                "client-key-data": STANDARD.encode(&issued.key),
            },
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts(clusters: &[&str]) -> Vec<String> {
        let issued = Issued {
            certificate: String::new(),
            key: String::new(),
            expires: std::time::SystemTime::UNIX_EPOCH,
        };
        let written = kubeconfig("https://h/", "ca", "u", &issued, clusters.iter().copied());
        let contexts = written["contexts"].as_array().unwrap().iter();
        contexts.map(|context| context["name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_servers_own_context_makes_way_for_a_cluster_of_its_name() {
        assert_eq!(contexts(&["a", "b"]), ["a", "b", "cluster-gateway"]);
        assert_eq!(contexts(&["cluster-gateway"]), ["cluster-gateway", "cluster-gateway:self"]);
    }
}
