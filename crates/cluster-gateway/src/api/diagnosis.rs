//! `clustergateways/NAME/diagnosis`: how the gateway itself gets on with a member, hop by hop.
//!
//! Discovery and OpenAPI do not list it: those documents are the original's, to the byte. Who may get
//! `clustergateways/diagnosis` may ask.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use http::Response;
use http::request::Parts;
use serde::Serialize;

use super::Api;
use super::discovery::group_version;
use super::encode::respond;
use super::negotiate::{DOCUMENT, negotiate};
use crate::body::Body;
use crate::diagnosis::{Depth, Finding, diagnose_cluster};
use crate::status::Error;

/// Diagnoses under way at once; each makes a handful of connections.
const AT_ONCE: usize = 4;

/// What is being diagnosed.
#[derive(Debug)]
pub(super) struct Diagnoses {
    depth: Depth,
    under_way: Arc<Mutex<HashSet<String>>>,
}

/// A place among the diagnoses; free again when it is dropped, whoever has gone away meanwhile.
struct Place {
    cluster: String,
    under_way: Arc<Mutex<HashSet<String>>>,
}

impl Diagnoses {
    pub(super) fn new(impersonates: bool) -> Self {
        Self { depth: Depth { impersonates, ..Depth::default() }, under_way: Arc::default() }
    }

    /// One diagnosis per cluster, and few altogether.
    fn begin(&self, cluster: &str) -> Result<Place, Error> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.contains(cluster) {
            return Err(Error::TooManyRequests(format!(
                "cluster {cluster} is being diagnosed already; ask again later"
            )));
        }
        if under_way.len() >= AT_ONCE {
            return Err(Error::TooManyRequests(format!(
                "{AT_ONCE} clusters are being diagnosed already; ask again later"
            )));
        }
        under_way.insert(cluster.to_owned());
        Ok(Place { cluster: cluster.to_owned(), under_way: Arc::clone(&self.under_way) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.cluster);
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClusterDiagnosis<'d> {
    kind: &'static str,
    api_version: String,
    metadata: Metadata<'d>,
    /// One per hop, in their order.
    findings: &'d [Finding],
}

#[derive(Serialize)]
struct Metadata<'d> {
    name: &'d str,
}

/// Answers a GET.
///
/// # Errors
/// [`Error::NotFound`], [`Error::NotSynced`], [`Error::NotAcceptable`]; [`Error::TooManyRequests`] if it is being looked at
/// already.
pub(super) async fn get(api: &Api, name: &str, parts: &Parts) -> Result<Response<Body>, Error> {
    let output = negotiate(parts, &DOCUMENT)?;
    let cluster = api.snapshot()?.get(name).map(Arc::clone);
    let cluster =
        cluster.ok_or_else(|| Error::NotFound { resource: "clustergateways", name: name.to_owned() })?;
    let _place = api.diagnoses.begin(name)?;
    let diagnosis = diagnose_cluster(&cluster, &api.diagnoses.depth).await;
    let document = ClusterDiagnosis {
        kind: "ClusterDiagnosis",
        api_version: group_version(),
        metadata: Metadata { name },
        findings: &diagnosis.findings,
    };
    respond(&document, output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_diagnosis_per_cluster_and_few_altogether() {
        let diagnoses = Diagnoses::new(false);
        let mut places: Vec<_> =
            (0..AT_ONCE).map(|i| diagnoses.begin(&format!("c{i}")).ok().unwrap()).collect();
        assert!(matches!(diagnoses.begin("c0"), Err(Error::TooManyRequests(text)) if text.contains("c0")));
        assert!(matches!(diagnoses.begin("another"), Err(Error::TooManyRequests(_))));
        drop(places.pop());
        assert!(diagnoses.begin("another").is_ok());
    }
}
