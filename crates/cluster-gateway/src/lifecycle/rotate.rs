//! Another credential for a cluster that is registered: a new token of its service account, another kubeconfig's, or a service
//! account in place of whatever it was.

use std::time::Duration;

use cluster_gateway_client::v1alpha1::{ANNOTATION_SERVICE_ACCOUNT, LABEL_CREDENTIAL_TYPE};
use k8s_openapi::api::core::v1::Secret;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::account::{Account, credential, forget_credential, kind, put_token};
use super::gateway::Shown;
use super::step::Steps;
use super::{
    AccountRequest, Change, CredentialOutlook, Failure, Gateway, KubeconfigSource, LifecycleError, Member,
    Plan, Snapshot, Store, Transaction, Undo,
};
use crate::diagnosis::{Depth, diagnose};
use crate::registry::{ClusterPolicy, Entry};
use crate::renewal::{self, ServiceAccountRef};

/// What to give a cluster in place of its credential.
#[derive(Debug, Clone)]
pub enum NewCredential {
    /// Another token of its service account; `lifetime` is asked for.
    Renewed {
        /// How long it is to hold; the member may shorten that.
        lifetime: Duration,
    },
    /// That of a kubeconfig. Address and CA stay those of the cluster.
    Kubeconfig {
        /// The kubeconfig.
        kubeconfig: KubeconfigSource,
        /// Its context. Default: its current one.
        context: Option<String>,
    },
    /// A token of a service account, which is made with the credential of a kubeconfig, or with the cluster's present one.
    Account {
        /// Which.
        request: AccountRequest,
        /// Who makes it. Default: whoever the gateway is there now.
        kubeconfig: Option<(KubeconfigSource, Option<String>)>,
    },
}

/// A new credential that is ready to be written.
#[derive(Debug)]
pub struct Rotate {
    secret: Secret,
    before: Snapshot,
    plan: Plan,
    account: Option<Account>,
}

/// A cluster that has a new credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotated {
    /// Its name.
    pub cluster: String,
    /// What kind of credential it has now.
    pub credential_type: String,
    /// Whose token it is, if the gateway renews it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Whether the cluster was seen to answer through the gateway.
    pub answers: bool,
}

impl Rotate {
    /// Looks at everything and writes nothing: neither at the hub nor, but for asking for a token, at the member.
    ///
    /// # Errors
    /// [`LifecycleError`]; [`LifecycleError::Interrupted`] as soon as `stop` is cancelled.
    pub async fn prepare(
        store: &Store,
        policy: &ClusterPolicy,
        name: &str,
        new: &NewCredential,
        stop: &CancellationToken,
    ) -> Result<Self, LifecycleError> {
        let looked = stop.run_until_cancelled(Self::look(store, policy, name, new)).await;
        looked.unwrap_or(Err(LifecycleError::Interrupted))
    }

    async fn look(
        store: &Store,
        policy: &ClusterPolicy,
        name: &str,
        new: &NewCredential,
    ) -> Result<Self, LifecycleError> {
        let before = store.snapshot(name).await?;
        let former = before.clone().known(store)?.secret;
        let mut secret = former.clone();
        let mut plan = Plan::new(name, Vec::new());
        let mut account = None;
        match new {
            NewCredential::Renewed { lifetime } => renew(&mut secret, policy, *lifetime).await?,
            NewCredential::Kubeconfig { kubeconfig, context } => {
                let member = kubeconfig.member(context.as_deref()).map_err(LifecycleError::Kubeconfig)?;
                take(&mut secret, &member, &mut plan.notes)?;
            }
            NewCredential::Account { request, kubeconfig } => {
                let mut maker = former.clone();
                if let Some((kubeconfig, context)) = kubeconfig {
                    let member = kubeconfig.member(context.as_deref()).map_err(LifecycleError::Kubeconfig)?;
                    take(&mut maker, &member, &mut plan.notes)?;
                }
                account = Account::prepare(&maker, policy, request, store, &mut plan.notes).await?;
            }
        }
        if let Some(account) = &account {
            account.announce(&mut secret);
        } else {
            let diagnosis = diagnose(Entry::from(secret.clone()), policy, &Depth::default()).await;
            if diagnosis.failed().is_some() {
                return Err(LifecycleError::Preflight(Box::new(diagnosis)));
            }
            plan.preflight = Some(diagnosis);
        }
        note_account_left(&former, &secret, account.is_some(), &mut plan.notes);
        plan.credential = Some(match &account {
            Some(account) => account.outlook(),
            None => CredentialOutlook::of(&policy.read(Entry::from(secret.clone()), None)),
        });
        plan.changes = account.iter().flat_map(|account| account.changes()).collect();
        plan.changes.push(Change::of(store.place(name), store.side(), Some(&former), Some(&secret)));
        Ok(Self { secret, before, plan, account })
    }

    /// What would be written. A token that is only made by [`Rotate::commit`] is not in it.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Writes it, and sees that the cluster answers through `gateway` (`None`: that is not looked at). If anything fails, or
    /// `stop` is cancelled, everything is put back: what is registered, and what was made on the member.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn commit(
        mut self,
        store: &Store,
        gateway: Option<&Gateway>,
        stop: &CancellationToken,
    ) -> Result<Rotated, Failure> {
        let mut account = self.account.take();
        let mut transaction = Transaction::new(store);
        let outcome = self.write(&mut transaction, account.as_mut(), gateway, stop).await;
        let ended = transaction.end(outcome).await;
        undo_account(account, ended, Steps::untold()).await
    }

    async fn write(
        self,
        transaction: &mut Transaction<'_>,
        mut account: Option<&mut Account>,
        gateway: Option<&Gateway>,
        stop: &CancellationToken,
    ) -> Result<Rotated, LifecycleError> {
        let Self { mut secret, before, plan, .. } = self;
        let name = plan.cluster;
        if let Some(account) = account.as_deref_mut() {
            let made = stop.run_until_cancelled(account.make(&mut secret, Steps::untold())).await;
            made.unwrap_or(Err(LifecycleError::Interrupted))?;
        }
        let shown = match gateway {
            Some(gateway) => gateway.shown(&name).await,
            None => Shown::default(),
        };
        if stop.is_cancelled() {
            return Err(LifecycleError::Interrupted);
        }
        let written = transaction.replace(before, &secret).await?;
        if let Some(gateway) = gateway {
            let check = async {
                gateway.until_known(&name, &written, &shown).await?;
                if let Some(account) = account {
                    account.settle(gateway, &name).await?;
                }
                gateway.until_it_answers(&name).await
            };
            stop.run_until_cancelled(check).await.unwrap_or(Err(LifecycleError::Interrupted))?;
        }
        Ok(Rotated {
            credential_type: kind(&secret).map_or("", |kind| kind.as_str()).to_owned(),
            service_account: annotation(&secret, ANNOTATION_SERVICE_ACCOUNT).map(str::to_owned),
            cluster: name,
            answers: gateway.is_some(),
        })
    }
}

/// Takes back what was done on the member, if the rest has failed.
pub(super) async fn undo_account<T>(
    account: Option<Account>,
    ended: Result<T, Failure>,
    steps: Steps<'_>,
) -> Result<T, Failure> {
    let mut failure = match ended {
        Ok(done) => return Ok(done),
        Err(failure) => failure,
    };
    let Some(mut account) = account.filter(Account::has_changed_something) else { return Err(failure) };
    let left = account.undo(steps).await;
    failure.undo = both(failure.undo, left);
    Err(failure)
}

/// What has become of both ends; `left` is what could not be taken back in the cluster.
pub(super) fn both(undo: Undo, left: Vec<String>) -> Undo {
    match (undo, left.is_empty()) {
        (Undo::Untouched | Undo::Restored, true) => Undo::Restored,
        (Undo::Untouched | Undo::Restored, false) => Undo::Incomplete(left),
        (Undo::Incomplete(before), _) => Undo::Incomplete(before.into_iter().chain(left).collect()),
    }
}

/// Asks for a new token with the present one.
async fn renew(
    secret: &mut Secret,
    policy: &ClusterPolicy,
    lifetime: Duration,
) -> Result<(), LifecycleError> {
    let account = annotation(secret, ANNOTATION_SERVICE_ACCOUNT).ok_or_else(|| {
        LifecycleError::Invalid(
            "its credential is not a service account's that could be renewed: give a KUBECONFIG with another one, or \
             --service-account to have one made that renews itself"
                .to_owned(),
        )
    })?;
    let account = ServiceAccountRef::parse(account).map_err(|error| {
        LifecycleError::Invalid(format!("annotation {ANNOTATION_SERVICE_ACCOUNT}: {error}"))
    })?;
    let cluster = policy.read(Entry::from(secret.clone()), None);
    let upstream =
        cluster.upstream.as_ref().map_err(|unusable| LifecycleError::Invalid(unusable.to_string()))?;
    let token = renewal::ask(upstream, &account, lifetime).await;
    let token = token.map_err(|error| LifecycleError::Account(format!("no new token: {error}")))?;
    put_token(secret, &account, &token);
    Ok(())
}

/// Takes the credential of a kubeconfig's context.
fn take(secret: &mut Secret, member: &Member, notes: &mut Vec<String>) -> Result<(), LifecycleError> {
    let new = &member.secret;
    let kind = kind(new).ok_or_else(|| LifecycleError::Kubeconfig("it has no credential".to_owned()))?;
    forget_credential(secret);
    let labels = secret.metadata.labels.get_or_insert_default();
    labels.insert(LABEL_CREDENTIAL_TYPE.to_owned(), kind.as_str().to_owned());
    let data = secret.data.get_or_insert_default();
    data.extend(credential(new).map(|(key, value)| (key.clone(), value.clone())));
    for (key, what) in [("endpoint", "address"), ("ca.crt", "CA")] {
        if member.data(key) != data.get(key) {
            notes.push(format!(
                "the kubeconfig has another {what} than the cluster, which keeps its own; to take that, too, join it again with \
                 --overwrite"
            ));
        }
    }
    Ok(())
}

/// Says what stays on the member when its account is no longer used.
fn note_account_left(former: &Secret, secret: &Secret, made: bool, notes: &mut Vec<String>) {
    let before = annotation(former, ANNOTATION_SERVICE_ACCOUNT);
    if let Some(account) =
        before.filter(|_| !made && annotation(secret, ANNOTATION_SERVICE_ACCOUNT).is_none())
    {
        notes.push(format!(
            "service account {account} stays on the cluster with its rights; remove it if nobody else uses it"
        ));
    }
}

fn annotation<'s>(secret: &'s Secret, key: &str) -> Option<&'s str> {
    secret.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}
