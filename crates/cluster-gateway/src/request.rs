//! What a Kubernetes request line means. Pure: no I/O, no policy (contract rules 87-91, 101-104).

use std::borrow::Cow;
use std::time::Duration;

use cluster_gateway_client::{GROUP, PathError, ProxyPath, VERSION};
use http::{HeaderMap, Method, header, request::Parts};
use percent_encoding::percent_decode_str;

/// A request line, read once. Authorization and forwarding both work from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestInfo {
    /// `…/clustergateways/NAME/proxy/PATH`.
    Proxy(ProxyTarget),
    /// A request for a resource of any group, of ours or not.
    Resource(ResourceTarget),
    /// Everything else: discovery, health, metrics, documents.
    Document(DocumentTarget),
}

/// A proxied request: which cluster, which of its paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyTarget {
    /// Verb at the hub (rule 88).
    pub verb: Verb,
    /// Cluster and member path.
    pub path: ProxyPath,
    /// The client asks to leave HTTP: exec, attach, port-forward, WebSockets (rule 183).
    pub upgrade: bool,
}

/// A request for a resource, as Kubernetes' RequestInfo reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceTarget {
    /// What is to be done with it.
    pub verb: Verb,
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Namespace; empty when the path names none.
    pub namespace: String,
    /// Resource, plural.
    pub resource: String,
    /// Subresource; empty when the path names none.
    pub subresource: String,
    /// Object's name, from the path or from `fieldSelector=metadata.name=…` (rule 91); may be empty.
    pub name: String,
    /// Whether more segments follow the subresource, or the path is not one that resources are served at.
    pub trailing: bool,
}

/// A request for something that is no resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentTarget {
    /// Lower-case HTTP method: the verb of a non-resource check (rule 93).
    pub verb: String,
    /// Decoded path.
    pub path: String,
}

/// A Kubernetes verb.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Verb {
    /// GET or HEAD of one object.
    Get,
    /// GET of a collection.
    List,
    /// GET of a collection or an object with `watch=true`.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH.
    Patch,
    /// DELETE of one object.
    Delete,
    /// DELETE of a collection.
    DeleteCollection,
    /// The special verb `proxy` of an old path form.
    Proxy,
    /// A method that Kubernetes has no verb for; spelt as the empty string (rule 88).
    #[default]
    None,
}

impl Verb {
    /// The spelling of authorization attributes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Proxy => "proxy",
            Self::None => "",
        }
    }

    /// The verb that a method has on a single object.
    #[must_use]
    pub fn of(method: &Method) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Get,
            Method::POST => Self::Create,
            Method::PUT => Self::Update,
            Method::PATCH => Self::Patch,
            Method::DELETE => Self::Delete,
            _ => Self::None,
        }
    }
}

/// Why a request line could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The member's path could be read in two ways.
    #[error("{0}")]
    Path(#[from] PathError),
    /// A special verb without the segments it needs (rule 102).
    #[error("unable to determine kind and namespace from url, {0}")]
    SpecialVerb(String),
}

impl RequestInfo {
    /// Reads a request line.
    ///
    /// # Errors
    /// [`RequestError`]; the caller's fault in both cases.
    pub fn parse(parts: &Parts) -> Result<Self, RequestError> {
        let raw = parts.uri.path();
        if let Some(path) = ProxyPath::parse(raw)? {
            let verb = Verb::of(&parts.method);
            return Ok(Self::Proxy(ProxyTarget { verb, path, upgrade: wants_upgrade(parts) }));
        }
        let path = decode(raw);
        let query = parts.uri.query().unwrap_or_default();
        match ResourceTarget::parse(&parts.method, &path, query)? {
            Some(target) => Ok(Self::Resource(target)),
            None => Ok(Self::Document(DocumentTarget {
                verb: parts.method.as_str().to_ascii_lowercase(),
                path: path.into_owned(),
            })),
        }
    }
}

impl ResourceTarget {
    /// Reads a decoded path as Kubernetes' RequestInfo does. `None`: not a resource request (rule 101).
    ///
    /// # Errors
    /// [`RequestError::SpecialVerb`].
    pub fn parse(method: &Method, path: &str, query: &str) -> Result<Option<Self>, RequestError> {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ => return Ok(None),
        };
        let mut target = Self { group: group.to_owned(), version: version.to_owned(), ..Self::default() };
        let rest = target.take_verb(method, path, rest)?;
        let named = target.take_object(rest);
        target.refine_verb(named, query);
        Ok(Some(target))
    }

    /// Whether the target is a resource of this gateway's own group and version.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.group == GROUP && self.version == VERSION
    }

    fn take_verb<'a, 'b>(
        &mut self,
        method: &Method,
        path: &str,
        rest: &'b [&'a str],
    ) -> Result<&'b [&'a str], RequestError> {
        let special = match rest.first() {
            Some(&"watch") => Verb::Watch,
            Some(&"proxy") => Verb::Proxy,
            _ => {
                self.verb = Verb::of(method);
                return Ok(rest);
            }
        };
        self.verb = special;
        match &rest[1..] {
            [] => Err(RequestError::SpecialVerb(path.to_owned())),
            rest => Ok(rest),
        }
    }

    /// Takes namespace, resource, name and subresource (rules 103, 104); returns whether the path names an object.
    fn take_object(&mut self, rest: &[&str]) -> bool {
        let parts: &[&str] = match rest {
            ["namespaces", namespace, sub, ..] => {
                (*namespace).clone_into(&mut self.namespace);
                if matches!(*sub, "status" | "finalize") { rest } else { &rest[2..] }
            }
            ["namespaces", namespace] => {
                (*namespace).clone_into(&mut self.namespace);
                rest
            }
            _ => rest,
        };
        let at = |index: usize| parts.get(index).copied().unwrap_or_default().to_owned();
        (self.resource, self.name) = (at(0), at(1));
        if self.verb != Verb::Proxy {
            self.subresource = at(2);
            self.trailing = parts.len() > 3;
        }
        !self.name.is_empty()
    }

    fn refine_verb(&mut self, named: bool, query: &str) {
        let collection = !named;
        match self.verb {
            Verb::Get if collection => self.verb = if watches(query) { Verb::Watch } else { Verb::List },
            Verb::Delete if collection => self.verb = Verb::DeleteCollection,
            _ => {}
        }
        if collection && matches!(self.verb, Verb::List | Verb::Watch) {
            self.name = name_from_field_selector(query).unwrap_or_default();
        }
    }
}

/// Whether a query asks to watch, as Kubernetes' option decoding reads it: the first value, `true` or `1` and their
/// like; an empty value counts as true.
#[must_use]
pub fn watches(query: &str) -> bool {
    query_value(query, "watch")
        .is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "false" | "0"))
}

/// First value of a query key, decoded.
#[must_use]
pub fn query_value<'q>(query: &'q str, key: &str) -> Option<Cow<'q, str>> {
    query_pairs(query).find(|(name, _)| name == key).map(|(_, value)| value)
}

/// Key-value pairs of a query, decoded as forms are.
pub fn query_pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_form(key), decode_form(value))
    })
}

fn decode_form(text: &str) -> Cow<'_, str> {
    if text.contains('+') { Cow::Owned(decode(&text.replace('+', " ")).into_owned()) } else { decode(text) }
}

fn decode(raw: &str) -> Cow<'_, str> {
    percent_decode_str(raw).decode_utf8_lossy()
}

fn name_from_field_selector(query: &str) -> Option<String> {
    let selector = query_value(query, "fieldSelector")?;
    selector.split(',').find_map(|term| {
        let value = term.trim().strip_prefix("metadata.name=")?;
        let value = value.strip_prefix('=').unwrap_or(value);
        Some(value.to_owned())
            .filter(|value| !matches!(value.as_str(), "" | "." | "..") && !value.contains(['/', '%']))
    })
}

/// Whether the client asks for an upgrade: an `upgrade` token in some `Connection` header, and an `Upgrade` header
/// (rule 183). HTTP/2 knows no upgrades (rule 192).
fn wants_upgrade(parts: &Parts) -> bool {
    parts.version < http::Version::HTTP_2
        && parts.headers.contains_key(header::UPGRADE)
        && connection_tokens(&parts.headers).any(|token| token.eq_ignore_ascii_case("upgrade"))
}

/// Tokens of all `Connection` headers.
pub fn connection_tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::CONNECTION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

/// Reads a duration in Go's form: `10s`, `1m30s`, `500ms`, `0`.
///
/// # Errors
/// A text that names the form expected.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is not a duration such as 500ms, 10s or 1m30s");
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest == "0" {
        return Ok(total);
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        total += Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())?;
        rest = &rest[end..];
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(method: &str, uri: &str) -> RequestInfo {
        parse(method, uri, &[]).expect("a readable request line")
    }

    fn parse(method: &str, uri: &str, headers: &[(&str, &str)]) -> Result<RequestInfo, RequestError> {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        RequestInfo::parse(&request.body(()).expect("a request").into_parts().0)
    }

    fn resource(method: &str, uri: &str) -> ResourceTarget {
        match info(method, uri) {
            RequestInfo::Resource(target) => target,
            other => panic!("{uri} is {other:?}"),
        }
    }

    fn proxied(method: &str, rest: &str) -> ProxyTarget {
        match info(method, &format!("/apis/cluster.core.oam.dev/v1alpha1/clustergateways/c/proxy{rest}")) {
            RequestInfo::Proxy(target) => target,
            other => panic!("{rest} is {other:?}"),
        }
    }

    #[test]
    fn rule_101_short_paths_and_other_roots_are_no_resources() {
        for path in [
            "/",
            "/api",
            "/api/v1",
            "/apis",
            "/apis/g",
            "/apis/g/v",
            "/apis/g/v/",
            "/healthz",
            "/version/x/y/z",
        ] {
            assert!(matches!(info("GET", path), RequestInfo::Document(_)), "{path}");
        }
        assert_eq!(resource("GET", "//apis/g/v/r//").resource, "r");
        assert_eq!(resource("GET", "/api/v1/pods").group, "");
    }

    #[test]
    fn rule_102_special_verbs_stand_in_the_path() {
        let target = resource("GET", "/apis/g/v/watch/things");
        assert_eq!((target.verb, target.resource.as_str()), (Verb::Watch, "things"));
        let target = resource("POST", "/api/v1/proxy/nodes/n/x");
        assert_eq!((target.verb, target.name.as_str(), target.subresource.as_str()), (Verb::Proxy, "n", ""));
        for path in ["/apis/g/v/watch", "/apis/g/v/proxy/"] {
            assert!(matches!(parse("GET", path, &[]), Err(RequestError::SpecialVerb(_))), "{path}");
        }
    }

    #[test]
    fn rule_103_namespaces_are_scopes_unless_their_own_subresource_follows() {
        let target = resource("GET", "/api/v1/namespaces/n/pods/p");
        assert_eq!(
            (target.namespace.as_str(), target.resource.as_str(), target.name.as_str()),
            ("n", "pods", "p")
        );
        for sub in ["status", "finalize"] {
            let target = resource("PUT", &format!("/api/v1/namespaces/n/{sub}"));
            assert_eq!((target.resource.as_str(), target.subresource.as_str()), ("namespaces", sub));
        }
        assert_eq!(resource("GET", "/api/v1/namespaces/n").name, "n");
        assert_eq!(resource("GET", "/api/v1/namespaces").verb, Verb::List);
    }

    #[test]
    fn rule_104_what_follows_the_subresource_is_not_looked_at() {
        let target = resource("GET", "/api/v1/namespaces/n/pods/p/log/more/of/it");
        assert_eq!((target.subresource.as_str(), target.trailing), ("log", true));
        assert!(!resource("GET", "/api/v1/namespaces/n/pods/p/log").trailing);
    }

    #[test]
    fn rule_088_verbs_of_a_proxied_request_are_those_of_its_method() {
        for (method, verb) in [
            ("GET", "get"),
            ("HEAD", "get"),
            ("POST", "create"),
            ("PUT", "update"),
            ("PATCH", "patch"),
            ("DELETE", "delete"),
            ("OPTIONS", ""),
            ("TRACE", ""),
        ] {
            assert_eq!(proxied(method, "/api/v1/pods").verb.as_str(), verb, "{method}");
        }
    }

    #[test]
    fn rule_089_a_proxied_watch_is_a_get_and_a_proxied_collection_delete_a_delete() {
        assert_eq!(proxied("GET", "/api/v1/pods?watch=true").verb, Verb::Get);
        assert_eq!(proxied("DELETE", "/api/v1/pods").verb, Verb::Delete);
    }

    #[test]
    fn rule_091_verbs_of_our_own_resources() {
        let base = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";
        assert_eq!(resource("GET", base).verb, Verb::List);
        for query in ["watch=true", "watch=1", "watch"] {
            assert_eq!(resource("GET", &format!("{base}?{query}")).verb, Verb::Watch, "{query}");
        }
        assert_eq!(resource("GET", &format!("{base}?watch=false")).verb, Verb::List);
        let one = resource("GET", &format!("{base}?fieldSelector=metadata.name%3Dx"));
        assert_eq!((one.verb, one.name.as_str()), (Verb::List, "x"));
        assert_eq!(resource("GET", &format!("{base}/x")).verb, Verb::Get);
        let health = resource("PATCH", &format!("{base}/x/health"));
        assert_eq!((health.verb, health.subresource.as_str()), (Verb::Patch, "health"));
        assert_eq!(resource("DELETE", base).verb, Verb::DeleteCollection);
    }

    #[test]
    fn rule_093_documents_are_checked_by_path_and_lower_case_method() {
        let expected = DocumentTarget { verb: "post".into(), path: "/openapi/v3/apis/x".into() };
        assert_eq!(info("POST", "/openapi/v3/apis/x?hash=1"), RequestInfo::Document(expected));
    }

    #[test]
    fn rule_183_an_upgrade_needs_the_token_and_the_header() {
        let path = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/c/proxy/x";
        let upgrades = |headers: &[(&str, &str)]| match parse("GET", path, headers) {
            Ok(RequestInfo::Proxy(target)) => target.upgrade,
            other => panic!("{other:?}"),
        };
        assert!(upgrades(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")]));
        assert!(!upgrades(&[("connection", "upgrade")]));
        assert!(!upgrades(&[("upgrade", "websocket")]));
        assert!(!upgrades(&[("connection", "upgraded"), ("upgrade", "x")]));
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, milliseconds) in
            [("10s", 10_000), ("1m30s", 90_000), ("500ms", 500), ("0", 0), ("0s", 0), ("1.5h", 5_400_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "10", "s", "10x", "-1s", "1e9999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
