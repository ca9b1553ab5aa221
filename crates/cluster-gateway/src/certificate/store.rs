//! The Secret.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};

use crate::hub::{CallError, Hub, call};

const TYPE: &str = "kubernetes.io/tls";

/// One Secret of the hub.
#[derive(Debug)]
pub(super) struct Store {
    objects: Api<Secret>,
    name: String,
    /// `NAMESPACE/NAME`, for messages.
    pub(super) location: String,
}

impl Store {
    pub(super) fn new(hub: &Hub, namespace: &str, name: &str) -> Self {
        let objects = Api::namespaced(hub.client(), namespace);
        Self { objects, name: name.to_owned(), location: format!("{namespace}/{name}") }
    }

    pub(super) async fn read(&self) -> Result<Option<Secret>, CallError> {
        call(self.objects.get_opt(&self.name)).await
    }

    /// Replaces the data of the Secret that was read, or makes one. A conflict if it has changed since then.
    pub(super) async fn write(
        &self,
        read: Option<Secret>,
        data: BTreeMap<String, ByteString>,
    ) -> Result<(), CallError> {
        let parameters = PostParams::default();
        match read {
            // Its type cannot be changed, and does not matter.
            Some(secret) => {
                let secret = Secret { data: Some(data), ..secret };
                call(self.objects.replace(&self.name, &parameters, &secret)).await.map(drop)
            }
            None => call(self.objects.create(&parameters, &self.fresh(data))).await.map(drop),
        }
    }

    fn fresh(&self, data: BTreeMap<String, ByteString>) -> Secret {
        let label = |key: &str| (format!("app.kubernetes.io/{key}"), "cluster-gateway".to_owned());
        Secret {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                labels: Some([label("name"), label("managed-by")].into()),
                ..ObjectMeta::default()
            },
            type_: Some(TYPE.to_owned()),
            data: Some(data),
            ..Secret::default()
        }
    }
}
