//! What a caller may do: the hub's RBAC decides, in standalone its manifests.

use cluster_gateway_client::{GROUP, VERSION};
use serde::Serialize;

use super::{Caller, Code, Manage, Refusal};
use crate::authz::{Attributes, Policy, Target};

/// Something that is asked for before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right<'a> {
    /// See all clusters: `list clustergateways`.
    List,
    /// See one cluster, diagnose it, take a kubeconfig for it: `get clustergateways NAME`.
    Get(&'a str),
    /// Make clusters known: `create secrets` in their namespace.
    Join,
    /// Change what is known of a cluster: `update secrets NAME`.
    Update(&'a str),
    /// Forget a cluster: `delete secrets NAME`.
    Detach(&'a str),
}

struct Asked<'a> {
    right: Right<'a>,
    namespace: &'a str,
}

impl Target for Asked<'_> {
    fn attributes(&self, _: &Policy) -> impl Iterator<Item = Attributes<'_>> + Send {
        let (verb, name, cluster) = match self.right {
            Right::List => ("list", "", true),
            Right::Get(name) => ("get", name, true),
            Right::Join => ("create", "", false),
            Right::Update(name) => ("update", name, false),
            Right::Detach(name) => ("delete", name, false),
        };
        let (group, version, resource, namespace) = if cluster {
            (GROUP, VERSION, "clustergateways", "")
        } else {
            ("", "v1", "secrets", self.namespace)
        };
        std::iter::once(Attributes::Resource {
            verb,
            group,
            version,
            resource,
            subresource: "",
            namespace,
            name,
        })
    }
}

impl Manage {
    /// Whether the caller may.
    ///
    /// # Errors
    /// A refusal that names user, verb and resource; one that says so if it cannot be found out.
    pub async fn may(&self, caller: &Caller, right: Right<'_>) -> Result<(), Refusal> {
        let asked = Asked { right, namespace: self.place.namespace() };
        self.gateway.authz.authorize(caller.user.clone(), asked, "").await?;
        Ok(())
    }

    /// As [`Manage::may`], for what is only shown or hidden by it: what cannot be found out is no.
    pub async fn would(&self, caller: &Caller, right: Right<'_>) -> bool {
        self.may(caller, right).await.is_ok()
    }
}

/// What of the whole a caller may do, at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Permissions {
    /// [`Right::Join`].
    pub join: bool,
    /// [`Right::Update`] of any cluster.
    pub update: bool,
    /// [`Right::Detach`] of any cluster.
    pub detach: bool,
    /// [`Right::Get`] of any cluster.
    pub diagnose: bool,
    /// [`Right::Get`] of any cluster.
    pub kubeconfig: bool,
}

impl Manage {
    /// What the caller may do.
    ///
    /// # Errors
    /// If it cannot be found out.
    pub async fn permissions(&self, caller: &Caller) -> Result<Permissions, Refusal> {
        let allowed = async |right| match self.may(caller, right).await {
            Ok(()) => Ok(true),
            Err(refusal) if refusal.code == Code::Forbidden => Ok(false),
            Err(refusal) => Err(refusal),
        };
        let (join, update, detach, get) = tokio::try_join!(
            allowed(Right::Join),
            allowed(Right::Update("")),
            allowed(Right::Detach("")),
            allowed(Right::Get("")),
        )?;
        Ok(Permissions { join, update, detach, diagnose: get, kubeconfig: get })
    }
}
