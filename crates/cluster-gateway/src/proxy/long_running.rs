//! Which requests a member may leave without an answer for as long as it likes (contract rules 120, 128).

use crate::request::watches;

/// Subresources, and the old prefix, whose answers begin when something happens.
const SEGMENTS: [&str; 6] = ["proxy", "log", "exec", "attach", "portforward", "watch"];

/// Whether the head of an answer may come at any time. When in doubt it may: an object that is called `log` loses a
/// limit, a stream would lose its life.
///
/// A request that says itself how long it may take is left to the member, too.
pub(super) fn is_long_running(path: &str, query: Option<&str>) -> bool {
    let query = query.unwrap_or_default();
    query.contains("timeout")
        || watches(query)
        || path.starts_with("/debug/pprof")
        || path.split('/').any(|segment| SEGMENTS.contains(&segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_120_what_may_be_silent_is_not_limited() {
        for (path, query) in [
            ("/api/v1/pods", Some("watch=true")),
            ("/api/v1/pods", Some("watch=1&labelSelector=a")),
            ("/api/v1/watch/pods", None),
            ("/api/v1/namespaces/n/pods/p/log", Some("follow=true")),
            ("/api/v1/namespaces/n/pods/p/exec", Some("command=sh")),
            ("/api/v1/namespaces/n/services/s/proxy/slow", None),
            ("/api/v1/namespaces/n/pods", Some("timeout=10m")),
            ("/debug/pprof/profile", Some("seconds=90")),
        ] {
            assert!(is_long_running(path, query), "{path} {query:?}");
        }
        for (path, query) in [
            ("/api/v1/pods", None),
            ("/api/v1/pods", Some("limit=500&resourceVersion=0")),
            ("/api/v1/pods", Some("watch=false")),
            ("/apis/apps/v1/namespaces/n/deployments/catalog", None),
            ("/version", None),
        ] {
            assert!(!is_long_running(path, query), "{path} {query:?}");
        }
    }
}
