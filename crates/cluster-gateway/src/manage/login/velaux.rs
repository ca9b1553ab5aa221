//! VelaUX' own tokens: JWTs by HS256, with a key that VelaUX keeps among its records (`shared/design/console-api.md`, 7.2).
//!
//! Whoever has that key can be any of VelaUX' users, so this is off unless it is asked for, its users have a prefix of their
//! own, and what they may do is for the hub's RBAC to say, not for VelaUX.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use aws_lc_rs::hmac;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::failure::{Failure, VelaUxFailure};
use super::session::moment;
use crate::authn::{Jwt, UserInfo};
use crate::hub::{CallError, Hub, call};

/// Who issues VelaUX' tokens, as they say themselves.
const ISSUER: &str = "vela-issuer";
/// The kind of token that says who asks; the other is for getting another one.
const ACCESS: &str = "access";
/// VelaUX' keys have 32 characters. What is much shorter can be guessed; VelaUX itself loses its key in some updates and
/// goes on with an empty one.
const SHORTEST_KEY: usize = 16;
/// How often the key is read again.
const POLL: Duration = Duration::from_secs(60);
/// How long after a look another one is not worth it.
const PAUSE: Duration = Duration::from_secs(2);
/// How far VelaUX' clock may be ahead of ours.
const LEEWAY: Duration = Duration::from_secs(10);
/// Characters of a user's name, at most.
const MAX_NAME: usize = 253;
/// Bytes of the file with the key, at most.
const MAX_FILE: u64 = 4096;

/// Whether and how VelaUX' users may come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VelaUxConfig {
    /// `--velaux-signed-key-file`: a file with the key. `None`: VelaUX' record in the hub.
    pub key_file: Option<PathBuf>,
    /// `--velaux-username-prefix`: what stands before their names.
    pub username_prefix: String,
    /// `--velaux-groups`: the groups that all of them are in.
    pub groups: Vec<String>,
}

/// What VelaUX' users show, and the key that it must be signed by.
pub(super) struct VelaUx {
    config: VelaUxConfig,
    source: Source,
    key: ArcSwapOption<Vec<u8>>,
    last: Mutex<Last>,
}

enum Source {
    File(PathBuf),
    Record { config_maps: Box<Api<ConfigMap>>, namespace: String },
}

#[derive(Default)]
struct Last {
    at: Option<Instant>,
    problem: Option<String>,
}

/// What a value of `Authorization` is.
#[derive(Debug)]
pub(super) enum Presented<'a> {
    /// A token that says that it is VelaUX'.
    Ours(Jwt<'a>),
    /// Something else, which somebody else may know; what VelaUX says of it if nobody does.
    Others(VelaUxFailure),
}

/// The part of VelaUX' record that counts here.
#[derive(Deserialize)]
struct SystemInfo {
    #[serde(rename = "signedKey", default)]
    signed_key: Option<String>,
}

impl VelaUx {
    /// `records`: the hub and the namespace of VelaUX' records. Nothing is read yet.
    ///
    /// # Errors
    /// If there is no file with the key, and no hub either.
    pub(super) fn new(config: VelaUxConfig, records: Option<(&Hub, &str)>) -> Result<Self, String> {
        let source = match (&config.key_file, records) {
            (Some(path), _) => Source::File(path.clone()),
            (None, Some((hub, namespace))) => Source::Record {
                config_maps: Box::new(Api::namespaced(hub.client(), namespace)),
                namespace: namespace.to_owned(),
            },
            (None, None) => {
                return Err(
                    "--velaux-login needs --velaux-signed-key-file where VelaUX' records are not ConfigMaps \
                     of a hub"
                        .to_owned(),
                );
            }
        };
        Ok(Self { config, source, key: ArcSwapOption::empty(), last: Mutex::default() })
    }

    /// Whether the file with the key can be used. A hub need not be there yet.
    pub(super) async fn check(&self) -> Result<(), String> {
        match &self.source {
            Source::File(path) => from_file(path).await.map(drop),
            Source::Record { .. } => Ok(()),
        }
    }

    /// Reads the key now and then, for ever.
    pub(super) async fn watch(&self) {
        loop {
            self.refresh().await;
            tokio::time::sleep(POLL).await;
        }
    }

    /// What the value of `Authorization` holds: any scheme, one space, a token.
    pub(super) fn read(value: &str) -> Presented<'_> {
        let mut words = value.split(' ');
        let token = match (words.next(), words.next(), words.next()) {
            (Some(_), Some(token), None) if !token.is_empty() => token,
            _ => return Presented::Others(VelaUxFailure::NotAuthorized),
        };
        match Jwt::parse(token) {
            None if is_cut(token) => Presented::Others(VelaUxFailure::Invalid),
            None => Presented::Others(VelaUxFailure::Malformed),
            Some(jwt) if jwt.claims.get("iss").and_then(Value::as_str) == Some(ISSUER) => {
                Presented::Ours(jwt)
            }
            Some(_) => Presented::Others(VelaUxFailure::Invalid),
        }
    }

    /// Whose the token is, and when it ends. Nothing of it counts before its signature does.
    ///
    /// # Errors
    /// [`Failure::VelaUx`]; [`Failure::Unavailable`] without a key.
    pub(super) async fn verify(
        &self,
        token: &Jwt<'_>,
        now: SystemTime,
    ) -> Result<(Arc<UserInfo>, SystemTime), Failure> {
        if !token.is_signed_with("HS256") {
            return Err(Failure::VelaUx(VelaUxFailure::Invalid));
        }
        if !self.has_signed(token).await? {
            return Err(Failure::VelaUx(VelaUxFailure::Invalid));
        }
        self.claims(token, now).map_err(Failure::VelaUx)
    }

    /// A signature of another key may be one of a new key.
    async fn has_signed(&self, token: &Jwt<'_>) -> Result<bool, Failure> {
        let signed = |key: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key);
            hmac::verify(&key, token.message, &token.signature).is_ok()
        };
        if self.key.load().as_ref().is_some_and(|key| signed(key)) {
            return Ok(true);
        }
        let problem = self.refresh().await;
        match self.key.load().as_ref() {
            Some(key) => Ok(signed(key)),
            None => Err(Failure::Unavailable(format!(
                "VelaUX' key for tokens is not known: {}",
                problem.unwrap_or_default()
            ))),
        }
    }

    fn claims(&self, token: &Jwt<'_>, now: SystemTime) -> Result<(Arc<UserInfo>, SystemTime), VelaUxFailure> {
        let text = |claim: &str| token.claims.get(claim).and_then(Value::as_str);
        let expires = time(token, "exp")?.ok_or(VelaUxFailure::Invalid)?;
        if now >= expires {
            return Err(VelaUxFailure::Expired);
        }
        if time(token, "nbf")?.is_some_and(|from| now + LEEWAY < from) {
            return Err(VelaUxFailure::NotValidYet);
        }
        if text("grantType") != Some(ACCESS) {
            return Err(VelaUxFailure::NotAccess);
        }
        let named = text("username").filter(|name| {
            !name.is_empty() && name.chars().count() <= MAX_NAME && !name.contains(char::is_control)
        });
        let name = format!("{}{}", self.config.username_prefix, named.ok_or(VelaUxFailure::Invalid)?);
        // Names that Kubernetes keeps for itself are not VelaUX' to give.
        if name.starts_with("system:") {
            return Err(VelaUxFailure::Invalid);
        }
        let user = UserInfo { name, groups: self.config.groups.clone(), ..UserInfo::default() };
        Ok((UserInfo::completed(Arc::new(user)), expires))
    }

    /// Reads the key, unless somebody has just done so; says what was wrong. A key that was read before stays in force.
    async fn refresh(&self) -> Option<String> {
        let mut last = self.last.lock().await;
        if last.at.is_some_and(|at| at.elapsed() < PAUSE) {
            return last.problem.clone();
        }
        let read = match &self.source {
            Source::File(path) => from_file(path).await,
            Source::Record { config_maps, namespace } => from_record(config_maps, namespace).await,
        };
        let problem = match read {
            Ok(key) => {
                self.key.store(Some(Arc::new(key)));
                None
            }
            Err(problem) => {
                if last.problem.as_ref() != Some(&problem) {
                    tracing::warn!(
                        "VelaUX' key for tokens: {problem}; a key that was read before stays in force"
                    );
                }
                Some(problem)
            }
        };
        *last = Last { at: Some(Instant::now()), problem: problem.clone() };
        problem
    }
}

/// Whether only the signature cannot be read: to VelaUX that is a wrong one.
fn is_cut(token: &str) -> bool {
    token.rsplit_once('.').is_some_and(|(message, _)| Jwt::parse(&format!("{message}.")).is_some())
}

fn time(token: &Jwt<'_>, claim: &str) -> Result<Option<SystemTime>, VelaUxFailure> {
    let Some(value) = token.claims.get(claim) else { return Ok(None) };
    value.as_u64().and_then(moment).map(Some).ok_or(VelaUxFailure::Invalid)
}

async fn from_file(path: &Path) -> Result<Vec<u8>, String> {
    use tokio::io::AsyncReadExt;

    let wrong =
        |problem: &dyn std::fmt::Display| format!("--velaux-signed-key-file: {}: {problem}", path.display());
    let mut key = String::new();
    let file = tokio::fs::File::open(path).await.map_err(|error| wrong(&error))?;
    file.take(MAX_FILE).read_to_string(&mut key).await.map_err(|error| wrong(&error))?;
    long_enough(key.trim_end_matches(['\r', '\n'])).map_err(|problem| wrong(&problem))
}

/// As VelaUX does it: the first of the records of its kind.
async fn from_record(config_maps: &Api<ConfigMap>, namespace: &str) -> Result<Vec<u8>, String> {
    let params = ListParams::default().labels("table=vela_system_info,!db.oam.dev/migrated").limit(10);
    let list = call(config_maps.list(&params)).await.map_err(|error| match error {
        CallError::Forbidden(words) => {
            format!("{words}. Grant list of ConfigMaps in {namespace}, or use --velaux-signed-key-file")
        }
        other => other.to_string(),
    })?;
    let mut keys = list.items.iter().filter_map(|config_map| {
        let data = config_map.binary_data.as_ref()?.get("data")?;
        serde_json::from_slice::<SystemInfo>(&data.0).ok()?.signed_key
    });
    let wrong = |problem: &str| {
        format!("the ConfigMap with label table=vela_system_info in namespace {namespace} {problem}")
    };
    let key = keys.next().ok_or_else(|| wrong("is not there, or holds no signedKey: has VelaUX run?"))?;
    long_enough(&key).map_err(|problem| wrong(&format!("holds a signedKey that {problem}")))
}

fn long_enough(key: &str) -> Result<Vec<u8>, String> {
    if key.len() < SHORTEST_KEY {
        return Err(format!("has {} characters; below {SHORTEST_KEY} it could be guessed", key.len()));
    }
    Ok(key.as_bytes().to_vec())
}

impl fmt::Debug for VelaUx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VelaUx").field("config", &self.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
