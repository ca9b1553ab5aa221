//! Modify: what people say of a cluster, its credential, or its name. Nothing is lost if it fails.

use std::sync::Arc;

use axum::extract::{Request, State};

use super::kubeconfig::{Credential, credential};
use super::model::{ClusterBase, CreateCluster};
use super::{body, check, condition, create, rename, resources, shown, to_the_end, undone};
use crate::lifecycle::{
    Edit, Failure, Join, KubeconfigSource, LifecycleError, Store, StoreError, Transaction, Undo, check_label,
    edit_in, is_cluster,
};
use crate::manage::cluster_name::no_cluster;
use crate::manage::store::{LOCAL, MAX_NAME, Record};
use crate::manage::{Caller, ClusterName, Code, Json, Manage, Place, Refusal, Right};

/// A change that is asked for, and what there is.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) request: CreateCluster,
    /// The version that it is a change of, if it must be that.
    pub(super) expected: Option<String>,
    /// The cluster as it is shown now.
    pub(super) current: Record,
    /// Whether it has a record.
    pub(super) recorded: bool,
}

/// `PUT /api/v1/clusters/{name}`
pub(super) async fn modify(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    ClusterName(name): ClusterName,
    request: Request,
) -> Result<Json<ClusterBase>, Refusal> {
    manage.may(&caller, Right::Update(&name)).await?;
    let expected = condition::if_match(request.headers())?;
    let force = condition::force(request.uri())?;
    let request: CreateCluster = body(&manage, request).await?;
    if name == LOCAL {
        return Ok(Json(ClusterBase(local(&manage, request).await?)));
    }
    let renames = request.name != name;
    if renames {
        manage.may(&caller, Right::Join).await?;
        manage.may(&caller, Right::Detach(&name)).await?;
    }
    let changed = to_the_end(async move {
        let store = manage.clusters_as(&caller)?;
        let Some(entry) = store.get(&name).await?.filter(|entry| is_cluster(&entry.secret)) else {
            return without_secret(&manage, &name, request).await;
        };
        let recorded = manage.records.find(&name).await?;
        let cluster = manage.policy.read(entry.clone(), None);
        let current = shown::cluster(&cluster, recorded.as_ref());
        if renames && request.name == LOCAL {
            return Err(immutable());
        }
        check::modify(&request, &current)?;
        fits(&request, &current)?;
        let credential = credential(&request, &name, recorded.as_ref(), Some(&entry.secret))?;
        condition::holds(expected.as_deref(), &entry.secret)?;
        let change = Change { request, expected, current, recorded: recorded.is_some() };
        match (credential, renames) {
            (Credential::Unchanged, false) => metadata(&manage, &store, change).await,
            (Credential::New(source), false) => reconnect(&manage, &caller, &store, change, source).await,
            (Credential::Unchanged, true) => rename::rename(&manage, &caller, &store, change, force).await,
            (Credential::New(_), true) => Err(Refusal::new(
                Code::Value,
                "another name and another kubeconfig at once cannot be undone as one",
            )
            .field("kubeConfig")
            .remedy("Change one, then the other.")),
        }
    });
    Ok(Json(ClusterBase(changed.await?)))
}

/// What people say of the cluster: one conditional write of the Secret, then the record.
pub(super) async fn metadata(manage: &Manage, store: &Store, change: Change) -> Result<Record, Refusal> {
    let Change { request, expected, current, .. } = change;
    // What cannot be a label of a Secret, and was recorded by somebody else, stays in the record alone.
    let fit = request.labels.iter().all(|(key, value)| check_label(key, value).is_ok());
    let labels = fit.then(|| request.labels.clone());
    let alias = Some(request.alias.clone()).filter(|alias| !alias.chars().any(char::is_control));
    let mut transaction = Transaction::new(store);
    let edited =
        edit_in(&mut transaction, &current.name, &Edit::Metadata { labels, alias }, expected.as_deref())
            .await;
    if let Err(error) = edited {
        return Err(failed(transaction, error).await);
    }
    match save(manage, updated(current, &request)).await {
        Ok(record) => Ok(record),
        Err(refusal) => Err(undone(refusal, transaction.undo().await)),
    }
}

/// Another credential, and perhaps another address: looked at first, then one conditional write of the Secret, then the record.
async fn reconnect(
    manage: &Arc<Manage>,
    caller: &Caller,
    store: &Store,
    change: Change,
    source: KubeconfigSource,
) -> Result<Record, Refusal> {
    let Change { request, expected, current, .. } = change;
    let _held = manage.busy.hold(&current.name)?;
    let join_request = create::join_request(&request, source, true);
    let mut join = Join::prepare(store, &manage.policy, &join_request, &manage.stopping).await?;
    let Some(former) = join.replaces() else { return Err(no_cluster(&current.name)) };
    condition::holds(expected.as_deref(), former)?;
    join.adjust(store, |secret| create::relabel(secret, &request));
    let gateway = manage.gateway_check(caller);
    let commit = join.commit_with(store, Some(&gateway), &manage.stopping, &|_| ());
    let (joined, committed) = commit.await?;
    manage.resources.forget(&current.name);
    let mut record = updated(current, &request);
    record.api_server_url = joined.endpoint;
    (record.status, record.reason) = resources::judged(manage, caller, &record.name).await;
    match save(manage, record).await {
        Ok(record) => Ok(record),
        Err(refusal) => Err(undone(refusal, committed.undo().await)),
    }
}

/// The hub itself has a record and nothing else.
async fn local(manage: &Manage, request: CreateCluster) -> Result<Record, Refusal> {
    if matches!(manage.place, Place::Directory(_)) {
        return Err(no_cluster(LOCAL));
    }
    let recorded = manage.records.find(LOCAL).await?;
    let current = shown::local(recorded.as_ref(), &manage.place);
    if request.name != LOCAL {
        return Err(immutable());
    }
    check::modify(&request, &current)?;
    match credential(&request, LOCAL, recorded.as_ref(), None)? {
        Credential::Unchanged => Ok(manage.records.save(updated(current, &request)).await?),
        Credential::New(_) => Err(immutable()),
    }
}

/// A cluster of Open Cluster Management, whose labels and name are its own: the rest can be recorded.
async fn without_secret(manage: &Manage, name: &str, request: CreateCluster) -> Result<Record, Refusal> {
    let snapshot = manage.gateway.registry.snapshot();
    let found = snapshot.get_virtual(name).filter(|cluster| !cluster.registered && cluster.accepted());
    let Some(cluster) = found else { return Err(no_cluster(name)) };
    let recorded = manage.records.find(name).await?;
    let current = shown::cluster(cluster, recorded.as_ref());
    check::modify(&request, &current)?;
    fits(&request, &current)?;
    let unchanged = matches!(credential(&request, name, recorded.as_ref(), None)?, Credential::Unchanged);
    if !unchanged
        || request.name != name
        || request.labels != current.labels
        || request.alias != current.alias
    {
        let message = format!(
            "Open Cluster Management manages cluster \"{name}\": name, alias, labels and credential are its own"
        );
        return Err(Refusal::new(Code::Value, message).remedy("Change its ManagedCluster."));
    }
    Ok(manage.records.save(updated(current, &request)).await?)
}

/// The record as the request wants it; how the cluster is, and where, stays.
pub(super) fn updated(current: Record, request: &CreateCluster) -> Record {
    Record {
        alias: request.alias.clone(),
        description: request.description.clone(),
        icon: request.icon.clone(),
        labels: request.labels.clone(),
        dashboard_url: request.dashboard_url.clone(),
        ..current
    }
}

/// Writes the record; one with a longer name than a record can have is shown from the Secret alone.
pub(super) async fn save(manage: &Manage, record: Record) -> Result<Record, Refusal> {
    if record.name.len() > MAX_NAME { Ok(record) } else { Ok(manage.records.save(record).await?) }
}

/// Whether there is a place for what the request says, before anything is written.
fn fits(request: &CreateCluster, current: &Record) -> Result<(), Refusal> {
    let texts = [
        ("description", &request.description),
        ("icon", &request.icon),
        ("dashboardURL", &request.dashboard_url),
    ];
    if current.name.len() > MAX_NAME
        && let Some((field, _)) = texts.into_iter().find(|(_, text)| !text.is_empty())
    {
        let message =
            format!("a name of more than {MAX_NAME} bytes has no record, so there is no place for a {field}");
        return Err(Refusal::new(Code::Value, message).field(field));
    }
    updated(current.clone(), request).check().or_else(|error| match current.name.len() > MAX_NAME {
        true => Ok(()),
        false => Err(error.into()),
    })
}

/// What was begun is taken back.
pub(super) async fn failed(transaction: Transaction<'_>, error: LifecycleError) -> Refusal {
    let changed = matches!(error, LifecycleError::Store(StoreError::Changed(_)));
    match transaction.end::<()>(Err(error)).await {
        Err(Failure { cause, undo: Undo::Untouched }) if changed => cause.into(),
        Err(failure) => failure.into(),
        Ok(()) => Refusal::new(Code::Internal, "a change that failed has not failed"),
    }
}

pub(super) fn immutable() -> Refusal {
    Refusal::new(Code::LocalImmutable, "local cluster is immutable").remedy("It is the hub itself.")
}
