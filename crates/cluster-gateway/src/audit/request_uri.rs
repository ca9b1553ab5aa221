//! The request line, without what must not be written down (contract rule 137).

use http::Uri;
use percent_encoding::percent_decode_str;

/// What stands for a value that is left out.
const REDACTED: &str = "REDACTED";
/// Bytes of a URI in an event, at most.
const MAX_URI: usize = 8 << 10;
/// What an overlong text ends with, as in kube-apiserver.
const TRUNCATED: &str = "...TRUNCATED";

/// Query parameters of Kubernetes whose values are no secret, sorted. Whatever else stands in a query may be one: what
/// `exec` runs, or the token of a web page behind a service.
const KNOWN: [&str; 42] = [
    "__dryRun",
    "allowWatchBookmarks",
    "container",
    "continue",
    "dryRun",
    "exclude",
    "fieldManager",
    "fieldSelector",
    "fieldValidation",
    "follow",
    "force",
    "gracePeriodSeconds",
    "hash",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "impersonate",
    "includeObject",
    "insecureSkipTLSVerifyBackend",
    "labelSelector",
    "limit",
    "limitBytes",
    "orphanDependents",
    "ports",
    "pretty",
    "previous",
    "propagationPolicy",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "shardSelector",
    "sinceSeconds",
    "sinceTime",
    "stderr",
    "stdin",
    "stdout",
    "stream",
    "tailLines",
    "timeout",
    "timeoutSeconds",
    "timestamps",
    "tty",
    "verbose",
    "watch",
];

/// Path and query as they were asked for, the values of unknown parameters replaced.
pub(super) fn redacted(uri: &Uri) -> String {
    let path = uri.path();
    let Some(query) = uri.query() else { return bounded(path, MAX_URI) };
    let mut text = String::with_capacity(path.len() + query.len() + 16);
    text.push_str(path);
    for (pair, separator) in query.split('&').zip(std::iter::once('?').chain(std::iter::repeat('&'))) {
        text.push(separator);
        if text.len() > MAX_URI {
            break;
        }
        push_pair(&mut text, pair);
    }
    bounded(&text, MAX_URI)
}

fn push_pair(text: &mut String, pair: &str) {
    let (key, value) = pair.split_once('=').map_or((pair, None), |(key, value)| (key, Some(value)));
    // A semicolon separates for some parsers: what follows it would be another pair.
    let known = !pair.contains(';') && is_known(key);
    match (known, value) {
        (true, _) => text.push_str(pair),
        (false, None) if key.is_empty() => {}
        (false, None) => text.push_str(REDACTED),
        (false, Some(_)) => {
            text.push_str(if key.contains(';') { REDACTED } else { key });
            text.push('=');
            text.push_str(REDACTED);
        }
    }
}

fn is_known(key: &str) -> bool {
    let key = percent_decode_str(key).decode_utf8_lossy();
    KNOWN.binary_search(&key.as_ref()).is_ok()
}

/// At most `limit` bytes of a text, and a word that says so if it was longer.
pub(super) fn bounded(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}{TRUNCATED}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str) -> String {
        redacted(&uri.parse().unwrap())
    }

    #[test]
    fn the_known_parameters_are_sorted() {
        assert!(KNOWN.is_sorted());
    }

    #[test]
    fn rule_137_only_values_that_kubernetes_gives_a_meaning_are_kept() {
        for (uri, expected) in [
            ("/api/v1/pods", "/api/v1/pods"),
            ("/x?", "/x?"),
            ("/x?watch=1&labelSelector=a%3Db&limit=500", "/x?watch=1&labelSelector=a%3Db&limit=500"),
            (
                "/exec?command=sh&command=-c&container=c&stdin=true",
                "/exec?command=REDACTED&command=REDACTED&container=c&stdin=true",
            ),
            ("/exec?%63ommand=s3cret", "/exec?%63ommand=REDACTED"),
            ("/exec?COMMAND=s3cret", "/exec?COMMAND=REDACTED"),
            ("/s?token=s3cret&access_token=s3cret", "/s?token=REDACTED&access_token=REDACTED"),
            ("/s?s3cret", "/s?REDACTED"),
            ("/s?watch", "/s?watch"),
            ("/s?watch=1;token=s3cret", "/s?watch=REDACTED"),
            ("/s?a;s3cret=1", "/s?REDACTED=REDACTED"),
            ("/s?watch;s3cret", "/s?REDACTED"),
            ("/s?&&", "/s?&&"),
        ] {
            assert_eq!(of(uri), expected);
        }
    }

    #[test]
    fn a_long_uri_is_cut_and_says_so() {
        let text = of(&format!("/x?labelSelector={}", "y".repeat(60_000)));
        assert_eq!(text.len(), MAX_URI + TRUNCATED.len());
        assert!(text.ends_with(TRUNCATED));
        assert_eq!(bounded("aäb", 2), format!("a{TRUNCATED}"));
    }
}
