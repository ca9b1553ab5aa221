//! What a change would do, in words and values that may be shown to anybody who may see the cluster: no key material.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::CredentialOutlook;
use super::ocm::Side;
use crate::diagnosis::Diagnosis;

/// Characters of a value that are shown.
const MOST: usize = 200;

/// What a change would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Name of the cluster.
    pub cluster: String,
    /// What would be written, in this order.
    pub changes: Vec<Change>,
    /// What should be known before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What was found on the way to the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Diagnosis>,
    /// `sha256:` and 64 hexadecimal digits over everything that would be written, without what is new each time (tokens,
    /// times) or only seen (the member's version): equal plans have equal ones. `None`: nobody asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The credential that the cluster would have then, where the plan is about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialOutlook>,
}

/// What would happen to one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What would be done.
    pub verb: Verb,
    /// With which object: `Secret vela-system/edge`.
    pub object: String,
    /// At which end. `None`: there are no two, as in the directory of a standalone server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub side: Option<Side>,
    /// What of it would be another.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
}

/// What is done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verb {
    /// It is new.
    Create,
    /// It becomes another.
    Replace,
    /// It goes.
    Delete,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    /// Which: `label region`, `data token`. Without values it says something of the whole.
    pub what: String,
    /// What it is now; `None`: it is not there. Of what may be secret, only its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What it would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl Plan {
    /// A plan of these changes.
    #[must_use]
    pub fn new(cluster: &str, changes: Vec<Change>) -> Self {
        Self {
            cluster: cluster.to_owned(),
            changes,
            notes: Vec::new(),
            preflight: None,
            digest: None,
            credential: None,
        }
    }

    /// Sets the digest; `written` is what the changes do not show. It may hold key material.
    pub(super) fn seal(&mut self, written: &serde_json::Value) {
        let changes: Vec<_> =
            self.changes.iter().map(|change| (change.verb, &change.object, change.side)).collect();
        let all = serde_json::json!({ "cluster": self.cluster, "changes": changes, "written": written });
        let digits: String =
            Sha256::digest(all.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
        self.digest = Some(format!("sha256:{digits}"));
    }

    /// Whether something that is there would be replaced or deleted.
    #[must_use]
    pub fn destroys(&self) -> bool {
        self.changes.iter().any(|change| change.verb != Verb::Create)
    }
}

impl Detail {
    /// What has no values.
    #[must_use]
    pub fn only(what: &str) -> Self {
        Self { what: what.to_owned(), before: None, after: None }
    }
}

impl Verb {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Delete => "delete",
        }
    }

    /// At the beginning of a step's words.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Replace => "Replace",
            Self::Delete => "Delete",
        }
    }
}

impl Change {
    /// A change of which there is no more to say.
    #[must_use]
    pub fn plain(verb: Verb, object: String, side: Option<Side>) -> Self {
        Self { verb, object, side, details: Vec::new() }
    }

    /// What becomes of a Secret.
    #[must_use]
    pub fn of(object: String, side: Option<Side>, before: Option<&Secret>, after: Option<&Secret>) -> Self {
        let verb = match (before, after) {
            (None, _) => Verb::Create,
            (Some(_), Some(_)) => Verb::Replace,
            (Some(_), None) => Verb::Delete,
        };
        let mut details = Vec::new();
        if after.is_some() {
            let labels = |secret: &Secret| secret.metadata.labels.clone().unwrap_or_default();
            let annotations = |secret: &Secret| secret.metadata.annotations.clone().unwrap_or_default();
            let data = |secret: &Secret| secret.data.clone().unwrap_or_default();
            compare(&mut details, "label", [before.map(labels), after.map(labels)], |_, value| shown(value));
            compare(
                &mut details,
                "annotation",
                [before.map(annotations), after.map(annotations)],
                |key, value| annotation(key, value),
            );
            compare(&mut details, "data", [before.map(data), after.map(data)], datum);
        }
        Self { verb, object, side, details }
    }
}

fn compare<T: PartialEq + Default>(
    details: &mut Vec<Detail>,
    kind: &str,
    sides: [Option<BTreeMap<String, T>>; 2],
    show: impl Fn(&str, &T) -> String,
) {
    let [before, after] = sides.map(Option::unwrap_or_default);
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in keys.into_iter().filter(|key| before.get(*key) != after.get(*key)) {
        let [before, after] = [&before, &after].map(|side| side.get(key).map(|value| show(key, value)));
        let after = if before.is_some() && before == after {
            after.map(|text| text + ", another one")
        } else {
            after
        };
        details.push(Detail { what: format!("{kind} {}", shown(key)), before, after });
    }
}

/// Only our own: the annotation of `kubectl apply` can hold the whole Secret.
fn annotation(key: &str, value: &str) -> String {
    let ours = key.split_once('/').is_some_and(|(domain, _)| domain.ends_with("oam.dev"));
    if ours { shown(value) } else { format!("{} bytes", value.len()) }
}

fn datum(key: &str, value: &ByteString) -> String {
    match key {
        "endpoint" => shown(&String::from_utf8_lossy(&value.0)),
        _ => format!("{} bytes", value.0.len()),
    }
}

fn shown(text: &str) -> String {
    let mut shown: String = text.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'");
    if shown.chars().count() > MOST {
        shown = shown.chars().take(MOST).collect::<String>() + "…";
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(labels: &[(&str, &str)], annotations: &[(&str, &str)], data: &[(&str, &str)]) -> Secret {
        let texts = |pairs: &[(&str, &str)]| {
            Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())));
        let mut secret = Secret { data: Some(data.collect()), ..Secret::default() };
        (secret.metadata.labels, secret.metadata.annotations) = (texts(labels), texts(annotations));
        secret
    }

    #[test]
    fn a_plan_shows_what_changes_and_no_key_material() {
        let applied = ("kubectl.kubernetes.io/last-applied-configuration", "{\"token\":\"sesame\"}");
        let before =
            secret(&[("a", "1"), ("b", "2")], &[applied], &[("endpoint", "https://h"), ("token", "sesame")]);
        let after = secret(&[("a", "1"), ("c", "3")], &[], &[("endpoint", "https://i"), ("token", "SESAME")]);
        let change = Change::of("Secret ns/x".to_owned(), Some(Side::Hub), Some(&before), Some(&after));
        assert_eq!(change.verb, Verb::Replace);
        let lines: Vec<_> = change
            .details
            .iter()
            .map(|detail| (detail.what.as_str(), detail.before.as_deref(), detail.after.as_deref()))
            .collect();
        assert_eq!(
            lines,
            [
                ("label b", Some("2"), None),
                ("label c", None, Some("3")),
                ("annotation kubectl.kubernetes.io/last-applied-configuration", Some("18 bytes"), None),
                ("data endpoint", Some("https://h"), Some("https://i")),
                ("data token", Some("6 bytes"), Some("6 bytes, another one")),
            ]
        );
        let made = Change::of(String::new(), None, None, Some(&before));
        assert_eq!((made.verb, made.details.len()), (Verb::Create, 5));
        let gone = Change::of(String::new(), None, Some(&before), None);
        assert_eq!((gone.verb, gone.details.len()), (Verb::Delete, 0));
        for change in [change, made, gone] {
            let text = serde_json::to_string(&Plan::new("x", vec![change])).unwrap();
            assert!(!text.to_lowercase().contains("sesame"), "{text}");
        }
    }
}
