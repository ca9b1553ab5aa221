//! What a Kubernetes request line means. Pure: no I/O, no policy (contract rules 87-91, 101-104).

use std::borrow::Cow;
use std::time::Duration;

use cluster_gateway_client::{GROUP, PathError, ProxyPath, VERSION};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, header, request::Parts};
use percent_encoding::percent_decode_str;

mod field_selector;

pub use field_selector::FieldSelector;

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

/// A proxied request: which cluster, and the request line that the cluster will get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyTarget {
    /// Verb at the hub (rule 88).
    pub verb: Verb,
    /// Method, here and at the member.
    pub method: Method,
    /// Cluster and member path.
    pub path: ProxyPath,
    /// Holds the query; its path is the one here, not the member's.
    line: Option<PathAndQuery>,
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
    /// Whether the path is of an old form, `…/watch/RESOURCE` or `…/proxy/RESOURCE`, which names the verb (rule 102).
    pub special: bool,
    /// Whether more segments follow the subresource, or the path is not one that resources are served at.
    pub trailing: bool,
}

/// What a proxied request is to the API server of its member, which knows nothing of the part before `proxy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberRequest {
    /// For a resource.
    Resource(ResourceTarget),
    /// For anything else.
    Document(DocumentTarget),
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
            return Ok(Self::Proxy(ProxyTarget {
                verb: Verb::of(&parts.method),
                method: parts.method.clone(),
                path,
                line: parts.uri.path_and_query().cloned(),
                upgrade: wants_upgrade(parts),
            }));
        }
        Ok(match MemberRequest::parse(&parts.method, raw, parts.uri.query().unwrap_or_default())? {
            MemberRequest::Resource(target) => Self::Resource(target),
            MemberRequest::Document(target) => Self::Document(target),
        })
    }
}

impl ProxyTarget {
    /// The query that the member gets, as the client wrote it.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.line.as_ref().and_then(PathAndQuery::query)
    }

    /// What the member's API server will take the request for, read from the very bytes that are sent to it (rules 107,
    /// 110).
    ///
    /// # Errors
    /// [`RequestError::SpecialVerb`].
    pub fn at_member(&self) -> Result<MemberRequest, RequestError> {
        MemberRequest::parse(&self.method, &self.path.path, self.query().unwrap_or_default())
    }
}

impl MemberRequest {
    /// Reads an escaped path as an API server does that has no clusters.
    fn parse(method: &Method, raw: &str, query: &str) -> Result<Self, RequestError> {
        let path = decode(raw);
        Ok(match ResourceTarget::parse(method, &path, query)? {
            Some(target) => Self::Resource(target),
            None => Self::Document(DocumentTarget {
                verb: method.as_str().to_ascii_lowercase(),
                path: path.into_owned(),
            }),
        })
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
        self.special = true;
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

    /// Collections have verbs of their own; a name that a selector requires counts where the method made the verb.
    fn refine_verb(&mut self, named: bool, query: &str) {
        if named {
            return;
        }
        match self.verb {
            Verb::Get => {
                self.verb = if watches(query) { Verb::Watch } else { Verb::List };
                self.name = selected_name(query).unwrap_or_default();
            }
            Verb::Delete => self.verb = Verb::DeleteCollection,
            _ => {}
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

/// The one name that a field selector leaves, if it can be that of an object (rule 91).
fn selected_name(query: &str) -> Option<String> {
    let name = FieldSelector::parse(&query_value(query, "fieldSelector")?).ok()?.required_name()?;
    Some(name).filter(|name| !matches!(name.as_str(), "." | "..") && !name.contains(['/', '%']))
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
mod tests;
