//! Events about credential Secrets, for whoever looks at the hub with `kubectl get events`.

use std::fmt;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use sha2::{Digest, Sha256};

use super::{CallError, Hub, call};

/// Bytes of a Secret's name that stand in the name of an Event about it.
const MOST_NAME: usize = 200;
/// Bytes of a message; kube-apiserver takes no more.
const MOST_MESSAGE: usize = 1024;

/// Where Events about the Secrets of one namespace are written. Cheap to clone.
#[derive(Clone)]
pub struct Events {
    events: Api<Event>,
    namespace: String,
}

/// A warning about one Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Name of the Secret.
    pub secret: String,
    /// `uid` of the Secret.
    pub uid: String,
    /// A word in CamelCase that programs match on.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// What it is about, in so far as saying it again would be saying the same: two with equal keys about one Secret are one
    /// Event, whoever writes them and however often.
    pub key: String,
}

impl Hub {
    /// Events about the Secrets of a namespace.
    #[must_use]
    pub fn events(&self, namespace: &str) -> Events {
        Events { events: Api::namespaced(self.client(), namespace), namespace: namespace.to_owned() }
    }
}

impl Events {
    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Writes a warning, unless the hub has it already. The hub forgets Events, usually after an hour.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn warn(&self, warning: &Warning) -> Result<(), CallError> {
        let event = self.event(warning);
        match call(self.events.create(&PostParams::default(), &event)).await {
            Ok(_) | Err(CallError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn event(&self, warning: &Warning) -> Event {
        let now = Time(Timestamp::now());
        let mut message = warning.message.clone();
        message.truncate(message.floor_char_boundary(MOST_MESSAGE));
        Event {
            metadata: ObjectMeta {
                name: Some(name(warning)),
                namespace: Some(self.namespace.clone()),
                ..ObjectMeta::default()
            },
            involved_object: ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Secret".to_owned()),
                name: Some(warning.secret.clone()),
                namespace: Some(self.namespace.clone()),
                uid: Some(warning.uid.clone()),
                ..ObjectReference::default()
            },
            reason: Some(warning.reason.to_owned()),
            message: Some(message),
            type_: Some("Warning".to_owned()),
            source: Some(EventSource { component: Some("cluster-gateway".to_owned()), host: None }),
            reporting_component: Some("cluster-gateway".to_owned()),
            first_timestamp: Some(now.clone()),
            last_timestamp: Some(now),
            count: Some(1),
            ..Event::default()
        }
    }
}

/// The Secret's name, and a digest of what the warning is about.
fn name(warning: &Warning) -> String {
    let head = &warning.secret[..warning.secret.floor_char_boundary(MOST_NAME)];
    let digest = Sha256::digest(format!("{}\0{}\0{}", warning.uid, warning.reason, warning.key));
    let tail: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{}.{tail}", head.trim_end_matches(['.', '-']))
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_warning_has_the_same_name_and_another_has_another() {
        let warning = |secret: &str, key: &str| {
            let (secret, key) = (secret.to_owned(), key.to_owned());
            name(&Warning { secret, uid: "u".to_owned(), reason: "R", message: key.clone(), key })
        };
        assert_eq!(warning("a", "7d"), warning("a", "7d"));
        assert_ne!(warning("a", "7d"), warning("a", "1d"));
        let long = warning(&format!("{}-.{}", "a".repeat(198), "b".repeat(50)), "7d");
        assert!(long.len() <= 253 && long.starts_with(&format!("{}.", "a".repeat(198))), "{long}");
    }
}
