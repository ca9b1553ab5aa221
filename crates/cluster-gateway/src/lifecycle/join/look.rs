//! Everything that is looked at before a cluster is made known.

use super::keep::{keep, note_program};
use super::{Join, JoinRequest};
use crate::diagnosis::{self, Depth, Event, Finding, Hop, Outcome, Watcher, diagnose_with};
use crate::lifecycle::preflight::{ANNOTATION_VERSION, member_version};
use crate::lifecycle::{
    CredentialOutlook, LOCAL, LifecycleError, Member, NameError, Plan, Snapshot, Store, StoreError,
};
use crate::registry::{ClusterPolicy, Entry};

/// What was seen.
pub(super) struct Looked {
    /// What would be done.
    pub(super) join: Join,
    /// What is in the way of it.
    pub(super) obstacle: Option<LifecycleError>,
}

impl Looked {
    /// # Errors
    /// [`LifecycleError`]: there is nothing to plan.
    pub(super) async fn at(
        store: &Store,
        policy: &ClusterPolicy,
        request: &JoinRequest,
        watcher: Watcher<'_>,
    ) -> Result<Self, LifecycleError> {
        let member =
            request.kubeconfig.member(request.context.as_deref()).map_err(LifecycleError::Kubeconfig)?;
        let name = request.name.clone().or_else(|| member.name.clone());
        let name =
            name.ok_or_else(|| LifecycleError::Invalid("the cluster needs a name: --name".to_owned()))?;
        if name != LOCAL {
            store.check_name(&name)?;
        }
        let Member { mut secret, notes, .. } = member;
        request.complete(&name, &mut secret)?;
        let credential = CredentialOutlook::of(&policy.read(Entry::from(secret.clone()), None));
        // Before the cluster is looked at, so that it is not asked in vain.
        let (before, obstacle) = place_of(store, request, &name).await?;
        let namespace = request.create_namespace.clone().filter(|namespace| !namespace.is_empty());
        let plan = Plan { notes, ..Plan::new(&name, Vec::new()) };
        let join = Join { secret, before, plan, credential, namespace, version: None, account: None };
        let mut looked = Self { join, obstacle };
        match &looked.obstacle {
            Some(obstacle) => {
                let remedy = "choose another name, or detach the cluster that has it";
                let reason = match obstacle {
                    LifecycleError::Taken(name) => format!("there is a cluster {name} already"),
                    other => other.to_string(),
                };
                looked.join.plan.preflight = Some(diagnosis::stopped(&name, &reason, remedy, watcher));
            }
            None => looked.ask_member(store, policy, request, watcher).await?,
        }
        looked.complete(store);
        Ok(looked)
    }

    /// What the cluster says itself.
    async fn ask_member(
        &mut self,
        store: &Store,
        policy: &ClusterPolicy,
        request: &JoinRequest,
        watcher: Watcher<'_>,
    ) -> Result<(), LifecycleError> {
        let Self { join, obstacle } = self;
        if request.preflight {
            let entry = Entry::from(join.secret.clone());
            let diagnosis = diagnose_with(entry.clone(), policy, &Depth::default(), watcher).await;
            if diagnosis.failed().is_some() {
                *obstacle = Some(LifecycleError::Preflight(Box::new(diagnosis.clone())));
            }
            join.plan.preflight = Some(diagnosis);
            if obstacle.is_some() {
                return Ok(());
            }
            join.version = member_version(entry, policy).await;
        }
        match request.account(&join.secret, store, policy, &mut join.plan.notes).await {
            Ok(account) => join.account = account,
            Err(error) => {
                if let Some(finding) = no_account(&error, &join.plan) {
                    watcher(Event::Finding(finding));
                }
                *obstacle = Some(error);
            }
        }
        Ok(())
    }

    /// Makes the plan of what was seen.
    fn complete(&mut self, store: &Store) {
        let Join { secret, before, plan, version, account, .. } = &mut self.join;
        match account {
            Some(account) => account.announce(secret),
            None => note_program(secret, &mut plan.notes),
        }
        keep(secret, before.cluster());
        if let Some(json) = version.as_ref().and_then(|version| serde_json::to_string(version).ok()) {
            secret.metadata.annotations.get_or_insert_default().insert(ANNOTATION_VERSION.to_owned(), json);
        }
        self.join.replan(store);
    }
}

/// What is there where the cluster would be written, and whether it may not be.
async fn place_of(
    store: &Store,
    request: &JoinRequest,
    name: &str,
) -> Result<(Snapshot, Option<LifecycleError>), LifecycleError> {
    if name == LOCAL {
        return Ok((Snapshot::nothing(name), Some(NameError::Local.into())));
    }
    let before = store.snapshot(name).await?;
    match request.may_take(store, name, &before) {
        Ok(()) => Ok((before, None)),
        Err(taken @ (LifecycleError::Taken(_) | LifecycleError::Store(StoreError::Foreign(_)))) => {
            // What would be written is shown as new: nothing of what is there may be.
            Ok((Snapshot::nothing(name), Some(taken)))
        }
        Err(error) => Err(error),
    }
}

/// The right is missing to make the service account: for whoever watches, the hop of rights fails.
fn no_account(error: &LifecycleError, plan: &Plan) -> Option<Finding> {
    let seen = plan.preflight.as_ref()?.of(Hop::Authorization)?;
    Some(Finding {
        outcome: Outcome::Failed,
        found: error.to_string(),
        remedy: Some(
            "take a kubeconfig of somebody who may do that, or join with the kubeconfig's own credential (no service account)"
                .to_owned(),
        ),
        ..seen.clone()
    })
}
