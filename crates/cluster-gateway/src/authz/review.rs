//! SubjectAccessReviews: their words, their answers, and the key to remember them by (contract rules 86, 87, 93-95).

use std::hash::{Hash, Hasher};

use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use quick_cache::Equivalent;

use super::{Attributes, Decision};
use crate::authn::UserInfo;
use crate::cache::Failure;

/// Attributes that a caller controls, in bytes, from which on an answer is not remembered (rule 94).
const MAX_KEPT: usize = 10_000;

/// Everything that an answer depends on, borrowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyRef<'a> {
    pub(super) user: &'a UserInfo,
    pub(super) attributes: Attributes<'a>,
}

/// The same, owned. It hashes and compares as the borrowed form does, so that one finds the other.
#[derive(Debug, Clone)]
pub(super) struct Key {
    user: UserInfo,
    words: Words,
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
        Self { user: key.user.clone(), words }
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
        KeyRef { user: &self.user, attributes }
    }

    fn controlled(&self) -> usize {
        self.words.words.iter().map(String::len).sum()
    }

    /// Whether the answer may be remembered at all.
    pub(super) fn may_be_kept(&self) -> bool {
        self.controlled() < MAX_KEPT
    }

    /// About how much memory the key takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.controlled() + self.user.bytes()
    }

    /// The question in the hub's words: one of the two kinds of attributes, never both.
    pub(super) fn spec(&self) -> SubjectAccessReviewSpec {
        let KeyRef { user, attributes } = self.borrowed();
        let mut spec = SubjectAccessReviewSpec {
            user: some(&user.name),
            uid: some(&user.uid),
            groups: Some(user.groups.clone()).filter(|groups| !groups.is_empty()),
            extra: Some(user.extra.clone()).filter(|extra| !extra.is_empty()),
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
        self.user == key.user && self.attributes == key.attributes
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.borrowed().equivalent(other)
    }
}

impl Eq for Key {}

/// What the hub said. A contradiction is no answer (rule 95).
pub(super) fn decision(status: SubjectAccessReviewStatus) -> Result<Decision, Failure> {
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
