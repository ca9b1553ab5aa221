//! `--authorize-proxy-subpath`: rights inside of members, as the hub's own RBAC says.

use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use e2e::pods::POD;
use e2e::{Access, Gateway, Standalone, registration, scratch, wait};
use serde_json::{Value, json};

use crate::pods::{self, Upgrade};
use crate::world::{allow_proxy, planes, whoami, world};

const RBAC: &str = "rbac.authorization.k8s.io";
const PODS: &str = "/api/v1/namespaces/default/pods";

/// A second gateway of the same hub and the same clusters, with the flag.
fn gateway() -> Result<&'static Gateway> {
    static GATEWAY: LazyLock<Result<Gateway>> = LazyLock::new(|| {
        world()?;
        let mut gateway = Gateway::launch(&planes()?.gateway_user, &["--authorize-proxy-subpath"])?;
        gateway.wait_ready(Duration::from_secs(30))?;
        Ok(gateway)
    });
    GATEWAY.as_ref().map_err(|error| anyhow!("{error:#}"))
}

/// Somebody in a member, straight through that gateway.
fn direct(cluster: &str, who: &Access) -> Result<Access> {
    gateway()?.access(who.credential().clone())?.through(cluster)
}

fn subject(name: &str) -> Value {
    json!({"kind": "User", "apiGroup": RBAC, "name": name})
}

/// Lets a user do something in the hub's namespace `default`, which counts for the members' too, and waits until the hub
/// knows.
fn allow_in_default(user: &Access, name: &str, rules: &[(&str, &[&str])]) -> Result<()> {
    let listed = |(resource, verbs): &(&str, &[&str])| json!({"apiGroups": [""], "resources": [resource], "verbs": verbs});
    let (role, metadata) =
        (format!("in-members-{name}"), json!({"name": format!("in-members-{name}"), "namespace": "default"}));
    world()?.hub.admin().apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": format!("{RBAC}/v1"), "kind": "Role", "metadata": metadata,
            "rules": rules.iter().map(listed).collect::<Vec<_>>(),
        },
        {
            "apiVersion": format!("{RBAC}/v1"), "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": role}, "subjects": [subject(name)],
        },
    ]}))?;
    for (resource, verbs) in rules {
        for verb in *verbs {
            wait_allowed(user, resource, verb)?;
        }
    }
    Ok(())
}

fn wait_allowed(user: &Access, resource: &str, verb: &str) -> Result<()> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {
            "version": "v1", "resource": resource, "subresource": subresource, "verb": verb, "namespace": "default",
        }},
    });
    wait::eventually("the hub to know of a right", Duration::from_secs(10), || {
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let answer = user.request("POST", path).json(&review).send()?.json(201)?;
        Ok((answer["status"]["allowed"] == true).then_some(()))
    })
}

/// A user who may go through the gateway with `verbs`, and in the members do what `rules` say.
fn user(name: &str, verbs: &[&str], rules: &[(&str, &[&str])]) -> Result<Access> {
    let user = world()?.hub.user(name, &[])?;
    allow_proxy(world()?.hub, &user, name, &subject(name), verbs)?;
    allow_in_default(&user, name, rules)?;
    Ok(user)
}

fn refused(access: &Access, method: &str, path: &str, words: &str) -> Result<()> {
    let message = access.request(method, path).send()?.status_message(403)?;
    ensure!(message.contains(words), "{method} {path}: {message}");
    Ok(())
}

#[test]
fn rule_110_rule_111_who_may_list_pods_in_one_namespace_may_do_that_and_nothing_else() -> Result<()> {
    let lister = user("subpath-lister", &["get", "create", "delete"], &[("pods", &["list"])])?;
    let member = direct("member1", &lister)?;
    let text = member.kubectl(["get", "pods", "-o", "name"]).run()?.success()?;
    ensure!(text == format!("pod/{POD}\n"), "{text}");
    // Empty segments go away before anybody looks; what is asked about is what is sent.
    member.request("GET", "//api//v1/namespaces//default/pods/").send()?.expect(200)?;

    let one = format!("{PODS}/{POD}");
    let user = "User \"subpath-lister\" cannot";
    let in_default = "in API group \"\" in the namespace \"default\"";
    for (method, path, words) in [
        (
            "GET",
            one.as_str(),
            format!("pods \"{POD}\" is forbidden: {user} get resource \"pods\" {in_default}"),
        ),
        (
            "GET",
            &format!("{PODS}?watch=1"),
            format!("pods is forbidden: {user} watch resource \"pods\" {in_default}"),
        ),
        (
            "GET",
            "/api/v1/watch/namespaces/default/pods",
            format!("{user} watch resource \"pods\" {in_default}"),
        ),
        ("DELETE", PODS, format!("{user} deletecollection resource \"pods\" {in_default}")),
        ("DELETE", &one, format!("{user} delete resource \"pods\" {in_default}")),
        ("POST", PODS, format!("{user} create resource \"pods\" {in_default}")),
        (
            "GET",
            "/api/v1/pods",
            format!("{user} list resource \"pods\" in API group \"\" at the cluster scope"),
        ),
        (
            "GET",
            "/api/v1/namespaces/kube-system/pods",
            format!("{user} list resource \"pods\" in API group \"\" in the namespace \"kube-system\""),
        ),
        (
            "GET",
            "/api/v1/namespaces/default/secrets",
            format!("{user} list resource \"secrets\" {in_default}"),
        ),
        ("GET", &format!("{one}/log"), format!("{user} get resource \"pods/log\" {in_default}")),
        (
            "GET",
            "/apis/apps/v1/namespaces/default/deployments",
            format!("{user} list resource \"deployments\" in API group \"apps\""),
        ),
        ("GET", "/metrics", format!("forbidden: {user} get path \"/metrics\"")),
    ] {
        refused(&member, method, path, &words)?;
    }
    let status = member.request("GET", &one).send()?.json(403)?;
    ensure!(
        status["details"] == json!({"name": POD, "kind": "pods"}) && status["reason"] == "Forbidden",
        "{status}"
    );
    let text = member.kubectl(["get", "pods", "--all-namespaces"]).run()?.failure()?;
    ensure!(text.contains("Error from server (Forbidden): pods is forbidden"), "{text}");

    // The same right does not let somebody through to begin with.
    let stranger = world()?.hub.user("subpath-stranger", &[])?;
    allow_in_default(&stranger, "subpath-stranger", &[("pods", &["list"])])?;
    refused(&direct("member1", &stranger)?, "GET", PODS, "cannot get resource \"clustergateways/proxy\"")?;
    // Without the flag the first user may do everything.
    world()?.direct("member1", &lister)?.request("GET", "/api/v1/secrets").send()?.expect(200).map(drop)
}

#[test]
fn rule_110_rule_265_a_session_needs_create_in_the_member_too() -> Result<()> {
    let rules: &[(&str, &[&str])] = &[("pods", &["get"]), ("pods/exec", &["get"])];
    let reader = user("subpath-exec-reader", &["get", "create"], rules)?;
    let member = direct("member1", &reader)?;
    for upgrade in ["true", "false"] {
        let exec =
            member.kubectl(["exec", POD, "--", "true"]).env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", upgrade);
        let text = exec.run()?.failure()?;
        ensure!(text.contains("cannot create resource \"pods/exec\""), "{upgrade}: {text}");
    }
    let rules: &[(&str, &[&str])] = &[("pods", &["get"]), ("pods/exec", &["get", "create"])];
    let operator = direct("member1", &user("subpath-exec-operator", &["get", "create"], rules)?)?;
    pods::exec_reports(&operator, Upgrade::WebSocket)?;
    pods::exec_reports(&operator, Upgrade::Spdy)
}

#[test]
fn rule_107_rule_108_no_spelling_of_a_path_leads_around() -> Result<()> {
    let lister = user("subpath-tricks", &["get"], &[("pods", &["list"])])?;
    let member = direct("member1", &lister)?;
    member.request("GET", PODS).send()?.expect(200)?;
    for path in [
        "/api/v1/namespaces/default/pods/../../kube-system/secrets",
        "/api/v1/namespaces/default/%2e%2e/kube-system/secrets",
        "/api/v1/namespaces/default/..%2fkube-system/secrets",
        "/api/v1/namespaces/default/%252e%252e/kube-system/secrets",
        "/api/v1/namespaces/default/./pods",
        "/api/v1/namespaces/default%2fpods%2f..%2f..%2fkube-system/secrets",
        "/api/v1/namespaces/default%2fsecrets",
        "/%2fapi/v1/namespaces/kube-system/secrets",
        "/api/v1/namespaces/default%5c..%5ckube-system/secrets",
        "/api/v1/namespaces/default%00/pods",
        "/api/v1/watch",
    ] {
        let message = member.request("GET", path).send()?.status_message(400)?;
        ensure!(!message.is_empty(), "{path}");
    }
    for path in [
        "/api/v1/namespaces/default/%73ecrets",
        "/%61pi/v1/namespaces/kube-system/secrets",
        "/api/v1/namespaces/default/secrets;/pods",
        "/api/v1/namespaces/default./pods",
        "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/member2/proxy/api/v1/namespaces/default/pods",
    ] {
        refused(&member, "GET", path, "User \"subpath-tricks\" cannot")?;
    }
    Ok(())
}

#[test]
fn rule_109_an_endpoint_with_a_base_path_is_not_left() -> Result<()> {
    // A cluster behind a path of another server: the hub's own, which leads to member1.
    registration::add_member(world()?.hub, "subpath-based", &world()?.through("member1")?)?;
    let lister = user("subpath-based-lister", &["get"], &[("pods", &["list"])])?;
    let based = direct("subpath-based", &lister)?;
    wait::eventually("the cluster", Duration::from_secs(20), || {
        based.request("GET", PODS).send()?.expect(200).map(Some)
    })?;
    for path in [
        "/../../member2/proxy/api/v1/namespaces/default/pods",
        "/%2e%2e/proxy/api/v1/namespaces/default/pods",
    ] {
        based.request("GET", path).send()?.status_message(400)?;
    }
    refused(&based, "GET", "/api/v1/namespaces/kube-system/pods", "cannot list resource \"pods\"")?;
    registration::remove_member(world()?.hub, "subpath-based")
}

/// The examples of the documentation, in their order.
fn examples() -> Result<Vec<String>> {
    let file = scratch::workspace().join("docs/authorization.md");
    let text = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let blocks = text.split("\n```yaml\n").skip(1);
    let blocks: Vec<_> = blocks.filter_map(|rest| Some(rest.split_once("\n```\n")?.0.to_owned())).collect();
    ensure!(blocks.len() == 2, "{} examples", blocks.len());
    Ok(blocks)
}

/// What the example says that `dana` may do, and what she may not.
fn dana_reads_pods_of_one_namespace(member: &Access) -> Result<()> {
    wait::eventually("the rights of the example", Duration::from_secs(20), || {
        member.kubectl(["get", "pods", "-n", "a"]).run()?.success().map(Some)
    })?;
    for refused in
        [&["get", "pods", "-n", "default"][..], &["get", "secrets", "-n", "a"], &["get", "pods", "-A"]]
    {
        let text = member.kubectl(refused).run()?.failure()?;
        ensure!(
            text.contains("(Forbidden)") && text.contains("User \"dana\" cannot list"),
            "{refused:?}: {text}"
        );
    }
    Ok(())
}

#[test]
fn rule_110_the_example_of_the_documentation_works_with_a_hub() -> Result<()> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
    world()?.hub.admin().apply(&namespace)?;
    world()?.hub.admin().kubectl(["apply", "-f", "-"]).stdin(&examples()?[0]).run()?.success()?;
    dana_reads_pods_of_one_namespace(&direct("member1", &world()?.hub.user("dana", &[])?)?)
}

#[test]
fn rule_110_the_example_of_the_documentation_works_without_a_hub() -> Result<()> {
    let mut server = Standalone::new()?;
    let user = planes()?.member1.user("gateway-without-hub", &["system:masters"])?;
    server.write("clusters/member.json", &registration::secret("member1", &user)?.to_string())?;
    for (number, example) in examples()?.iter().enumerate() {
        server.write(&format!("rbac/{number}.yaml"), example)?;
    }
    server.start_with(&["--authorize-proxy-subpath"])?;
    let kubeconfig = server.write_kubeconfig("dana.kubeconfig", &["--user", "dana"])?;
    dana_reads_pods_of_one_namespace(&Access::of_context(&kubeconfig, "member1")?)?;
    server.stop()
}

#[test]
fn rule_148_rule_150_through_the_hub_impersonation_is_the_hubs() -> Result<()> {
    let pretended = world()?.user("pretended", &["get", "create"])?;
    drop(pretended);
    let admin = world()?.through("member1")?;
    // The hub has consumed the headers; the gateway and the member see whom it says.
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    ensure!(whoami(&admin)? == crate::world::MEMBER1_USER, "nobody is passed on unasked");
    let answer = admin
        .request("POST", &format!("{path}?impersonate=true"))
        .header("Impersonate-User: pretended")
        .json(&review)
        .send()?
        .json(201)?;
    ensure!(answer["status"]["userInfo"]["username"] == "pretended", "{answer}");

    // A grant that is constrained (KEP-5284) is the hub's to judge; at the gateway's own port it counts for nothing.
    let constrained = world()?.hub.user("constrained", &[])?;
    let role = json!({"apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole", "metadata": {"name": "constrained"}, "rules": [
        {
            "apiGroups": ["authentication.k8s.io"], "resources": ["users"], "resourceNames": ["pretended"],
            "verbs": ["impersonate:user-info"],
        },
        {
            "apiGroups": [registration::GROUP], "resources": ["clustergateways/proxy"],
            "verbs": ["impersonate-on:user-info:get"],
        },
    ]});
    world()?.hub.admin().apply(&role)?;
    world()?.hub.admin().apply(&json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "constrained"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "constrained"}, "subjects": [subject("constrained")],
    }))?;
    let through = constrained.through("member1")?;
    let as_pretended =
        |access: &Access| access.request("GET", "/healthz").header("Impersonate-User: pretended").send();
    wait::eventually("the hub to know of the grant", Duration::from_secs(15), || {
        as_pretended(&through)?.expect(200).map(Some)
    })?;
    let message = as_pretended(&world()?.direct("member1", &constrained)?)?.status_message(403)?;
    ensure!(message.contains("User \"constrained\" cannot impersonate resource \"users\""), "{message}");
    Ok(())
}
