//! A kubeconfig: each context becomes a cluster in the shape of a Secret.
//!
//! Whatever would make the connection another one than kubectl's is mapped, or makes the cluster unusable with the
//! remedy. Nothing is silently left out, no file is opened and no program is run.

use std::collections::BTreeMap;

use cluster_gateway_client::v1alpha1::{
    ANNOTATION_ALIAS, ANNOTATION_INSECURE, ANNOTATION_TLS_SERVER_NAME, CredentialType, LABEL_CREDENTIAL_TYPE,
};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::secret::decode;
use super::{Contexts, name};
use crate::manifest::Fields;
use crate::registry::{Entry, Unusable};

/// The lists of a kubeconfig.
struct Config<'a> {
    clusters: Named<'a>,
    users: Named<'a>,
    contexts: Named<'a>,
}

/// The clusters, and what should be known about them.
///
/// # Errors
/// The lists themselves cannot be read. What is wrong with one context makes only its cluster unusable.
pub(super) fn read(
    kubeconfig: &Fields<'_>,
    contexts: Contexts,
    allow_exec: bool,
) -> Result<(Vec<Entry>, Vec<String>), String> {
    let config = Config {
        clusters: named(kubeconfig, "clusters", "cluster")?,
        users: named(kubeconfig, "users", "user")?,
        contexts: named(kubeconfig, "contexts", "context")?,
    };
    let current = kubeconfig.text("current-context")?;
    let wanted = |context: &&str| contexts == Contexts::All || current == Some(*context);
    let (mut entries, mut notes) = (Vec::new(), Vec::new());
    for context in config.contexts.keys().copied().filter(wanted) {
        let Some(name) = name::slug(context) else {
            notes.push(format!("context \"{}\" has no letter or digit to name a cluster by", shown(context)));
            continue;
        };
        let mut draft = Draft::new(&name, allow_exec);
        if name != context {
            notes.push(format!("context \"{}\" is registered as cluster {name}", shown(context)));
            draft.annotate(ANNOTATION_ALIAS, context);
        }
        let unusable = draft.context(context, &config).err();
        entries.push(draft.finish(unusable));
    }
    if entries.is_empty() && notes.is_empty() {
        notes.push(match contexts {
            Contexts::All => "the kubeconfig has no context, and so no cluster".to_owned(),
            Contexts::Current => "current-context names no context of this kubeconfig: no cluster".to_owned(),
        });
    }
    Ok((entries, notes))
}

/// A kubeconfig's list of named things. As in kubectl, two of one name are an error.
fn named<'a>(config: &Fields<'a>, list: &str, what: &'static str) -> Result<Named<'a>, String> {
    let mut all = BTreeMap::new();
    for item in config.list(list)? {
        let name = item.text("name")?.ok_or_else(|| format!("{} is missing", item.at("name")))?;
        let at = item.at("name");
        if all.insert(name, (item, what)).is_some() {
            return Err(format!("{at}: a second one of {list} is named \"{}\"", shown(name)));
        }
    }
    Ok(all)
}

/// Named things of a kubeconfig, each with the key of what it holds.
type Named<'a> = BTreeMap<&'a str, (Fields<'a>, &'static str)>;

/// What the thing called `name` holds.
fn held<'a>(all: &Named<'a>, name: &str, what: &str) -> Result<Fields<'a>, String> {
    let held = all.get(name).map_or(Ok(None), |(item, key)| item.fields(key))?;
    held.ok_or_else(|| format!("the kubeconfig has no {what} \"{}\"", shown(name)))
}

/// A Secret in the making.
struct Draft {
    name: String,
    allow_exec: bool,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    data: BTreeMap<String, ByteString>,
}

impl Draft {
    fn new(name: &str, allow_exec: bool) -> Self {
        let (labels, annotations, data) = Default::default();
        Self { name: name.to_owned(), allow_exec, labels, annotations, data }
    }

    /// An error is why this cluster cannot be used.
    fn context(&mut self, name: &str, config: &Config<'_>) -> Result<(), String> {
        let context = held(&config.contexts, name, "context")?;
        let cluster = context.text("cluster")?.ok_or("the context names no cluster")?;
        let user = context.text("user")?.ok_or("the context names no user, and so no credential")?;
        self.cluster(&held(&config.clusters, cluster, "cluster")?)?;
        self.user(&held(&config.users, user, "user")?)
    }

    fn cluster(&mut self, cluster: &Fields<'_>) -> Result<(), String> {
        let server = cluster.text("server")?;
        let server = server
            .ok_or_else(|| format!("{} is missing; expected https://HOST[:PORT]", cluster.at("server")))?;
        self.put("endpoint", server.as_bytes().to_vec());
        if let Some(url) = cluster.text("proxy-url")? {
            self.put("proxy-url", url.as_bytes().to_vec());
        }
        if let Some(server_name) = cluster.text("tls-server-name")? {
            self.annotate(ANNOTATION_TLS_SERVER_NAME, server_name);
        }
        if cluster.flag("insecure-skip-tls-verify")? {
            self.annotate(ANNOTATION_INSECURE, "true");
        }
        if let Some(ca) = inline(cluster, "certificate-authority-data", "certificate-authority")? {
            self.put("ca.crt", ca);
        }
        Ok(())
    }

    fn user(&mut self, user: &Fields<'_>) -> Result<(), String> {
        self.refuse(user)?;
        let certificate = inline(user, "client-certificate-data", "client-certificate")?;
        let key = inline(user, "client-key-data", "client-key")?;
        match (certificate, key) {
            // A server that is shown a token as well believes the certificate.
            (Some(certificate), Some(key)) => {
                self.credential(CredentialType::X509Certificate);
                self.put("tls.crt", certificate);
                self.put("tls.key", key);
                Ok(())
            }
            (None, None) => self.token_or_program(user),
            (Some(_), None) => Err(format!("{} is missing", user.at("client-key-data"))),
            (None, Some(_)) => Err(format!("{} is missing", user.at("client-certificate-data"))),
        }
    }

    fn token_or_program(&mut self, user: &Fields<'_>) -> Result<(), String> {
        if let Some(token) = user.text("token")? {
            self.credential(CredentialType::ServiceAccountToken);
            self.put("token", token.as_bytes().to_vec());
        } else if let Some(exec) = user.value("exec") {
            self.credential(CredentialType::Dynamic);
            self.put("exec", exec.to_string().into_bytes());
        } else if user.has("tokenFile") {
            return Err(outside(user, "tokenFile", "token"));
        } else {
            return Err(
                "the user has no credential; expected token, or client-certificate-data and client-key-data"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Refuses ways to authenticate that must not be left out in silence.
    fn refuse(&self, user: &Fields<'_>) -> Result<(), String> {
        let refused = [
            (
                &["as", "as-uid", "as-groups", "as-user-extra"][..],
                "the user acts as somebody else (as, as-groups); write identity rules for the gateway instead",
            ),
            (
                &["username", "password"],
                "username and password are no longer a credential in Kubernetes; use a token or a certificate",
            ),
            (&["auth-provider"], "auth-provider was removed from Kubernetes; use a token or a certificate"),
        ];
        if let Some((_, reason)) = refused.iter().find(|(keys, _)| keys.iter().any(|key| user.has(key))) {
            return Err((*reason).to_owned());
        }
        match user.fields("exec")? {
            Some(exec) if !self.allow_exec => Err(format!(
                "the credential comes from the program \"{}\", and running programs is not allowed here; put the token \
                 of a service account into the kubeconfig instead",
                shown(exec.text("command")?.unwrap_or_default())
            )),
            _ => Ok(()),
        }
    }

    fn credential(&mut self, kind: CredentialType) {
        self.labels.insert(LABEL_CREDENTIAL_TYPE.to_owned(), kind.as_str().to_owned());
    }

    fn annotate(&mut self, key: &str, value: &str) {
        self.annotations.insert(key.to_owned(), value.to_owned());
    }

    fn put(&mut self, key: &str, value: Vec<u8>) {
        self.data.insert(key.to_owned(), ByteString(value));
    }

    fn finish(self, unusable: Option<String>) -> Entry {
        let metadata = ObjectMeta {
            name: Some(self.name),
            labels: Some(self.labels),
            annotations: Some(self.annotations),
            ..ObjectMeta::default()
        };
        let secret = Secret { metadata, data: Some(self.data), ..Secret::default() };
        Entry { unusable: unusable.map(Unusable), ..Entry::from(secret) }
    }
}

/// Inline data, decoded. An error also if it is kept in a file instead.
fn inline(fields: &Fields<'_>, data: &str, file: &str) -> Result<Option<Vec<u8>>, String> {
    match fields.text(data)? {
        Some(encoded) => decode(encoded).map(Some).ok_or_else(|| format!("{}: not base64", fields.at(data))),
        None if fields.has(file) => Err(outside(fields, file, data)),
        None => Ok(None),
    }
}

fn outside(fields: &Fields<'_>, file: &str, instead: &str) -> String {
    format!(
        "{} names a file, and none is opened for a kubeconfig; use {instead}: kubectl config view --flatten --raw \
         writes certificates and keys into the kubeconfig",
        fields.at(file)
    )
}

fn shown(text: &str) -> String {
    text.escape_debug().take(200).collect()
}
