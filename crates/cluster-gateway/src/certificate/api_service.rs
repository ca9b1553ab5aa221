//! The `caBundle` of the APIService: by it the hub knows the gateway's certificate.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec};
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tokio::time::Instant;

use crate::hub::{CallError, Hub, call};

/// The APIService through which the hub finds the gateway.
pub(super) const NAME: &str =
    concat!(cluster_gateway_client::version!(), ".", cluster_gateway_client::group!());

/// Twice within this time is somebody's work and no accident.
const QUARREL: Duration = Duration::from_secs(60);

/// What became of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Published {
    /// The hub has it.
    Yes,
    /// There is no APIService.
    Missing,
    /// The APIService leads somewhere else; it is not ours to change.
    Foreign,
}

/// Keeps the bundle what it should be.
#[derive(Debug)]
pub(super) struct Publisher {
    objects: Api<APIService>,
    service: String,
    namespace: String,
    written: Option<Instant>,
    told: Option<Published>,
}

impl Publisher {
    pub(super) fn new(hub: &Hub, service: &str, namespace: &str) -> Self {
        let objects = Api::all(hub.client());
        Self {
            objects,
            service: service.to_owned(),
            namespace: namespace.to_owned(),
            written: None,
            told: None,
        }
    }

    /// Sees to it that the hub verifies with this bundle (PEM).
    pub(super) async fn publish(&mut self, bundle: &str) -> Result<Published, CallError> {
        let found = call(self.objects.get_opt(NAME)).await?;
        let published = match found {
            None => Published::Missing,
            Some(object) => match &object.spec {
                Some(spec) if self.is_ours(spec) => {
                    if let Some(reason) = reason_to_write(spec, bundle) {
                        self.write(&object, bundle).await?;
                        self.report(reason);
                    }
                    Published::Yes
                }
                _ => Published::Foreign,
            },
        };
        self.tell(published);
        Ok(published)
    }

    fn is_ours(&self, spec: &APIServiceSpec) -> bool {
        spec.service.as_ref().is_some_and(|service| {
            service.name.as_ref() == Some(&self.service)
                && service.namespace.as_ref() == Some(&self.namespace)
        })
    }

    /// Refused when somebody else has changed the object since it was read.
    async fn write(&self, object: &APIService, bundle: &str) -> Result<(), CallError> {
        let patch = json!({
            "metadata": {"resourceVersion": object.metadata.resource_version},
            "spec": {"caBundle": STANDARD.encode(bundle), "insecureSkipTLSVerify": null},
        });
        call(self.objects.patch(NAME, &PatchParams::default(), &Patch::Merge(patch))).await.map(drop)
    }

    fn report(&mut self, reason: &str) {
        let again = self.written.is_some_and(|before| before.elapsed() < QUARREL);
        self.written = Some(Instant::now());
        if again {
            tracing::warn!(
                apiservice = NAME,
                reason,
                "caBundle was set again within a minute; if another program writes it, have it leave caBundle alone"
            );
        } else {
            tracing::info!(
                apiservice = NAME,
                reason,
                "caBundle was set: the hub verifies this gateway with its own CA"
            );
        }
    }

    fn tell(&mut self, published: Published) {
        if self.told.replace(published) == Some(published) {
            return;
        }
        match published {
            Published::Yes => {}
            Published::Missing => {
                tracing::debug!(apiservice = NAME, "there is none; nothing to keep a caBundle in")
            }
            Published::Foreign => tracing::info!(
                apiservice = NAME,
                service = self.service,
                namespace = self.namespace,
                "it does not lead to this Service, so its caBundle is left alone; if it should lead here, give the \
                 Service's name with --service-name"
            ),
        }
    }
}

fn reason_to_write(spec: &APIServiceSpec, bundle: &str) -> Option<&'static str> {
    match &spec.ca_bundle {
        _ if spec.insecure_skip_tls_verify == Some(true) => Some("the hub was told not to verify"),
        None => Some("there was none"),
        Some(found) if found.0 != bundle.as_bytes() => Some("it was another"),
        Some(_) => None,
    }
}
