//! Which headers pass (contract rules 115, 149, 157-161).

use http::HeaderMap;
use http::header::{self, HeaderName, HeaderValue};

use crate::request::connection_tokens;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache, private");

/// Takes away what must not reach a member: what belongs to the client's connection, everything that claims an
/// identity, every credential, and `Host`, which the transport sets.
pub(super) fn strip_request(headers: &mut HeaderMap) {
    let trailers = wants_trailers(headers);
    remove_named(headers);
    remove_where(headers, |name| {
        is_hop_by_hop(name)
            || matches!(name, "trailer" | "authorization" | "cookie" | "host")
            || name.starts_with("proxy-")
            || name.starts_with("impersonate")
            || name.starts_with("x-remote-")
    });
    if trailers {
        headers.insert(header::TE, TRAILERS);
    }
}

/// Takes away what belongs to the member's connection, and the member's `Audit-Id`. `Trailer` stays: it announces what
/// comes behind the body, and HTTP/1.1 servers send nothing there that is not announced.
pub(super) fn strip_response(headers: &mut HeaderMap) {
    remove_named(headers);
    remove_where(headers, |name| is_hop_by_hop(name) || name.starts_with("proxy-"));
    headers.remove(AUDIT_ID);
}

/// Takes all trailers away from a request: they would come behind every check, and Kubernetes reads none.
pub(super) fn strip_request_trailers(trailers: &mut HeaderMap) {
    trailers.clear();
}

/// Takes away from the trailers of an answer what an answer's head would not bring, and what may stand in no trailer:
/// fields that a recipient would have had to know before (RFC 9110, section 6.5.1).
pub(super) fn strip_response_trailers(trailers: &mut HeaderMap) {
    strip_response(trailers);
    remove_where(trailers, |name| {
        name.starts_with("content-")
            || matches!(
                name,
                "age"
                    | "cache-control"
                    | "date"
                    | "expires"
                    | "location"
                    | "retry-after"
                    | "vary"
                    | "warning"
                    | "host"
                    | "authorization"
                    | "www-authenticate"
                    | "set-cookie"
                    | "trailer"
            )
    });
}

/// Says that an answer must not be stored, unless the member has said anything about storing it (rule 115).
pub(super) fn default_cache_control(headers: &mut HeaderMap) {
    let said = [header::CACHE_CONTROL, header::ETAG, header::LAST_MODIFIED];
    if !said.iter().any(|name| headers.contains_key(name)) {
        headers.insert(header::CACHE_CONTROL, NO_CACHE);
    }
}

/// Adds the peer's address to the chain of addresses (rule 160).
pub(super) fn append_forwarded_for(headers: &mut HeaderMap, peer: &HeaderValue) {
    let mut chain = Vec::new();
    for value in headers.get_all(X_FORWARDED_FOR).iter().filter(|value| value.to_str().is_ok()) {
        chain.extend_from_slice(value.as_bytes());
        chain.extend_from_slice(b", ");
    }
    if chain.is_empty() {
        headers.insert(X_FORWARDED_FOR, peer.clone());
        return;
    }
    chain.extend_from_slice(peer.as_bytes());
    if let Ok(value) = HeaderValue::try_from(chain) {
        headers.insert(X_FORWARDED_FOR, value);
    }
}

/// Headers that concern one connection only (rule 159).
fn is_hop_by_hop(name: &str) -> bool {
    matches!(name, "connection" | "keep-alive" | "te" | "transfer-encoding" | "upgrade" | "proxy-connection")
}

fn wants_trailers(headers: &HeaderMap) -> bool {
    headers.get_all(header::TE).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|coding| {
            let coding = coding.split_once(';').map_or(coding, |(coding, _)| coding);
            coding.trim().eq_ignore_ascii_case("trailers")
        })
    })
}

/// Removes every header that some `Connection` header names.
fn remove_named(headers: &mut HeaderMap) {
    if !headers.contains_key(header::CONNECTION) {
        return;
    }
    let named: Vec<_> =
        connection_tokens(headers).filter_map(|token| HeaderName::try_from(token).ok()).collect();
    for name in named {
        headers.remove(name);
    }
}

fn remove_where(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let names: Vec<_> = headers.keys().filter(|name| unwanted(name.as_str())).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests;
