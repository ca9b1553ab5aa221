//! Which requests are audited, and at which stages: a `Policy` of `audit.k8s.io/v1` with kube-apiserver's meaning.

mod read;

use crate::authn::UserInfo;
use crate::authz::Attributes;
use crate::manifest::Problem;

/// How much of a request a rule asks for. Whatever is above `Metadata` is recorded as `Metadata`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing.
    None,
    /// Who, what, when, and how it ended.
    Metadata,
    /// The request's body, too.
    Request,
    /// Both bodies, too.
    RequestResponse,
}

/// When an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The caller is known; nothing has been done yet.
    RequestReceived,
    /// The head of the answer is there, the body may take long. Of watches, upgrades and the like, and of requests that
    /// fail before the caller is known.
    ResponseStarted,
    /// The body has ended.
    ResponseComplete,
    /// Something panicked.
    Panic,
}

impl Stage {
    /// All of them, in their order.
    const ALL: [Self; 4] =
        [Self::RequestReceived, Self::ResponseStarted, Self::ResponseComplete, Self::Panic];

    /// Kubernetes' spelling.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestReceived => "RequestReceived",
            Self::ResponseStarted => "ResponseStarted",
            Self::ResponseComplete => "ResponseComplete",
            Self::Panic => "Panic",
        }
    }
}

/// A set of stages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stages(u8);

impl Stages {
    pub(super) fn contains(self, stage: Stage) -> bool {
        self.0 & (1 << stage as u8) != 0
    }

    fn insert(&mut self, stage: Stage) {
        self.0 |= 1 << stage as u8;
    }

    fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The rules; the first that matches decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rule>,
}

/// One rule. An empty list matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    level: Level,
    users: Vec<String>,
    groups: Vec<String>,
    verbs: Vec<String>,
    on: On,
    omit: Stages,
}

/// What a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum On {
    Everything,
    /// At least one of the two lists is not empty.
    Resources {
        namespaces: Vec<String>,
        resources: Vec<GroupResources>,
    },
    Paths(Vec<String>),
}

/// Resources of one group; an empty list of resources means all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct GroupResources {
    group: String,
    resources: Vec<String>,
    names: Vec<String>,
}

impl Policy {
    /// Reads a policy. `file` is how messages call it.
    ///
    /// # Errors
    /// Everything that is wrong with it: unknown fields, too, as a misspelt one would change what is recorded.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        read::policy(file, text)
    }

    /// The stages to be left out for this request; `None`: it is not audited. `user` is `None` when nobody could be
    /// authenticated.
    pub(super) fn decide(&self, user: Option<&UserInfo>, attributes: &Attributes<'_>) -> Option<Stages> {
        let rule = self.rules.iter().find(|rule| rule.matches(user, attributes))?;
        (rule.level != Level::None).then_some(rule.omit)
    }

    /// Whether some rule asks for bodies, which are never recorded.
    pub(super) fn wants_bodies(&self) -> bool {
        self.rules.iter().any(|rule| rule.level > Level::Metadata)
    }
}

impl Rule {
    fn matches(&self, user: Option<&UserInfo>, attributes: &Attributes<'_>) -> bool {
        let any_of = |list: &[String], found: &dyn Fn(&str) -> bool| {
            list.is_empty() || list.iter().any(|word| found(word))
        };
        any_of(&self.users, &|name| user.is_some_and(|user| user.name == name))
            && any_of(&self.groups, &|group| user.is_some_and(|user| user.in_group(group)))
            && any_of(&self.verbs, &|verb| verb == attributes.verb())
            && self.on.matches(attributes)
    }
}

impl On {
    fn matches(&self, attributes: &Attributes<'_>) -> bool {
        match (self, attributes) {
            (Self::Everything, _) => true,
            (Self::Paths(patterns), Attributes::Path { path, .. }) => {
                patterns.iter().any(|pattern| path_matches(pattern, path))
            }
            (
                Self::Resources { namespaces, resources },
                Attributes::Resource { group, resource, subresource, namespace, name, .. },
            ) => {
                (namespaces.is_empty() || namespaces.iter().any(|own| own == namespace))
                    && (resources.is_empty()
                        || resources.iter().any(|own| own.matches(group, resource, subresource, name)))
            }
            _ => false,
        }
    }
}

impl GroupResources {
    fn matches(&self, group: &str, resource: &str, subresource: &str, name: &str) -> bool {
        self.group == group
            && (self.resources.is_empty()
                || self.resources.iter().any(|pattern| resource_matches(pattern, resource, subresource)))
            && (self.names.is_empty() || self.names.iter().any(|own| own == name))
    }
}

/// `pods`, `pods/log`, `pods/*` (pods themselves, too), `*/log` and `*`.
fn resource_matches(pattern: &str, resource: &str, subresource: &str) -> bool {
    match pattern.split_once('/') {
        None => pattern == "*" || (pattern == resource && subresource.is_empty()),
        Some((own, "*")) => own == resource,
        Some(("*", sub)) => !sub.is_empty() && sub == subresource,
        Some((own, sub)) => own == resource && sub == subresource,
    }
}

fn path_matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => path == pattern,
    }
}

#[cfg(test)]
mod tests;
