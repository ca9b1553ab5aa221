//! The request line at the member (contract rules 138-144).

use std::borrow::Cow;

use bytes::Bytes;
use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;

use crate::status::Error;

/// Base path, authorized path and the client's query, byte for byte.
///
/// # Errors
/// [`Error::BadRequest`] for a query that two parsers could read differently, or bytes that no URI has.
pub(super) fn upstream(base: &str, path: &str, query: Option<&str>) -> Result<Uri, Error> {
    let query = query.map(checked_query).transpose()?;
    let query_length = query.as_ref().map_or(0, |query| query.len() + 1);
    let mut text = String::with_capacity(base.len() + path.len() + query_length);
    text.push_str(base);
    text.push_str(path);
    if let Some(query) = query {
        text.push('?');
        text.push_str(&query);
    }
    PathAndQuery::from_maybe_shared(Bytes::from(text))
        .map(Uri::from)
        .map_err(|error| Error::BadRequest(format!("the path or the query cannot be forwarded: {error}")))
}

/// Refuses what Go's parser drops (rule 142), and gives `__dryRun` its name back (rule 143).
fn checked_query(query: &str) -> Result<Cow<'_, str>, Error> {
    if query.contains(';') {
        return Err(Error::BadRequest(
            "the query contains \";\"; separate pairs with \"&\", or write %3B".into(),
        ));
    }
    let mut rest = query.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        let [high, low, after @ ..] = &rest[at + 1..] else { return Err(bad_escape()) };
        if !high.is_ascii_hexdigit() || !low.is_ascii_hexdigit() {
            return Err(bad_escape());
        }
        rest = after;
    }
    Ok(with_dry_run(query))
}

fn bad_escape() -> Error {
    Error::BadRequest(
        "the query contains a \"%\" that is not followed by two hexadecimal digits; write %25 for it".into(),
    )
}

/// The hub's own name for `dryRun`, which its API machinery would not let pass.
const ESCAPED_DRY_RUN: &str = "__dryRun";

fn with_dry_run(query: &str) -> Cow<'_, str> {
    let key = |pair: &str| pair.split_once('=').map_or(pair, |(key, _)| key).len();
    let is_escaped = |pair: &str| percent_decode_str(&pair[..key(pair)]).eq(ESCAPED_DRY_RUN.bytes());
    if !query.split('&').any(is_escaped) {
        return Cow::Borrowed(query);
    }
    let pairs = query
        .split('&')
        .map(|pair| if is_escaped(pair) { format!("dryRun{}", &pair[key(pair)..]) } else { pair.to_owned() });
    Cow::Owned(pairs.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(base: &str, path: &str, query: Option<&str>) -> String {
        upstream(base, path, query).expect("a request line").to_string()
    }

    #[test]
    fn rule_138_the_path_stands_behind_the_base_path() {
        assert_eq!(line("", "/healthz", None), "/healthz");
        assert_eq!(line("/k8s/clusters/c-1", "/healthz", None), "/k8s/clusters/c-1/healthz");
    }

    #[test]
    fn rule_139_rule_140_rule_141_slashes_and_escapes_stay_as_they_are() {
        for path in ["/", "/api/v1/", "/a%2Fb%20c%25/d;e/f%3Fg", "/services/s:http/proxy/"] {
            assert_eq!(line("", path, None), path);
        }
    }

    #[test]
    fn rule_142_the_query_goes_on_byte_for_byte() {
        for query in ["b=2&a=1&b=1", "q=%2B+&empty&r=", "", "a=b=c&&x", "l=%e4%bd%a0", "p=a/b?c:@"] {
            assert_eq!(line("", "/x", Some(query)), format!("/x?{query}"));
        }
    }

    #[test]
    fn rule_142_a_query_that_go_reads_differently_is_refused() {
        for query in ["a=1;b=2", ";", "a=%", "a=%2", "a=%zz", "%=1", "a=%%41"] {
            assert!(matches!(upstream("", "/x", Some(query)), Err(Error::BadRequest(_))), "{query}");
        }
    }

    #[test]
    fn rule_143_dry_run_reaches_the_member_as_often_as_it_was_sent() {
        for (sent, received) in [
            ("dryRun=All", "dryRun=All"),
            ("dryRun=All&dryRun=All", "dryRun=All&dryRun=All"),
            ("__dryRun=All", "dryRun=All"),
            ("a=1&__dryRun=All&b=2&__dryRun=", "a=1&dryRun=All&b=2&dryRun="),
            ("%5F_dryRun=All", "dryRun=All"),
            ("__dryRun", "dryRun"),
            ("a=__dryRun&x__dryRun=1&__dryRunx=2", "a=__dryRun&x__dryRun=1&__dryRunx=2"),
        ] {
            assert_eq!(line("", "/x", Some(sent)), format!("/x?{received}"));
        }
    }

    #[test]
    fn rule_144_our_own_options_are_the_members_too() {
        assert_eq!(line("", "/x", Some("impersonate=true&path=/y")), "/x?impersonate=true&path=/y");
    }
}
