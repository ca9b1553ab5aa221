//! What a path means.

use percent_encoding::percent_decode_str;

use crate::resources::{self, Resource};

/// A path of the resources: a collection, an object or something below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) resource: &'static Resource,
    /// `None`: all namespaces, or the resource has none.
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

impl Target {
    /// Reads `/api/v1/…` and `/apis/GROUP/v1/…`; `None` for every other path and for unknown resources.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let segments: Vec<String> = path.split('/').skip(1).map(decode).collect::<Option<_>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, rest) = match segments.as_slice() {
            ["api", "v1", rest @ ..] => ("", rest),
            ["apis", group, "v1", rest @ ..] if !group.is_empty() => (*group, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..]
                if resources::find(group, plural).is_some_and(|one| one.namespaced) =>
            {
                (Some(*namespace), (*plural, rest))
            }
            [plural, rest @ ..] => (None, (*plural, rest)),
            [] => return None,
        };
        let (plural, rest) = rest;
        let resource = resources::find(group, plural)?;
        let (name, subresource) = match rest {
            [] => (None, None),
            [name] => (Some(*name), None),
            [name, subresource] => (Some(*name), Some(*subresource)),
            _ => return None,
        };
        let complete = name.is_none() || namespace.is_some() == resource.namespaced;
        let filled = [namespace, name, subresource].into_iter().flatten().all(|segment| !segment.is_empty());
        (complete && filled).then(|| Self {
            resource,
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
            subresource: subresource.map(str::to_owned),
        })
    }

    /// The namespace as keys have it.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }

    /// The name, empty for a collection.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

fn decode(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(path: &str) -> Option<(&'static str, String, String, String)> {
        let target = Target::parse(path)?;
        let subresource = target.subresource.clone().unwrap_or_default();
        Some((target.resource.plural, target.namespace().to_owned(), target.name().to_owned(), subresource))
    }

    fn is(
        plural: &'static str,
        namespace: &str,
        name: &str,
        subresource: &str,
    ) -> Option<(&'static str, String, String, String)> {
        Some((plural, namespace.to_owned(), name.to_owned(), subresource.to_owned()))
    }

    #[test]
    fn paths_lead_to_resources() {
        assert_eq!(parsed("/api/v1/pods"), is("pods", "", "", ""));
        assert_eq!(parsed("/api/v1/namespaces/a/pods/p/log"), is("pods", "a", "p", "log"));
        assert_eq!(parsed("/apis/apps/v1/namespaces/a/deployments/d"), is("deployments", "a", "d", ""));
        assert_eq!(parsed("/api/v1/namespaces"), is("namespaces", "", "", ""));
        assert_eq!(parsed("/api/v1/namespaces/a"), is("namespaces", "", "a", ""));
        assert_eq!(parsed("/api/v1/namespaces/a/status"), is("namespaces", "", "a", "status"));
        assert_eq!(parsed("/api/v1/nodes/n%2De"), is("nodes", "", "n-e", ""));
    }

    #[test]
    fn other_paths_lead_nowhere() {
        for path in [
            "/",
            "/api",
            "/api/v1",
            "/api/v1/",
            "/apis/apps/v1",
            "/apis//v1/pods",
            "/api/v1/widgets",
            "/apis/apps/v1/pods",
            "/api/v1/pods/p",
            "/api/v1/namespaces//pods",
            "/api/v1/namespaces/a/pods/p/log/x",
            "/api/v1/namespaces/a/pods/",
            "/version",
        ] {
            assert_eq!(parsed(path), None, "{path}");
        }
    }
}
