//! Kubeconfigs that come in, and the one that goes out: never the member's credential.

use cluster_gateway_client::ProxyPath;
use cluster_gateway_client::v1alpha1::LABEL_CREDENTIAL_TYPE;
use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use super::model::CreateCluster;
use crate::lifecycle::KubeconfigSource;
use crate::manage::store::{LOCAL, Record};
use crate::manage::{Code, Place, Refusal};
use crate::manifest::{Document, Fields};

/// The user of the kubeconfig that is shown, by which it is known again.
const KEPT: &str = "credential-kept-by-the-gateway";
/// How messages call a kubeconfig.
const NAME: &str = "kubeconfig";
/// Keys by which a kubeconfig names files.
const FILES: [&str; 4] = ["certificate-authority", "client-certificate", "client-key", "tokenFile"];

/// What a body means for the credential of a cluster.
#[derive(Debug)]
pub(super) enum Credential {
    /// It stays.
    Unchanged,
    /// It becomes that of this kubeconfig.
    New(KubeconfigSource),
}

/// What is shown in place of a cluster's kubeconfig: the way to it through the gateway, for whoever adds a user of their own.
pub(super) fn shown(place: &Place, name: &str) -> String {
    let root = match place {
        Place::Hub { hub, .. } => hub.url().trim_end_matches('/'),
        Place::Directory(_) => "https://ADDRESS-OF-THE-GATEWAY",
    };
    let path = if name == LOCAL { String::new() } else { ProxyPath::prefix(name) };
    format!(
        "# The credential of this cluster is kept by the gateway and is shown to nobody. Leave this text as it is to keep it, or put\n\
         # another kubeconfig in its place to change it. To use the text, add the hub's CA and a user of your own.\n\
         apiVersion: v1\nkind: Config\ncurrent-context: \"{name}\"\nclusters:\n- name: \"{name}\"\n  cluster:\n    server: \
         \"{root}{path}\"\ncontexts:\n- name: \"{name}\"\n  context:\n    cluster: \"{name}\"\n    user: {KEPT}\nusers:\n- name: \
         {KEPT}\n  user: {{}}\n"
    )
}

/// What a body means for the credential of a cluster. `recorded`: its record, `secret`: its Secret, if it has one.
///
/// # Errors
/// Only the name of a Secret was given; the kubeconfig is none, or cannot be used from here.
pub(super) fn credential(
    request: &CreateCluster,
    name: &str,
    recorded: Option<&Record>,
    secret: Option<&Secret>,
) -> Result<Credential, Refusal> {
    let text = &request.kube_config;
    if text.trim().is_empty() {
        let known = recorded.is_some_and(|record| record.kube_config_secret == request.kube_config_secret);
        return match request.kube_config_secret.is_empty() || known {
            true => Ok(Credential::Unchanged),
            false => Err(secret_only()),
        };
    }
    // What VelaUX has put into the record comes back as it was.
    if recorded.is_some_and(|record| record.kube_config.expose() == text) {
        return Ok(Credential::Unchanged);
    }
    let value = parsed(text)?;
    if names_kept_credential(&value).map_err(malformed)? {
        return if leads_to(&value, name).map_err(malformed)? {
            Ok(Credential::Unchanged)
        } else {
            Err(malformed(
                "it is the text that is shown in place of a kubeconfig, with another server".to_owned(),
            )
            .remedy("Leave the text as it is, or send a whole kubeconfig with a credential."))
        };
    }
    let source = source(text)?;
    let same = secret.is_some_and(|secret| {
        source.member(None).is_ok_and(|member| is_same_credential(&member.secret, secret))
    });
    Ok(if same { Credential::Unchanged } else { Credential::New(source) })
}

/// A kubeconfig that holds everything itself.
///
/// # Errors
/// It cannot be parsed, has not the context that it says, or names files: those would be files of this machine.
pub(super) fn source(text: &str) -> Result<KubeconfigSource, Refusal> {
    let value = parsed(text)?;
    let fields = Fields::of(&value, "").map_err(malformed)?;
    let contexts = fields.list("contexts").map_err(malformed)?;
    let mut names = Vec::new();
    for context in &contexts {
        names.extend(context.text("name").map_err(malformed)?);
    }
    match fields.text("current-context").map_err(malformed)? {
        _ if names.is_empty() => return Err(no_context("the kubeconfig has no contexts")),
        Some(current) if !names.contains(&current) => {
            return Err(no_context("the kubeconfig has no context of the name that current-context says"));
        }
        None if names.len() > 1 => {
            return Err(no_context("the kubeconfig has several contexts and no current-context"));
        }
        _ => {}
    }
    for (list, part) in [("clusters", "cluster"), ("users", "user")] {
        for item in fields.list(list).map_err(malformed)? {
            let Some(held) = item.fields(part).map_err(malformed)? else { continue };
            if let Some(key) = FILES.iter().find(|key| held.text(key).is_ok_and(|path| path.is_some())) {
                return Err(malformed(format!("{} names a file", held.at(key)))
                    .remedy("Send what the file holds: kubectl config view --minify --flatten --raw."));
            }
        }
    }
    KubeconfigSource::read(text.as_bytes(), NAME, None).map_err(malformed)
}

/// Only the name of a Secret was given.
pub(super) fn secret_only() -> Refusal {
    Refusal::new(Code::SecretOnly, "kubeConfig secret is not supported now")
        .field("kubeConfigSecret")
        .remedy("Send the kubeconfig itself, in kubeConfig.")
}

/// Whether two Secrets lead to the same cluster by the same credential.
pub(super) fn is_same_credential(one: &Secret, other: &Secret) -> bool {
    let kind = |secret: &Secret| secret.metadata.labels.as_ref()?.get(LABEL_CREDENTIAL_TYPE).cloned();
    one.data.is_some() && one.data == other.data && kind(one) == kind(other)
}

fn parsed(text: &str) -> Result<Value, Refusal> {
    let documents = Document::all(NAME, text).map_err(|problem| malformed(problem.to_string()))?;
    let [document] = documents.as_slice() else {
        return Err(malformed(format!("it holds {} documents, not one", documents.len())));
    };
    document.value().map_err(|problem| malformed(problem.to_string()))
}

fn names_kept_credential(kubeconfig: &Value) -> Result<bool, String> {
    let users = Fields::of(kubeconfig, "")?.list("users")?;
    for user in users {
        if user.text("name")? == Some(KEPT) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether all that it leads to is this cluster, through whatever gateway.
fn leads_to(kubeconfig: &Value, name: &str) -> Result<bool, String> {
    let path = ProxyPath::prefix(name);
    for cluster in Fields::of(kubeconfig, "")?.list("clusters")? {
        let server = cluster.fields("cluster")?.map(|cluster| cluster.text("server")).transpose()?.flatten();
        let server = server.unwrap_or_default().trim_end_matches('/');
        let leads =
            if name == LOCAL { !server.contains("/clustergateways/") } else { server.ends_with(&path) };
        if !leads {
            return Ok(false);
        }
    }
    Ok(true)
}

fn malformed(reason: impl Into<String>) -> Refusal {
    let reason = reason.into();
    let message = match reason.starts_with(NAME) {
        true => reason,
        false => format!("{NAME}: {reason}"),
    };
    Refusal::new(Code::KubeconfigMalformed, message).field("kubeConfig")
}

fn no_context(message: &str) -> Refusal {
    Refusal::new(Code::KubeconfigContext, message)
        .field("kubeConfig")
        .remedy("Send one context of it: kubectl config view --minify --flatten --raw.")
}

#[cfg(test)]
mod tests;
