//! As whom the member sees a request, where the caller's identity is passed on (contract rules 151-156).
//!
//! Rules are read once and compiled; whatever cannot be understood is refused then, never guessed at a request.

use std::borrow::Cow;

use http::header::{HeaderMap, HeaderName, HeaderValue};

mod rules;

pub use rules::{RuleError, Rules};

use crate::authn::UserInfo;
use crate::status::{Error, Forbidden, ForbiddenOn};

/// Whose identity a request carries at the member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange<'a> {
    /// That of the gateway's credential: no impersonation.
    Gateway,
    /// The caller's own.
    Caller(&'a UserInfo),
    /// One fixed by a rule.
    Fixed(&'a FixedIdentity),
}

/// The identity that a `StaticMappingIdentityExchanger` names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FixedIdentity {
    /// User name; never empty.
    pub user: String,
    /// Groups; may be empty.
    pub groups: Vec<String>,
    /// Unique id; may be empty.
    pub uid: String,
}

/// Decides by the first matching rule, the cluster's own before the global ones; without a match the caller stays who
/// they are (rule 153).
///
/// # Errors
/// [`Error::Forbidden`] if a rule would give an anonymous caller the gateway's privileges on nothing but the
/// cluster's name (rule 156).
pub fn exchange<'a>(
    user: &'a UserInfo,
    cluster: &str,
    rules: impl IntoIterator<Item = &'a Rules>,
) -> Result<Exchange<'a>, Error> {
    let rule = rules.into_iter().find_map(|rules| rules.first_match(user, cluster));
    let Some(rule) = rule else { return Ok(Exchange::Caller(user)) };
    let nobody = user.name.is_empty() || user.is_anonymous();
    match rule.exchange() {
        Exchange::Gateway if nobody && !rule.names_a_caller() => Err(Error::Forbidden(Box::new(Forbidden {
            user: user.name.clone(),
            verb: "use".to_owned(),
            on: ForbiddenOn::Path(format!("the gateway's own identity in cluster {cluster}")),
            reason: format!("identity rule \"{}\" names no user or group", rule.name()),
        }))),
        exchange => Ok(exchange),
    }
}

impl Exchange<'_> {
    /// Writes the impersonation headers (rule 151). All others must have been removed before (rule 149).
    ///
    /// # Errors
    /// [`Error::BadRequest`] if a part of the identity cannot stand in a header; nothing is sent then.
    pub fn apply(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        match self {
            Self::Gateway => Ok(()),
            Self::Caller(user) => {
                write(headers, &user.name, &user.groups, "")?;
                for (key, values) in &user.extra {
                    let name = format!("impersonate-extra-{}", escape_key(key));
                    let name =
                        HeaderName::from_bytes(name.as_bytes()).map_err(|_| unwritable("an extra key"))?;
                    for value in values {
                        headers.append(name.clone(), value_of(value, "an extra value")?);
                    }
                }
                Ok(())
            }
            Self::Fixed(identity) => write(headers, &identity.user, &identity.groups, &identity.uid),
        }
    }
}

const IMPERSONATE_USER: HeaderName = HeaderName::from_static("impersonate-user");
const IMPERSONATE_GROUP: HeaderName = HeaderName::from_static("impersonate-group");
const IMPERSONATE_UID: HeaderName = HeaderName::from_static("impersonate-uid");

fn write(headers: &mut HeaderMap, user: &str, groups: &[String], uid: &str) -> Result<(), Error> {
    if user.is_empty() {
        return Err(Error::Internal("an identity without a user name cannot be passed on".to_owned()));
    }
    headers.insert(IMPERSONATE_USER, value_of(user, "the user name")?);
    for group in groups {
        headers.append(IMPERSONATE_GROUP, value_of(group, "a group")?);
    }
    if !uid.is_empty() {
        headers.insert(IMPERSONATE_UID, value_of(uid, "the uid")?);
    }
    Ok(())
}

fn value_of(text: &str, what: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| unwritable(what))
}

fn unwritable(what: &str) -> Error {
    Error::BadRequest(format!(
        "{what} of the caller holds characters that cannot be passed on to the cluster"
    ))
}

/// Escapes what a header name cannot hold, and the escape sign itself (rule 151).
fn escape_key(key: &str) -> Cow<'_, str> {
    const TOKEN: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'!')
        .remove(b'#')
        .remove(b'$')
        .remove(b'&')
        .remove(b'\'')
        .remove(b'*')
        .remove(b'+')
        .remove(b'-')
        .remove(b'.')
        .remove(b'^')
        .remove(b'_')
        .remove(b'`')
        .remove(b'|')
        .remove(b'~');
    percent_encoding::utf8_percent_encode(key, TOKEN).into()
}

#[cfg(test)]
mod tests;
