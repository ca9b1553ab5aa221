//! An identity as headers (contract rules 151, 152).

use std::borrow::Cow;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::authn::UserInfo;

const IMPERSONATE_USER: HeaderName = HeaderName::from_static("impersonate-user");
const IMPERSONATE_GROUP: HeaderName = HeaderName::from_static("impersonate-group");
const IMPERSONATE_UID: HeaderName = HeaderName::from_static("impersonate-uid");

/// Writes the headers that say `user`, with this uid instead of theirs.
///
/// # Errors
/// Which part cannot stand in a header.
pub(super) fn write(headers: &mut HeaderMap, user: &UserInfo, uid: &str) -> Result<(), String> {
    if user.name.is_empty() {
        return Err("it has no user name".to_owned());
    }
    headers.insert(IMPERSONATE_USER, value(&user.name, "the user name")?);
    for group in &user.groups {
        headers.append(IMPERSONATE_GROUP, value(group, "a group")?);
    }
    if !uid.is_empty() {
        headers.insert(IMPERSONATE_UID, value(uid, "the uid")?);
    }
    for (key, values) in &user.extra {
        let name = format!("impersonate-extra-{}", escape_key(key));
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| "a key of its extra attributes is too long for a header".to_owned())?;
        for text in values {
            headers.append(name.clone(), value(text, "an extra attribute")?);
        }
    }
    Ok(())
}

/// Whether an identity that a rule or a webhook names can be passed on as it is.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(user: &UserInfo) -> Result<(), String> {
    if user.groups.iter().any(String::is_empty) {
        return Err("a group is empty".to_owned());
    }
    if user.extra.keys().any(String::is_empty) {
        return Err("a key of its extra attributes is empty".to_owned());
    }
    write(&mut HeaderMap::new(), user, &user.uid)
}

/// A text whose ends are blanks would be another one at the member: receivers cut them off.
fn value(text: &str, what: &str) -> Result<HeaderValue, String> {
    if text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']) {
        return Err(format!("{what} begins or ends with a blank"));
    }
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| format!("{what} holds a control character"))
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
