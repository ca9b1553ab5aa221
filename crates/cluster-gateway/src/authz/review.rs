//! SubjectAccessReviews: their words, their answers, and the key to remember them by (contract rules 86, 87, 93-95).

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use quick_cache::Equivalent;

use super::{Attributes, Decision};
use crate::authn::{GROUP_UNAUTHENTICATED, UserInfo};
use crate::cache::{self, Answers, Failure, Share};
use crate::hub::Hub;

/// Attributes that a caller controls, in bytes, from which on an answer is not remembered (rule 94).
const MAX_KEPT: usize = 10_000;

/// Extra of a user that names the cluster of a proxied request, for authorizers that look at it; RBAC does not (rule 112).
const CLUSTER_EXTRA: &str = concat!(cluster_gateway_client::group!(), "/cluster");

/// Asks the hub, and remembers its answers for a while.
#[derive(Debug)]
pub(super) struct Reviews {
    hub: Hub,
    answers: Arc<Answers<Key, Decision>>,
    allowed_ttl: Duration,
    denied_ttl: Duration,
}

impl Reviews {
    pub(super) fn new(hub: Hub, allowed_ttl: Duration, denied_ttl: Duration) -> Self {
        Self { hub, answers: Arc::new(Answers::new()), allowed_ttl, denied_ttl }
    }

    /// The hub's answer, new or remembered. A remembered one costs a hash and a comparison: nothing is copied.
    pub(super) async fn decide(
        &self,
        user: &UserInfo,
        attributes: Attributes<'_>,
        cluster: Option<&str>,
    ) -> Result<Decision, Failure> {
        let key = KeyRef { user, attributes, cluster };
        if let Some(decision) = self.answers.get(&key) {
            return Ok(decision);
        }
        let key = Key::from(key);
        let (hub, asked, ttls) = (self.hub.clone(), key.clone(), (self.allowed_ttl, self.denied_ttl));
        let share = share(user);
        let standing = share.standing();
        let answer = self.answers.get_or_ask(key, share, move || async move {
            let status = hub.subject_access_review(asked.spec(), standing).await.map_err(Failure::new)?;
            let value = decision(status)?;
            let ttl = if value.allowed { ttls.0 } else { ttls.1 };
            let ttl = if asked.may_be_kept() { ttl } else { Duration::ZERO };
            Ok(cache::Answer { bytes: asked.bytes() + value.reason.len(), value, ttl })
        });
        // Boxed: rare, and large; a request's future is moved and kept as a whole.
        Box::pin(answer).await
    }
}

/// Users have one each; all who did not authenticate have one together.
fn share(user: &UserInfo) -> Share {
    if user.is_anonymous() || user.in_group(GROUP_UNAUTHENTICATED) {
        Share::unknown("")
    } else {
        Share::known(user.name.as_str())
    }
}

/// Everything that an answer depends on, borrowed.
#[derive(Debug, Clone, Copy)]
struct KeyRef<'a> {
    user: &'a UserInfo,
    attributes: Attributes<'a>,
    /// `None`: the hub.
    cluster: Option<&'a str>,
}

/// The same, owned. It hashes and compares as the borrowed form does, so that one finds the other.
#[derive(Debug, Clone)]
struct Key {
    user: UserInfo,
    words: Words,
    cluster: Option<String>,
}

#[derive(Debug, Clone)]
struct Words {
    resource: bool,
    words: [String; 7],
}

impl<'a> From<KeyRef<'a>> for Key {
    fn from(key: KeyRef<'a>) -> Self {
        let words = match key.attributes {
            Attributes::Path { verb, path } => {
                Words { resource: false, words: [verb, path, "", "", "", "", ""].map(str::to_owned) }
            }
            Attributes::Resource { verb, group, version, resource, subresource, namespace, name } => Words {
                resource: true,
                words: [verb, group, version, resource, subresource, namespace, name].map(str::to_owned),
            },
        };
        Self { user: key.user.clone(), words, cluster: key.cluster.map(str::to_owned) }
    }
}

impl Key {
    fn borrowed(&self) -> KeyRef<'_> {
        let [verb, a, version, resource, subresource, namespace, name] = &self.words.words;
        let attributes = if self.words.resource {
            Attributes::Resource { verb, group: a, version, resource, subresource, namespace, name }
        } else {
            Attributes::Path { verb, path: a }
        };
        KeyRef { user: &self.user, attributes, cluster: self.cluster.as_deref() }
    }

    fn controlled(&self) -> usize {
        self.words.words.iter().chain(&self.cluster).map(String::len).sum()
    }

    /// Whether the answer may be remembered at all.
    fn may_be_kept(&self) -> bool {
        self.controlled() < MAX_KEPT
    }

    /// About how much memory the key takes, in bytes.
    fn bytes(&self) -> usize {
        self.controlled() + self.user.bytes()
    }

    /// The question in the hub's words: one of the two kinds of attributes, never both.
    fn spec(&self) -> SubjectAccessReviewSpec {
        let KeyRef { user, attributes, cluster } = self.borrowed();
        let mut extra = user.extra.clone();
        if let Some(cluster) = cluster {
            // Over whatever the caller brought under this name.
            extra.insert(CLUSTER_EXTRA.to_owned(), vec![cluster.to_owned()]);
        }
        let mut spec = SubjectAccessReviewSpec {
            user: some(&user.name),
            uid: some(&user.uid),
            groups: Some(user.groups.clone()).filter(|groups| !groups.is_empty()),
            extra: Some(extra).filter(|extra| !extra.is_empty()),
            ..SubjectAccessReviewSpec::default()
        };
        match attributes {
            Attributes::Path { verb, path } => {
                spec.non_resource_attributes =
                    Some(NonResourceAttributes { path: some(path), verb: some(verb) });
            }
            Attributes::Resource { verb, group, version, resource, subresource, namespace, name } => {
                spec.resource_attributes = Some(ResourceAttributes {
                    verb: some(verb),
                    group: some(group),
                    version: some(version),
                    resource: some(resource),
                    subresource: some(subresource),
                    namespace: some(namespace),
                    name: some(name),
                    ..ResourceAttributes::default()
                });
            }
        }
        spec
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.user.hash(state);
        self.attributes.hash(state);
        self.cluster.hash(state);
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrowed().hash(state);
    }
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        let key = key.borrowed();
        self.user == key.user && self.attributes == key.attributes && self.cluster == key.cluster
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.borrowed().equivalent(other)
    }
}

impl Eq for Key {}

/// What the hub said. A contradiction is no answer (rule 95).
fn decision(status: SubjectAccessReviewStatus) -> Result<Decision, Failure> {
    if status.allowed && status.denied == Some(true) {
        return Err(Failure::new("the hub's authorizer both allows and denies it"));
    }
    let reason = status.reason.unwrap_or_default().into();
    Ok(Decision { allowed: status.allowed, reason })
}

/// Empty attributes are left out, as in Kubernetes' own JSON.
fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|text| !text.is_empty())
}
