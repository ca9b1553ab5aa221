//! Create: a cluster is joined, then recorded; if it cannot be recorded it is as if it had never been joined.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use cluster_gateway_client::v1alpha1::ANNOTATION_ALIAS;
use k8s_openapi::api::core::v1::Secret;
use time::OffsetDateTime;

use super::kubeconfig::{self, is_same_credential};
use super::model::{ClusterBase, CreateCluster};
use super::resources;
use super::{body, check, shown, to_the_end, undone};
use crate::lifecycle::{Edit, Join, JoinRequest, KubeconfigSource, Store, edit, is_cluster};
use crate::manage::store::{LOCAL, Record};
use crate::manage::{Caller, Code, Json, Manage, Refusal, Right};
use crate::registry::Entry;

/// How long somebody else may be busy with what looks like a join that was broken off.
const UNDER_WAY: Duration = Duration::from_secs(60);

/// `POST /api/v1/clusters`
pub(super) async fn create(
    State(manage): State<Arc<Manage>>,
    caller: Caller,
    request: Request,
) -> Result<Json<ClusterBase>, Refusal> {
    manage.may(&caller, Right::Join).await?;
    let request: CreateCluster = body(&manage, request).await?;
    check::create(&request)?;
    if request.name == LOCAL {
        return Err(Refusal::new(Code::LocalReserved, "local cluster is reserved")
            .field("name")
            .remedy("Choose another name: local means the hub itself."));
    }
    // What could not be recorded is not joined to begin with.
    record(&request).check()?;
    let held = manage.busy.hold(&request.name)?;
    let record = to_the_end(async move {
        let made = make(&manage, &caller, &request).await;
        drop(held);
        made
    });
    Ok(Json(ClusterBase(record.await?)))
}

async fn make(manage: &Arc<Manage>, caller: &Caller, request: &CreateCluster) -> Result<Record, Refusal> {
    let name = request.name.as_str();
    // First of all: while the store is away, nothing is begun.
    let recorded = manage.records.find(name).await?;
    let store = manage.clusters_as(caller)?;
    let standing = store.get(name).await?.filter(|entry| is_cluster(&entry.secret));
    match (&recorded, &standing) {
        (Some(_), Some(_)) => {
            let message = format!("there is a cluster \"{name}\" already");
            return Err(Refusal::new(Code::ClusterExists, message)
                .field("name")
                .remedy("Choose another name, or change the cluster that is there."));
        }
        (_, None)
            if manage.gateway.registry.snapshot().get_virtual(name).is_some_and(|it| !it.registered) =>
        {
            return Err(exists(name, "Open Cluster Management manages a cluster of this name"));
        }
        _ => {}
    }
    if request.kube_config.trim().is_empty() {
        return Err(kubeconfig::secret_only());
    }
    let source = kubeconfig::source(&request.kube_config)?;
    // A record without a cluster is what was left of one, or of an attempt: it is written over.
    match standing {
        Some(entry) => adopt(manage, &store, request, &source, entry).await,
        None => join(manage, caller, &store, request, source).await,
    }
}

async fn join(
    manage: &Arc<Manage>,
    caller: &Caller,
    store: &Store,
    request: &CreateCluster,
    source: KubeconfigSource,
) -> Result<Record, Refusal> {
    let join_request = join_request(request, source, false);
    let prepared = Join::prepare(store, &manage.policy, &join_request, &manage.stopping).await;
    let join = prepared.map_err(|error| match Refusal::from(error) {
        refusal if refusal.code == Code::ExistsInKubernetes => refusal.field("name"),
        refusal => refusal,
    })?;
    let gateway = manage.gateway_check(caller);
    let commit = join.commit_with(store, Some(&gateway), &manage.stopping, &|_| ());
    let (joined, committed) = commit.await?;
    let mut record = record(request);
    record.api_server_url = joined.endpoint;
    (record.status, record.reason) = resources::judged(manage, caller, &record.name).await;
    match manage.records.save(record).await {
        Ok(record) => Ok(record),
        Err(error) => Err(undone(error.into(), committed.undo().await)),
    }
}

/// A cluster without a record, with the very credential that is asked for: a join that was broken off after its first write.
/// What is missing is made up for.
async fn adopt(
    manage: &Manage,
    store: &Store,
    request: &CreateCluster,
    source: &KubeconfigSource,
    entry: Entry,
) -> Result<Record, Refusal> {
    let name = request.name.as_str();
    let same = source.member(None).is_ok_and(|member| is_same_credential(&member.secret, &entry.secret));
    if !same {
        return Err(exists(name, "it has another credential"));
    }
    busy_elsewhere(name, &entry.secret)?;
    let labels = entry.secret.metadata.labels.clone().unwrap_or_default();
    let mut labels = shown::own_labels(&labels);
    labels.extend(request.labels.clone());
    let alias = Some(request.alias.clone()).filter(|alias| !alias.is_empty());
    edit(store, name, &Edit::Metadata { labels: Some(labels.clone()), alias }).await?;
    let cluster = manage.policy.read(entry, None);
    let mut record = Record { labels, ..record(request) };
    let seen = shown::cluster(&cluster, None);
    if record.alias.is_empty() {
        record.alias = seen.alias;
    }
    record.api_server_url = seen.api_server_url;
    Ok(manage.records.save(record).await?)
}

/// What is to be joined. `overwrite`: in place of what is there.
pub(super) fn join_request(
    request: &CreateCluster,
    kubeconfig: KubeconfigSource,
    overwrite: bool,
) -> JoinRequest {
    JoinRequest {
        kubeconfig,
        context: None,
        name: Some(request.name.clone()),
        labels: request.labels.clone(),
        alias: Some(request.alias.clone()),
        create_namespace: None,
        overwrite,
        allow_insecure: request.insecure_skip_tls_verify,
        account: None,
        preflight: true,
    }
}

/// The record that is asked for.
pub(super) fn record(request: &CreateCluster) -> Record {
    Record {
        alias: request.alias.clone(),
        description: request.description.clone(),
        icon: request.icon.clone(),
        labels: request.labels.clone(),
        dashboard_url: request.dashboard_url.clone(),
        ..Record::new(&request.name)
    }
}

fn exists(name: &str, why: &str) -> Refusal {
    Refusal::new(Code::ExistsInKubernetes, format!("cluster \"{name}\" already exists in Kubernetes: {why}"))
        .field("name")
        .remedy("Choose another name, or change the cluster that is there.")
}

/// Refuses to finish what another process may be in the middle of.
///
/// # Errors
/// 41409: the Secret is that young.
pub(super) fn busy_elsewhere(name: &str, secret: &Secret) -> Result<(), Refusal> {
    if !is_young(secret) {
        return Ok(());
    }
    let message = format!("somebody is making cluster \"{name}\" right now, or was interrupted in it");
    let mut refusal = Refusal::new(Code::Conflict, message)
        .remedy("Do it again in a minute: what was interrupted is then finished.");
    refusal.retry_after = Some(UNDER_WAY);
    Err(refusal)
}

/// Whether a Secret was made so lately that whoever makes it may still be at work. A file says nothing of that: there only this
/// process writes.
fn is_young(secret: &Secret) -> bool {
    let made = secret.metadata.creation_timestamp.as_ref().map(|time| time.0.as_second());
    made.is_some_and(|made| {
        let age = OffsetDateTime::now_utc().unix_timestamp().saturating_sub(made);
        u64::try_from(age).unwrap_or_default() < UNDER_WAY.as_secs()
    })
}

/// Gives a Secret that is about to be written exactly these labels, besides the gateway's own, and this alias.
pub(super) fn relabel(secret: &mut Secret, request: &CreateCluster) {
    let metadata = &mut secret.metadata;
    let labels = metadata.labels.get_or_insert_default();
    labels.retain(|key, _| shown::is_of_gateway(key));
    labels.extend(request.labels.clone());
    let annotations = metadata.annotations.get_or_insert_default();
    if request.alias.is_empty() {
        annotations.remove(ANNOTATION_ALIAS);
    } else {
        annotations.insert(ANNOTATION_ALIAS.to_owned(), request.alias.clone());
    }
}
