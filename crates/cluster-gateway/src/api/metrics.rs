//! `/metrics` and `/metrics/slis` (contract rules 4, 6).

use std::fmt::Write as _;

use http::request::Parts;
use http::{HeaderValue, Response, header};

use super::health::Checks;
use crate::body::Body;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// All metrics. The text is read alike by parsers of both formats; the type is the one that was asked for.
pub(super) fn all(text: &str, parts: &Parts) -> Response<Body> {
    let accepts_open_metrics = parts
        .headers
        .get_all(header::ACCEPT)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/openmetrics-text"));
    respond(text.to_owned(), if accepts_open_metrics { OPEN_METRICS } else { TEXT })
}

/// The state of every health check, as kube-apiserver names it.
pub(super) fn slis(checks: &Checks) -> Response<Body> {
    let mut text = "# HELP kubernetes_healthcheck Whether a health check passes (1) or fails (0).\n\
                    # TYPE kubernetes_healthcheck gauge\n"
        .to_owned();
    for (root, name, well) in checks.states() {
        let _ =
            writeln!(text, "kubernetes_healthcheck{{name=\"{name}\",type=\"{root}\"}} {}", u8::from(well));
    }
    respond(text, TEXT)
}

fn respond(text: String, content_type: HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
