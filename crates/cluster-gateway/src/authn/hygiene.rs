//! What authentication has looked at, or could have, does not go on (contract rules 82-84).

use http::{HeaderMap, HeaderName, header};

use super::request_header::RequestHeader;
use super::token::strip_protocols;

/// Removes credentials and identities. Cookies go too: those of the hub mean nothing to a member.
pub(super) fn strip(headers: &mut HeaderMap, configured: Option<&RequestHeader>) {
    // What nearly every request has needs no list of its own.
    for name in [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE] {
        headers.remove(name);
    }
    let doomed: Vec<HeaderName> =
        headers.keys().filter(|name| tells_who(name, configured)).cloned().collect();
    for name in doomed {
        headers.remove(name);
    }
    strip_protocols(headers);
}

fn tells_who(name: &HeaderName, configured: Option<&RequestHeader>) -> bool {
    let reads = |name: &str| {
        matches!(name, "x-remote-user" | "x-remote-group" | "x-remote-uid")
            || name.starts_with("x-remote-extra-")
            || configured.is_some_and(|configured| configured.reads(name))
    };
    // Servers that turn headers into variables read `_` as `-`.
    let name = name.as_str();
    reads(name) || (name.contains('_') && reads(&name.replace('_', "-")))
}
