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

const FLATTEN: &str = "kubectl config view --flatten --raw writes such files into the kubeconfig";

/// The clusters, and what should be known about them.
pub(super) fn read(
    config: &Fields<'_>,
    contexts: Contexts,
    allow_exec: bool,
) -> Result<(Vec<Entry>, Vec<String>), String> {
    let (clusters, users) = (named(config, "clusters", "cluster")?, named(config, "users", "user")?);
    let all = named(config, "contexts", "context")?;
    let current = config.text("current-context")?;
    let mut notes = Vec::new();
    if contexts == Contexts::Current && !current.is_some_and(|current| all.contains_key(current)) {
        notes.push("no cluster: current-context names no context of this file".to_owned());
    }
    let mut entries = Vec::new();
    for (context, fields) in &all {
        if contexts == Contexts::Current && current != Some(context) {
            continue;
        }
        let Some(name) = name::slug(context) else {
            notes.push(format!("context \"{}\" has no letter or digit to name a cluster by", shown(context)));
            continue;
        };
        let mut draft = Draft::new(&name, allow_exec);
        if name != **context {
            notes.push(format!("context \"{}\" is registered as cluster {name}", shown(context)));
            draft.annotate(ANNOTATION_ALIAS, context);
        }
        let result = draft.context(fields, &clusters, &users)?;
        entries.push(draft.finish(result));
    }
    Ok((entries, notes))
}

/// A kubeconfig's list of named things. As in kubectl, the first of two with one name counts.
fn named<'a>(
    config: &Fields<'a>,
    list: &str,
    what: &str,
) -> Result<BTreeMap<&'a str, Option<Fields<'a>>>, String> {
    let mut all = BTreeMap::new();
    for item in config.list(list)? {
        let name = item.text("name")?.ok_or_else(|| format!("{} is missing", item.at("name")))?;
        let fields = item.fields(what)?;
        all.entry(name).or_insert(fields);
    }
    Ok(all)
}

/// Named things of a kubeconfig; `None`: there is nothing but the name.
type Named<'a> = BTreeMap<&'a str, Option<Fields<'a>>>;

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

    /// Outer error: the file cannot be understood. Inner error: why this cluster cannot be used.
    fn context(
        &mut self,
        context: &Option<Fields<'_>>,
        clusters: &Named<'_>,
        users: &Named<'_>,
    ) -> Result<Result<(), String>, String> {
        let part = |key: &str| context.as_ref().map_or(Ok(None), |context| context.text(key));
        let cluster = match part("cluster")?.map(|name| (name, clusters.get(name))) {
            Some((_, Some(Some(cluster)))) => cluster,
            Some((name, _)) => return Ok(Err(format!("the kubeconfig has no cluster \"{}\"", shown(name)))),
            None => return Ok(Err("the context names no cluster".to_owned())),
        };
        if let Err(reason) = self.cluster(cluster)? {
            return Ok(Err(reason));
        }
        match part("user")?.map(|name| (name, users.get(name))) {
            Some((_, Some(Some(user)))) => self.user(user),
            Some((name, _)) => Ok(Err(format!("the kubeconfig has no user \"{}\"", shown(name)))),
            None => Ok(Err("the context names no user, and so no credential".to_owned())),
        }
    }

    fn cluster(&mut self, cluster: &Fields<'_>) -> Result<Result<(), String>, String> {
        let Some(server) = cluster.text("server")? else {
            return Ok(Err(format!("{} is missing; expected https://HOST[:PORT]", cluster.at("server"))));
        };
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
        match inline(cluster, "certificate-authority-data", "certificate-authority")? {
            Ok(Some(ca)) => self.put("ca.crt", ca),
            Ok(None) => {}
            Err(reason) => return Ok(Err(reason)),
        }
        Ok(Ok(()))
    }

    fn user(&mut self, user: &Fields<'_>) -> Result<Result<(), String>, String> {
        if let Some(reason) = self.refusal(user)? {
            return Ok(Err(reason));
        }
        let certificate = inline(user, "client-certificate-data", "client-certificate")?;
        let key = inline(user, "client-key-data", "client-key")?;
        let token = user.text("token")?;
        let (certificate, key) = match (certificate, key) {
            (Ok(certificate), Ok(key)) => (certificate, key),
            (Err(reason), _) | (_, Err(reason)) => return Ok(Err(reason)),
        };
        // A server that is shown both believes the certificate.
        if certificate.is_some() || key.is_some() {
            self.credential(CredentialType::X509Certificate);
            self.put("tls.crt", certificate.unwrap_or_default());
            self.put("tls.key", key.unwrap_or_default());
        } else if let Some(token) = token {
            self.credential(CredentialType::ServiceAccountToken);
            self.put("token", token.as_bytes().to_vec());
        } else if let Some(exec) = user.value("exec") {
            self.credential(CredentialType::Dynamic);
            self.put("exec", exec.to_string().into_bytes());
        } else if user.has("tokenFile") {
            return Ok(Err(format!("{}: {FLATTEN}", outside(user, "tokenFile", "token"))));
        } else {
            return Ok(Err(
                "the user has no credential; expected token, or client-certificate-data and client-key-data"
                    .to_owned(),
            ));
        }
        Ok(Ok(()))
    }

    /// Ways to authenticate that must not be left out in silence.
    fn refusal(&self, user: &Fields<'_>) -> Result<Option<String>, String> {
        if ["as", "as-uid", "as-groups", "as-user-extra"].iter().any(|key| user.has(key)) {
            return Ok(Some(
                "the user acts as somebody else (as, as-groups); write identity rules for the gateway instead"
                    .to_owned(),
            ));
        }
        if user.has("username") || user.has("password") {
            return Ok(Some(
                "username and password are no longer a credential in Kubernetes; use a token or a certificate"
                    .to_owned(),
            ));
        }
        if user.has("auth-provider") {
            return Ok(Some(
                "auth-provider was removed from Kubernetes; use a token or a certificate".to_owned(),
            ));
        }
        if let Some(exec) = user.fields("exec")?
            && !self.allow_exec
        {
            let command = exec.text("command")?.unwrap_or_default();
            return Ok(Some(format!(
                "the credential comes from the program \"{}\", and running programs is not allowed here; put the token \
                 of a service account into the kubeconfig instead",
                shown(command)
            )));
        }
        Ok(None)
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

    fn finish(self, result: Result<(), String>) -> Entry {
        let metadata = ObjectMeta {
            name: Some(self.name),
            labels: Some(self.labels),
            annotations: Some(self.annotations),
            ..ObjectMeta::default()
        };
        let secret = Secret { metadata, data: Some(self.data), ..Secret::default() };
        Entry { secret, unusable: result.err().map(Unusable) }
    }
}

/// Inline data, decoded. Inner error: it is kept in a file.
fn inline(fields: &Fields<'_>, data: &str, file: &str) -> Result<Result<Option<Vec<u8>>, String>, String> {
    match fields.text(data)? {
        Some(encoded) => {
            Ok(decode(encoded).map(Some).ok_or_else(|| format!("{} is not base64", fields.at(data))))
        }
        None if fields.has(file) => Ok(Err(format!("{}; {FLATTEN}", outside(fields, file, data)))),
        None => Ok(Ok(None)),
    }
}

fn outside(fields: &Fields<'_>, file: &str, instead: &str) -> String {
    format!("{} names a file, and files are not read from here; use {instead}", fields.at(file))
}

fn shown(text: &str) -> String {
    text.escape_debug().take(200).collect()
}
