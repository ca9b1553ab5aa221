//! Which objects a list has: the state that was asked for, and one page of it (contract rules 227, 228).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::Api;
use super::object::{Object, Resource, Selection};
use super::options::At;
use crate::registry::{Cluster, TooOld};
use crate::status::Error;

/// Metadata of a list.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListMeta {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource_version: Option<String>,
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    pub(super) continues: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remaining_item_count: Option<usize>,
}

/// Where a list is to be gone on with. Clients take it for opaque; it is all that there is, so any replica can go on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Continue {
    /// Form of the token.
    v: String,
    /// State that the first page was of.
    rv: u64,
    /// Place of the last object that was sent.
    start: String,
}

/// Name of the only form of tokens.
const FORM: &str = concat!(cluster_gateway_client::group!(), "/v1");

impl Continue {
    /// Reads a token.
    ///
    /// # Errors
    /// [`Error::BadRequest`].
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).unwrap_or_default();
        let token = serde_json::from_slice::<Self>(&bytes).ok().filter(|token| token.v == FORM);
        token.ok_or_else(|| {
            Error::BadRequest("continue key is not valid: it is none that this server has given".to_owned())
        })
    }

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// What a list shows.
pub(super) struct Page {
    /// Whether the constant object is on it.
    constant: bool,
    clusters: Vec<Arc<Cluster>>,
    pub(super) metadata: ListMeta,
}

impl Page {
    /// # Errors
    /// [`Error::Expired`], [`Error::FutureVersion`], [`Error::NotSynced`].
    pub(super) async fn read<R: Resource>(
        api: &Api,
        resource: R,
        selection: &Selection,
    ) -> Result<Self, Error> {
        let options = &selection.options;
        let (clusters, version) = match (&options.continues, options.at) {
            (Some(token), _) => {
                let snapshot = match api.fresh(token.rv).await {
                    Err(Error::FutureVersion { .. }) => return Err(continue_expired()),
                    snapshot => snapshot?,
                };
                (snapshot.at(token.rv).map_err(|TooOld(_)| continue_expired())?, token.rv)
            }
            (None, At::Exactly(version)) => {
                let old = api.fresh(version).await?.at(version).map_err(|old| expired(version, old))?;
                (old, version)
            }
            (None, At::NotOlderThan(version)) => {
                let snapshot = api.fresh(version).await?;
                (snapshot.iter_virtual().cloned().collect(), snapshot.version())
            }
        };
        let mut clusters: Vec<_> = clusters.iter().collect();
        resource.sort(&mut clusters);
        let selected = Selected { resource, selection };
        Ok(selected.page(&clusters, version))
    }

    /// What is on it, in its order.
    pub(super) fn objects<R: Resource>(&self, resource: R) -> Vec<R::Object<'_>> {
        (0..self.len()).filter_map(|index| self.object(resource, index)).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.clusters.len() + usize::from(self.constant)
    }

    /// One of them; `None`: there are not so many.
    pub(super) fn object<R: Resource>(&self, resource: R, index: usize) -> Option<R::Object<'_>> {
        match index.checked_sub(usize::from(self.constant)) {
            None => resource.constant(),
            Some(index) => {
                let cluster = self.clusters.get(index)?;
                resource.object(cluster, cluster.version)
            }
        }
    }
}

struct Selected<'a, R> {
    resource: R,
    selection: &'a Selection,
}

impl<R: Resource> Selected<'_, R> {
    fn page(&self, clusters: &[&Arc<Cluster>], version: u64) -> Page {
        let options = &self.selection.options;
        let constant = self.resource.constant().filter(|_| self.resource.is_listed());
        let constant = constant.is_some_and(|object| self.is_wanted(&object));
        let members = clusters.iter().filter(|cluster| {
            self.resource.object(cluster, version).is_some_and(|object| self.is_wanted(&object))
        });
        let mut members: Vec<_> = members.copied().cloned().collect();
        let total = members.len() + usize::from(constant);
        let room = options.limit.unwrap_or(total).saturating_sub(usize::from(constant));
        let mut metadata = ListMeta { resource_version: Some(version.to_string()), ..ListMeta::default() };
        if members.len() > room {
            let remaining = members.len() - room;
            members.truncate(room);
            metadata.continues = self.token(constant, members.last(), version);
            metadata.remaining_item_count = self.selection.is_everything().then_some(remaining);
        }
        Page { constant, clusters: members, metadata }
    }

    fn is_wanted(&self, object: &R::Object<'_>) -> bool {
        let token = self.selection.options.continues.as_ref();
        token.is_none_or(|token| object.is_behind(&token.start)) && self.selection.matches(object)
    }

    fn token(&self, constant: bool, last: Option<&Arc<Cluster>>, version: u64) -> Option<String> {
        let last = match last {
            Some(cluster) => self.resource.object(cluster, version),
            None => self.resource.constant().filter(|_| constant),
        };
        last.map(|object| Continue { v: FORM.to_owned(), rv: version, start: object.place() }.encode())
    }
}

/// The failure of whatever goes on from too old a version.
pub(super) fn expired(version: u64, TooOld(oldest): TooOld) -> Error {
    Error::Expired(format!("too old resource version: {version} ({oldest})"))
}

fn continue_expired() -> Error {
    Error::Expired(
        "The provided continue parameter is too old to display a consistent list result. You must start a new list \
         without the continue parameter."
            .to_owned(),
    )
}
