//! How somebody reaches an API server: its address, whom to trust, and the proof of who asks.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::curl::Curl;
use crate::kubectl::Kubectl;
use crate::pki::Identity;
use crate::scratch;

/// What proves who asks.
#[derive(Clone, Debug)]
pub enum Credential {
    /// Nothing does.
    Anonymous,
    /// A bearer token.
    Token(String),
    /// A client certificate and its key.
    X509(Identity),
}

/// One way to one API server, as files for the programs that want files.
///
/// The files stay until the process has ended: a server may read its kubeconfig again at any time.
#[derive(Clone, Debug)]
pub struct Access {
    server: String,
    ca: String,
    credential: Credential,
    directory: PathBuf,
    /// Somebody else's kubeconfig, and the context of it that is used; kubectl takes these instead of ours.
    context: Option<(PathBuf, String)>,
}

impl Access {
    /// Somebody with `credential` who trusts the certificates that `ca` (PEM) has issued.
    pub fn new(server: &str, ca: &str, credential: Credential) -> Result<Self> {
        let directory = scratch::directory("access")?.keep();
        let access =
            Self { server: server.to_owned(), ca: ca.to_owned(), credential, directory, context: None };
        access.write("ca.crt", ca)?;
        if let Credential::X509(identity) = &access.credential {
            access.write("tls.crt", &identity.certificate)?;
            access.write("tls.key", &identity.key)?;
        }
        // JSON is YAML, so kubectl takes it as it is.
        access.write("kubeconfig", &access.kubeconfig_document().to_string())?;
        Ok(access)
    }

    /// Whoever a context of a kubeconfig makes of somebody; it holds a client certificate, inline.
    pub fn of_context(kubeconfig: &Path, context: &str) -> Result<Self> {
        let args = ["config", "view", "--raw", "--minify", "--context", context, "-o", "json"];
        let view: Value = serde_json::from_str(&Kubectl::new(kubeconfig, args).run()?.success()?)?;
        let (cluster, user) = (&view["clusters"][0]["cluster"], &view["users"][0]["user"]);
        let identity = Identity {
            certificate: decoded(&user["client-certificate-data"])?,
            key: decoded(&user["client-key-data"])?,
        };
        let server = cluster["server"].as_str().context("a server")?;
        let ca = decoded(&cluster["certificate-authority-data"])?;
        let mut access = Self::new(server, &ca, Credential::X509(identity))?;
        access.context = Some((kubeconfig.to_owned(), context.to_owned()));
        Ok(access)
    }

    /// The same person at another address, behind the same CA.
    pub fn at(&self, server: &str) -> Result<Self> {
        Self::new(server, &self.ca, self.credential.clone())
    }

    /// Another person at the same address.
    pub fn with(&self, credential: Credential) -> Result<Self> {
        Self::new(&self.server, &self.ca, credential)
    }

    /// The same person in the cluster that the gateway behind this hub knows as `cluster`.
    pub fn through(&self, cluster: &str) -> Result<Self> {
        self.at(&format!("{}{}", self.server, crate::registration::proxy_path(cluster)))
    }

    /// The address, which may have a path.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The CA that is trusted, PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The proof of who asks.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The kubeconfig file.
    pub fn kubeconfig(&self) -> PathBuf {
        self.context.as_ref().map_or_else(|| self.file("kubeconfig"), |(file, _)| file.clone())
    }

    /// The file with the CA.
    pub fn ca_file(&self) -> PathBuf {
        self.file("ca.crt")
    }

    /// The client certificate and its key as files, if that is the credential.
    pub fn identity_files(&self) -> Option<(PathBuf, PathBuf)> {
        matches!(self.credential, Credential::X509(_)).then(|| (self.file("tls.crt"), self.file("tls.key")))
    }

    /// The stock kubectl with this kubeconfig.
    pub fn kubectl<S: AsRef<str>>(&self, args: impl IntoIterator<Item = S>) -> Kubectl {
        let context = self.context.iter().flat_map(|(_, name)| ["--context".to_owned(), name.clone()]);
        let args = context.chain(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        Kubectl::new(&self.kubeconfig(), args)
    }

    /// One request by curl; `path` begins with a slash and follows the address.
    pub fn request(&self, method: &str, path: &str) -> Curl {
        Curl::new(self, method, path)
    }

    /// Creates or changes an object, or a list of them.
    pub fn apply(&self, object: &Value) -> Result<()> {
        self.kubectl(["apply", "-f", "-"]).stdin(&object.to_string()).run()?.success().map(drop)
    }

    fn kubeconfig_document(&self) -> Value {
        let user = match &self.credential {
            Credential::Anonymous => json!({}),
            Credential::Token(token) => json!({"token": token}),
            Credential::X509(_) => json!({
                "client-certificate": self.file("tls.crt"), "client-key": self.file("tls.key"),
            }),
        };
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "e2e",
            "clusters": [{"name": "e2e", "cluster": {
                "server": self.server, "certificate-authority": self.ca_file(),
            }}],
            "users": [{"name": "e2e", "user": user}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}],
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        write(&self.file(name), text)
    }
}

fn decoded(data: &Value) -> Result<String> {
    let data = data.as_str().context("inline data in the kubeconfig")?;
    Ok(String::from_utf8(BASE64.decode(data)?)?)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
