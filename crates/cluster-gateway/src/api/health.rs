//! `/healthz`, `/livez`, `/readyz` and their single checks (contract rules 9-17).
//!
//! The names are those of the Go original, because dashboards and probes name them. Two of them can fail here: the
//! clusters have not been read yet, and the process is stopping. Both make the gateway *not ready*; neither is mended
//! by a restart, so `/livez` and `/healthz` stay well.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode, header};

use crate::body::Body;
use crate::request::query_pairs;
use crate::status::Error;

/// Something that is so, or is not so, at the moment of asking. Must not block.
pub type Condition = Arc<dyn Fn() -> bool + Send + Sync>;

/// All checks, in the order in which they are printed.
pub(super) struct Checks {
    checks: Vec<Check>,
}

struct Check {
    name: &'static str,
    /// Whether only `/readyz` has it.
    readyz_only: bool,
    readiness: Readiness,
}

/// What must hold for `/readyz`; the other roots only show that the process answers.
enum Readiness {
    Answers,
    Holds(Condition, &'static str),
}

/// The three roots.
const ROOTS: [&str; 3] = ["healthz", "livez", "readyz"];

impl Checks {
    /// Ready is who has `synced` and is not `stopping`.
    pub(super) fn new(synced: Condition, stopping: Condition) -> Self {
        let loaded = Readiness::Holds(Arc::clone(&synced), "not finished");
        let in_sync = Readiness::Holds(synced, "the clusters have not been read from the hub yet");
        let running = Readiness::Holds(Arc::new(move || !stopping()), "process is shutting down");
        let shared = |name| Check { name, readyz_only: false, readiness: Readiness::Answers };
        let checks = vec![
            shared("ping"),
            shared("log"),
            shared("poststarthook/start-apiserver-admission-initializer"),
            shared("poststarthook/generic-apiserver-start-informers"),
            Check { name: "informer-sync", readyz_only: true, readiness: in_sync },
            shared("poststarthook/priority-and-fairness-config-consumer"),
            shared("poststarthook/priority-and-fairness-filter"),
            shared("poststarthook/storage-object-count-tracker-hook"),
            Check {
                name: "poststarthook/init-master-loopback-client",
                readyz_only: false,
                readiness: loaded,
            },
            shared("poststarthook/start-sample-server-informers"),
            Check { name: "shutdown", readyz_only: true, readiness: running },
        ];
        Self { checks }
    }

    /// Every path that is answered here.
    pub(super) fn paths(&self) -> impl Iterator<Item = String> {
        ROOTS.into_iter().flat_map(|root| {
            let single = self.of(root).map(move |check| format!("/{root}/{}", check.name));
            std::iter::once(format!("/{root}")).chain(single)
        })
    }

    /// Each check of each root and whether it is well: root, check, well.
    pub(super) fn states(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        ROOTS
            .into_iter()
            .flat_map(|root| self.of(root).map(move |check| (root, check.name, check.run(root).is_ok())))
    }

    /// The answer at `path`, whatever the method (rule 10); `None`: the path is not one of these.
    pub(super) fn answer(&self, path: &str, query: &str) -> Option<Result<Response<Body>, Error>> {
        let path = path.strip_prefix('/')?;
        let (root, check) = match path.split_once('/') {
            Some((root, check)) => (root, Some(check)),
            None => (path, None),
        };
        let root = ROOTS.into_iter().find(|known| *known == root)?;
        match check {
            None => Some(Ok(self.root(root, query))),
            Some(name) => self.of(root).find(|check| check.name == name).map(|check| Ok(check.single(root))),
        }
    }

    fn of(&self, root: &'static str) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(move |check| !check.readyz_only || root == "readyz")
    }

    fn root(&self, root: &'static str, query: &str) -> Response<Body> {
        let mut excluded: BTreeSet<_> =
            query_pairs(query).filter(|(key, _)| key == "exclude").map(|(_, value)| value).collect();
        let mut lines = String::new();
        let mut failed = Vec::new();
        for check in self.of(root) {
            let name = check.name;
            let _ = match check.run(root) {
                _ if excluded.remove(name) => writeln!(lines, "[+]{name} excluded: ok"),
                Ok(()) => writeln!(lines, "[+]{name} ok"),
                Err(reason) => {
                    failed.push(format!("{name}: {reason}"));
                    writeln!(lines, "[-]{name} failed: reason withheld")
                }
            };
        }
        if !excluded.is_empty() {
            let names: Vec<_> = excluded.iter().map(|name| format!("{name:?}")).collect();
            let names = names.join(", ");
            let _ = writeln!(lines, "warn: some health checks cannot be excluded: no matches for {names}");
        }
        if !failed.is_empty() {
            tracing::info!(endpoint = root, failed = failed.join("; "), "health check fails");
            return failure(format!("{lines}{root} check failed\n"));
        }
        let verbose = query_pairs(query).any(|(key, _)| key == "verbose");
        let body = if verbose { format!("{lines}{root} check passed\n") } else { "ok".to_owned() };
        let mut response = text(body);
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}

impl Check {
    /// Asks for the state; the reason of a failure is for the log.
    fn run(&self, root: &str) -> Result<(), &'static str> {
        match &self.readiness {
            Readiness::Holds(condition, reason) if root == "readyz" && !condition() => Err(reason),
            _ => Ok(()),
        }
    }

    fn single(&self, root: &str) -> Response<Body> {
        match self.run(root) {
            Ok(()) => text("ok".to_owned()),
            Err(reason) => failure(format!("internal server error: {reason}\n")),
        }
    }
}

fn text(body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn failure(body: String) -> Response<Body> {
    let mut response = text(body);
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
