//! What is asked about: the words of an access review (contract rules 87-93).

use crate::request::{DocumentTarget, ProxyTarget, ResourceTarget, Verb};
use crate::status::ForbiddenOn;

use super::Policy;

/// What one access review asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attributes<'a> {
    /// A path.
    Path {
        /// Lower-case HTTP method.
        verb: &'a str,
        /// Decoded path.
        path: &'a str,
    },
    /// A resource.
    Resource {
        /// Kubernetes verb.
        verb: &'a str,
        /// API group.
        group: &'a str,
        /// API version.
        version: &'a str,
        /// Resource, plural.
        resource: &'a str,
        /// Subresource, or empty.
        subresource: &'a str,
        /// Namespace, or empty.
        namespace: &'a str,
        /// Name, or empty.
        name: &'a str,
    },
}

impl Attributes<'_> {
    /// How long all of it is, in bytes. A caller chooses that.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Path { verb, path } => verb.len() + path.len(),
            Self::Resource { verb, group, version, resource, subresource, namespace, name } => {
                [verb, group, version, resource, subresource, namespace, name]
                    .iter()
                    .map(|word| word.len())
                    .sum()
            }
        }
    }

    /// What is to be done.
    #[must_use]
    pub fn verb(&self) -> &str {
        match self {
            Self::Path { verb, .. } | Self::Resource { verb, .. } => verb,
        }
    }
}

impl From<Attributes<'_>> for ForbiddenOn {
    fn from(attributes: Attributes<'_>) -> Self {
        match attributes {
            Attributes::Path { path, .. } => Self::Path(path.to_owned()),
            Attributes::Resource { group, resource, subresource, namespace, name, .. } => Self::Resource {
                group: group.to_owned(),
                resource: resource.to_owned(),
                subresource: subresource.to_owned(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
        }
    }
}

/// Something that must be authorized before it is done.
pub trait Target {
    /// All of these must be allowed.
    fn attributes(&self, policy: &Policy) -> impl Iterator<Item = Attributes<'_>> + Send;

    /// The request to a member that it carries, if that is to be authorized besides. Default: none.
    fn carried(&self, _: &Policy) -> Option<&ProxyTarget> {
        None
    }
}

impl Target for ProxyTarget {
    /// Rule 87; an upgrade needs `create` besides (rule 90).
    fn attributes(&self, policy: &Policy) -> impl Iterator<Item = Attributes<'_>> + Send {
        let also_create = self.upgrade && policy.upgrade_needs_create && self.verb != Verb::Create;
        let verbs = [Some(self.verb), also_create.then_some(Verb::Create)];
        verbs.into_iter().flatten().map(|verb| Attributes::Resource {
            verb: verb.as_str(),
            group: cluster_gateway_client::GROUP,
            version: cluster_gateway_client::VERSION,
            resource: "clustergateways",
            subresource: "proxy",
            namespace: "",
            name: &self.path.cluster,
        })
    }

    fn carried(&self, policy: &Policy) -> Option<&ProxyTarget> {
        policy.proxied_requests.then_some(self)
    }
}

impl Target for ResourceTarget {
    fn attributes(&self, _: &Policy) -> impl Iterator<Item = Attributes<'_>> + Send {
        std::iter::once(self.asked(self.verb))
    }
}

impl ResourceTarget {
    /// What is asked before `verb` is done to it.
    pub(super) fn asked(&self, verb: Verb) -> Attributes<'_> {
        Attributes::Resource {
            verb: verb.as_str(),
            group: &self.group,
            version: &self.version,
            resource: &self.resource,
            subresource: &self.subresource,
            namespace: &self.namespace,
            name: &self.name,
        }
    }
}

impl Target for DocumentTarget {
    fn attributes(&self, _: &Policy) -> impl Iterator<Item = Attributes<'_>> + Send {
        std::iter::once(self.asked())
    }
}

impl DocumentTarget {
    /// What is asked before it is answered.
    pub(super) fn asked(&self) -> Attributes<'_> {
        Attributes::Path { verb: &self.verb, path: &self.path }
    }
}
