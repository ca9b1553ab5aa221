//! Giving a cluster another name: there is no moment at which it has none.

use cluster_gateway_client::v1alpha1::{EndpointType, LABEL_ENDPOINT_TYPE};
use k8s_openapi::api::core::v1::Secret;
use kube::Client;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{
    Change, Failure, LOCAL, LifecycleError, NameError, Plan, References, Snapshot, Store, Transaction, Undo,
    is_cluster,
};

/// A cluster that is ready to be renamed.
pub struct Rename {
    old: Snapshot,
    new: Snapshot,
    secret: Secret,
    references: References,
    plan: Plan,
}

/// A cluster that has been renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Renamed {
    /// Its name.
    pub cluster: String,
    /// What it was called before.
    pub former_name: String,
}

impl std::fmt::Debug for Rename {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rename").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Rename {
    /// Looks at both names, and for what refers to the old one. Writes nothing.
    ///
    /// # Errors
    /// [`LifecycleError`].
    pub async fn prepare(
        store: &Store,
        hub: Option<&Client>,
        from: &str,
        to: &str,
    ) -> Result<Self, LifecycleError> {
        if from == LOCAL {
            return Err(NameError::Local.into());
        }
        store.check_name(to)?;
        if from == to {
            return Err(LifecycleError::Invalid(format!("the cluster is called {to} already")));
        }
        let old = store.snapshot(from).await?;
        let entry = old.clone().known(store)?;
        let new = store.snapshot(to).await?;
        match new.entry() {
            Some(entry) if !is_cluster(&entry.secret) => return Err(store.foreign(to).into()),
            Some(_) => {
                return Err(LifecycleError::Invalid(format!(
                    "there is a cluster {to} already; choose another name, or detach that one first"
                )));
            }
            None => {}
        }
        let references = match hub {
            Some(client) => References::find(client, from).await,
            None => References::default(),
        };
        let mut secret = entry.secret;
        let metadata = &mut secret.metadata;
        metadata.name = Some(to.to_owned());
        (metadata.uid, metadata.resource_version) = (None, None);
        let changes = vec![
            Change::of(store.place(to), store.side(), None, Some(&secret)),
            Change::of(store.place(from), store.side(), old.cluster(), None),
        ];
        let mut plan = Plan::new(to, changes);
        plan.notes.clone_from(&references.notes);
        if !references.is_empty() {
            plan.notes.push(format!("{from} is in use: {}", references.summary()));
        }
        if behind_agent(&secret) {
            plan.notes.push(format!(
                "the cluster is reached through its agent, which knows it as {from}: it will answer to {to} only when the \
                 agent does"
            ));
        }
        Ok(Self { old, new, secret, references, plan })
    }

    /// What would be written.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Writes the new name, then removes the old one. `force`: even if KubeVela still refers to the old one. If anything
    /// fails, or `stop` is cancelled in between, everything is put back.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn commit(
        self,
        store: &Store,
        force: bool,
        stop: &CancellationToken,
    ) -> Result<Renamed, Failure> {
        let Self { old, new, secret, references, plan } = self;
        if !force && !references.is_empty() {
            return Err(Failure {
                cause: LifecycleError::InUse(Box::new(references)),
                undo: Undo::Untouched,
            });
        }
        let former_name = old.name().to_owned();
        let mut transaction = Transaction::new(store);
        let outcome = async {
            let interrupted = || if stop.is_cancelled() { Err(LifecycleError::Interrupted) } else { Ok(()) };
            interrupted()?;
            transaction.create(new, &secret).await?;
            interrupted()?;
            transaction.delete(old).await?;
            Ok(Renamed { cluster: plan.cluster, former_name })
        };
        let outcome = outcome.await;
        transaction.end(outcome).await
    }
}

fn behind_agent(secret: &Secret) -> bool {
    let labels = secret.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(LABEL_ENDPOINT_TYPE)).map(String::as_str)
        == Some(EndpointType::ClusterProxy.as_str())
}
