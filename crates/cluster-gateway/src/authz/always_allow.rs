//! Paths that anybody may use (contract rule 18).

use super::Attributes;

/// A path with a `*` that is not at its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("always-allowed path {0:?}: a * can only stand at the end")]
pub struct BadPath(pub String);

/// The paths, without their leading slash.
#[derive(Debug, Default)]
pub(super) struct AlwaysAllow {
    exact: Vec<String>,
    prefixes: Vec<String>,
}

impl AlwaysAllow {
    pub(super) fn new(paths: &[String]) -> Result<Self, BadPath> {
        let mut this = Self::default();
        for path in paths {
            let bare = path.strip_prefix('/').unwrap_or(path);
            match bare.strip_suffix('*') {
                Some(prefix) if !prefix.contains('*') => this.prefixes.push(prefix.to_owned()),
                None if !bare.contains('*') => this.exact.push(bare.to_owned()),
                _ => return Err(BadPath(path.clone())),
            }
        }
        Ok(this)
    }

    /// Never allows a resource.
    pub(super) fn allows(&self, attributes: &Attributes<'_>) -> bool {
        let Attributes::Path { path, .. } = attributes else { return false };
        let bare = path.strip_prefix('/').unwrap_or(path);
        self.exact.iter().any(|exact| exact == bare)
            || self.prefixes.iter().any(|prefix| bare.starts_with(prefix.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Verb;

    fn allows(paths: &[&str], path: &str) -> bool {
        let paths: Vec<_> = paths.iter().map(|&path| path.to_owned()).collect();
        AlwaysAllow::new(&paths).unwrap().allows(&Attributes::Path { verb: "get", path })
    }

    #[test]
    fn rule_018_paths_match_exactly_and_a_trailing_star_means_prefix() {
        assert!(allows(&["/healthz"], "/healthz"));
        for path in ["/healthz/ping", "/healthz/", "/health", "/"] {
            assert!(!allows(&["/healthz"], path), "{path}");
        }
        assert!(allows(&["/healthz/*"], "/healthz/ping"));
        assert!(allows(&["healthz*"], "/healthzzz"));
        assert!(!allows(&["/healthz/*"], "/healthz"));
        assert!(allows(&["/"], "/") && !allows(&["/"], "/x") && allows(&["/*"], "/x"));
    }

    #[test]
    fn rule_018_a_star_elsewhere_is_an_error_and_resources_are_never_allowed() {
        for path in ["/a*b", "/*/x", "/a**"] {
            assert_eq!(AlwaysAllow::new(&[path.to_owned()]).unwrap_err(), BadPath(path.to_owned()));
        }
        let everything = AlwaysAllow::new(&["*".to_owned()]).unwrap();
        assert!(!everything.allows(&Attributes::Resource {
            verb: Verb::Get.as_str(),
            group: "",
            version: "v1",
            resource: "pods",
            subresource: "",
            namespace: "",
            name: "",
        }));
    }
}
