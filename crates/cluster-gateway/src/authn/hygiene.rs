//! What authentication has looked at, or could have, does not go on (contract rules 82-84).

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, header};

use super::request_header::RequestHeader;
use super::token::strip_protocols;

/// Removes credentials and identities. Cookies go too: those of the hub mean nothing to a member.
pub(super) fn strip(headers: &mut HeaderMap, configured: Option<&RequestHeader>) {
    let doomed: Vec<HeaderName> =
        headers.keys().filter(|name| tells_who(name, configured)).cloned().collect();
    for name in doomed {
        headers.remove(name);
    }
    strip_protocols(headers);
}

fn tells_who(name: &HeaderName, configured: Option<&RequestHeader>) -> bool {
    if [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE].contains(name) {
        return true;
    }
    // Servers that turn headers into variables read `_` as `-`.
    let name = match name.as_str() {
        name if name.contains('_') => Cow::Owned(name.replace('_', "-")),
        name => Cow::Borrowed(name),
    };
    matches!(&*name, "x-remote-user" | "x-remote-group" | "x-remote-uid")
        || name.starts_with("x-remote-extra-")
        || configured.is_some_and(|configured| configured.reads(&name))
}
