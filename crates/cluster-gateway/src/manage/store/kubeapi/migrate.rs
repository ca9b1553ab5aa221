//! From the names of VelaUX before 1.6 to those of today.
//!
//! The copy is made first and the old object is marked after it, so that whatever ends in between loses nothing: whoever
//! comes next goes on. The old objects stay, as VelaUX leaves them: `kubectl delete configmap -l db.oam.dev/migrated=ok`.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ObjectMeta;

use super::{KubeApi, MIGRATED, data, labels, object_name, old_name, written};
use crate::hub::{CallError, call};
use crate::manage::store::StoreError;
use crate::manage::store::record::Record;

impl KubeApi {
    /// Copies those that have an old name. What is under the new name already is newer.
    pub(super) async fn migrate(&self, all: Vec<ConfigMap>) -> Result<(), StoreError> {
        for old in all {
            let Some(name) = old_name(&old) else { continue };
            let name = name.to_owned();
            match self.create(&copy(&old, &name)).await {
                Ok(()) => tracing::info!(cluster = name, "record of a cluster moved to its new ConfigMap"),
                Err(CallError::Conflict(_)) => {}
                Err(error) => return Err(self.failed(error)),
            }
            self.mark(old).await?;
        }
        Ok(())
    }

    async fn mark(&self, mut old: ConfigMap) -> Result<(), StoreError> {
        old.metadata.labels.get_or_insert_default().insert(MIGRATED.to_owned(), "ok".to_owned());
        let json = cleaned(&old);
        old.binary_data.get_or_insert_default().insert("data".to_owned(), ByteString(json));
        let name = old.metadata.name.clone().unwrap_or_default();
        match call(self.config_maps.replace(&name, &written(), &old)).await {
            // Somebody else migrates too, or has deleted it.
            Ok(_) | Err(CallError::Conflict(_) | CallError::NotFound(_)) => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }
}

/// The data without a kubeconfig. What cannot be read stays as it is.
fn cleaned(old: &ConfigMap) -> Vec<u8> {
    let stored = data(old);
    Record::from_json(stored).map_or_else(|_| stored.to_vec(), |record| record.to_json_over(stored))
}

/// The same record under the new name.
fn copy(old: &ConfigMap, name: &str) -> ConfigMap {
    let mut new_labels = old.metadata.labels.clone().unwrap_or_default();
    new_labels.extend(labels(name));
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(object_name(name)),
            labels: Some(new_labels),
            annotations: old.metadata.annotations.clone(),
            ..ObjectMeta::default()
        },
        binary_data: Some([("data".to_owned(), ByteString(cleaned(old)))].into()),
        ..ConfigMap::default()
    }
}
