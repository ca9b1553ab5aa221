//! Kubeconfigs with one context per cluster.

use cluster_gateway_client::{Cluster, ProxyPath};
use kube::config::{AuthInfo, Context, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext};

/// Which way the contexts of clusters go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Through the hub's API server, which proxies to the gateway.
    Hub,
    /// Straight to the gateway's own address.
    Direct(Direct),
}

/// The gateway's own address, verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Direct {
    /// URL without a trailing slash.
    pub server: String,
    /// CA bundle of its certificate, PEM.
    pub ca: String,
    /// Name that its certificate carries, where that is not the address's.
    pub tls_server_name: Option<String>,
}

/// Why there is no kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextsError {
    /// The kubeconfig has no such context.
    #[error("the hub's kubeconfig has no context \"{0}\"; name one of its contexts with --hub-context")]
    NoContext(String),
    /// A context names something that is not there.
    #[error("the hub's kubeconfig has no {what} \"{name}\", which its context \"{context}\" names")]
    Dangling {
        /// `cluster` or `user`.
        what: &'static str,
        /// Its name.
        name: String,
        /// The context.
        context: String,
    },
    /// The cluster of the context has no address.
    #[error("the cluster \"{0}\" of the hub's kubeconfig names no server")]
    NoServer(String),
}

/// A kubeconfig made of the hub's: a context for each of `names`, called as the cluster, and `local`, the current one, for
/// the hub itself. The user is that of `context` (default: the current one) as it stands there, with all its ways of
/// proving who he is; nothing else of the hub's kubeconfig is in it. Each cluster's entry has the cluster's name, too, so
/// that `kubectl --cluster NAME` works as it does with `vela cluster export-config`.
///
/// # Errors
/// [`ContextsError`].
pub fn contexts(
    hub: &Kubeconfig,
    context: Option<&str>,
    names: &[String],
    route: &Route,
) -> Result<Kubeconfig, ContextsError> {
    let name = context.or(hub.current_context.as_deref()).unwrap_or_default();
    let from = hub.contexts.iter().find(|named| named.name == name).and_then(|named| named.context.clone());
    let from = from.ok_or_else(|| ContextsError::NoContext(name.to_owned()))?;
    let base = base(hub, name, &from)?;
    let user = user(hub, name, &from)?;
    let server = base.server.clone().ok_or_else(|| ContextsError::NoServer(from.cluster.clone()))?;
    let through = match route {
        Route::Hub => base.clone(),
        Route::Direct(direct) => straight(direct),
    };
    let root = through.server.as_deref().unwrap_or(&server).trim_end_matches('/').to_owned();
    let mut written = Kubeconfig {
        api_version: Some("v1".to_owned()),
        kind: Some("Config".to_owned()),
        current_context: Some(Cluster::LOCAL.to_owned()),
        ..Kubeconfig::default()
    };
    let mut add = |name: &str, cluster: kube::config::Cluster, namespace: Option<String>| {
        let cluster =
            NamedCluster { name: name.to_owned(), cluster: Some(cluster), ..NamedCluster::default() };
        written.clusters.push(cluster);
        let context = Context {
            cluster: name.to_owned(),
            user: user.as_ref().map(|user| user.name.clone()),
            namespace,
            ..Context::default()
        };
        let context =
            NamedContext { name: name.to_owned(), context: Some(context), ..NamedContext::default() };
        written.contexts.push(context);
    };
    add(Cluster::LOCAL, base, from.namespace.clone());
    for name in names.iter().filter(|name| *name != Cluster::LOCAL) {
        let server = Some(format!("{root}{}", ProxyPath::prefix(name)));
        add(name, kube::config::Cluster { server, ..through.clone() }, None);
    }
    written.auth_infos.extend(user);
    Ok(written)
}

fn base(hub: &Kubeconfig, context: &str, from: &Context) -> Result<kube::config::Cluster, ContextsError> {
    let named = hub.clusters.iter().find(|named| named.name == from.cluster);
    named.and_then(|named| named.cluster.clone()).ok_or_else(|| ContextsError::Dangling {
        what: "cluster",
        name: from.cluster.clone(),
        context: context.to_owned(),
    })
}

/// A context without a user is that of somebody who needs none.
fn user(hub: &Kubeconfig, context: &str, from: &Context) -> Result<Option<NamedAuthInfo>, ContextsError> {
    let Some(name) = from.user.as_deref().filter(|name| !name.is_empty()) else { return Ok(None) };
    let named = hub.auth_infos.iter().find(|named| named.name == name);
    let user = named.and_then(|named| named.auth_info.clone()).ok_or_else(|| ContextsError::Dangling {
        what: "user",
        name: name.to_owned(),
        context: context.to_owned(),
    })?;
    Ok(Some(NamedAuthInfo { name: name.to_owned(), auth_info: Some(user), ..NamedAuthInfo::default() }))
}

/// Nothing of the way to the hub is taken over: neither its CA nor its proxy, and least of all that it is not verified.
fn straight(direct: &Direct) -> kube::config::Cluster {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    kube::config::Cluster {
        server: Some(direct.server.clone()),
        certificate_authority_data: Some(STANDARD.encode(&direct.ca)),
        tls_server_name: direct.tls_server_name.clone(),
        ..kube::config::Cluster::default()
    }
}

/// What a user's credential at the hub is worth at the gateway's own address; a sentence for those who find that out too
/// late.
#[must_use]
pub fn caveat(user: Option<&AuthInfo>) -> Option<&'static str> {
    let user = user?;
    if user.username.is_some() {
        return Some("the gateway takes no user name with password: this user can only go through the hub");
    }
    if user.auth_provider.is_some() {
        return Some("kubectl has no auth-provider any more: this user needs an exec plugin");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUB: &str = r#"
apiVersion: v1
kind: Config
current-context: prod
clusters:
- {name: hub, cluster: {server: "https://hub:6443/", certificate-authority-data: Q0E=, proxy-url: "http://p:1", insecure-skip-tls-verify: false}}
- {name: other, cluster: {server: "https://other"}}
users:
- name: me
  user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: login, args: [a], interactiveMode: IfAvailable}}
- {name: secret, user: {token: not-to-be-exported}}
contexts:
- {name: prod, context: {cluster: hub, user: me, namespace: team}}
- {name: odd, context: {cluster: hub, user: nobody}}
- {name: open, context: {cluster: other, user: ""}}
"#;

    fn written(
        context: Option<&str>,
        names: &[&str],
        route: &Route,
    ) -> Result<serde_json::Value, ContextsError> {
        let hub: Kubeconfig = serde_saphyr::from_str(HUB).unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        contexts(&hub, context, &names, route).map(|written| serde_json::to_value(written).unwrap())
    }

    #[test]
    fn each_cluster_is_a_context_and_the_hub_is_local() {
        let config = written(None, &["local", "edge", "a.b"], &Route::Hub).unwrap();
        let names: Vec<_> = config["contexts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|context| context["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["local", "edge", "a.b"]);
        assert_eq!(config["current-context"], "local");
        assert_eq!(config["contexts"][0]["context"]["namespace"], "team");
        assert_eq!(config["clusters"][0]["cluster"]["server"], "https://hub:6443/");
        let edge = &config["clusters"][1]["cluster"];
        assert_eq!(
            edge["server"],
            "https://hub:6443/apis/cluster.core.oam.dev/v1alpha1/clustergateways/edge/proxy"
        );
        assert_eq!(
            (&edge["proxy-url"], &edge["certificate-authority-data"]),
            (&"http://p:1".into(), &"Q0E=".into())
        );
        assert_eq!(config["users"].as_array().unwrap().len(), 1);
        assert_eq!(config["users"][0]["user"]["exec"]["command"], "login");
        assert!(!config.to_string().contains("not-to-be-exported"));
    }

    #[test]
    fn straight_to_the_gateway_nothing_of_the_hubs_connection_is_left_but_the_user() {
        let direct = Direct {
            server: "https://gateway:9443".to_owned(),
            ca: "PEM".to_owned(),
            tls_server_name: Some("cluster-gateway.ns.svc".to_owned()),
        };
        let config = written(None, &["edge"], &Route::Direct(direct)).unwrap();
        assert_eq!(
            config["clusters"][1]["cluster"],
            serde_json::json!({
                "server": "https://gateway:9443/apis/cluster.core.oam.dev/v1alpha1/clustergateways/edge/proxy",
                "certificate-authority-data": "UEVN",
                "tls-server-name": "cluster-gateway.ns.svc",
            })
        );
        assert_eq!(config["clusters"][0]["cluster"]["server"], "https://hub:6443/", "local stays the hub");
        assert_eq!(config["contexts"][1]["context"]["user"], "me");
    }

    #[test]
    fn what_the_hubs_kubeconfig_lacks_is_named() {
        let error = |context| written(Some(context), &[], &Route::Hub).unwrap_err().to_string();
        assert!(
            error("nowhere").contains("no context \"nowhere\"; name one of its contexts with --hub-context")
        );
        assert!(error("odd").contains("no user \"nobody\", which its context \"odd\" names"));
        let open = written(Some("open"), &["edge"], &Route::Hub).unwrap();
        assert_eq!(open["users"], serde_json::json!([]), "who needs no credential has none");
    }
}
