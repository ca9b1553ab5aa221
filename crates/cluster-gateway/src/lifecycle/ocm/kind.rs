//! The kinds of objects that are read and written.

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};

use super::{OcmError, Side, Sides, at};
use crate::hub::{CallError, call};

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Namespace,
    ServiceAccount,
    Secret,
    ConfigMap,
    Deployment,
    ClusterRole,
    ClusterRoleBinding,
    CustomResourceDefinition,
    Klusterlet,
    AppliedManifestWork,
    ManifestWork,
    ManagedCluster,
    CertificateSigningRequest,
}

/// Group of klusterlets.
pub(super) const OPERATOR_GROUP: &str = "operator.open-cluster-management.io";
/// Group of ManagedClusters.
pub(super) const CLUSTER_GROUP: &str = "cluster.open-cluster-management.io";
const WORK_GROUP: &str = "work.open-cluster-management.io";

impl Kind {
    /// Group, version, kind and the resource in paths.
    fn names(self) -> (&'static str, &'static str, &'static str, &'static str) {
        let rbac = "rbac.authorization.k8s.io";
        match self {
            Self::Namespace => ("", "v1", "Namespace", "namespaces"),
            Self::ServiceAccount => ("", "v1", "ServiceAccount", "serviceaccounts"),
            Self::Secret => ("", "v1", "Secret", "secrets"),
            Self::ConfigMap => ("", "v1", "ConfigMap", "configmaps"),
            Self::Deployment => ("apps", "v1", "Deployment", "deployments"),
            Self::ClusterRole => (rbac, "v1", "ClusterRole", "clusterroles"),
            Self::ClusterRoleBinding => (rbac, "v1", "ClusterRoleBinding", "clusterrolebindings"),
            Self::CustomResourceDefinition => {
                ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions")
            }
            Self::Klusterlet => (OPERATOR_GROUP, "v1", "Klusterlet", "klusterlets"),
            Self::AppliedManifestWork => (WORK_GROUP, "v1", "AppliedManifestWork", "appliedmanifestworks"),
            Self::ManifestWork => (WORK_GROUP, "v1", "ManifestWork", "manifestworks"),
            Self::ManagedCluster => (CLUSTER_GROUP, "v1", "ManagedCluster", "managedclusters"),
            Self::CertificateSigningRequest => {
                ("certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests")
            }
        }
    }

    /// The kind's name.
    pub(super) fn name(self) -> &'static str {
        self.names().2
    }

    pub(super) fn resource(self) -> ApiResource {
        let (group, version, kind, plural) = self.names();
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural)
    }

    /// Objects of this kind, of a namespace or without one.
    pub(super) fn api(self, sides: &Sides, side: Side, namespace: Option<&str>) -> Api<DynamicObject> {
        let (client, resource) = (sides.client(side), self.resource());
        match namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &resource),
            None => Api::all_with(client, &resource),
        }
    }
}

/// An object, if it is there. An API server that does not serve the kind says so in other words than Kubernetes' own, and has
/// no such object either.
pub(super) async fn find(
    api: &Api<DynamicObject>,
    side: Side,
    name: &str,
) -> Result<Option<DynamicObject>, OcmError> {
    match call(api.get(name)).await {
        Ok(found) => Ok(Some(found)),
        Err(CallError::NotFound(_)) => Ok(None),
        Err(error) => Err(at(side)(error)),
    }
}
