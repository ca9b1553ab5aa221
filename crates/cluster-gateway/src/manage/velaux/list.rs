//! The list: what the control plane has, with what is recorded of it, a page of it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Uri};

use super::model::{ClusterBase, ListCluster};
use super::shown;
use crate::manage::records::View;
use crate::manage::store::{LOCAL, Record};
use crate::manage::{Caller, Code, Json, Manage, Place, Refusal, Right};
use crate::registry::{Cluster, Snapshot};
use crate::request::query_value;
use crate::status;

/// Clusters of a page that says no number, and fewest and most of any.
const PAGE: (usize, usize, usize) = (10, 5, 100);

/// Which part of the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wanted {
    /// Part of the name.
    query: String,
    /// From 1; 0: all.
    page: usize,
    size: usize,
}

/// `GET /api/v1/clusters`
pub(super) async fn list(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, Refusal> {
    manage.may(&caller, Right::List).await?;
    let wanted = Wanted::read(uri.query().unwrap_or_default())?;
    if !manage.gateway.registry.synced() {
        return Err(status::Error::NotSynced.into());
    }
    let records = manage.records.view().await;
    let snapshot = manage.gateway.registry.snapshot();
    let (clusters, total) = wanted.take(all(&manage.place, &snapshot));
    let clusters =
        clusters.into_iter().map(|listed| ClusterBase(listed.shown(&manage.place, &records))).collect();
    let mut response = Json(ListCluster { clusters, total }).into_response();
    if let Some(warning) = records.problem().and_then(warning) {
        response.headers_mut().insert(http::header::WARNING, warning);
    }
    Ok(response)
}

/// The hub itself, or a cluster.
#[derive(Debug)]
enum Listed<'a> {
    Local,
    Cluster(&'a Cluster),
}

impl Listed<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Local => LOCAL,
            Self::Cluster(cluster) => &cluster.name,
        }
    }

    fn shown(&self, place: &Place, records: &View) -> Record {
        let record = records.get(self.name()).map(Arc::as_ref);
        match self {
            Self::Local => shown::local(record, place),
            Self::Cluster(cluster) => shown::cluster(cluster, record),
        }
    }
}

/// All clusters: the hub itself, then the newest first, then by name.
fn all<'s>(place: &Place, snapshot: &'s Snapshot) -> Vec<Listed<'s>> {
    let clusters = snapshot.iter_virtual().filter(|cluster| cluster.accepted() && cluster.name != LOCAL);
    let mut clusters: Vec<_> = clusters.collect();
    // RFC 3339 in UTC sorts as text. The sort is stable, and they are sorted by name.
    clusters.sort_by(|a, b| b.creation_timestamp.cmp(&a.creation_timestamp));
    let local = matches!(place, Place::Hub { .. }).then_some(Listed::Local);
    local.into_iter().chain(clusters.into_iter().map(|cluster| Listed::Cluster(cluster))).collect()
}

impl Wanted {
    fn read(query: &str) -> Result<Self, Refusal> {
        let number = |key: &'static str| {
            let text = query_value(query, key).unwrap_or_default();
            if text.is_empty() {
                return Ok(None);
            }
            text.parse::<i64>().map(Some).map_err(|_| {
                let shown: String = text.escape_debug().take(100).collect();
                Refusal::new(Code::Validation, format!("invalid {key} \"{shown}\": it must be a number"))
                    .field(key)
            })
        };
        let (size, fewest, most) = PAGE;
        let page = number("page")?.unwrap_or_default().max(0);
        let size = number("pageSize")?.map_or(Ok(size), |size| usize::try_from(size.max(0)));
        Ok(Self {
            query: query_value(query, "query").unwrap_or_default().into_owned(),
            page: usize::try_from(page).unwrap_or(usize::MAX),
            size: size.unwrap_or(most).clamp(fewest, most),
        })
    }

    /// The page, and how many there are in all.
    fn take<'s>(&self, clusters: Vec<Listed<'s>>) -> (Vec<Listed<'s>>, usize) {
        let total = clusters.len();
        let found = clusters.into_iter().filter(|cluster| cluster.name().contains(&self.query));
        let page = match self.page {
            0 => found.collect(),
            page => found.skip((page - 1).saturating_mul(self.size)).take(self.size).collect(),
        };
        (page, total)
    }
}

/// Says in the answer, too, that it may lack something.
fn warning(problem: &str) -> Option<HeaderValue> {
    let text: String = problem
        .chars()
        .filter(|character| character.is_ascii_graphic() || *character == ' ')
        .filter(|character| !['"', '\\'].contains(character))
        .take(300)
        .collect();
    HeaderValue::from_str(&format!("199 cluster-gateway \"{text}\"")).ok()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use k8s_openapi::api::core::v1::Secret;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

    use super::*;
    use crate::registry::ClusterPolicy;

    #[test]
    fn a_page_is_what_velaux_makes_of_the_query() {
        let wanted = |query| Wanted::read(query).unwrap();
        assert_eq!(wanted(""), Wanted { query: String::new(), page: 0, size: 10 });
        assert_eq!(wanted("page=2&pageSize=3&query=a%20b").size, 5);
        assert_eq!(wanted("page=2&pageSize=3&query=a%20b").query, "a b");
        assert_eq!(wanted("page=-7&pageSize=1000"), Wanted { query: String::new(), page: 0, size: 100 });
        assert_eq!(wanted("pageSize=-1").size, 5);
        for bad in ["page=x", "page=1.5", "pageSize=ten", "page=99999999999999999999"] {
            let refusal = Wanted::read(bad).unwrap_err();
            assert_eq!(refusal.code, Code::Validation, "{bad}");
            assert!(refusal.message.starts_with("invalid page"), "{}", refusal.message);
        }
    }

    #[test]
    fn the_total_counts_what_is_filtered_out_too() {
        let snapshot = Snapshot::new((0..25).map(|number| Arc::new(cluster(&format!("c{number:02}")))));
        let names = |wanted: &Wanted| {
            let (page, total) = wanted.take(all(&Place::Directory(PathBuf::new()), &snapshot));
            assert_eq!(total, 25);
            page.iter().map(|listed| listed.name().to_owned()).collect::<Vec<_>>()
        };
        let wanted = |page, query: &str| Wanted { query: query.to_owned(), page, size: 10 };
        assert_eq!(names(&wanted(0, "")).len(), 25);
        assert_eq!(names(&wanted(3, "")), ["c20", "c21", "c22", "c23", "c24"]);
        assert!(names(&wanted(4, "")).is_empty() && names(&wanted(usize::MAX, "")).is_empty());
        assert_eq!(names(&wanted(1, "c2")), ["c20", "c21", "c22", "c23", "c24"]);
    }

    fn cluster(name: &str) -> Cluster {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        ClusterPolicy::default().read(Secret { metadata, ..Secret::default() }, None)
    }
}
