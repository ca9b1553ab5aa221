//! The `exec` of a Secret: client-go's ExecConfig, as JSON or YAML. Messages repeat the name of the program and of
//! variables, never arguments or values.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::ExecPolicy;
use crate::manifest::Fields;

/// Variables that decide which code a program runs. A Secret that may set them could do without the list of programs.
const OF_LOADERS: [&str; 14] = [
    "LD_", "DYLD_", "GCONV_", "GLIBC_", "BASH_", "PYTHON", "PERL", "RUBY", "GEM_", "NODE_", "JAVA_", "_JAVA",
    "JDK_", "LUA_",
];
const OF_SHELLS: [&str; 8] = ["PATH", "ENV", "IFS", "PS4", "SHELL", "SHELLOPTS", "PROMPT_COMMAND", INFO];
/// Where client-go tells programs what they are asked.
const INFO: &str = "KUBERNETES_EXEC_INFO";

/// A program and how to run it. Arguments and environment may be secrets: `Debug` leaves them out.
#[derive(Clone)]
pub struct ExecConfig {
    /// Name of the cluster, for the log.
    pub(super) cluster: String,
    pub(super) command: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) api_version: ApiVersion,
    pub(super) install_hint: Option<String>,
    /// SHA-256 over all of it: equal only for the same program with the same input.
    fingerprint: [u8; 32],
}

/// Versions of `client.authentication.k8s.io`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ApiVersion {
    V1,
    V1Beta1,
}

/// What a program is told of its cluster, if `provideClusterInfo` says so.
#[derive(Debug, Clone, Copy)]
pub struct ClusterInfo<'c> {
    /// Name, for the log only.
    pub name: &'c str,
    /// URL of the API server.
    pub server: &'c str,
    /// Name in its certificate, if it is another than that of the URL.
    pub tls_server_name: Option<&'c str>,
    /// Whether its certificate is not verified.
    pub insecure: bool,
    /// Its CA bundle, PEM.
    pub ca_bundle: Option<&'c [u8]>,
    /// URL of the proxy on the way, with its login.
    pub proxy_url: Option<&'c str>,
}

impl ApiVersion {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "client.authentication.k8s.io/v1",
            Self::V1Beta1 => "client.authentication.k8s.io/v1beta1",
        }
    }
}

impl ExecConfig {
    /// Reads key `exec`, and checks that the program may be run.
    ///
    /// # Errors
    /// What is wrong with it, in words that follow the key's name.
    pub fn read(text: &[u8], cluster: &ClusterInfo<'_>, policy: &ExecPolicy) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is missing or empty; expected an exec user of a kubeconfig, as JSON".to_owned());
        }
        let value = document(text).ok_or("is neither JSON nor YAML")?;
        let fields = Fields::of(&value, "")?;
        let command = fields.text("command")?.ok_or("command is missing")?;
        let command = policy.resolve(command)?.to_owned();
        let api_version = api_version(&fields)?;
        if !matches!(fields.text("interactiveMode")?, None | Some("Never" | "IfAvailable")) {
            return Err(
                "interactiveMode: expected Never or IfAvailable; a gateway has no terminal".to_owned()
            );
        }
        let info = info(api_version, fields.flag("provideClusterInfo")?.then_some(cluster));
        let arguments = arguments(&fields)?;
        let mut environment = environment(&fields)?;
        environment.push((INFO.to_owned(), info));
        let mut config = Self {
            cluster: cluster.name.to_owned(),
            command,
            arguments,
            environment,
            api_version,
            install_hint: fields.text("installHint")?.map(str::to_owned),
            fingerprint: [0; 32],
        };
        config.fingerprint = config.digest();
        Ok(config)
    }

    /// SHA-256 over all of it.
    #[must_use]
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    fn digest(&self) -> [u8; 32] {
        let whole = json!([
            self.command.to_string_lossy(),
            self.arguments,
            self.environment,
            self.api_version.as_str(),
            self.install_hint,
        ]);
        Sha256::digest(whole.to_string()).into()
    }
}

impl std::fmt::Debug for ExecConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExecConfig").field("command", &self.command).finish_non_exhaustive()
    }
}

fn document(text: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(text).ok()?;
    serde_json::from_str(text).ok().or_else(|| serde_saphyr::from_str(text).ok())
}

fn api_version(fields: &Fields<'_>) -> Result<ApiVersion, String> {
    match fields.text("apiVersion")? {
        Some("client.authentication.k8s.io/v1") => Ok(ApiVersion::V1),
        Some("client.authentication.k8s.io/v1beta1") => Ok(ApiVersion::V1Beta1),
        _ => Err(
            "apiVersion: expected client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1"
                .to_owned(),
        ),
    }
}

fn arguments(fields: &Fields<'_>) -> Result<Vec<String>, String> {
    let expected = || "args: expected a list of strings".to_owned();
    let Some(list) = fields.value("args") else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(expected)?;
    list.iter()
        .map(|value| {
            value.as_str().filter(|text| !text.contains('\0')).map(str::to_owned).ok_or_else(expected)
        })
        .collect()
}

fn environment(fields: &Fields<'_>) -> Result<Vec<(String, String)>, String> {
    let mut all = Vec::new();
    for variable in fields.list("env")? {
        let name = variable.text("name")?.ok_or_else(|| format!("{} is missing", variable.at("name")))?;
        let value = variable.text("value")?.unwrap_or_default();
        if name.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!("{}: not the name of a variable", variable.at("name")));
        }
        let upper = name.to_ascii_uppercase();
        if OF_SHELLS.contains(&upper.as_str()) || OF_LOADERS.iter().any(|prefix| upper.starts_with(prefix)) {
            return Err(format!(
                "{}: the variable {} decides which code runs, and a Secret may not set it",
                variable.at("name"),
                name.escape_debug().take(64).collect::<String>()
            ));
        }
        all.push((name.to_owned(), value.to_owned()));
    }
    Ok(all)
}

/// What client-go tells a program in its environment.
fn info(api_version: ApiVersion, cluster: Option<&ClusterInfo<'_>>) -> String {
    let mut spec = json!({"interactive": false});
    if let Some(cluster) = cluster {
        let mut told = json!({"server": cluster.server});
        for (key, value) in [
            ("tls-server-name", cluster.tls_server_name.map(Value::from)),
            ("insecure-skip-tls-verify", cluster.insecure.then_some(true.into())),
            ("certificate-authority-data", cluster.ca_bundle.map(|pem| STANDARD.encode(pem).into())),
            ("proxy-url", cluster.proxy_url.map(Value::from)),
        ] {
            if let Some(value) = value {
                told[key] = value;
            }
        }
        spec["cluster"] = told;
    }
    json!({"kind": "ExecCredential", "apiVersion": api_version.as_str(), "spec": spec}).to_string()
}
