//! Making a cluster known.

use std::collections::BTreeMap;

use cluster_gateway_client::v1alpha1::{
    ANNOTATION_INSECURE, ANNOTATION_SERVICE_ACCOUNT, ANNOTATION_TLS_SERVER_NAME, ANNOTATION_TOKEN_ENDS,
    ANNOTATION_TOKEN_ISSUED, CredentialType, LABEL_CREDENTIAL_TYPE, LABEL_ENDPOINT_TYPE,
};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::account::Account;
use super::gateway::Shown;
use super::preflight::{ANNOTATION_VERSION, member_version};
use super::rotate::undo_account;
use super::{
    AccountRequest, Change, ClusterVersion, Failure, Gateway, KubeconfigSource, LifecycleError, Member,
    NamespaceOutcome, Plan, Snapshot, Store, Transaction, Verb,
};
use crate::diagnosis::{Depth, diagnose};
use crate::registry::{ClusterPolicy, Entry};

mod request;

/// Which cluster to make known, and how.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// How it is reached.
    pub kubeconfig: KubeconfigSource,
    /// Context of the kubeconfig. Default: its current one.
    pub context: Option<String>,
    /// Its name. Default: made of what the kubeconfig calls the cluster.
    pub name: Option<String>,
    /// Labels to set.
    pub labels: BTreeMap<String, String>,
    /// Name for people.
    pub alias: Option<String>,
    /// Namespace to make in the cluster. Default: none.
    pub create_namespace: Option<String>,
    /// Whether a cluster of this name may be replaced. Default: no.
    pub overwrite: bool,
    /// Whether the kubeconfig may say that the cluster is not verified. Default: no.
    pub allow_insecure: bool,
    /// A service account to make in it for the gateway. Default: none, the credential of the kubeconfig is registered.
    pub account: Option<AccountRequest>,
    /// Whether the cluster is looked at from here before. Default: yes; no, where only the gateway can reach it.
    pub preflight: bool,
}

/// A cluster that is ready to be made known.
pub struct Join {
    secret: Secret,
    before: Snapshot,
    plan: Plan,
    namespace: Option<String>,
    version: Option<ClusterVersion>,
    account: Option<Account>,
}

/// A cluster that is known now.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Joined {
    /// Its name.
    pub cluster: String,
    /// Its address.
    pub endpoint: String,
    /// What proves the gateway to it.
    pub credential_type: String,
    /// The service account whose token that is, if one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Whether there was one of this name before.
    pub replaced: bool,
    /// Whether it was seen to answer through the gateway.
    pub answers: bool,
    /// The namespace in it.
    pub namespace: NamespaceOutcome,
    /// Its version, if it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<ClusterVersion>,
}

impl std::fmt::Debug for Join {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Join").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Join {
    /// Looks at everything and writes nothing. `policy` says what may be done on the way to the cluster from here.
    ///
    /// # Errors
    /// [`LifecycleError`]; [`LifecycleError::Interrupted`] as soon as `stop` is cancelled.
    pub async fn prepare(
        store: &Store,
        policy: &ClusterPolicy,
        request: &JoinRequest,
        stop: &CancellationToken,
    ) -> Result<Self, LifecycleError> {
        let looked = stop.run_until_cancelled(Self::look(store, policy, request)).await;
        looked.unwrap_or(Err(LifecycleError::Interrupted))
    }

    async fn look(
        store: &Store,
        policy: &ClusterPolicy,
        request: &JoinRequest,
    ) -> Result<Self, LifecycleError> {
        let member =
            request.kubeconfig.member(request.context.as_deref()).map_err(LifecycleError::Kubeconfig)?;
        let name = request.name.clone().or_else(|| member.name.clone());
        let name =
            name.ok_or_else(|| LifecycleError::Invalid("the cluster needs a name: --name".to_owned()))?;
        store.check_name(&name)?;
        let Member { mut secret, notes, .. } = member;
        request.complete(&name, &mut secret)?;
        // Before the cluster is looked at, so that it is not asked in vain.
        let before = store.snapshot(&name).await?;
        request.may_take(store, &name, &before)?;
        let mut plan = Plan { notes, ..Plan::new(&name, Vec::new()) };
        let mut version = None;
        if request.preflight {
            let entry = Entry::from(secret.clone());
            let diagnosis = diagnose(entry.clone(), policy, &Depth::default()).await;
            if diagnosis.failed().is_some() {
                return Err(LifecycleError::Preflight(Box::new(diagnosis)));
            }
            plan.preflight = Some(diagnosis);
            version = member_version(entry, policy).await;
        }
        let account = request.account(&secret, store, policy, &mut plan.notes).await?;
        match &account {
            Some(account) => account.announce(&mut secret),
            None => note_program(&secret, &mut plan.notes),
        }
        keep(&mut secret, before.cluster());
        if let Some(json) = version.as_ref().and_then(|version| serde_json::to_string(version).ok()) {
            secret.metadata.annotations.get_or_insert_default().insert(ANNOTATION_VERSION.to_owned(), json);
        }
        let namespace = request.create_namespace.clone().filter(|namespace| !namespace.is_empty());
        let mut join = Self { secret, before, plan, namespace, version, account };
        join.replan(store);
        Ok(join)
    }

    /// What would be written.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The cluster as it would be written, with its credential.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Changes what would be written, before it is: another credential than that of the kubeconfig, say.
    pub fn adjust(&mut self, store: &Store, change: impl FnOnce(&mut Secret)) {
        change(&mut self.secret);
        self.replan(store);
    }

    fn replan(&mut self, store: &Store) {
        let cluster = &self.plan.cluster;
        let mut changes: Vec<_> = self.account.iter().flat_map(|account| account.changes(cluster)).collect();
        changes.push(Change::of(store.place(cluster), self.before.cluster(), Some(&self.secret)));
        if let Some(namespace) = &self.namespace {
            let object = format!("Namespace {namespace} in {}, if it is not there", self.plan.cluster);
            changes.push(Change { verb: Verb::Create, object, details: Vec::new() });
        }
        self.plan.changes = changes;
    }

    /// Writes it, and sees that the cluster answers through `gateway` (`None`: that is not looked at). If anything fails, or
    /// `stop` is cancelled, everything is put back.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn commit(
        mut self,
        store: &Store,
        gateway: Option<&Gateway>,
        stop: &CancellationToken,
    ) -> Result<Joined, Failure> {
        let mut transaction = Transaction::new(store);
        let mut account = self.account.take();
        let outcome = self.write(&mut transaction, account.as_mut(), gateway, stop).await;
        undo_account(account, transaction.end(outcome).await).await
    }

    async fn write(
        self,
        transaction: &mut Transaction<'_>,
        mut account: Option<&mut Account>,
        gateway: Option<&Gateway>,
        stop: &CancellationToken,
    ) -> Result<Joined, LifecycleError> {
        let Self { mut secret, before, plan, namespace, version, .. } = self;
        if let Some(account) = account.as_deref_mut() {
            let made = stop.run_until_cancelled(account.make(&mut secret)).await;
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
        // A write that has begun is waited for: only so it is known what there is to be put back.
        let written = match before.cluster() {
            Some(former) => {
                let metadata = &mut secret.metadata;
                metadata.resource_version.clone_from(&former.metadata.resource_version);
                metadata.uid.clone_from(&former.metadata.uid);
                transaction.replace(before, &secret).await?
            }
            None => transaction.create(before, &secret).await?,
        };
        let mut joined = Joined::of(&plan.cluster, &secret, replaced, version);
        if let Some(gateway) = gateway {
            let check = async {
                gateway.until_known(&plan.cluster, &written, &shown).await?;
                if let Some(account) = account {
                    account.settle(gateway, &plan.cluster).await?;
                }
                gateway.check(&plan.cluster, namespace.as_deref()).await
            };
            let checked = stop.run_until_cancelled(check).await;
            joined.namespace = checked.unwrap_or(Err(LifecycleError::Interrupted))?;
            joined.answers = true;
        }
        if stop.is_cancelled() && gateway.is_none() {
            return Err(LifecycleError::Interrupted);
        }
        Ok(joined)
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

/// Keeps what people have said of the cluster that is replaced: labels, rules, names. What was said of its way and its state
/// goes with them.
fn keep(secret: &mut Secret, former: Option<&Secret>) {
    let Some(former) = former else { return };
    let stale = |key: &str| {
        let group = cluster_gateway_client::group!();
        [ANNOTATION_INSECURE, ANNOTATION_TLS_SERVER_NAME, ANNOTATION_VERSION, LABEL_ENDPOINT_TYPE]
            .contains(&key)
            || [ANNOTATION_SERVICE_ACCOUNT, ANNOTATION_TOKEN_ISSUED, ANNOTATION_TOKEN_ENDS].contains(&key)
            || key.strip_prefix("status.").is_some_and(|rest| rest.starts_with(group))
            || key.starts_with("kubectl.kubernetes.io/")
    };
    let metadata = &mut secret.metadata;
    for (key, value) in former.metadata.labels.iter().flatten().filter(|(key, _)| !stale(key)) {
        metadata.labels.get_or_insert_default().entry(key.clone()).or_insert_with(|| value.clone());
    }
    for (key, value) in former.metadata.annotations.iter().flatten().filter(|(key, _)| !stale(key)) {
        metadata.annotations.get_or_insert_default().entry(key.clone()).or_insert_with(|| value.clone());
    }
}

/// A program that gives the credential here must be there, and allowed, where the gateway runs.
fn note_program(secret: &Secret, notes: &mut Vec<String>) {
    let dynamic = secret.metadata.labels.as_ref().is_some_and(|labels| {
        labels.get(LABEL_CREDENTIAL_TYPE).map(String::as_str) == Some(CredentialType::Dynamic.as_str())
    });
    if dynamic {
        let exec: serde_json::Value = serde_json::from_str(&text(secret, "exec")).unwrap_or_default();
        notes.push(format!(
            "the credential comes from the program \"{}\", which the gateway runs itself: it must be installed there and allowed \
             with --allow-exec-credential-command",
            exec["command"].as_str().unwrap_or_default().escape_debug().take(200).collect::<String>()
        ));
    }
}

fn text(secret: &Secret, key: &str) -> String {
    let bytes: Option<&ByteString> = secret.data.as_ref().and_then(|data| data.get(key));
    bytes.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()).unwrap_or_default()
}
