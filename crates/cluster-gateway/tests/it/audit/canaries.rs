//! The program itself, at its highest verbosity and with audit on: what must never be written down is not (rule 137).

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cluster_gateway::authn::UserInfo;
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_rustls::client::TlsStream;

use super::EVERYTHING;
use crate::support::caller::Caller;
use crate::support::fake_hub::FakeHub;
use crate::support::fake_member::{FakeMember, Options, TestCa};
use crate::support::world::{NAMESPACE, PROXY, until};

const CLUSTERS: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";

/// What somebody who is impersonated brings along: told to the auditor, and to nobody else.
const SCOPE: &str = "scope-5f3a";

/// A word that occurs nowhere but where a test has put it.
fn canary(name: &str) -> String {
    format!("canary-{name}-5f3a")
}

/// The running program and everything that it has said.
struct Program {
    child: Child,
    said: Arc<Mutex<String>>,
}

impl Program {
    fn start(arguments: &[String]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cluster-gateway"));
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let said = Arc::<Mutex<String>>::default();
        listen(child.stdout.take().unwrap(), &said);
        listen(child.stderr.take().unwrap(), &said);
        Self { child, said }
    }

    fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    async fn port(&self) -> u16 {
        let port = || {
            let said = self.said();
            let line = said.lines().find(|line| line.contains("serving") && line.contains("127.0.0.1:"))?;
            let digits = line.rsplit("127.0.0.1:").next()?;
            digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
        };
        until(|| async { port().is_some() }).await;
        port().unwrap()
    }
}

fn listen(stream: impl AsyncRead + Unpin + Send + 'static, said: &Arc<Mutex<String>>) {
    let said = Arc::clone(said);
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut said = said.lock().unwrap();
            said.push_str(&line);
            said.push('\n');
        }
    });
}

/// Secrets of clusters, good and bad, whose data no one may see.
fn put_secrets(hub: &FakeHub, member: &FakeMember) {
    let endpoint = format!("https://{}", member.address);
    let put = |name: &str, kind: &str, data: Value| {
        hub.put(
            "secrets",
            json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {
                    "name": name, "namespace": NAMESPACE,
                    "labels": {"cluster.core.oam.dev/cluster-credential-type": kind},
                },
                "data": data,
            }),
        );
    };
    let data = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let ca = data(&member.ca.pem());
    let token = data(&canary("member-token"));
    put("m", "ServiceAccountToken", json!({"endpoint": data(&endpoint), "ca.crt": ca, "token": token}));
    let with_password = data(&format!("https://user:{}@{}", canary("endpoint-password"), member.address));
    put("password", "ServiceAccountToken", json!({"endpoint": with_password, "ca.crt": ca, "token": token}));
    let key = data(&format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", canary("key")));
    put(
        "key",
        "X509Certificate",
        json!({"endpoint": data(&endpoint), "ca.crt": ca, "tls.crt": key, "tls.key": key}),
    );
    let split = data(&format!("{}\n{}", canary("token-line-1"), canary("token-line-2")));
    put("split", "ServiceAccountToken", json!({"endpoint": data(&endpoint), "ca.crt": ca, "token": split}));
    put(
        "dead",
        "ServiceAccountToken",
        json!({"endpoint": data("https://127.0.0.1:1"), "ca.crt": ca, "token": token}),
    );
}

fn kubeconfig(hub: &FakeHub) -> Value {
    let mut config: Value = serde_json::from_slice(&std::fs::read(hub.kubeconfig_path()).unwrap()).unwrap();
    config["users"][0]["user"]["token"] = json!(canary("hub-token"));
    config
}

fn arguments(directory: &Path) -> Vec<String> {
    let file = |name: &str| directory.join(name).display().to_string();
    vec![
        "apiserver".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        "--secure-port=0".to_owned(),
        format!("--secret-namespace={NAMESPACE}"),
        format!("--kubeconfig={}", file("hub.json")),
        format!("--tls-cert-file={}", file("tls.crt")),
        format!("--tls-private-key-file={}", file("tls.key")),
        format!("--audit-policy-file={}", file("policy.yaml")),
        format!("--audit-log-path={}", file("audit.log")),
        "--feature-gates=ClientIdentityPenetration=true".to_owned(),
        "-v=10".to_owned(),
    ]
}

/// Asks in every way that carries something secret.
async fn ask(hub: &FakeHub, nobody: &Caller, front_proxy: &Caller) {
    let token = canary("caller-token");
    hub.token(&token, UserInfo { name: "alice".to_owned(), ..UserInfo::default() });
    hub.allow_if(|spec| spec.user.as_deref() == Some("alice"));
    let alice = nobody.clone().header("authorization", &format!("Bearer {token}"));
    let query = format!("token={}&{}", canary("query-token"), canary("bare-query"));
    for (caller, path) in [
        (alice.clone(), format!("{PROXY}/echo?{query}")),
        (alice.clone(), format!("{PROXY}/api/v1/namespaces/n/pods/p/exec?command={}", canary("command"))),
        (alice.clone(), format!("{PROXY}/api/v1/pods?a=1;{}", canary("semicolon"))),
        (alice.clone(), format!("{PROXY}/a/../b?{query}")),
        (alice.clone(), format!("/apis/g/v/watch?{query}")),
        (alice.clone(), format!("{CLUSTERS}?{query}")),
        (alice.clone(), format!("{CLUSTERS}/m?{query}")),
        (alice.clone(), format!("{CLUSTERS}/password/proxy/x?{query}")),
        (alice.clone(), format!("{CLUSTERS}/key/proxy/x?{query}")),
        (alice.clone(), format!("{CLUSTERS}/split/proxy/x?{query}")),
        (alice.clone(), format!("{CLUSTERS}/dead/proxy/x?{query}")),
        (alice.clone(), format!("{CLUSTERS}/nosuch/proxy/x?{query}")),
        (alice.clone().header("cookie", &canary("cookie")), format!("{PROXY}/echo")),
        (
            alice.clone().header("proxy-authorization", &canary("proxy-authorization")),
            format!("{PROXY}/echo"),
        ),
        (alice.clone().header("x-remote-user", &canary("remote-user")), format!("{PROXY}/echo")),
        (alice.clone().header("x-remote-extra-scope", &canary("remote-extra")), format!("{PROXY}/echo")),
        (
            nobody.clone().header("authorization", &format!("Bearer {}", canary("wrong-token"))),
            PROXY.to_owned(),
        ),
        (nobody.clone().header("authorization", &format!("Basic {}", canary("basic"))), PROXY.to_owned()),
        (
            alice.clone().header("impersonate-user", "bob").header("impersonate-extra-scope", SCOPE),
            format!("{CLUSTERS}?{query}"),
        ),
        (front_proxy.clone().header("x-remote-user", "eve"), format!("{PROXY}/echo?{query}")),
        (front_proxy.clone().header("x-remote-user", "alice"), format!("{PROXY}/echo?{query}")),
    ] {
        caller.get(&path).await;
        caller.http2().get(&path).await;
    }
    alice.send(Method::POST, &format!("{PROXY}/echo"), &canary("body")).await;
    hub.answer_token_reviews(json!({"authenticated": true, "user": {"username": "alice", "groups": 7}}));
    nobody.clone().header("authorization", &format!("Bearer {}", canary("odd-token"))).get(CLUSTERS).await;
    exec(&alice).await;
}

/// An upgrade whose token stands among the WebSocket's protocols.
async fn exec(alice: &Caller) {
    let token = URL_SAFE_NO_PAD.encode(canary("web-socket-token"));
    let path = format!("{PROXY}/api/v1/namespaces/n/pods/p/attach?command={}", canary("attach-command"));
    let protocols = format!(
        "sec-websocket-protocol: base64url.bearer.authorization.k8s.io.{token}, v4.channel.k8s.io\r\n"
    );
    let mut socket = open_upgrade(alice, &path, &protocols).await;
    socket.write_all(canary("stream").as_bytes()).await.unwrap();
    socket.flush().await.unwrap();
}

async fn open_upgrade(caller: &Caller, path: &str, headers: &str) -> TlsStream<TcpStream> {
    let mut socket = caller.connect().await;
    let head = caller.head(&format!("GET {path} HTTP/1.1"));
    let text = format!("{head}connection: Upgrade\r\nupgrade: websocket\r\n{headers}\r\n");
    socket.write_all(text.as_bytes()).await.unwrap();
    socket.flush().await.unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    socket
}

/// The program between a hub and a member, everything audited.
struct Running {
    hub: FakeHub,
    _member: FakeMember,
    directory: TempDir,
    program: Program,
    nobody: Caller,
    aggregator: Caller,
}

impl Running {
    async fn start() -> Self {
        let (hub, member) = (FakeHub::start().await, FakeMember::start(Options::default()).await);
        let [front_proxy, serving] = ["front proxy", "serving"].map(TestCa::new);
        hub.set_auth_config(&[
            ("requestheader-client-ca-file", &front_proxy.pem()),
            ("requestheader-username-headers", "[\"X-Remote-User\"]"),
            ("requestheader-group-headers", "[\"X-Remote-Group\"]"),
            ("requestheader-extra-headers-prefix", "[\"X-Remote-Extra-\"]"),
        ]);
        put_secrets(&hub, &member);
        let directory = tempfile::tempdir().unwrap();
        let leaf = serving.server(&["localhost"]);
        let policy = format!("apiVersion: audit.k8s.io/v1\nkind: Policy\n{EVERYTHING}");
        for (name, text) in [
            ("tls.crt", leaf.certificate.clone()),
            ("tls.key", leaf.key.clone()),
            ("policy.yaml", policy.replace("Metadata", "RequestResponse")),
            ("hub.json", kubeconfig(&hub).to_string()),
        ] {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let program = Program::start(&arguments(directory.path()));
        let address = ([127, 0, 0, 1], program.port().await).into();
        let nobody = Caller::new(address, &serving.der());
        until(|| async { nobody.get("/readyz").await.status == 200 }).await;
        let aggregator = nobody.clone().certificate(&front_proxy.client("front-proxy-client"));
        Self { hub, _member: member, directory, program, nobody, aggregator }
    }

    fn admin(&self) -> Caller {
        self.aggregator.clone().header("x-remote-user", "admin").header("x-remote-group", "system:masters")
    }

    fn audit(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("audit.log")).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_137_rule_262_nothing_secret_is_logged_audited_or_counted_at_any_verbosity() {
    let running = Running::start().await;
    ask(&running.hub, &running.nobody, &running.aggregator).await;
    let metrics = running.admin().header("audit-id", "the-last").get("/metrics").await.text();
    until(|| async { running.audit().matches("\"the-last\"").count() == 2 }).await;
    until(|| async { running.program.said().contains("the-last") }).await;
    let (log, audit) = (running.program.said(), running.audit());
    let events = audit.lines().count();
    assert!(events > 40 && log.contains("DEBUG rustls") && log.contains("request failed"), "{events}\n{log}");
    let web_socket = URL_SAFE_NO_PAD.encode(canary("web-socket-token"));
    for (place, text) in [("log", &log), ("audit log", &audit), ("metrics", &metrics)] {
        for word in ["canary-", &web_socket[..16], "PRIVATE KEY"] {
            let line = text.lines().find(|line| line.contains(word));
            assert!(line.is_none(), "{word} is in the {place}: {}", line.unwrap_or_default());
        }
    }
    assert!(
        !log.contains(SCOPE) && !metrics.contains(SCOPE),
        "a header of impersonation is in the log\n{log}"
    );
    for word in [SCOPE, "command=REDACTED", "token=REDACTED"] {
        assert!(audit.contains(word), "{word} is not in the audit log: the requests have not been made");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_of_the_program_tells_of_the_watches_and_upgrades_that_it_cuts() {
    let mut running = Running::start().await;
    let path = format!("{PROXY}/api/v1/pods?watch=1");
    let watch = running.admin().header("audit-id", "cut-watch").open(Method::GET, &path, "").await;
    let upgrade = running.admin().header("audit-id", "cut-upgrade");
    let upgrade = open_upgrade(&upgrade, &format!("{PROXY}/api/v1/namespaces/n/pods/p/attach"), "").await;
    let child = &mut running.program.child;
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let ended = tokio::time::timeout(Duration::from_secs(20), child.wait()).await.expect("an end").unwrap();
    assert!(ended.success(), "{ended}");
    let audit = running.audit();
    for id in ["cut-watch", "cut-upgrade"] {
        let last = audit.lines().rfind(|line| line.contains(id)).unwrap();
        assert!(last.contains("\"ResponseComplete\"") && last.contains("caller left"), "{last}");
    }
    drop((watch, upgrade));
}
