//! Acting as somebody else: the impersonation headers of direct callers (contract rules 146-149).
//!
//! Through kube-apiserver none arrives: it has consumed them, and its identity headers name whom the caller acts as (rule
//! 150). What newer ones grant by constrained impersonation (KEP-5284: the verbs `impersonate:MODE` and
//! `impersonate-on:MODE:VERB`) counts there; here only `impersonate` does, which grants more, so nobody gets by a detour what
//! the hub would not give (rule 148).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName};

use super::{Attributes, Authorizer};
use crate::authn::{GROUP_AUTHENTICATED, GROUP_UNAUTHENTICATED, USER_ANONYMOUS, UserInfo, extra_key};
use crate::status::Error;

const EXTRA_PREFIX: &str = "impersonate-extra-";
const AUTHENTICATION_GROUP: &str = "authentication.k8s.io";
/// Groups and extra values that one request may ask for; each costs a question.
const MAX_PARTS: usize = 1024;
const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";

impl Authorizer {
    /// Whom `user` acts as: whoever the impersonation headers name, if `user` may impersonate each part of it, or
    /// `user`. Afterwards no header whose name starts with `Impersonate-` is left, in any spelling, whatever was asked.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for the first part that is not allowed; a 500 for parts without a user;
    /// [`Error::BadRequest`] for values that are not UTF-8, and for too many of them; [`Error::AuthorizationUnknown`] if the hub does not say.
    pub async fn impersonate(
        &self,
        user: impl Into<Arc<UserInfo>>,
        parts: &mut Parts,
        uri: &str,
    ) -> Result<Arc<UserInfo>, Error> {
        let user = user.into();
        if !parts.headers.keys().any(|name| name.as_str().starts_with("impersonate")) {
            return Ok(user);
        }
        let requested = Requested::read(&parts.headers);
        strip(&mut parts.headers);
        let Some(requested) = requested? else { return Ok(user) };
        if requested.user.is_none() {
            let message = format!("requested {requested} without impersonating a user");
            return Err(Error::RequestLine { uri: uri.to_owned(), message });
        }
        let parts = requested.parts();
        if parts.len() > MAX_PARTS {
            return Err(Error::BadRequest(format!(
                "{} groups and other attributes are to be impersonated; at most {MAX_PARTS} can be",
                parts.len()
            )));
        }
        for part in parts {
            // Boxed: rare, and large; a request's future is moved and kept as a whole.
            Box::pin(self.check(&user, part.attributes(), None, uri)).await?;
        }
        Ok(Arc::new(requested.into_user()))
    }
}

/// What the headers ask for.
#[derive(Debug, Default)]
struct Requested {
    user: Option<String>,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
    uid: String,
}

impl Requested {
    /// `None`: nothing.
    fn read(headers: &HeaderMap) -> Result<Option<Self>, Error> {
        let mut requested = Self {
            user: Some(first(headers, "impersonate-user")?).filter(|user| !user.is_empty()),
            uid: first(headers, "impersonate-uid")?,
            ..Self::default()
        };
        for (name, value) in headers {
            if name == "impersonate-group" {
                requested.groups.push(text(name, value.as_bytes())?);
            } else if let Some(key) = name.as_str().strip_prefix(EXTRA_PREFIX) {
                requested.extra.entry(extra_key(key)).or_default().push(text(name, value.as_bytes())?);
            }
        }
        let nothing = requested.user.is_none()
            && requested.groups.is_empty()
            && requested.extra.is_empty()
            && requested.uid.is_empty();
        Ok((!nothing).then_some(requested))
    }

    /// Everything that must be allowed, one by one.
    fn parts(&self) -> Vec<Part<'_>> {
        let user = self.user.iter().map(|user| match service_account(user) {
            Some((namespace, name)) => Part::ServiceAccount { namespace, name },
            None => Part::User(user),
        });
        let groups = self.groups.iter().map(|group| Part::Group(group));
        let extra = self
            .extra
            .iter()
            .flat_map(|(key, values)| values.iter().map(move |value| Part::Extra { key, value }));
        let uid = Some(Part::Uid(&self.uid)).filter(|_| !self.uid.is_empty());
        user.chain(groups).chain(extra).chain(uid).collect()
    }

    /// The user, with the groups that belong to the name (rule 147).
    fn into_user(self) -> UserInfo {
        let name = self.user.unwrap_or_default();
        let mut groups = self.groups;
        if groups.is_empty()
            && let Some((namespace, _)) = service_account(&name)
        {
            groups = vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")];
        }
        let has = |wanted: &str| groups.iter().any(|group| group == wanted);
        if name == USER_ANONYMOUS {
            if !has(GROUP_UNAUTHENTICATED) {
                groups.push(GROUP_UNAUTHENTICATED.to_owned());
            }
        } else if !has(GROUP_AUTHENTICATED) && !has(GROUP_UNAUTHENTICATED) {
            groups.push(GROUP_AUTHENTICATED.to_owned());
        }
        UserInfo { name, uid: self.uid, groups, extra: self.extra }
    }
}

/// One thing to be allowed.
enum Part<'a> {
    User(&'a str),
    ServiceAccount { namespace: &'a str, name: &'a str },
    Group(&'a str),
    Extra { key: &'a str, value: &'a str },
    Uid(&'a str),
}

impl<'a> Part<'a> {
    fn attributes(&self) -> Attributes<'a> {
        let (group, version, resource, subresource, namespace, name) = match *self {
            Self::User(name) => ("", "", "users", "", "", name),
            Self::ServiceAccount { namespace, name } => ("", "", "serviceaccounts", "", namespace, name),
            Self::Group(name) => ("", "", "groups", "", "", name),
            Self::Extra { key, value } => (AUTHENTICATION_GROUP, "v1", "userextras", key, "", value),
            Self::Uid(name) => (AUTHENTICATION_GROUP, "v1", "uids", "", "", name),
        };
        Attributes::Resource { verb: "impersonate", group, version, resource, subresource, namespace, name }
    }
}

impl fmt::Display for Requested {
    /// As Go prints a list of object references: the fields that are not set leave their spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.parts().into_iter().map(|part| {
            let (kind, namespace, name, version, field) = match part {
                Part::User(name) => ("User", "", name, "", ""),
                Part::ServiceAccount { namespace, name } => ("ServiceAccount", namespace, name, "", ""),
                Part::Group(name) => ("Group", "", name, "", ""),
                Part::Extra { key, value } => ("UserExtra", "", value, "authentication.k8s.io/v1", key),
                Part::Uid(name) => ("UID", "", name, "authentication.k8s.io/v1", ""),
            };
            format!("{{{kind} {namespace} {name}  {version}  {field}}}")
        });
        write!(f, "[{}]", words.collect::<Vec<_>>().join(" "))
    }
}

/// Namespace and name of a service account's user name.
fn service_account(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(SERVICE_ACCOUNT_PREFIX)?.split_once(':')?;
    let plain = !namespace.is_empty() && !name.is_empty() && !name.contains(':');
    plain.then_some((namespace, name))
}

fn first(headers: &HeaderMap, name: &'static str) -> Result<String, Error> {
    let value = headers.get(name).map_or(&b""[..], |value| value.as_bytes());
    text(&HeaderName::from_static(name), value)
}

fn text(name: &HeaderName, value: &[u8]) -> Result<String, Error> {
    let value = std::str::from_utf8(value).map(str::to_owned);
    value.map_err(|_| Error::BadRequest(format!("header {name} is not UTF-8")))
}

/// Removes every spelling. Servers that turn headers into variables read `_` as `-`.
fn strip(headers: &mut HeaderMap) {
    let doomed = |name: &&HeaderName| {
        name.as_str().strip_prefix("impersonate").is_some_and(|rest| rest.starts_with(['-', '_']))
    };
    let doomed: Vec<HeaderName> = headers.keys().filter(doomed).cloned().collect();
    for name in doomed {
        headers.remove(name);
    }
}
