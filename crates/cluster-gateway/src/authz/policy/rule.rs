//! One rule of a role, compiled, with Kubernetes' meaning.

use super::super::Attributes;

/// A list in which `*` stands for everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Words {
    All,
    These(Box<[Box<str>]>),
}

/// What a rule grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    Resources {
        verbs: Words,
        groups: Words,
        resources: Box<[ResourcePattern]>,
        /// Empty: any, also none.
        names: Box<[Box<str>]>,
    },
    Paths {
        verbs: Words,
        paths: Box<[PathPattern]>,
    },
}

/// An entry of `resources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ResourcePattern {
    /// `*`: every resource and subresource.
    All,
    /// `*/SUB`: this subresource of every resource.
    Subresource(Box<str>),
    /// `RESOURCE` or `RESOURCE/SUB`; without a subresource it grants none.
    One { resource: Box<str>, subresource: Box<str> },
}

/// An entry of `nonResourceURLs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathPattern {
    Exact(Box<str>),
    Prefix(Box<str>),
}

impl Rule {
    pub(super) fn allows(&self, attributes: &Attributes<'_>) -> bool {
        match (self, attributes) {
            (
                Self::Resources { verbs, groups, resources, names },
                Attributes::Resource { verb, group, resource, subresource, name, .. },
            ) => {
                verbs.contain(verb)
                    && groups.contain(group)
                    && resources.iter().any(|pattern| pattern.matches(resource, subresource))
                    && (names.is_empty() || names.iter().any(|granted| **granted == **name))
            }
            (Self::Paths { verbs, paths }, Attributes::Path { verb, path }) => {
                verbs.contain(verb) && paths.iter().any(|pattern| pattern.matches(path))
            }
            _ => false,
        }
    }
}

impl Words {
    pub(super) fn new(words: &[String]) -> Self {
        if words.iter().any(|word| word == "*") {
            return Self::All;
        }
        Self::These(boxed(words))
    }

    fn contain(&self, word: &str) -> bool {
        match self {
            Self::All => true,
            Self::These(words) => words.iter().any(|one| **one == *word),
        }
    }
}

impl ResourcePattern {
    pub(super) fn new(text: &str) -> Self {
        match text.split_once('/') {
            None if text == "*" => Self::All,
            Some(("*", subresource)) => Self::Subresource(subresource.into()),
            Some((resource, subresource)) if !subresource.is_empty() => {
                Self::One { resource: resource.into(), subresource: subresource.into() }
            }
            // `RESOURCE/` stays whole: no request names such a resource.
            _ => Self::One { resource: text.into(), subresource: "".into() },
        }
    }

    fn matches(&self, resource: &str, subresource: &str) -> bool {
        match self {
            Self::All => true,
            Self::Subresource(granted) => !subresource.is_empty() && **granted == *subresource,
            Self::One { resource: granted, subresource: sub } => {
                **granted == *resource && **sub == *subresource
            }
        }
    }
}

impl PathPattern {
    pub(super) fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(prefix) => Self::Prefix(prefix.trim_end_matches('*').into()),
            None => Self::Exact(text.into()),
        }
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *path,
            Self::Prefix(prefix) => path.starts_with(&**prefix),
        }
    }
}

pub(super) fn boxed(words: &[String]) -> Box<[Box<str>]> {
    words.iter().map(|word| word.as_str().into()).collect()
}
