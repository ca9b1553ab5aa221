//! What a session is, and how it lies in its cookie.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::authn::UserInfo;
use crate::manage::{Caller, Means};

/// How somebody has said who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// By an OpenID Connect provider.
    #[serde(rename = "OIDC")]
    Oidc,
    /// By a bearer token, in a session or with the request; also by a token of VelaUX.
    Token,
    /// By a client certificate, their own or a front proxy's.
    ClientCertificate,
}

/// Somebody who is signed in.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) method: Method,
    pub(super) subject: Subject,
    /// What a page of ours knows and another site's does not.
    pub(super) csrf: Secret,
    pub(super) issued: SystemTime,
    pub(super) expires: SystemTime,
}

/// Whom a session is about.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// This user, as the provider has told once and for all.
    User(Arc<UserInfo>),
    /// Whoever has this token: asked again with each request.
    Token(String),
}

/// 32 random bytes. Compared in constant time, not shown by `Debug`.
#[derive(Clone, Copy)]
pub(in crate::manage) struct Secret([u8; 32]);

/// The JSON in a cookie; short names, as there is little room.
#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(rename = "m")]
    method: Method,
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(rename = "u", default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(rename = "i", default, skip_serializing_if = "String::is_empty")]
    uid: String,
    #[serde(rename = "g", default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(rename = "x", default, skip_serializing_if = "BTreeMap::is_empty")]
    extra: BTreeMap<String, Vec<String>>,
    #[serde(rename = "c")]
    csrf: String,
    #[serde(rename = "f")]
    issued: u64,
    #[serde(rename = "e")]
    expires: u64,
}

impl Session {
    /// A session that begins now and ends after `lifetime`, or with what it rests on. `None`: there is no randomness.
    pub(super) fn begin(
        method: Method,
        subject: Subject,
        lifetime: Duration,
        ends: Option<SystemTime>,
        now: SystemTime,
    ) -> Option<Self> {
        let expires = ends.map_or(now + lifetime, |ends| ends.min(now + lifetime));
        Some(Self { method, subject, csrf: Secret::random()?, issued: now, expires })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let (token, user) = match &self.subject {
            Subject::Token(token) => (Some(token.clone()), UserInfo::default()),
            Subject::User(user) => (None, user.as_ref().clone()),
        };
        let wire = Wire {
            method: self.method,
            token,
            name: user.name,
            uid: user.uid,
            groups: user.groups,
            extra: user.extra,
            csrf: self.csrf.text(),
            issued: seconds(self.issued),
            expires: seconds(self.expires),
        };
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// `None`: it is no session of this release.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let wire: Wire = serde_json::from_slice(bytes).ok()?;
        let subject = match wire.token {
            Some(token) => Subject::Token(token),
            None if wire.name.is_empty() => return None,
            None => Subject::User(Arc::new(UserInfo {
                name: wire.name,
                uid: wire.uid,
                groups: wire.groups,
                extra: wire.extra,
            })),
        };
        Some(Self {
            method: wire.method,
            subject,
            csrf: Secret::parse(&wire.csrf)?,
            issued: moment(wire.issued)?,
            expires: moment(wire.expires)?,
        })
    }

    /// Whoever has it.
    pub(super) fn caller(&self, user: Arc<UserInfo>) -> Caller {
        Caller {
            user,
            means: Means::Session,
            method: self.method,
            expires: Some(self.expires),
            csrf: Some(self.csrf),
        }
    }

    pub(super) fn has_ended(&self, now: SystemTime) -> bool {
        now >= self.expires
    }
}

impl Secret {
    /// `None`: the system has no randomness to give.
    pub(super) fn random() -> Option<Self> {
        let mut bytes = [0; 32];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        Some(Self(bytes))
    }

    pub(in crate::manage) fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// Whether `text` is this secret; how long that takes says nothing of where it differs.
    pub(super) fn is(&self, text: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.text().as_bytes(), text).is_ok()
    }

    pub(super) fn bytes(&self) -> [u8; 32] {
        self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = match &self.subject {
            Subject::User(user) => user.name.as_str(),
            Subject::Token(_) => "(whoever has a token)",
        };
        f.debug_struct("Session")
            .field("method", &self.method)
            .field("subject", &subject)
            .finish_non_exhaustive()
    }
}

pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

pub(super) fn moment(seconds: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_session_survives_its_cookie() {
        let now = moment(1_800_000_000).unwrap();
        let user = UserInfo {
            name: "alice".to_owned(),
            uid: "7".to_owned(),
            groups: vec!["a".to_owned(), "b".to_owned()],
            extra: BTreeMap::from([("k".to_owned(), vec!["v".to_owned()])]),
        };
        for subject in [Subject::User(Arc::new(user)), Subject::Token("sesame".to_owned())] {
            let session = Session::begin(Method::Oidc, subject, HOUR, None, now).unwrap();
            assert_eq!(Session::from_bytes(&session.to_bytes()).unwrap(), session);
            assert!(!format!("{session:?}").contains("sesame"));
        }
        for bytes in [&b""[..], b"{}", b"null", b"{\"m\":\"OIDC\",\"c\":\"\",\"f\":1,\"e\":2}"] {
            assert_eq!(Session::from_bytes(bytes), None);
        }
    }

    #[test]
    fn a_session_ends_with_its_lifetime_or_with_what_it_rests_on() {
        let now = moment(1_800_000_000).unwrap();
        for (ends, expected) in
            [(None, now + HOUR), (Some(now + HOUR * 2), now + HOUR), (Some(now + HOUR / 2), now + HOUR / 2)]
        {
            let subject = Subject::Token(String::new());
            let session = Session::begin(Method::Token, subject, HOUR, ends, now).unwrap();
            assert_eq!(session.expires, expected);
            assert!(!session.has_ended(expected - Duration::from_secs(1)));
            assert!(session.has_ended(expected));
        }
    }

    #[test]
    fn a_secret_is_only_itself() {
        let secret = Secret::random().unwrap();
        assert!(secret.is(secret.text().as_bytes()));
        assert!(!secret.is(b"") && !secret.is(Secret::random().unwrap().text().as_bytes()));
        assert_eq!(Secret::parse(&secret.text()), Some(secret));
        assert_eq!(Secret::parse("AAAA"), None);
    }
}
