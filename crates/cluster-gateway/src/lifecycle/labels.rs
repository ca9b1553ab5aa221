//! Labels, as people type them.

use std::collections::BTreeMap;

use cluster_gateway_client::v1alpha1::LABEL_CREDENTIAL_TYPE;

/// Why a label is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// It has no value.
    #[error("\"{0}\" is no label; expected KEY=VALUE")]
    NoPair(String),
    /// Its key is none.
    #[error(
        "\"{0}\" is no key of a label: it must be [PREFIX/]NAME, the name at most 63 of A-Z, a-z, 0-9, -, _ and ., beginning \
         and ending with a letter or digit, the prefix a DNS subdomain"
    )]
    Key(String),
    /// Its value is none.
    #[error(
        "\"{value}\" is no value for label {key}: it must be empty, or at most 63 of A-Z, a-z, 0-9, -, _ and ., beginning and \
         ending with a letter or digit"
    )]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// It belongs to the gateway.
    #[error("label {0} says how the cluster is reached and cannot be set or removed by hand")]
    Reserved(String),
    /// It stands twice.
    #[error("label {0} is given twice")]
    Twice(String),
}

/// Reads `k=v,k=v`; empty text holds none.
///
/// # Errors
/// [`LabelError`].
pub fn parse_labels(text: &str) -> Result<BTreeMap<String, String>, LabelError> {
    let mut labels = BTreeMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| LabelError::NoPair(shown(pair)))?;
        check_label(key, value)?;
        if labels.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(LabelError::Twice(key.to_owned()));
        }
    }
    Ok(labels)
}

/// Checks a label that people may set.
///
/// # Errors
/// [`LabelError`].
pub fn check_label(key: &str, value: &str) -> Result<(), LabelError> {
    check_label_key(key)?;
    if value.is_empty() || is_word(value) {
        return Ok(());
    }
    Err(LabelError::Value { key: key.to_owned(), value: shown(value) })
}

/// Whether a label is one of this API's own, which decide what a Secret means.
pub(super) fn is_own_label(key: &str) -> bool {
    let group = |key: &str| key.split_once('/').map(|(group, _)| group.to_owned());
    group(key).is_some_and(|found| Some(found) == group(LABEL_CREDENTIAL_TYPE))
}

/// Checks the key of a label that people may set.
///
/// # Errors
/// [`LabelError`].
pub fn check_label_key(key: &str) -> Result<(), LabelError> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if !is_word(name) || prefix.is_some_and(|prefix| !is_subdomain(prefix)) {
        return Err(LabelError::Key(shown(key)));
    }
    if is_own_label(key) { Err(LabelError::Reserved(key.to_owned())) } else { Ok(()) }
}

fn is_word(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

fn is_subdomain(text: &str) -> bool {
    let part = |part: &str| {
        is_word(part)
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(part)
}

fn shown(text: &str) -> String {
    text.escape_debug().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_kubernetes_would_take_them() {
        let read = parse_labels("region=eu, example.com/Tier_1=gold.2,empty=,").unwrap();
        let read: Vec<_> = read.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(read, [("empty", ""), ("example.com/Tier_1", "gold.2"), ("region", "eu")]);
        assert!(parse_labels("").unwrap().is_empty());
        let long = "a".repeat(64);
        for bad in ["a", "=b", "a b=c", "-a=b", "a-=b", "A.com/a=b", "/a=b", "a//b=c", &format!("{long}=x")] {
            assert!(matches!(parse_labels(bad), Err(LabelError::NoPair(_) | LabelError::Key(_))), "{bad}");
        }
        for bad in ["a=b c", "a=-b", "a=b=c", "a=ä", &format!("a={long}")] {
            assert!(matches!(parse_labels(bad), Err(LabelError::Value { .. })), "{bad}");
        }
        assert_eq!(parse_labels("a=b,a=c"), Err(LabelError::Twice("a".to_owned())));
        let own = format!("{LABEL_CREDENTIAL_TYPE}=x");
        assert!(matches!(parse_labels(&own), Err(LabelError::Reserved(_))));
    }
}
