//! `IdentityExchangeReview`: the question to a webhook and its answer, in JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cluster_gateway_client::{GROUP, VERSION};
use serde::{Deserialize, Serialize};

use crate::authn::{GROUP_MASTERS, UserInfo};
use crate::cache::Failure;
use crate::identity::write;

const KIND: &str = "IdentityExchangeReview";
/// Characters of a webhook's own words that are passed on.
const MAX_WORDS: usize = 500;

/// What a webhook says of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::identity) enum Verdict {
    /// They are this user at the member.
    User(Arc<UserInfo>),
    /// They may not go there, and why.
    Denied(Arc<str>),
}

impl Verdict {
    /// About how much memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::User(user) => user.bytes(),
            Self::Denied(reason) => reason.len(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    api_version: &'a str,
    kind: &'a str,
    spec: QuestionSpec<'a>,
}

#[derive(Serialize)]
struct QuestionSpec<'a> {
    cluster: &'a str,
    user: QuestionUser<'a>,
}

#[derive(Serialize)]
struct QuestionUser<'a> {
    username: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    uid: &'a str,
    groups: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    extra: &'a BTreeMap<String, Vec<String>>,
}

/// The question whom `user` is at `cluster`.
///
/// # Errors
/// If it cannot be written down.
pub(super) fn question(user: &UserInfo, cluster: &str) -> Result<Bytes, Failure> {
    let question = Question {
        api_version: &format!("{GROUP}/{VERSION}"),
        kind: KIND,
        spec: QuestionSpec {
            cluster,
            user: QuestionUser {
                username: &user.name,
                uid: &user.uid,
                groups: &user.groups,
                extra: &user.extra,
            },
        },
    };
    serde_json::to_vec(&question).map(Bytes::from).map_err(Failure::new)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Reply {
    api_version: String,
    kind: String,
    #[serde(rename = "metadata", default)]
    _metadata: serde::de::IgnoredAny,
    #[serde(rename = "spec", default)]
    _spec: serde::de::IgnoredAny,
    status: ReplyStatus,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyStatus {
    allowed: bool,
    #[serde(default)]
    reason: String,
    user: Option<ReplyUser>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyUser {
    username: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    extra: BTreeMap<String, Vec<String>>,
}

/// What a reply says.
///
/// # Errors
/// Why it says nothing that can be acted on. Values of the reply are not repeated.
pub(super) fn verdict(reply: &[u8]) -> Result<Verdict, String> {
    let reply: Reply = serde_json::from_slice(reply).map_err(|error| unreadable(&error))?;
    let version = format!("{GROUP}/{VERSION}");
    if reply.api_version != version || reply.kind != KIND {
        return Err(format!("its reply is not of apiVersion {version} and kind {KIND}"));
    }
    match reply.status {
        ReplyStatus { allowed: true, user: Some(user), .. } => {
            identity(user).map(|user| Verdict::User(Arc::new(user)))
        }
        ReplyStatus { allowed: true, user: None, .. } => {
            Err("its reply allows the request and names no user".to_owned())
        }
        ReplyStatus { allowed: false, user: None, reason } => Ok(Verdict::Denied(words(&reason).into())),
        ReplyStatus { allowed: false, user: Some(_), .. } => {
            Err("its reply denies the request and names a user all the same".to_owned())
        }
    }
}

fn identity(user: ReplyUser) -> Result<UserInfo, String> {
    let ReplyUser { username, uid, groups, extra } = user;
    // The group that no rule of a member holds. Whoever means that writes a rule that says so.
    if groups.iter().any(|group| group == GROUP_MASTERS) {
        return Err(format!("its reply names the group {GROUP_MASTERS}, which no webhook may give"));
    }
    let extra = extra.into_iter().map(|(key, values)| (key.to_ascii_lowercase(), values)).collect();
    let user = UserInfo { name: username, uid, groups, extra };
    write::check(&user)
        .map_err(|problem| format!("its reply names an identity that cannot be passed on: {problem}"))?;
    Ok(user)
}

/// Where a reply is wrong. Serde quotes values, which are not for the caller to see; it quotes names of fields alone where
/// those are the matter.
fn unreadable(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let cause = text.strip_suffix(&place).unwrap_or(&text);
    let about_a_field = ["missing field", "unknown field", "duplicate field"];
    let cause = match error.classify() {
        serde_json::error::Category::Data if about_a_field.iter().any(|start| cause.starts_with(start)) => {
            words(cause)
        }
        serde_json::error::Category::Data => "a value is of the wrong type".to_owned(),
        _ => "it is not JSON".to_owned(),
    };
    format!("its reply is no {KIND}: {cause}{place}")
}

/// A webhook's own words, on one line of limited length.
fn words(text: &str) -> String {
    let text = if text.trim().is_empty() { "the webhook denies it" } else { text.trim() };
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests;
