//! Making a cluster known, with everything put back if it fails.

use cluster_gateway_client::v1alpha1::{ANNOTATION_SERVICE_ACCOUNT, LABEL_CREDENTIAL_TYPE};
use k8s_openapi::api::core::v1::Secret;
use tokio_util::sync::CancellationToken;

use super::{Join, Joined, text};
use crate::lifecycle::account::Account;
use crate::lifecycle::gateway::Shown;
use crate::lifecycle::rotate::{both, undo_account};
use crate::lifecycle::step::Steps;
use crate::lifecycle::{
    ClusterVersion, Failure, Gateway, LifecycleError, NamespaceOutcome, Snapshot, StepWatcher, Store,
    Transaction, Undo,
};

/// A cluster that was made known and can still be taken back. Dropping it keeps it.
#[derive(Debug)]
pub struct Committed<'s> {
    transaction: Transaction<'s>,
    account: Option<Account>,
    steps: Steps<'s>,
}

impl Committed<'_> {
    /// Puts back what was there before: at the hub, and in the cluster.
    pub async fn undo(self) -> Undo {
        let undo = self.transaction.undo().await;
        match self.account.filter(Account::has_changed_something) {
            Some(mut account) => both(undo, account.undo(self.steps).await),
            None => undo,
        }
    }
}

impl Join {
    /// Writes it, and sees that the cluster answers through `gateway` (`None`: that is not looked at). If anything fails, or
    /// `stop` is cancelled, everything is put back.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn commit(
        self,
        store: &Store,
        gateway: Option<&Gateway>,
        stop: &CancellationToken,
    ) -> Result<Joined, Failure> {
        self.commit_with(store, gateway, stop, &|_| ()).await.map(|(joined, _)| joined)
    }

    /// As [`Join::commit`], and tells `watcher` each step. What was done can be taken back if something fails that depends on it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn commit_with<'s>(
        mut self,
        store: &'s Store,
        gateway: Option<&Gateway>,
        stop: &CancellationToken,
        watcher: StepWatcher<'s>,
    ) -> Result<(Joined, Committed<'s>), Failure> {
        let steps = Steps::new(watcher);
        let mut transaction = Transaction::watched(store, watcher);
        let mut account = self.account.take();
        let after = After { gateway, stop, steps };
        match Box::pin(self.write(&mut transaction, account.as_mut(), &after)).await {
            Ok(joined) => Ok((joined, Committed { transaction, account, steps })),
            Err(cause) => undo_account(account, transaction.end(Err(cause)).await, steps).await,
        }
    }

    async fn write(
        self,
        transaction: &mut Transaction<'_>,
        mut account: Option<&mut Account>,
        after: &After<'_>,
    ) -> Result<Joined, LifecycleError> {
        let &After { gateway, stop, steps } = after;
        let Self { mut secret, before, plan, namespace, version, .. } = self;
        if let Some(account) = account.as_deref_mut() {
            let made = stop.run_until_cancelled(account.make(&mut secret, steps)).await;
            made.unwrap_or(Err(LifecycleError::Interrupted))?;
        }
        let shown = match gateway {
            Some(gateway) => gateway.shown(&plan.cluster).await,
            None => Shown::default(),
        };
        if stop.is_cancelled() {
            return Err(LifecycleError::Interrupted);
        }
        let replaced = before.cluster().is_some();
        let written = put(transaction, before, &mut secret).await?;
        let mut joined = Joined::of(&plan.cluster, &secret, replaced, version);
        if let Some(gateway) = gateway {
            let check = after.check(gateway, &plan.cluster, &written, &shown, account, namespace.as_deref());
            joined.namespace = check.await?;
            joined.answers = true;
        }
        if stop.is_cancelled() && gateway.is_none() {
            return Err(LifecycleError::Interrupted);
        }
        Ok(joined)
    }
}

/// A write that has begun is waited for: only so it is known what there is to be put back.
async fn put(
    transaction: &mut Transaction<'_>,
    before: Snapshot,
    secret: &mut Secret,
) -> Result<Secret, LifecycleError> {
    let Some(former) = before.cluster() else { return Ok(transaction.create(before, secret).await?) };
    secret.metadata.resource_version.clone_from(&former.metadata.resource_version);
    secret.metadata.uid.clone_from(&former.metadata.uid);
    Ok(transaction.replace(before, secret).await?)
}

/// What is to be seen after a write.
struct After<'a> {
    gateway: Option<&'a Gateway>,
    stop: &'a CancellationToken,
    steps: Steps<'a>,
}

impl After<'_> {
    async fn check(
        &self,
        gateway: &Gateway,
        cluster: &str,
        written: &Secret,
        shown: &Shown,
        account: Option<&mut Account>,
        namespace: Option<&str>,
    ) -> Result<NamespaceOutcome, LifecycleError> {
        self.step("Wait until the gateway knows the cluster", gateway.until_known(cluster, written, shown))
            .await?;
        if let Some(account) = account.filter(|account| account.is_asked_about()) {
            let settle = account.settle(gateway, cluster);
            self.step("See whether the service account's rights are enough", settle).await?;
        }
        self.step("Ask the cluster through the gateway", gateway.until_it_answers(cluster)).await?;
        let Some(namespace) = namespace else { return Ok(NamespaceOutcome::NotAsked) };
        let made = gateway.ensure_namespace(cluster, namespace);
        self.step(&format!("Create Namespace {namespace}"), made).await
    }

    /// A step that ends when somebody asks to stop.
    async fn step<T>(
        &self,
        step: &str,
        work: impl Future<Output = Result<T, LifecycleError>>,
    ) -> Result<T, LifecycleError> {
        // What is passed on is copied each time, so it had better be small.
        let work = Box::pin(async {
            self.stop.run_until_cancelled(work).await.unwrap_or(Err(LifecycleError::Interrupted))
        });
        self.steps.make(step, work).await
    }
}

impl Joined {
    fn of(cluster: &str, secret: &Secret, replaced: bool, version: Option<ClusterVersion>) -> Self {
        let label = secret.metadata.labels.as_ref().and_then(|labels| labels.get(LABEL_CREDENTIAL_TYPE));
        Self {
            cluster: cluster.to_owned(),
            endpoint: text(secret, "endpoint"),
            credential_type: label.cloned().unwrap_or_default(),
            service_account: secret
                .metadata
                .annotations
                .as_ref()
                .and_then(|annotations| annotations.get(ANNOTATION_SERVICE_ACCOUNT).cloned()),
            replaced,
            answers: false,
            namespace: NamespaceOutcome::NotAsked,
            version,
        }
    }
}
