//! Joining and detaching by Open Cluster Management, at a hub and a member that keep what they are sent. OCM's operator, agent
//! and hub are played by a task.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cluster_gateway::lifecycle::ocm::{
    self, Action, HubAddress, Images, OcmDetach, OcmError, OcmFailure, OcmJoined, OcmRequest, Server, Side,
    Sides, Step,
};
use futures_util::future::join_all;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::fake_cluster::{FakeCluster, Objects, WriteFault};

const MANAGED: &str = "/apis/cluster.open-cluster-management.io/v1/managedclusters/m1";
const CSR: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests/m1-abc";
const KLUSTERLET: &str = "/apis/operator.open-cluster-management.io/v1/klusterlets/klusterlet";
const DEFINITION: &str =
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/klusterlets.operator.open-cluster-management.io";
const OPERATOR: &str = "/apis/apps/v1/namespaces/open-cluster-management/deployments/klusterlet";
const FIRST_KUBECONFIG: &str =
    "/api/v1/namespaces/open-cluster-management-agent/secrets/bootstrap-hub-kubeconfig";
const FIRST_ACCOUNT: &str = "/api/v1/namespaces/open-cluster-management/serviceaccounts/cluster-bootstrap-m1";

/// How far the simulated agent goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Agent {
    /// The kind is served, and nothing runs.
    Absent,
    /// The operator runs, and the agent does not.
    Operator,
    /// A certificate is asked for, and that is all.
    Asks,
    /// Everything but the report.
    Registers,
    Reports,
}

struct World {
    hub: FakeCluster,
    member: FakeCluster,
    agent: JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.agent.abort();
    }
}

impl World {
    async fn start(agent: Agent) -> Self {
        Self::with(agent, "https://10.0.0.1:6443").await
    }

    async fn with(agent: Agent, address: &'static str) -> Self {
        let (hub, member) = (FakeCluster::start().await, FakeCluster::start().await);
        hub.objects().serve_group("cluster.open-cluster-management.io/v1", &["ManagedCluster"]);
        // What was there before must be there after: a namespace, and the kubeconfig of an earlier attempt.
        hub.objects().put("/api/v1/namespaces/open-cluster-management", json!({"kind": "Namespace"}));
        member
            .objects()
            .put("/api/v1/namespaces/open-cluster-management-agent", json!({"kind": "Namespace"}));
        let former = json!({"kind": "Secret", "apiVersion": "v1", "data": {"kubeconfig": "Zm9ybWVy"}});
        member.objects().put(FIRST_KUBECONFIG, former);
        let (at_hub, at_member) = (hub.shared(), member.shared());
        let request = csr("system:open-cluster-management:m1:agent", "system:open-cluster-management:m1");
        let agent = tokio::spawn(async move {
            loop {
                play(agent, address, &request, &at_hub, &at_member);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        Self { hub, member, agent }
    }

    fn sides(&self) -> Sides {
        Sides { hub: self.hub.client(), member: self.member.client() }
    }

    async fn join(&self) -> Result<OcmJoined, OcmFailure> {
        ocm::join(&self.sides(), &request(), &|_| (), pending()).await
    }

    fn snapshot(&self) -> [BTreeMap<String, Value>; 2] {
        [self.hub.objects().snapshot(), self.member.objects().snapshot()]
    }

    async fn detach(&self, force: bool) -> Result<ocm::OcmDetached, OcmFailure> {
        let request = OcmDetach { name: "m1".to_owned(), force, patience: Duration::from_secs(2) };
        ocm::detach(&self.hub.client(), Some(&self.member.client()), &request, &|_| ()).await
    }
}

fn csr(user: &str, group: &str) -> String {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, user);
    params.distinguished_name.push(DnType::OrganizationName, group);
    STANDARD.encode(params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap())
}

/// What OCM's programs would do next.
fn play(agent: Agent, address: &str, request: &str, hub: &Mutex<Objects>, member: &Mutex<Objects>) {
    let mut member = member.lock().unwrap();
    member.change(DEFINITION, |crd| {
        crd["status"]["conditions"] = json!([{"type": "Established", "status": "True"}]);
    });
    if agent >= Agent::Operator {
        member.change(OPERATOR, |deployment| deployment["status"]["availableReplicas"] = json!(1));
    }
    let Some(klusterlet) = member.get(KLUSTERLET).cloned() else { return };
    drop(member);
    let mut hub = hub.lock().unwrap();
    if agent < Agent::Asks || hub.get(FIRST_ACCOUNT).is_none() && hub.get(MANAGED).is_none() {
        return;
    }
    if hub.get(CSR).is_none() && hub.get(MANAGED).is_none() {
        hub.put(CSR, json!({
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "metadata": {"labels": {"open-cluster-management.io/cluster-name": "m1"}},
            "spec": {
                "username": "system:serviceaccount:open-cluster-management:cluster-bootstrap-m1", "request": request,
                "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"],
            },
        }));
    }
    if agent >= Agent::Registers && hub.get(MANAGED).is_none() {
        let ca = &klusterlet["spec"]["externalServerURLs"][0]["caBundle"];
        hub.put(MANAGED, json!({
            "apiVersion": "cluster.open-cluster-management.io/v1", "kind": "ManagedCluster",
            "spec": {"hubAcceptsClient": false, "managedClusterClientConfigs": [{"url": address, "caBundle": ca}]},
        }));
    }
    let approved = hub.get(CSR).is_some_and(|csr| csr["status"]["conditions"][0]["type"] == "Approved");
    if agent >= Agent::Reports && approved {
        hub.change(MANAGED, |managed| {
            if managed["spec"]["hubAcceptsClient"] == true {
                managed["status"]["conditions"] = json!([{"type": "ManagedClusterJoined", "status": "True"}]);
            }
        });
    }
}

fn request() -> OcmRequest {
    OcmRequest {
        name: "m1".to_owned(),
        labels: BTreeMap::from([("region".to_owned(), "north".to_owned())]),
        alias: Some("The first".to_owned()),
        member: Server { url: "https://10.0.0.1:6443".to_owned(), ca: Some(b"CA".to_vec()) },
        hub: HubAddress::ClusterInfo(Some(Server { url: "https://hub:6443".to_owned(), ca: None })),
        images: Images::default(),
        patience: Duration::from_secs(3),
    }
}

#[tokio::test]
async fn a_cluster_joins_and_its_first_identity_goes() {
    let world = World::start(Agent::Reports).await;
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&steps);
    let joined =
        ocm::join(&world.sides(), &request(), &move |step| seen.lock().unwrap().push(step), pending()).await;
    let joined = joined.unwrap();
    assert!(joined.reported);
    assert_eq!(joined.endpoint, "https://10.0.0.1:6443");
    let expected = [
        Step::Look,
        Step::Bootstrap,
        Step::Install,
        Step::Operator,
        Step::SigningRequest,
        Step::ManagedCluster,
        Step::Accept,
        Step::Report,
    ];
    assert_eq!(*steps.lock().unwrap(), expected);
    let hub = world.hub.objects();
    let managed = hub.get(MANAGED).unwrap();
    assert_eq!(managed["spec"]["hubAcceptsClient"], true);
    assert_eq!(managed["metadata"]["labels"]["region"], "north");
    assert_eq!(managed["metadata"]["annotations"]["cluster.core.oam.dev/cluster-alias"], "The first");
    assert_eq!(hub.get(CSR).unwrap()["status"]["conditions"][0]["status"], "True");
    assert_eq!(hub.get(FIRST_ACCOUNT), None, "the agent has its own certificate");
    assert_eq!(hub.below("/apis/rbac.authorization.k8s.io/v1/"), Vec::<String>::new());
    assert!(hub.get("/api/v1/namespaces/open-cluster-management").is_some(), "it was there before");
    let member = world.member.objects();
    let spec = &member.get(KLUSTERLET).unwrap()["spec"];
    assert_eq!(
        spec["externalServerURLs"][0]["url"], "https://10.0.0.1:6443",
        "not the hub's, as the original writes"
    );
    let kubeconfig = member.get(FIRST_KUBECONFIG).unwrap()["data"]["kubeconfig"].as_str().unwrap();
    let kubeconfig = String::from_utf8(STANDARD.decode(kubeconfig).unwrap()).unwrap();
    assert!(kubeconfig.contains("https://hub:6443") && kubeconfig.contains("the-token"), "{kubeconfig}");
    assert!(joined.made.iter().all(|made| made.side == Side::Member), "{:?}", joined.made);
}

#[tokio::test]
async fn the_published_address_of_the_hub_is_used_when_there_is_one() {
    let world = World::start(Agent::Reports).await;
    let published = "clusters: [{name: '', cluster: {server: 'https://published:6443'}}]";
    let info = "/api/v1/namespaces/kube-public/configmaps/cluster-info";
    world.hub.objects().put(info, json!({"kind": "ConfigMap", "data": {"kubeconfig": published}}));
    world.join().await.unwrap();
    let kubeconfig = world.member.objects().get(FIRST_KUBECONFIG).unwrap()["data"]["kubeconfig"].clone();
    let kubeconfig = String::from_utf8(STANDARD.decode(kubeconfig.as_str().unwrap()).unwrap()).unwrap();
    assert!(kubeconfig.contains("https://published:6443"), "{kubeconfig}");
}

/// Every write of a join, at either end, refused and done without an answer: afterwards all is as before.
#[tokio::test]
async fn whatever_write_fails_both_ends_are_as_before() {
    let counted = World::start(Agent::Reports).await;
    counted.join().await.unwrap();
    let accepting = counted
        .hub
        .objects()
        .writes()
        .iter()
        .position(|write| write.starts_with("PATCH") && write.ends_with(MANAGED));
    let counts = [accepting.unwrap() + 1, counted.member.objects().writes().len()];
    assert!(counts[0] >= 6 && counts[1] >= 8, "{counts:?}");
    let mut cases = Vec::new();
    for (side, count) in [Side::Hub, Side::Member].into_iter().zip(counts) {
        for number in 0..count {
            cases.extend(
                [WriteFault::Refused, WriteFault::Unanswered].map(|fault| failing(side, number, fault)),
            );
        }
    }
    join_all(cases).await;
}

async fn failing(side: Side, number: usize, fault: WriteFault) {
    let world = World::start(Agent::Reports).await;
    let before = world.snapshot();
    let faulty = if side == Side::Hub { &world.hub } else { &world.member };
    faulty.objects().fail_write(number, fault);
    let failure = world.join().await.unwrap_err();
    let what = format!("write {number} at {side:?}, {fault:?}: {:?}", faulty.objects().writes().get(number));
    assert_eq!(failure.left, Vec::<String>::new(), "{what}: {failure}");
    assert!(matches!(failure.error, OcmError::Call { side: at, .. } if at == side), "{what}: {failure}");
    assert!(before == world.snapshot(), "{what}: {:#?}", difference(&before, &world.snapshot()));
}

fn difference(before: &[BTreeMap<String, Value>; 2], after: &[BTreeMap<String, Value>; 2]) -> Vec<String> {
    let mut lines = Vec::new();
    for (before, after) in before.iter().zip(after) {
        let keys = before.keys().chain(after.keys()).filter(|key| before.get(*key) != after.get(*key));
        lines.extend(keys.map(|key| format!("{key}: {:?} -> {:?}", before.get(key), after.get(key))));
    }
    lines
}

#[tokio::test]
async fn waiting_is_bounded_and_says_for_what_and_leaves_nothing() {
    let pod = json!({
        "metadata": {"labels": {"app": "klusterlet"}},
        "status": {"containerStatuses": [{"name": "klusterlet", "image": "x", "imageID": "", "ready": false,
            "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]},
    });
    let cases = [
        (Agent::Absent, Step::Operator, "its pod waits: ImagePullBackOff no such image"),
        (Agent::Operator, Step::SigningRequest, "the agent has made no signing request"),
        (Agent::Asks, Step::ManagedCluster, "there is no ManagedCluster m1"),
    ];
    join_all(cases.map(async |(agent, step, words)| {
        let world = World::start(agent).await;
        world
            .member
            .objects()
            .put("/api/v1/namespaces/open-cluster-management/pods/klusterlet-1", pod.clone());
        let before = world.snapshot();
        let failure = world.join().await.unwrap_err();
        assert_eq!(failure.step, step, "{failure}");
        assert!(matches!(failure.error, OcmError::TimedOut { .. }), "{failure}");
        assert!(failure.to_string().contains(words), "{failure}");
        assert!(before == world.snapshot(), "{:#?}", difference(&before, &world.snapshot()));
    }))
    .await;
}

#[tokio::test]
async fn an_agent_that_never_reports_is_joined_and_keeps_its_first_identity() {
    let world = World::start(Agent::Registers).await;
    let joined = world.join().await.unwrap();
    assert!(!joined.reported);
    assert!(world.hub.objects().get(FIRST_ACCOUNT).is_some(), "it fetches its certificate with it");
    assert!(joined.made.iter().any(|made| made.kind == "ServiceAccount" && made.side == Side::Hub));
}

#[tokio::test]
async fn a_managed_cluster_with_another_address_is_not_accepted() {
    let world = World::with(Agent::Reports, "https://mallory:6443").await;
    let before = world.snapshot();
    let failure = world.join().await.unwrap_err();
    assert_eq!(failure.step, Step::ManagedCluster);
    assert!(failure.to_string().contains("https://mallory:6443"), "{failure}");
    assert!(before == world.snapshot(), "{:#?}", difference(&before, &world.snapshot()));
}

#[tokio::test]
async fn somebody_elses_signing_request_is_left_alone_and_named() {
    let world = World::start(Agent::Operator).await;
    world.hub.objects().put(
        CSR,
        json!({
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "metadata": {"labels": {"open-cluster-management.io/cluster-name": "m1"}},
            "spec": {"username": "mallory", "signerName": "kubernetes.io/kube-apiserver-client", "usages": [],
                "request": csr("admin", "system:masters")},
        }),
    );
    let failure = world.join().await.unwrap_err();
    assert!(failure.to_string().contains("m1-abc was not approved: it was made by \"mallory\""), "{failure}");
    assert!(world.hub.objects().get(CSR).unwrap()["status"].is_null(), "neither approved nor removed");
}

#[tokio::test]
async fn an_interrupted_join_is_undone() {
    for stop_at in [Step::Bootstrap, Step::Install, Step::Operator, Step::SigningRequest] {
        let world = World::start(Agent::Operator).await;
        let before = world.snapshot();
        let stop = Arc::new(tokio::sync::Notify::new());
        let tell = Arc::clone(&stop);
        let progress = move |step| {
            if step == stop_at {
                tell.notify_one();
            }
        };
        let failure = ocm::join(&world.sides(), &request(), &progress, stop.notified()).await.unwrap_err();
        assert_eq!(failure.error, OcmError::Interrupted, "{failure}");
        assert!(before == world.snapshot(), "{stop_at:?}: {:#?}", difference(&before, &world.snapshot()));
    }
}

#[tokio::test]
async fn looking_refuses_before_anything_is_written() {
    let world = World::start(Agent::Reports).await;
    let plan = ocm::look(&world.sides(), &request()).await.unwrap();
    let action = |kind: &str, name: &str| {
        let object = plan.objects.iter().find(|object| object.kind == kind && object.name == name);
        object.unwrap_or_else(|| panic!("{kind} {name}: {plan:?}")).action
    };
    assert_eq!(action("Namespace", "open-cluster-management-agent"), Action::Keep);
    assert_eq!(action("Secret", "bootstrap-hub-kubeconfig"), Action::Replace);
    assert_eq!(action("Klusterlet", "klusterlet"), Action::Create);
    assert_eq!(action("ManagedCluster", "m1"), Action::Accept);

    world
        .member
        .objects()
        .put(KLUSTERLET, json!({"kind": "Klusterlet", "spec": {"clusterName": "elsewhere"}}));
    let failure = world.join().await.unwrap_err();
    assert!(failure.to_string().contains("registered as \"elsewhere\""), "{failure}");
    let taken = World::start(Agent::Absent).await;
    taken.hub.objects().put(MANAGED, json!({"kind": "ManagedCluster", "spec": {"hubAcceptsClient": true}}));
    let failure = taken.join().await.unwrap_err();
    assert!(failure.to_string().contains("a ManagedCluster m1 already, which it accepts"), "{failure}");
    let plain = (FakeCluster::start().await, FakeCluster::start().await);
    let sides = Sides { hub: plain.0.client(), member: plain.1.client() };
    let error = ocm::look(&sides, &request()).await.unwrap_err();
    assert!(error.to_string().contains("clusteradm init"), "{error}");
    for cluster in [&world.hub, &world.member, &taken.hub, &taken.member, &plain.0, &plain.1] {
        assert_eq!(cluster.objects().writes(), Vec::<String>::new().as_slice());
    }
}

#[tokio::test]
async fn detaching_removes_what_joining_has_made() {
    let world = World::start(Agent::Reports).await;
    let before = world.snapshot();
    world.join().await.unwrap();
    let done = world.detach(false).await.unwrap();
    assert!(done.agent_removed);
    let there: Vec<_> = done.left.iter().map(|left| left.split(':').next().unwrap()).collect();
    assert_eq!(there, ["Namespace open-cluster-management-agent at the member"], "it was there before");
    let after = world.snapshot();
    // The kubeconfig of the earlier attempt was replaced by that of this one, which has gone with it.
    let changed = difference(&before, &after);
    assert!(changed.iter().all(|line| line.starts_with(FIRST_KUBECONFIG)), "{changed:#?}");
}

#[tokio::test]
async fn detaching_refuses_the_wrong_member_and_work_that_is_still_there() {
    let world = World::start(Agent::Reports).await;
    world.join().await.unwrap();
    let work = "/apis/work.open-cluster-management.io/v1/namespaces/m1/manifestworks/app";
    world.hub.objects().put(work, json!({"kind": "ManifestWork"}));
    let failure = world.detach(false).await.unwrap_err();
    assert!(failure.to_string().contains("ManifestWork app"), "{failure}");
    world.hub.objects().change(work, |work| work["metadata"]["namespace"] = json!("m1"));
    world.member.objects().change(KLUSTERLET, |klusterlet| klusterlet["spec"]["clusterName"] = json!("m2"));
    let member = world.member.objects().snapshot();
    let failure = world.detach(true).await.unwrap_err();
    assert!(failure.to_string().contains("registered as \"m2\""), "also with force: {failure}");
    assert_eq!(member, world.member.objects().snapshot());

    let gone = OcmDetach { name: "m1".to_owned(), force: false, patience: Duration::from_secs(2) };
    let failure = ocm::detach(&world.hub.client(), None, &gone, &|_| ()).await.unwrap_err();
    assert!(failure.to_string().contains("--force"), "{failure}");
    let done =
        ocm::detach(&world.hub.client(), None, &OcmDetach { force: true, ..gone }, &|_| ()).await.unwrap();
    assert!(!done.agent_removed && done.left.len() == 1, "{done:?}");
    assert_eq!(world.hub.objects().get(MANAGED), None);
    assert_eq!(member, world.member.objects().snapshot(), "nobody asked it");
}

#[tokio::test]
async fn a_klusterlet_whose_operator_never_ran_is_let_go() {
    let world = World::start(Agent::Operator).await;
    let member = world.member.shared();
    let finalizer = tokio::spawn(async move {
        loop {
            member.lock().unwrap().change(KLUSTERLET, |klusterlet| {
                if klusterlet["metadata"]["deletionTimestamp"].is_null() {
                    klusterlet["metadata"]["finalizers"] = json!(["operator/cleanup"]);
                }
            });
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let before = world.snapshot();
    let failure = world.join().await.unwrap_err();
    finalizer.abort();
    assert_eq!(failure.step, Step::SigningRequest, "{failure}");
    assert!(before == world.snapshot(), "{:#?}", difference(&before, &world.snapshot()));
}
