//! The front proxy: kube-apiserver says in headers who asks, and proves itself by a certificate (contract rules 65-71).

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;

use super::scheme::{Answer, Asked};
use super::{RequestHeaderConfig, UserInfo};
use crate::pki::ClientCas;

/// Whom to believe identity headers, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestHeader {
    pub(super) cas: Arc<ClientCas>,
    pub(super) allowed_names: Vec<String>,
    username: Vec<HeaderName>,
    group: Vec<HeaderName>,
    uid: Vec<HeaderName>,
    /// In lower case, as header names are.
    extra_prefixes: Vec<String>,
}

impl RequestHeader {
    /// Reads names of headers; `cas` as read from the bundle.
    ///
    /// # Errors
    /// Text that names what is no header name.
    pub(super) fn new(cas: Arc<ClientCas>, config: &RequestHeaderConfig) -> Result<Self, String> {
        let prefixes = config.extra_header_prefixes.iter();
        Ok(Self {
            cas,
            allowed_names: config.allowed_names.clone(),
            username: names(&config.username_headers)?,
            group: names(&config.group_headers)?,
            uid: names(&config.uid_headers)?,
            extra_prefixes: prefixes
                .map(|prefix| prefix.trim().to_ascii_lowercase())
                .filter(|prefix| !prefix.is_empty())
                .collect(),
        })
    }

    /// Whether a header of this lower-case name can carry identity.
    pub(super) fn reads(&self, name: &str) -> bool {
        let exact = self.username.iter().chain(&self.group).chain(&self.uid);
        exact.into_iter().any(|header| header == name)
            || self.extra_prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
    }

    /// The headers count only beside a certificate of the front proxy's CA, whose name is allowed (rule 67).
    pub(super) fn authenticate(&self, asked: &Asked<'_>) -> Answer {
        let chain = asked.connection.certificates();
        if chain.is_empty() {
            return Answer::NotRequested;
        }
        let verdict = asked.connection.as_front_proxy.verify(&self.cas, chain, asked.now);
        let subject = match &verdict.subject {
            Ok(subject) => subject,
            Err(error) => return Answer::Failed(format!("front proxy certificate: {error}")),
        };
        if !self.allowed_names.is_empty() && !self.allowed_names.contains(&subject.common_name) {
            return Answer::Failed(format!(
                "front proxy certificate: the common name {:?} is not among the allowed names",
                subject.common_name
            ));
        }
        match self.user(asked.headers) {
            Ok(Some(user)) => Answer::Authenticated(Arc::new(user)),
            Ok(None) => Answer::NotRequested,
            Err(name) => Answer::Failed(format!("front proxy: header {name} is not UTF-8")),
        }
    }

    /// Who the headers name. `None`: nobody (rule 70).
    fn user(&self, headers: &HeaderMap) -> Result<Option<UserInfo>, HeaderName> {
        let Some(name) = first_value(headers, &self.username)? else { return Ok(None) };
        let mut groups = Vec::new();
        for header in &self.group {
            for value in headers.get_all(header) {
                groups.push(text(header, value)?);
            }
        }
        groups.retain(|group| !group.is_empty());
        Ok(Some(UserInfo {
            name,
            uid: first_value(headers, &self.uid)?.unwrap_or_default(),
            groups,
            extra: self.extra(headers)?,
        }))
    }

    fn extra(&self, headers: &HeaderMap) -> Result<BTreeMap<String, Vec<String>>, HeaderName> {
        let mut extra = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in headers {
            for prefix in &self.extra_prefixes {
                if let Some(key) = name.as_str().strip_prefix(prefix.as_str()) {
                    extra.entry(extra_key(key)).or_default().push(text(name, value)?);
                }
            }
        }
        Ok(extra)
    }
}

/// The key that the rest of a header's name stands for; malformed escapes are left as they are (rule 69).
pub(crate) fn extra_key(rest: &str) -> String {
    let rest = rest.to_ascii_lowercase();
    let bytes = rest.as_bytes();
    let escaped =
        |at: usize| bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    let well_formed = (0..bytes.len()).all(|at| bytes[at] != b'%' || escaped(at));
    match percent_decode_str(&rest).decode_utf8() {
        Ok(key) if well_formed => key.into_owned(),
        _ => rest,
    }
}

/// First value that is not empty, of the first header that has one (rule 68).
fn first_value(headers: &HeaderMap, names: &[HeaderName]) -> Result<Option<String>, HeaderName> {
    for name in names {
        if let Some(value) = headers.get(name).filter(|value| !value.is_empty()) {
            return text(name, value).map(Some);
        }
    }
    Ok(None)
}

/// kube-apiserver sends names as they are, in UTF-8; anything else could be read in two ways.
fn text(name: &HeaderName, value: &http::HeaderValue) -> Result<String, HeaderName> {
    std::str::from_utf8(value.as_bytes()).map(str::to_owned).map_err(|_| name.clone())
}

fn names(names: &[String]) -> Result<Vec<HeaderName>, String> {
    let names = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
    names.map(|name| HeaderName::from_str(name).map_err(|_| format!("{name:?} is no header name"))).collect()
}
