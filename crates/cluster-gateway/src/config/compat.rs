//! Go's way of writing flags, and the flags of the original that mean nothing here.

/// A flag that was given and is not acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Flag without its value.
    pub flag: String,
    /// Why it has no effect.
    pub why: &'static str,
}

/// Flags that are taken and have no effect, with whether they take a value, and why.
const IGNORED: [(&str, Takes, &str); 34] = [
    ("--etcd-", Takes::Value, NO_ETCD),
    ("--storage-", Takes::Value, NO_ETCD),
    ("--encryption-provider-config", Takes::Value, NO_ETCD),
    ("--watch-cache", Takes::Switch, NO_ETCD),
    ("--default-watch-cache-size", Takes::Value, NO_ETCD),
    ("--delete-collection-workers", Takes::Value, NO_ETCD),
    ("--enable-garbage-collector", Takes::Switch, NO_ETCD),
    ("--lease-reuse-duration-seconds", Takes::Value, NO_ETCD),
    ("--tls-sni-cert-key", Takes::Value, "one serving certificate is presented for every name"),
    ("--tls-cipher-suites", Takes::Value, "TLS 1.2 and 1.3 are served with modern suites only"),
    ("--tls-min-version", Takes::Value, "TLS 1.2 is always the minimum"),
    ("--permit-", Takes::Switch, "sockets are never shared"),
    ("--http2-max-streams-per-connection", Takes::Value, "1000 streams are allowed on a connection"),
    ("--profiling", Takes::Switch, NO_DEBUG),
    ("--contention-profiling", Takes::Switch, NO_DEBUG),
    ("--debug-socket-path", Takes::Value, NO_DEBUG),
    ("--enable-priority-and-fairness", Takes::Switch, NO_FAIRNESS),
    ("--admission-control-config-file", Takes::Value, NO_ADMISSION),
    ("--enable-admission-plugins", Takes::Value, NO_ADMISSION),
    ("--disable-admission-plugins", Takes::Value, NO_ADMISSION),
    ("--standalone-debug-mode", Takes::Switch, "this mode of the original does not exist"),
    ("--tracing-config-file", Takes::Value, NOT_YET),
    ("--egress-selector-config-file", Takes::Value, NOT_YET),
    ("--audit-log-compress", Takes::Switch, "renamed audit logs are kept as they are"),
    ("--audit-log-batch-throttle-enable", Takes::Switch, NO_BATCHES),
    ("--audit-log-batch-", Takes::Value, NO_BATCHES),
    ("--audit-webhook-batch-throttle-enable", Takes::Switch, NO_THROTTLE),
    ("--audit-webhook-batch-throttle-", Takes::Value, NO_THROTTLE),
    ("--audit-log-truncate-enabled", Takes::Switch, NO_TRUNCATION),
    ("--audit-log-truncate-", Takes::Value, NO_TRUNCATION),
    ("--audit-webhook-truncate-enabled", Takes::Switch, NO_TRUNCATION),
    ("--audit-webhook-truncate-", Takes::Value, NO_TRUNCATION),
    ("--audit-log-version", Takes::Value, NO_OTHER_VERSION),
    ("--audit-webhook-version", Takes::Value, NO_OTHER_VERSION),
];

/// klog's flags: where and how Go's logger writes.
const KLOG: [(&str, Takes); 14] = [
    ("--logtostderr", Takes::Switch),
    ("--alsologtostderr", Takes::Switch),
    ("--add-dir-header", Takes::Switch),
    ("--skip-headers", Takes::Switch),
    ("--skip-log-headers", Takes::Switch),
    ("--one-output", Takes::Switch),
    ("--log-backtrace-at", Takes::Value),
    ("--log-dir", Takes::Value),
    ("--log-file-max-size", Takes::Value),
    ("--log-file", Takes::Value),
    ("--log-flush-frequency", Takes::Value),
    ("--log-text", Takes::Switch),
    ("--stderrthreshold", Takes::Value),
    ("--vmodule", Takes::Value),
];

const NO_ETCD: &str = "there is no storage of its own";
const NO_DEBUG: &str = "no debug endpoint is served";
const NO_FAIRNESS: &str = "priority and fairness are not implemented";
const NO_ADMISSION: &str = "nothing is admitted here";
const NO_BATCHES: &str = "lines are written together when several wait";
const NO_THROTTLE: &str = "at most four batches are sent at once";
const NO_TRUNCATION: &str = "events hold no bodies and are never large";
const NO_OTHER_VERSION: &str = "events are audit.k8s.io/v1";
const NOT_YET: &str = "this version does not act on it yet";
const LOG: &str = "the log goes to standard error";

/// Whether a flag is followed by a value when it has no `=`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Switch,
    Value,
}

/// Rewrites arguments in Go's spelling (`--secure_port`, `-v=4`, `-v 4`) and takes out those without effect.
#[must_use]
pub fn normalize(arguments: impl IntoIterator<Item = String>) -> (Vec<String>, Vec<Leftover>) {
    let mut kept = Vec::new();
    let mut leftovers = Vec::new();
    let mut arguments = arguments.into_iter().peekable();
    while let Some(argument) = arguments.next() {
        let argument = spell(argument);
        let (name, value) = argument.split_once('=').map_or((argument.as_str(), None), |(n, v)| (n, Some(v)));
        let Some((takes, why)) = ignored(name) else {
            kept.push(argument);
            continue;
        };
        leftovers.push(Leftover { flag: name.to_owned(), why });
        let follows = takes == Takes::Value && value.is_none();
        if follows && arguments.peek().is_some_and(|next| !next.starts_with("--")) {
            arguments.next();
        }
    }
    (kept, leftovers)
}

/// Go's flag library takes `_` for `-`, and one dash for its own flags.
fn spell(argument: String) -> String {
    if !argument.starts_with("--") {
        return argument;
    }
    match argument.split_once('=') {
        Some((name, value)) => format!("{}={value}", name.replace('_', "-")),
        None => argument.replace('_', "-"),
    }
}

fn ignored(name: &str) -> Option<(Takes, &'static str)> {
    let matches = |flag: &str| name == flag || (flag.ends_with('-') && name.starts_with(flag));
    let of_original = IGNORED.iter().find(|(flag, ..)| matches(flag)).map(|(_, takes, why)| (*takes, *why));
    of_original.or_else(|| KLOG.iter().find(|(flag, _)| matches(flag)).map(|(_, takes)| (*takes, LOG)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(line: &str) -> (Vec<String>, Vec<String>) {
        let (kept, leftovers) = normalize(line.split_whitespace().map(str::to_owned));
        (kept, leftovers.into_iter().map(|leftover| leftover.flag).collect())
    }

    #[test]
    fn rule_135_flags_without_effect_are_taken_with_their_values() {
        let (kept, leftovers) = normalized(
            "apiserver --etcd-servers http://x --secure_port=9443 --logtostderr -v=4 --audit-log-version audit.k8s.io/v1 --watch-cache",
        );
        assert_eq!(kept, ["apiserver", "--secure-port=9443", "-v=4"]);
        assert_eq!(leftovers, ["--etcd-servers", "--logtostderr", "--audit-log-version", "--watch-cache"]);
        assert_eq!(normalized("--standalone-debug-mode=true --x").1.len(), 1);
    }
}
