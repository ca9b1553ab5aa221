//! What the scenarios share, started once for each test process.

use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use e2e::{Access, ControlPlane, Credential, Gateway, Pods, registration, wait};
use serde_json::{Value, json};

/// The control planes alone, as they are without the gateway.
pub(crate) struct Planes {
    pub(crate) hub: ControlPlane,
    pub(crate) member1: ControlPlane,
    pub(crate) member2: ControlPlane,
    /// The gateway's way to the hub, with the least rights.
    pub(crate) gateway_user: Access,
    _pods: Pods,
}

impl Planes {
    fn start() -> Result<Self> {
        thread::scope(|scope| {
            let [hub, member1, member2] =
                ["hub", "member1", "member2"].map(|name| scope.spawn(move || ControlPlane::start(name)));
            let member1 = join(member1)?;
            let pods = Pods::start(&member1)?;
            let hub = join(hub)?;
            let gateway_user = registration::grant(&hub)?;
            Ok(Self { hub, member1, member2: join(member2)?, gateway_user, _pods: pods })
        })
    }
}

/// The control planes, started by the first call.
pub(crate) fn planes() -> Result<&'static Planes> {
    static PLANES: LazyLock<Result<Planes>> = LazyLock::new(Planes::start);
    PLANES.as_ref().map_err(|error| anyhow!("{error:#}"))
}

/// The hub with the gateway registered, and two members: `member1` by a client certificate, with a pod, and
/// `member2` by a service account's token.
pub(crate) struct World {
    pub(crate) hub: &'static ControlPlane,
    pub(crate) member1: &'static ControlPlane,
    pub(crate) member2: &'static ControlPlane,
    pub(crate) gateway: Gateway,
}

/// Who the gateway is at `member1`.
pub(crate) const MEMBER1_USER: &str = "gateway-at-member1";

/// Who the gateway is at `member2`.
pub(crate) const MEMBER2_USER: &str = "system:serviceaccount:kube-system:gateway-at-member2";

impl World {
    fn start() -> Result<Self> {
        let planes = planes()?;
        let gateway = Gateway::start(&planes.gateway_user)?;
        registration::register(&planes.hub, &gateway)?;
        let first = planes.member1.user(MEMBER1_USER, &["system:masters"])?;
        let second = planes.member2.service_account("kube-system", "gateway-at-member2", "cluster-admin")?;
        registration::add_member(&planes.hub, "member1", &first)?;
        registration::add_member(&planes.hub, "member2", &second)?;
        let world = Self { hub: &planes.hub, member1: &planes.member1, member2: &planes.member2, gateway };
        for cluster in ["member1", "member2"] {
            wait::eventually(cluster, Duration::from_secs(20), || {
                let healthz = world.through(cluster)?.request("GET", "/healthz").send()?;
                healthz.expect(200).map(Some)
            })?;
        }
        Ok(world)
    }

    /// The hub's administrator in a member, through hub and gateway.
    pub(crate) fn through(&self, cluster: &str) -> Result<Access> {
        self.hub.admin().through(cluster)
    }

    /// Somebody whom the hub knows in a member, straight through the gateway's own port.
    pub(crate) fn direct(&self, cluster: &str, who: &Access) -> Result<Access> {
        self.gateway.access(who.credential().clone())?.through(cluster)
    }

    /// A hub user whose only right is to go through the gateway with these verbs.
    pub(crate) fn user(&self, name: &str, verbs: &[&str]) -> Result<Access> {
        let user = self.hub.user(name, &[])?;
        let subject = json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name});
        allow_proxy(self.hub, &user, name, &subject, verbs)?;
        Ok(user)
    }

    /// Nobody, at the gateway's own port.
    pub(crate) fn anonymous(&self) -> Result<Access> {
        self.gateway.access(Credential::Anonymous)
    }
}

/// The whole world, started by the first call.
pub(crate) fn world() -> Result<&'static World> {
    static WORLD: LazyLock<Result<World>> = LazyLock::new(World::start);
    WORLD.as_ref().map_err(|error| anyhow!("{error:#}"))
}

/// Lets `subject`, who is `who`, go through the gateway, and waits until the hub acts on it: asked too early, the
/// gateway would keep the refusal for a while.
pub(crate) fn allow_proxy(
    hub: &ControlPlane,
    who: &Access,
    name: &str,
    subject: &Value,
    verbs: &[&str],
) -> Result<()> {
    let rbac = "rbac.authorization.k8s.io";
    let name = format!("proxy-{name}");
    hub.admin().apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole", "metadata": {"name": name},
            "rules": [{
                "apiGroups": [registration::GROUP], "resources": ["clustergateways/proxy"], "verbs": verbs,
            }],
        },
        {
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": name}, "subjects": [subject],
        },
    ]}))?;
    let verb = verbs.first().context("at least one verb")?;
    wait_allowed(who, verb)
}

fn wait_allowed(who: &Access, verb: &str) -> Result<()> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "group": registration::GROUP, "version": "v1alpha1", "resource": "clustergateways",
            "subresource": "proxy", "name": "any", "verb": verb,
        }},
    });
    wait::eventually("the hub to know of a right", Duration::from_secs(10), || {
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = who.request("POST", path).json(&review).send()?.json(201)?;
        Ok((answer["status"]["allowed"] == true).then_some(()))
    })
}

/// Who an API server says that somebody is.
pub(crate) fn whoami(access: &Access) -> Result<String> {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let answer = access.request("POST", path).json(&review).send()?.json(201)?;
    let name = answer["status"]["userInfo"]["username"].as_str();
    name.map(str::to_owned).with_context(|| format!("no user name: {answer}"))
}

/// A ConfigMap of `default`.
pub(crate) fn config_map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data})
}

/// The path of a ConfigMap of `default`, or of all of them when `name` is empty.
pub(crate) fn config_map_path(name: &str) -> String {
    let separator = if name.is_empty() { "" } else { "/" };
    format!("/api/v1/namespaces/default/configmaps{separator}{name}")
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a thread that starts a control plane panicked"))?
}
