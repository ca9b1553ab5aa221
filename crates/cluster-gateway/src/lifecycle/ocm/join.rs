//! Joining, step by step, with an undo.

use kube::api::{Patch, PatchParams};

use super::journal::{self, Journal};
use super::kind::{Kind, find};
use super::{
    OcmError, OcmFailure, OcmJoined, OcmRequest, Progress, Side, Sides, Step, agent, at, bootstrap, look,
    manifests, signing,
};
use crate::hub::{CallError, call};

/// Joins a cluster by OCM. When `interrupted` becomes ready before the hub has accepted the cluster, everything is undone, as
/// after a failure; after that there is nothing left to wait for.
///
/// # Errors
/// [`OcmFailure`]: at which step, why, and what could not be undone.
pub async fn join(
    sides: &Sides,
    request: &OcmRequest,
    progress: Progress<'_>,
    interrupted: impl Future<Output = ()>,
) -> Result<OcmJoined, OcmFailure> {
    let mut attempt =
        Attempt { sides, request, progress, journal: Journal::new(), step: Step::Look, accepted: None };
    let result = tokio::select! {
        result = attempt.run() => result,
        () = interrupted => Err(OcmError::Interrupted),
    };
    match (result, attempt.accepted.take()) {
        (Ok(reported), Some(endpoint)) => Ok(attempt.joined(endpoint, reported)),
        // It is joined; only how the agent fares is not known.
        (Err(_), Some(endpoint)) => Ok(attempt.joined(endpoint, false)),
        (Ok(_), None) => Err(attempt.failed(OcmError::Interrupted).await),
        (Err(error), None) => Err(attempt.failed(error).await),
    }
}

struct Attempt<'a> {
    sides: &'a Sides,
    request: &'a OcmRequest,
    progress: Progress<'a>,
    journal: Journal,
    step: Step,
    /// The address in the ManagedCluster, once the hub accepts it.
    accepted: Option<String>,
}

impl Attempt<'_> {
    fn enter(&mut self, step: Step) {
        self.step = step;
        (self.progress)(step);
    }

    /// Whether the agent has reported.
    async fn run(&mut self) -> Result<bool, OcmError> {
        let (sides, request) = (self.sides, self.request);
        self.enter(Step::Look);
        look(sides, request).await?;
        self.enter(Step::Bootstrap);
        for manifest in manifests::bootstrap(&request.name) {
            self.journal.ensure(sides, &manifest).await?;
        }
        let server = bootstrap::server(sides, &request.hub).await?;
        let kubeconfig = bootstrap::kubeconfig(sides, &request.name, &server).await?;
        self.enter(Step::Install);
        self.install(&kubeconfig).await?;
        self.enter(Step::Operator);
        agent::operator(sides, request).await?;
        self.enter(Step::SigningRequest);
        signing::approve(sides, request).await?;
        self.enter(Step::ManagedCluster);
        let managed = agent::managed_cluster(sides, request).await?;
        self.enter(Step::Accept);
        self.accept(managed).await?;
        self.enter(Step::Report);
        let reported = agent::reported(sides, request).await.is_ok();
        if reported {
            // The agent has a certificate now; what it began with is good for nothing any more.
            for left in self.journal.undo_at(sides, Side::Hub).await {
                tracing::warn!(
                    cluster = request.name,
                    left,
                    "an object that only joining needed could not be removed"
                );
            }
        }
        Ok(reported)
    }

    async fn install(&mut self, kubeconfig: &str) -> Result<(), OcmError> {
        let (sides, request) = (self.sides, self.request);
        for manifest in manifests::operator(&request.images) {
            self.journal.ensure(sides, &manifest).await?;
            if manifest.kind == Kind::CustomResourceDefinition {
                agent::definition(sides, request).await?;
            }
        }
        self.journal.replace(sides, &manifests::hub_kubeconfig(kubeconfig)).await?;
        if self.journal.ensure(sides, &manifests::klusterlet(request)).await? {
            return Ok(());
        }
        Err(OcmError::Refused("somebody else has made a Klusterlet at the member meanwhile".to_owned()))
    }

    /// Accepts the ManagedCluster as it was checked, or looks again at what its agent has made of it meanwhile.
    async fn accept(&mut self, mut managed: kube::api::DynamicObject) -> Result<(), OcmError> {
        let api = Kind::ManagedCluster.api(self.sides, Side::Hub, None);
        loop {
            let version = managed.metadata.resource_version.as_deref();
            let change = Patch::Merge(manifests::acceptance(self.request, version));
            match call(api.patch(&self.request.name, &PatchParams::default(), &change)).await {
                Ok(accepted) => {
                    self.accepted = Some(agent::endpoint(&accepted).to_owned());
                    return Ok(());
                }
                Err(CallError::Conflict(_)) => {
                    managed = agent::managed_cluster(self.sides, self.request).await?;
                }
                Err(error) => return Err(at(Side::Hub)(error)),
            }
        }
    }

    fn joined(&self, endpoint: String, reported: bool) -> OcmJoined {
        OcmJoined { cluster: self.request.name.clone(), endpoint, reported, made: self.journal.made() }
    }

    /// Puts both ends back: first what makes the agent run, then what it was let in with, then what it has made.
    async fn failed(&mut self, error: OcmError) -> OcmFailure {
        let step = self.step;
        if step == Step::Look {
            return OcmFailure { step, error, left: Vec::new() };
        }
        let mut left = self.journal.undo(self.sides).await;
        for result in
            [self.remove_managed_cluster().await, signing::remove(self.sides, &self.request.name).await]
        {
            left.extend(result.err().map(|error| error.to_string()));
        }
        OcmFailure { step, error, left }
    }

    /// There was none before: this one was made by the agent.
    async fn remove_managed_cluster(&self) -> Result<(), OcmError> {
        let api = Kind::ManagedCluster.api(self.sides, Side::Hub, None);
        let found = find(&api, Side::Hub, &self.request.name).await?;
        match found {
            Some(found) => journal::delete(&api, Side::Hub, &self.request.name, found.metadata.uid).await,
            None => Ok(()),
        }
    }
}
