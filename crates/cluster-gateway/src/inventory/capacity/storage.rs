//! One storage class.

use serde::{Deserialize, Serialize};

use super::{Metadata, shown};

/// Annotations that mark the default, the older name last.
const DEFAULT: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
/// Characters of a name.
const MOST_NAME: usize = 253;

/// A storage class, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageClass {
    /// Its name.
    pub name: String,
    /// Who makes the volumes.
    pub provisioner: String,
    /// What becomes of a volume that nobody claims any more.
    pub reclaim_policy: String,
    /// When a volume is made.
    pub volume_binding_mode: String,
    /// Whether volumes may grow.
    pub allow_volume_expansion: bool,
    /// Whether it is the one that nobody has to name.
    pub is_default: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Read {
    metadata: Metadata,
    provisioner: String,
    reclaim_policy: Option<String>,
    volume_binding_mode: Option<String>,
    allow_volume_expansion: Option<bool>,
}

impl StorageClass {
    /// `None`: it has no name.
    pub(super) fn of(read: Read) -> Option<Self> {
        let annotations = read.metadata.annotations.unwrap_or_default();
        let text = |text: Option<String>, default: &str| {
            text.map_or(default.to_owned(), |text| shown(&text, MOST_NAME))
        };
        (!read.metadata.name.is_empty()).then(|| Self {
            name: shown(&read.metadata.name, MOST_NAME),
            provisioner: shown(&read.provisioner, MOST_NAME),
            reclaim_policy: text(read.reclaim_policy, "Delete"),
            volume_binding_mode: text(read.volume_binding_mode, "Immediate"),
            allow_volume_expansion: read.allow_volume_expansion.unwrap_or_default(),
            is_default: DEFAULT.iter().any(|key| annotations.get(*key).is_some_and(|value| value == "true")),
        })
    }
}
