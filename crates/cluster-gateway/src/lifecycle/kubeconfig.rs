//! A kubeconfig as somebody hands it over: one context of it, with whatever it keeps in files.
//!
//! What a context means is decided by the one reader of kubeconfigs in `registry`; here it is only made complete.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cluster_gateway_client::v1alpha1::ANNOTATION_ALIAS;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use crate::manifest::{Document, Fields, Problem};
use crate::registry;
use crate::transport::EndpointUrl;

mod contexts;

pub use contexts::{Contexts, ContextsError, NamedContext};

/// Size of a kubeconfig, in bytes, from which on it is refused.
const MAX_KUBECONFIG: u64 = 4 * 1024 * 1024;
/// Size of a file that it names.
const MAX_FILE: u64 = 1024 * 1024;
/// Contexts that a message names.
const MOST_NAMED: usize = 20;
/// What is said of a file that a kubeconfig from elsewhere names.
const ON_ANOTHER_MACHINE: &str = "on the machine that it comes from";
/// Keys that name files, and those that hold the same.
const OF_CLUSTER: [(&str, &str); 1] = [("certificate-authority", "certificate-authority-data")];
const OF_USER: [(&str, &str); 2] =
    [("client-certificate", "client-certificate-data"), ("client-key", "client-key-data")];

/// A kubeconfig, not looked into yet. It holds a credential: `Debug` shows its name only.
#[derive(Clone)]
pub struct KubeconfigSource {
    name: String,
    text: String,
    files: Files,
}

/// What may be read besides the kubeconfig itself.
#[derive(Clone)]
enum Files {
    /// Files of this machine; and where they are that it names by relative paths, if that is known.
    Here(Option<PathBuf>),
    /// None: it comes from another machine, and what it names is there.
    Elsewhere,
}

/// What one context says.
#[derive(Clone)]
pub struct Member {
    /// A name for the cluster, made of what the kubeconfig calls it.
    pub name: Option<String>,
    /// The cluster as a Secret without a name.
    pub secret: Secret,
    /// What should be known about it.
    pub notes: Vec<String>,
}

impl KubeconfigSource {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(path: &Path) -> Result<Self, String> {
        let cannot = |error| format!("cannot read {}: {error}", path.display());
        let file = File::open(path).map_err(cannot)?;
        let directory = path.parent().map(Path::to_path_buf);
        Self::read(file, &path.display().to_string(), directory)
    }

    /// Reads a stream to its end. `name` is how messages call it; relative paths in it start from `directory`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(source: impl Read, name: &str, directory: Option<PathBuf>) -> Result<Self, String> {
        let bytes =
            bounded(source, MAX_KUBECONFIG).map_err(|error| format!("cannot read {name}: {error}"))?;
        let bytes = bytes.ok_or_else(|| {
            format!(
                "{name} is larger than {} MiB; write the one context to a file: kubectl config view --minify --flatten --raw",
                MAX_KUBECONFIG / 1024 / 1024
            )
        })?;
        let text = String::from_utf8(bytes).map_err(|_| format!("{name} is not UTF-8 text"))?;
        if text.trim().is_empty() {
            return Err(format!("{name} is empty"));
        }
        Ok(Self { name: name.to_owned(), text, files: Files::Here(directory) })
    }

    /// A kubeconfig that somebody has sent from another machine. No file of this one is read, whatever it names.
    #[must_use]
    pub fn sent(text: String) -> Self {
        Self { name: "the kubeconfig".to_owned(), text, files: Files::Elsewhere }
    }

    /// Takes one context, `current-context` by default, and reads the files that it names.
    ///
    /// # Errors
    /// What is wrong with it, without a part of it.
    pub fn member(&self, context: Option<&str>) -> Result<Member, String> {
        let value = self.value().map_err(|problem| problem.to_string())?;
        let fields = Fields::of(&value, "").map_err(|reason| format!("{}: {reason}", self.name))?;
        self.of(&fields, context).map_err(|reason| format!("{}: {reason}", self.name))
    }

    fn value(&self) -> Result<Value, Problem> {
        let documents = Document::all(&self.name, &self.text)?;
        match documents.as_slice() {
            [document] => document.value(),
            _ => {
                let reason = format!("it holds {} documents; expected one kubeconfig", documents.len());
                Err(Problem::of_file(&self.name, reason))
            }
        }
    }

    fn of(&self, kubeconfig: &Fields<'_>, wanted: Option<&str>) -> Result<Member, String> {
        must_be_kubeconfig(kubeconfig)?;
        let name = context_name(kubeconfig, wanted)?;
        let context = held(kubeconfig, "contexts", "context", name)?;
        let (cluster_name, cluster) = part(kubeconfig, &context, "clusters", "cluster")?;
        let (_, user) = part(kubeconfig, &context, "users", "user")?;
        let mut notes = Vec::new();
        let mut cluster = self.complete(cluster, &OF_CLUSTER)?;
        let mut user = self.complete(user, &OF_USER)?;
        if let Some(server) = cluster["server"].as_str().filter(|server| !server.is_empty()) {
            cluster["server"] = json!(normal_endpoint(server).map_err(|error| format!("server: {error}"))?);
        }
        if let Some(path) = user["tokenFile"].as_str().filter(|path| !path.is_empty()).map(str::to_owned) {
            let token = self.file(&path, "tokenFile")?;
            user["token"] = json!(String::from_utf8_lossy(&token).trim());
            user["tokenFile"] = Value::Null;
            notes.push(
                "the token stands in a file that somebody renews: the copy that is registered will end; take a service \
                 account's own token instead"
                    .to_owned(),
            );
        }
        let one = json!({
            "current-context": "member",
            "clusters": [{"name": "member", "cluster": cluster}],
            "users": [{"name": "member", "user": user}],
            "contexts": [{"name": "member", "context": {"cluster": "member", "user": "member"}}],
        });
        let secret = registry::secret_of_kubeconfig(&one)?;
        let name = registry::name_of(cluster_name).or_else(|| registry::name_of(name));
        let mut member = Member { secret, notes, name };
        member.call(cluster_name);
        Ok(member)
    }

    /// A part of the kubeconfig whose files have been read.
    fn complete(&self, mut part: Value, files: &[(&str, &str)]) -> Result<Value, String> {
        for (file, data) in files {
            let Some(path) = part[*file].as_str().filter(|path| !path.is_empty()).map(str::to_owned) else {
                continue;
            };
            // As in kubectl, what stands there itself counts.
            if part[*data].as_str().is_none_or(str::is_empty) {
                part[*data] = json!(STANDARD.encode(self.file(&path, file)?));
            }
            part[*file] = Value::Null;
        }
        Ok(part)
    }

    fn file(&self, path: &str, key: &str) -> Result<Vec<u8>, String> {
        let shown = shown(path);
        let path = match (&self.files, Path::new(path)) {
            (Files::Elsewhere, _) => {
                return Err(format!("{key} names the file {shown} {ON_ANOTHER_MACHINE}"));
            }
            (Files::Here(_), path) if path.is_absolute() => path.to_path_buf(),
            (Files::Here(Some(directory)), path) => directory.join(path),
            (Files::Here(None), _) => {
                return Err(format!(
                    "{key} names the file {shown}, and nobody knows where that starts from; write its content into the \
                     kubeconfig with kubectl config view --flatten --raw"
                ));
            }
        };
        let read = File::open(&path).and_then(|file| bounded(file, MAX_FILE));
        let read = read.map_err(|error| format!("{key}: cannot read {}: {error}", path.display()))?;
        read.ok_or_else(|| format!("{key}: {} is larger than {} MiB", path.display(), MAX_FILE / 1024 / 1024))
    }
}

impl Member {
    /// Keeps what the kubeconfig calls the cluster, where that is no name, as the name for people.
    fn call(&mut self, original: &str) {
        let annotations = self.secret.metadata.annotations.get_or_insert_default();
        annotations.remove(ANNOTATION_ALIAS);
        if let Some(name) = self.name.as_ref().filter(|name| *name != original) {
            self.notes
                .push(format!("\"{}\" is no name for a cluster; it would be called {name}", shown(original)));
            let alias: String =
                original.chars().filter(|character| !character.is_control()).take(253).collect();
            annotations.insert(ANNOTATION_ALIAS.to_owned(), alias);
        }
    }

    /// The credential and address of the cluster.
    #[must_use]
    pub fn data(&self, key: &str) -> Option<&ByteString> {
        self.secret.data.as_ref()?.get(key)
    }
}

impl std::fmt::Debug for KubeconfigSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubeconfigSource").field("name", &self.name).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("name", &self.name).finish_non_exhaustive()
    }
}

fn must_be_kubeconfig(fields: &Fields<'_>) -> Result<(), String> {
    match fields.text("kind")?.filter(|kind| *kind != "Config") {
        Some(kind) => Err(format!("it is a {}, not a kubeconfig", shown(kind))),
        None => Ok(()),
    }
}

fn context_name<'a>(kubeconfig: &Fields<'a>, wanted: Option<&'a str>) -> Result<&'a str, String> {
    let contexts = kubeconfig.list("contexts")?;
    let names: Vec<_> = contexts.iter().filter_map(|item| item.text("name").ok().flatten()).collect();
    let listed = || names.iter().take(MOST_NAMED).map(|name| shown(name)).collect::<Vec<_>>().join(", ");
    match (wanted, kubeconfig.text("current-context")?) {
        _ if names.is_empty() => Err("it has no context".to_owned()),
        (Some(name), _) if names.contains(&name) => Ok(name),
        (Some(name), _) => Err(format!("it has no context \"{}\"; there are {}", shown(name), listed())),
        (None, Some(name)) => Ok(name),
        // kubectl would talk to localhost then.
        (None, None) if names.len() == 1 => Ok(names[0]),
        (None, None) => Err(format!("it has no current-context; choose one with --context: {}", listed())),
    }
}

/// What a context points to, and how that is called.
fn part<'a>(
    kubeconfig: &Fields<'a>,
    context: &Fields<'a>,
    list: &str,
    key: &str,
) -> Result<(&'a str, Value), String> {
    let name = context.text(key)?.ok_or_else(|| format!("the context names no {key}"))?;
    held(kubeconfig, list, key, name)?;
    let item = item(kubeconfig, list, key, name)?;
    Ok((name, item.value(key).cloned().unwrap_or_default()))
}

fn held<'a>(kubeconfig: &Fields<'a>, list: &str, key: &str, name: &str) -> Result<Fields<'a>, String> {
    let held = item(kubeconfig, list, key, name)?.fields(key)?;
    held.ok_or_else(|| format!("{key} \"{}\" is empty", shown(name)))
}

fn item<'a>(kubeconfig: &Fields<'a>, list: &str, key: &str, name: &str) -> Result<Fields<'a>, String> {
    let mut named = Vec::new();
    for item in kubeconfig.list(list)? {
        if item.text("name")? == Some(name) {
            named.push(item);
        }
    }
    match (named.pop(), named.pop()) {
        (Some(item), None) => Ok(item),
        (Some(_), Some(_)) => Err(format!("two of its {list} are named \"{}\"", shown(name))),
        (None, _) => Err(format!("it has no {key} \"{}\"; was it cut off?", shown(name))),
    }
}

/// An endpoint with scheme and port, as `vela` writes it, and with its path.
fn normal_endpoint(text: &str) -> Result<String, String> {
    let text = text.trim();
    let whole = match text.contains("://") {
        true => text.to_owned(),
        // A server that somebody reaches on port 80 does not speak TLS there.
        false if text.split('/').next().is_some_and(|host| host.ends_with(":80")) => format!("http://{text}"),
        false => format!("https://{text}"),
    };
    let EndpointUrl { endpoint, base_path, .. } =
        EndpointUrl::parse(&whole).map_err(|error| error.to_string())?;
    let scheme = if endpoint.tls { "https" } else { "http" };
    Ok(format!("{scheme}://{}{base_path}", endpoint.authority()))
}

/// All bytes; `None`: there are more than `most`.
fn bounded(source: impl Read, most: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    source.take(most + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= most))
}

fn shown(text: &str) -> String {
    text.escape_debug().take(200).collect()
}

#[cfg(test)]
mod tests;
