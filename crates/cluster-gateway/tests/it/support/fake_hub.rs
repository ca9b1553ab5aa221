//! A hub in this process: the few endpoints of kube-apiserver that the gateway uses, over plain HTTP on loopback.
//!
//! Answers are programmed, requests counted, faults injected. Nothing of a real hub's own judgement is in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use cluster_gateway::authn::UserInfo;
use cluster_gateway::hub::{Hub, HubConfig};
use k8s_openapi::api::authentication::v1::TokenReviewSpec;
use k8s_openapi::api::authorization::v1::SubjectAccessReviewSpec;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

mod gateway;
mod objects;
mod serve;
mod write;

pub use gateway::Aggregated;
use objects::Objects;

const MANAGED_CLUSTERS: &str = "managedclusters";

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Answer with this status code.
    Status(u16),
    /// Never answer.
    Hang,
    /// Close the connection instead of answering.
    Reset,
    /// Do what is asked, and then close the connection instead of answering.
    ResetAfter,
}

type Rule = Box<dyn Fn(&SubjectAccessReviewSpec) -> bool + Send>;

#[derive(Default)]
struct State {
    objects: Objects,
    /// Whether the kind ManagedCluster is known.
    managed_clusters: bool,
    /// Whether KubeVela's kinds are known.
    kubevela: bool,
    /// The gateway that is registered here, if one is.
    gateway: Option<Aggregated>,
    tokens: BTreeMap<String, UserInfo>,
    token_status: Option<Value>,
    access_status: Option<Value>,
    rules: Vec<Rule>,
    token_reviews: Vec<TokenReviewSpec>,
    access_reviews: Vec<SubjectAccessReviewSpec>,
    /// Query and body of each PATCH of a Secret.
    patches: Vec<(String, Value)>,
    requests: Vec<String>,
    user_agents: Vec<String>,
    /// Part of the path, or method and beginning of the path; fault; whether for one request only.
    faults: Vec<(String, Fault, bool)>,
}

/// What all connections share.
struct Shared {
    state: Mutex<State>,
    /// Sends with every change of an object.
    changed: watch::Sender<()>,
    /// Sends to end all open watches.
    cut: watch::Sender<()>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// A hub; it stops when dropped.
pub struct FakeHub {
    shared: Arc<Shared>,
    address: std::net::SocketAddr,
    dir: TempDir,
    task: JoinHandle<()>,
}

impl FakeHub {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: watch::channel(()).0,
            cut: watch::channel(()).0,
        });
        let task = tokio::spawn(serve::serve(listener, Arc::clone(&shared)));
        let hub = Self { shared, address, dir: tempfile::tempdir().unwrap(), task };
        std::fs::write(hub.kubeconfig_path(), hub.kubeconfig().to_string()).unwrap();
        hub
    }

    fn kubeconfig(&self) -> Value {
        let server = format!("http://{}", self.address);
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "hub",
            "clusters": [{"name": "hub", "cluster": {"server": server}}],
            "users": [{"name": "gateway", "user": {}}],
            "contexts": [{"name": "hub", "context": {"cluster": "hub", "user": "gateway", "namespace": "default"}}],
        })
    }

    /// A kubeconfig for this hub; it lives as long as the hub.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// A directory for the test's own files.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The gateway's view of this hub.
    pub async fn hub(&self) -> Hub {
        let kubeconfig = Some(self.kubeconfig_path());
        Hub::connect(&HubConfig { kubeconfig, ..HubConfig::default() }).await.unwrap()
    }

    /// A plain client.
    pub async fn client(&self) -> kube::Client {
        self.hub().await.client()
    }

    // Objects.

    /// Creates or replaces a Secret; its namespace must be set.
    pub fn put_secret(&self, secret: &Secret) {
        self.put("secrets", serde_json::to_value(secret).unwrap());
    }

    pub fn delete_secret(&self, namespace: &str, name: &str) {
        self.delete("secrets", namespace, name);
    }

    /// Watches from before now are answered 410, as after a compaction of the hub's store.
    pub fn forget(&self) {
        self.shared.state().objects.forget();
    }

    /// Creates or replaces `kube-system/extension-apiserver-authentication`.
    pub fn set_auth_config(&self, data: &[(&str, &str)]) {
        let data: BTreeMap<_, _> = data.iter().copied().collect();
        let metadata = json!({"namespace": "kube-system", "name": "extension-apiserver-authentication"});
        self.put("configmaps", json!({"metadata": metadata, "data": data}));
    }

    pub fn delete_auth_config(&self) {
        self.delete("configmaps", "kube-system", "extension-apiserver-authentication");
    }

    /// Creates or replaces any object; its namespace and name must be set.
    pub fn put(&self, plural: &'static str, object: Value) {
        self.shared.state().objects.put(plural, object);
        self.shared.changed.send_replace(());
    }

    pub fn delete(&self, plural: &'static str, namespace: &str, name: &str) {
        self.shared.state().objects.delete(plural, namespace, name);
        self.shared.changed.send_replace(());
    }

    /// An object as it is now; an object of the whole cluster has an empty namespace.
    pub fn get(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        self.shared.state().objects.get(plural, namespace, name)
    }

    /// All objects of a kind as they are now.
    pub fn all(&self, plural: &str) -> Vec<Value> {
        self.shared.state().objects.all(plural)
    }

    /// Registers a gateway, or removes it.
    pub fn set_gateway(&self, gateway: Option<Aggregated>) {
        self.shared.state().gateway = gateway;
    }

    /// The gateway, with what was made through it.
    pub fn gateway(&self) -> Option<Aggregated> {
        self.shared.state().gateway.clone()
    }

    /// Makes KubeVela's kinds known.
    pub fn install_kubevela(&self) {
        self.shared.state().kubevela = true;
    }

    /// All Secrets, ResourceTrackers and Applications without what changes with every write.
    pub fn content(&self) -> Vec<Value> {
        self.shared.state().objects.content(&["secrets", "resourcetrackers", "applications"])
    }

    /// Everything that was asked, in its order.
    pub fn all_requests(&self) -> Vec<String> {
        self.shared.state().requests.clone()
    }

    /// Makes the kind ManagedCluster known.
    pub fn install_managed_clusters(&self) {
        self.shared.state().managed_clusters = true;
    }

    /// Removes the kind ManagedCluster as a real hub does: first its objects, then what serves them.
    pub fn remove_managed_clusters(&self) {
        self.shared.state().objects.delete_all(MANAGED_CLUSTERS);
        self.shared.changed.send_replace(());
        self.shared.state().managed_clusters = false;
        self.cut_watches();
    }

    /// Creates or replaces a ManagedCluster.
    pub fn put_managed_cluster(&self, name: &str, spec: &Value) {
        let metadata = json!({"name": name, "namespace": "", "labels": {"vendor": "OpenShift"}});
        self.put(MANAGED_CLUSTERS, json!({"metadata": metadata, "spec": spec}));
    }

    pub fn delete_managed_cluster(&self, name: &str) {
        self.delete(MANAGED_CLUSTERS, "", name);
    }

    /// Ends all open watches.
    pub fn cut_watches(&self) {
        self.shared.cut.send_replace(());
    }

    // Reviews.

    /// Lets a token be `user`'s. Other tokens are answered as kube-apiserver does: not authenticated, with an error.
    pub fn token(&self, token: &str, user: UserInfo) {
        self.shared.state().tokens.insert(token.to_owned(), user);
    }

    /// Answers all TokenReviews with this status; `null`: with none.
    pub fn answer_token_reviews(&self, status: Value) {
        self.shared.state().token_status = Some(status);
    }

    /// Allows a resource to a user, by name.
    pub fn allow(&self, user: &str, verb: &str, resource: &str, subresource: &str) {
        let [user, verb, resource, sub] = [user, verb, resource, subresource].map(str::to_owned);
        self.allow_if(move |spec| {
            spec.user.as_ref() == Some(&user)
                && spec.resource_attributes.as_ref().is_some_and(|asked| {
                    asked.verb.as_ref() == Some(&verb)
                        && asked.resource.as_ref() == Some(&resource)
                        && asked.subresource.as_deref().unwrap_or_default() == sub
                })
        });
    }

    /// Allows whatever a rule says yes to. What no rule allows is denied.
    pub fn allow_if(&self, rule: impl Fn(&SubjectAccessReviewSpec) -> bool + Send + 'static) {
        self.shared.state().rules.push(Box::new(rule));
    }

    /// Forgets all rules.
    pub fn deny_everything(&self) {
        self.shared.state().rules.clear();
    }

    /// Answers all SubjectAccessReviews with this status.
    pub fn answer_access_reviews(&self, status: Value) {
        self.shared.state().access_status = Some(status);
    }

    // Faults.

    /// Every request whose path contains `part`, or that begins with it (`POST /api`), meets this fault.
    pub fn fault(&self, part: &str, fault: Fault) {
        self.shared.state().faults.push((part.to_owned(), fault, false));
    }

    /// The next request whose path contains `part` meets this fault.
    pub fn fault_once(&self, part: &str, fault: Fault) {
        self.shared.state().faults.push((part.to_owned(), fault, true));
    }

    pub fn heal(&self) {
        self.shared.state().faults.clear();
    }

    // What was asked.

    /// How many requests had `part` in `METHOD path?query`.
    pub fn requests(&self, part: &str) -> usize {
        self.shared.state().requests.iter().filter(|line| line.contains(part)).count()
    }

    /// Query and body of all patches of Secrets, in their order.
    pub fn patches(&self) -> Vec<(String, Value)> {
        self.shared.state().patches.clone()
    }

    /// A Secret as it is now.
    pub fn secret(&self, namespace: &str, name: &str) -> Option<Value> {
        self.shared.state().objects.get("secrets", namespace, name)
    }

    /// All TokenReviews, in their order.
    pub fn token_reviews(&self) -> Vec<TokenReviewSpec> {
        self.shared.state().token_reviews.clone()
    }

    /// All SubjectAccessReviews, in their order.
    pub fn access_reviews(&self) -> Vec<SubjectAccessReviewSpec> {
        self.shared.state().access_reviews.clone()
    }

    /// `User-Agent` of all requests, in their order.
    pub fn user_agents(&self) -> Vec<String> {
        self.shared.state().user_agents.clone()
    }
}

impl Drop for FakeHub {
    fn drop(&mut self) {
        self.task.abort();
    }
}
