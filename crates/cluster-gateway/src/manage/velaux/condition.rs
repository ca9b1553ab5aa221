//! Conditions of a change: the version that was seen, and whether it is to be forced.

use http::{HeaderMap, Uri, header};
use k8s_openapi::api::core::v1::Secret;

use crate::manage::{Code, Refusal};
use crate::request::query_value;

/// The version that `If-Match` names; `*` names any.
///
/// # Errors
/// It is no single entity tag.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let malformed = || {
        Refusal::new(Code::Value, "If-Match must be one resourceVersion in quotes")
            .remedy("Send the resourceVersion that you have seen, in quotes, or no If-Match.")
    };
    let mut given = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let text = value.to_str().map_err(|_| malformed())?.trim();
    if given.next().is_some() {
        return Err(malformed());
    }
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).ok_or_else(malformed)?;
    if tag.is_empty() || tag.contains('"') { Err(malformed()) } else { Ok(Some(tag.to_owned())) }
}

/// Whether `force=true` stands in the query.
///
/// # Errors
/// It says neither yes nor no.
pub(super) fn force(uri: &Uri) -> Result<bool, Refusal> {
    match query_value(uri.query().unwrap_or_default(), "force").as_deref() {
        None | Some("" | "false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Refusal::new(Code::Value, "force must be true or false").field("force")),
    }
}

/// Whether a cluster is the one that was seen.
///
/// # Errors
/// 41412.
pub(super) fn holds(expected: Option<&str>, secret: &Secret) -> Result<(), Refusal> {
    let metadata = &secret.metadata;
    if expected.is_none_or(|expected| metadata.resource_version.as_deref() == Some(expected)) {
        return Ok(());
    }
    let name = metadata.name.as_deref().unwrap_or_default();
    Err(Refusal::new(Code::Changed, format!("somebody else has changed cluster \"{name}\" since you looked"))
        .remedy("Look again, then decide."))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&str]) -> Result<Option<String>, Code> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, HeaderValue::from_str(value).unwrap());
        }
        if_match(&headers).map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_condition_is_one_version_in_quotes() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["*"]), Ok(None));
        assert_eq!(read(&["\"1001\""]), Ok(Some("1001".to_owned())));
        for bad in [&["1001"][..], &["\"\""], &["W/\"1\""], &["\"1\", \"2\""], &["\"1\"", "\"2\""], &[""]] {
            assert_eq!(read(bad), Err(Code::Value), "{bad:?}");
        }
    }

    #[test]
    fn force_is_yes_or_no() {
        let read = |path: &'static str| force(&Uri::from_static(path)).map_err(|refusal| refusal.field);
        assert_eq!(
            (read("/"), read("/?force=false"), read("/?force=true")),
            (Ok(false), Ok(false), Ok(true))
        );
        assert_eq!(read("/?force=yes"), Err(Some("force")));
    }
}
