//! A service account of a member, by name.

use std::fmt;

use serde::Serialize;

/// A service account of a member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ServiceAccountRef {
    namespace: String,
    name: String,
}

impl ServiceAccountRef {
    /// The account `namespace/name`.
    ///
    /// # Errors
    /// One of the two cannot be the name of such an object; the text says which, and what is expected.
    pub fn new(namespace: &str, name: &str) -> Result<Self, String> {
        if !is_label(namespace) {
            return Err(format!(
                "\"{}\" is no namespace: expected at most 63 of a-z, 0-9 and -, beginning and ending with a letter or digit",
                shown(namespace)
            ));
        }
        if name.len() > 253 || !name.split('.').all(is_part) {
            return Err(format!(
                "\"{}\" is no name of a service account: expected at most 253 of a-z, 0-9, - and ., each part beginning \
                 and ending with a letter or digit",
                shown(name)
            ));
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// Reads `NAMESPACE/NAME`.
    ///
    /// # Errors
    /// As [`ServiceAccountRef::new`], and if there is no slash.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (namespace, name) = text
            .split_once('/')
            .ok_or_else(|| format!("\"{}\" is no service account: expected NAMESPACE/NAME", shown(text)))?;
        Self::new(namespace, name)
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user that the member sees behind its tokens.
    #[must_use]
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// Where the member makes its tokens, below the base path.
    #[must_use]
    pub fn token_path(&self) -> String {
        format!("/api/v1/namespaces/{}/serviceaccounts/{}/token", self.namespace, self.name)
    }
}

impl fmt::Display for ServiceAccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_part(text)
}

fn is_part(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn shown(text: &str) -> String {
    text.escape_debug().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_namespace_and_a_name_and_nothing_that_leads_elsewhere() {
        let account = ServiceAccountRef::parse("ns/a.b-c").unwrap();
        assert_eq!(
            (account.to_string().as_str(), account.user().as_str()),
            ("ns/a.b-c", "system:serviceaccount:ns:a.b-c")
        );
        assert_eq!(account.token_path(), "/api/v1/namespaces/ns/serviceaccounts/a.b-c/token");
        let long = "a".repeat(64);
        for bad in [
            "",
            "ns",
            "/a",
            "ns/",
            "ns/..",
            "ns/a/b",
            "n.s/a",
            "ns/-a",
            "ns/A",
            "ns/a?x",
            "ns/%2e",
            &format!("{long}/a"),
        ] {
            assert!(ServiceAccountRef::parse(bad).is_err(), "{bad}");
        }
    }
}
