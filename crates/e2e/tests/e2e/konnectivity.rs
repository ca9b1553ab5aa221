//! Members behind the real konnectivity proxy server and its agents.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::konnectivity::{Agent, ProxyServer, address};
use e2e::pods::POD;
use e2e::registration::put_secret;
use e2e::{Access, Credential, Gateway, scratch, wait};

use crate::pods::{self, Upgrade};
use crate::world::{config_map, planes};

/// An agent tries again after at most half a second, and the server needs a moment to know it.
const CONNECTED: Duration = Duration::from_secs(20);

/// A gateway with a proxy server, and the hub's administrator at its own port.
struct Tunnels {
    server: ProxyServer,
    gateway: Gateway,
    admin: Access,
}

impl Tunnels {
    fn start(mode: &'static str) -> Result<Self> {
        let server = ProxyServer::start(mode)?;
        let flags = server.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let mut gateway = Gateway::launch(&planes()?.gateway_user, &flags)?;
        gateway.wait_ready(CONNECTED)?;
        let admin = gateway.access(planes()?.hub.admin().credential().clone())?;
        Ok(Self { server, gateway, admin })
    }

    /// Registers a member with a token, as the documentation does, with the CA `ca`. It has an agent, but no address.
    fn register(&self, number: u8, member: &Access, ca: &str) -> Result<(String, Agent)> {
        let name = address(number, member)?;
        let agent = self.server.agent(&name)?;
        self.put(&name, member, ca)?;
        Ok((name, agent))
    }

    fn put(&self, name: &str, member: &Access, ca: &str) -> Result<()> {
        let text = std::fs::read_to_string(scratch::workspace().join("docs/konnectivity.md"))?;
        let block =
            text.split("```yaml").nth(1).and_then(|rest| rest.split("```").next()).context("an example")?;
        let Credential::Token(token) = member.credential() else { bail!("a token") };
        let mut example = block.to_owned();
        for (placeholder, value) in [
            ("name: member1 ", format!("name: {name} ")),
            ("eyJhbGciOi…", token.clone()),
            ("-----BEGIN CERTIFICATE-----…", ca.trim_end().replace('\n', "\n    ")),
        ] {
            ensure!(example.contains(placeholder), "{placeholder} does not stand in the example");
            example = example.replace(placeholder, &value);
        }
        let apply = planes()?.hub.admin().kubectl(["apply", "--validate=strict", "-f", "-"]);
        apply.stdin(&example).run()?.success()?;
        Ok(())
    }

    /// The hub's administrator in a cluster, once that can be reached.
    fn through(&self, name: &str) -> Result<Access> {
        let cluster = self.admin.through(name)?;
        wait::eventually("the cluster to be reached", CONNECTED, || {
            cluster.request("GET", "/readyz").send()?.expect(200).map(Some)
        })?;
        Ok(cluster)
    }

    /// What is said of a cluster that cannot be reached, once it contains `words`.
    fn failure(&self, name: &str, words: &str) -> Result<String> {
        let cluster = self.admin.through(name)?;
        wait::eventually(words, CONNECTED, || {
            let message = cluster.request("GET", "/readyz").send()?.status_message(500)?;
            ensure!(message.contains(words), "{message}");
            Ok(Some(message))
        })
    }
}

fn token(member: &e2e::ControlPlane) -> Result<Access> {
    member.service_account("kube-system", "gateway-by-tunnel", "cluster-admin")
}

#[test]
fn rule_235_rule_236_rule_237_rule_243_rule_244_rule_270_two_clusters_over_one_proxy_server() -> Result<()> {
    let tunnels = Tunnels::start("grpc")?;
    let (member1, member2) = (token(&planes()?.member1)?, token(&planes()?.member2)?);
    let (first, _first_agent) = tunnels.register(1, &member1, member1.ca())?;
    let (second, _second_agent) = tunnels.register(2, &member2, member2.ca())?;
    let shown = tunnels.admin.kubectl(["get", "clustergateways", &first]).run()?.success()?;
    ensure!(shown.contains("ClusterProxy"), "{shown}");

    let (one, two) = (tunnels.through(&first)?, tunnels.through(&second)?);
    one.apply(&config_map("tunnelled", &serde_json::json!({"in": "member1"})))?;
    let name = one.kubectl(["get", "configmap", "tunnelled", "-o", "name"]).run()?.success()?;
    ensure!(name == "configmap/tunnelled\n", "{name}");
    let missing = two.kubectl(["get", "configmap", "tunnelled"]).run()?.failure()?;
    ensure!(missing.contains("not found"), "the other cluster has it, too: {missing}");

    let watch = one.kubectl(["get", "configmaps", "-w", "-l", "watch=tunnel", "-o", "name"]).spawn()?;
    for round in 0..3 {
        let mut map = config_map(&format!("watched-{round}"), &serde_json::json!({}));
        map["metadata"]["labels"] = serde_json::json!({"watch": "tunnel"});
        one.apply(&map)?;
        watch.wait_for(&format!("configmap/watched-{round}\n"), CONNECTED)?;
    }

    let requests = (0..300).map(|_| one.request("GET", "/version").send()?.expect(200).map(drop));
    requests.collect::<Result<()>>()?;
    // Two clusters, each with its HTTP/2 connection; kubectl and curl have opened none.
    let open = tunnels.server.open_streams()?;
    ensure!((1..=4).contains(&open), "{open} streams are open");
    Ok(())
}

#[test]
fn rule_182_rule_191_rule_239_pods_behind_a_tunnel() -> Result<()> {
    let tunnels = Tunnels::start("grpc")?;
    let member = token(&planes()?.member1)?;
    let (name, _agent) = tunnels.register(3, &member, member.ca())?;
    let access = tunnels.through(&name)?;
    for upgrade in [Upgrade::WebSocket, Upgrade::Spdy] {
        pods::exec_reports(&access, upgrade)?;
        pods::exec_pipes(&access, upgrade)?;
        pods::attach_echoes(&access, upgrade)?;
        pods::port_forward_carries(&access, upgrade)?;
    }
    pods::logs_follow(&access)?;
    pods::cp_copies(&access)?;
    wait::eventually("the tunnels of all upgrades to be closed", CONNECTED, || {
        let open = tunnels.server.open_streams()?;
        ensure!(open <= 2, "{open} streams are open");
        Ok(Some(()))
    })
}

#[test]
fn rule_175_rule_246_agent_and_proxy_server_go_and_come_back() -> Result<()> {
    let tunnels = Tunnels::start("grpc")?;
    let member = token(&planes()?.member1)?;
    let (name, agent) = tunnels.register(4, &member, member.ca())?;
    let access = tunnels.through(&name)?;
    let prefix = format!("dial tcp {name}:443: konnectivity: ");

    let watch = access.request("GET", "/api/v1/namespaces?watch=true").spawn()?;
    watch.wait_for("ADDED", CONNECTED)?;
    let logs = access.kubectl(["logs", POD, "--follow"]).spawn()?;
    logs.wait_for("line 3\n", CONNECTED)?;
    drop(agent);
    let ended = watch.finish(CONNECTED)?;
    ensure!(ended.code != Some(0), "a watch that was cut off seems complete: {ended}");
    let message = tunnels.failure(&name, "has no agent for the cluster")?;
    ensure!(message.starts_with(&prefix) && message.contains("No agent available"), "{message}");
    let _agent = tunnels.server.agent(&name)?;
    tunnels.through(&name)?;

    tunnels.server.kill();
    let message = tunnels.failure(&name, "cannot be reached")?;
    ensure!(message.starts_with(&prefix) && message.contains("connection refused"), "{message}");
    // Nobody else is hurt.
    let direct = e2e::registration::secret("beside-a-tunnel", &member)?;
    put_secret(&planes()?.hub, "beside-a-tunnel", &direct)?;
    tunnels.through("beside-a-tunnel")?;
    tunnels.server.restart()?;
    tunnels.through(&name)?;

    // The agent is there, and the API server is not.
    let nobody = member.at(&format!("https://127.0.0.1:{}", scratch::free_port()?))?;
    let absent = "member.invalid";
    let _blind_agent = tunnels.server.agent(absent)?;
    tunnels.put(absent, &nobody, nobody.ca())?;
    let message = tunnels.failure(absent, "the agent in the cluster")?;
    ensure!(message.starts_with("dial tcp member.invalid:443: konnectivity: "), "{message}");
    ensure!(message.contains("lookup member.invalid") || message.contains("no such host"), "{message}");
    ensure!(!tunnels.gateway.log().contains("panicked"), "{}", tunnels.gateway.log());
    Ok(())
}

#[test]
fn rule_244_another_ca_is_a_tls_error_inside_the_tunnel() -> Result<()> {
    let tunnels = Tunnels::start("grpc")?;
    let member = token(&planes()?.member1)?;
    let (name, _agent) = tunnels.register(5, &member, planes()?.member2.admin().ca())?;
    let message = tunnels.failure(&name, "certificate signed by unknown authority")?;
    ensure!(message.contains(&format!("{name}:443")) && !message.contains("dial tcp"), "{message}");
    tunnels.put(&name, &member, member.ca())?;
    tunnels.through(&name)?;
    Ok(())
}

#[test]
fn rule_245_a_proxy_server_in_mode_http_connect() -> Result<()> {
    let tunnels = Tunnels::start("http-connect")?;
    let member = token(&planes()?.member1)?;
    let (name, _agent) = tunnels.register(6, &member, member.ca())?;
    let access = tunnels.through(&name)?;
    pods::exec_reports(&access, Upgrade::WebSocket)?;
    pods::exec_pipes(&access, Upgrade::Spdy)?;
    pods::logs_follow(&access)?;
    tunnels.put("member.invalid", &member, member.ca())?;
    let message = tunnels.failure("member.invalid", "konnectivity")?;
    ensure!(message.starts_with("dial tcp member.invalid:443: konnectivity: "), "{message}");
    Ok(())
}
