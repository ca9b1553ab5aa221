//! The data of a Secret, as text and bytes.

use std::collections::BTreeMap;

/// Data of a Secret.
pub(super) struct Data(pub(super) BTreeMap<String, k8s_openapi::ByteString>);

impl Data {
    pub(super) fn bytes(&self, key: &str) -> &[u8] {
        self.0.get(key).map_or(&[], |value| value.0.as_slice())
    }

    /// A text value without its one trailing newline; `None` if missing or empty.
    pub(super) fn text(&self, key: &str) -> Result<Option<String>, String> {
        let bytes = self.bytes(key);
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        if bytes.is_empty() {
            return Ok(None);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| format!("key \"{key}\" is not UTF-8 text"))?;
        Ok(Some(text.to_owned()))
    }

    /// `ca.crt`, else `ca` (rule 165).
    pub(super) fn ca_bundle(&self) -> Option<(&'static str, &[u8])> {
        ["ca.crt", "ca"].into_iter().map(|key| (key, self.bytes(key))).find(|(_, value)| !value.is_empty())
    }
}
