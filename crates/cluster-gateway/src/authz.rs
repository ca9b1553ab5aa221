//! May they? And the proof that they may: only this module makes a [`Permit`] (contract rules 85-100, 146-149).

use crate::authn::UserInfo;
use crate::request::{DocumentTarget, ProxyTarget, ResourceTarget, Verb};

/// Proof that `user` may do what `target` says. What was authorized is what is carried; there is no second copy of it.
#[derive(Debug)]
pub struct Permit<T> {
    user: UserInfo,
    target: T,
}

impl<T> Permit<T> {
    /// Who was authorized.
    #[must_use]
    pub fn user(&self) -> &UserInfo {
        &self.user
    }

    /// What was authorized.
    #[must_use]
    pub fn target(&self) -> &T {
        &self.target
    }
}

/// What one access review asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Attributes {
    /// A path.
    Path {
        /// Lower-case HTTP method.
        verb: String,
        /// Decoded path.
        path: String,
    },
    /// A resource.
    Resource {
        /// Kubernetes verb.
        verb: Verb,
        /// API group.
        group: String,
        /// API version.
        version: String,
        /// Resource, plural.
        resource: String,
        /// Subresource, or empty.
        subresource: String,
        /// Namespace, or empty.
        namespace: String,
        /// Name, or empty.
        name: String,
    },
}

/// Something that must be authorized before it is done.
pub trait Target {
    /// All of these must be allowed.
    fn attributes(&self) -> Vec<Attributes>;
}

impl Target for ProxyTarget {
    /// Rule 87; an upgrade needs `create` besides (rule 90).
    fn attributes(&self) -> Vec<Attributes> {
        let proxy = |verb| Attributes::Resource {
            verb,
            group: cluster_gateway_client::GROUP.to_owned(),
            version: cluster_gateway_client::VERSION.to_owned(),
            resource: "clustergateways".to_owned(),
            subresource: "proxy".to_owned(),
            namespace: String::new(),
            name: self.path.cluster.clone(),
        };
        if self.upgrade && self.verb != Verb::Create {
            vec![proxy(self.verb), proxy(Verb::Create)]
        } else {
            vec![proxy(self.verb)]
        }
    }
}

impl Target for ResourceTarget {
    fn attributes(&self) -> Vec<Attributes> {
        vec![Attributes::Resource {
            verb: self.verb,
            group: self.group.clone(),
            version: self.version.clone(),
            resource: self.resource.clone(),
            subresource: self.subresource.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }]
    }
}

impl Target for DocumentTarget {
    fn attributes(&self) -> Vec<Attributes> {
        vec![Attributes::Path { verb: self.verb.clone(), path: self.path.clone() }]
    }
}
