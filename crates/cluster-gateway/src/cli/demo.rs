//! `cluster-gateway demo`

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use cluster_gateway_client::ProxyPath;
use cluster_gateway_client::v1alpha1::LABEL_CREDENTIAL_TYPE;
use serde_json::{Value, json};
use simulated_member::{Member, User};
use tokio::signal::unix::{SignalKind, signal};

use super::{kubeconfig, process};
use crate::authn::{GROUP_MASTERS, StandaloneAuthentication};
use crate::authz::AuthorizationConfig;
use crate::config::{Config, FeatureGates, ManageConfig, Mode, StandaloneMode};
use crate::credential::ExecPolicy;
use crate::health::HealthConfig;
use crate::identity::IdentityConfig;
use crate::issuer::{CertificateAuthority, DataDir, Role};
use crate::limits::LimitsConfig;
use crate::manage::login::LoginConfig;
use crate::manage::store::{StoreConfig, StoreType, StoreUrl};
use crate::record::{Recorder, Served};
use crate::registry::{ClustersDirectory, ProxyEnvironment};
use crate::renewal::RenewalConfig;
use crate::serve::Server;

/// Names of the simulated clusters.
const MEMBERS: [&str; 2] = ["member1", "member2"];
const TOKEN: &str = "demo-token-of-the-gateway";
/// File of tokens, in the demo's directory.
const TOKENS: &str = "tokens.csv";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Flags of `demo`.
#[derive(Debug, Args)]
pub(super) struct DemoOptions {
    /// Kubeconfig to write; it is removed at the end
    #[arg(long, value_name = "FILE", default_value = "cluster-gateway-demo.kubeconfig")]
    kubeconfig: PathBuf,

    /// Port to serve HTTPS on; 0 lets the system choose one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    secure_port: u16,
}

pub(super) fn run(options: &DemoOptions) -> ExitCode {
    process::start_log_of("warn,kube_client=off,kube_runtime=off,cluster_gateway::issuer=warn", "text");
    process::block_on(demo(options))
}

async fn demo(options: &DemoOptions) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // A terminal that is closed ends it, too, and must not leave a key behind.
    let mut hangup = signal(SignalKind::hangup())?;
    ensure!(
        std::fs::symlink_metadata(&options.kubeconfig).is_err(),
        "{} is there already; remove it, or name another file with --kubeconfig",
        options.kubeconfig.display()
    );
    let directory = tempfile::tempdir().context("cannot make a directory for the demo")?;
    let members = members(directory.path()).await?;
    let token = token(directory.path())?;
    let mut server =
        Server::start_recorded(config(directory.path(), options.secure_port)?, recorder()).await?;
    server.ready().await;
    let written = Written::new(&options.kubeconfig, directory.path(), server.address())?;
    introduce(&written, server.management_address(), &token)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
        error = server.failed() => return Err(error),
    }
    server.stop(Duration::ZERO).await;
    drop((members, written));
    directory.close().context("cannot remove the demo's directory")
}

/// Two clusters, and their Secrets in `directory`.
async fn members(directory: &Path) -> anyhow::Result<Vec<Member>> {
    let clusters = directory.join("clusters");
    std::fs::create_dir(&clusters)?;
    let mut members = Vec::new();
    for (name, workload, replicas) in [(MEMBERS[0], "web", 2), (MEMBERS[1], "billing", 3)] {
        let member = Member::builder()
            .name(name)
            .token(TOKEN, User::new("cluster-gateway").group(GROUP_MASTERS))
            .objects([deployment(workload, replicas), greeting(name)])
            .start()
            .await?;
        let secret = serde_json::to_string(&secret(name, &member))?;
        std::fs::write(clusters.join(format!("{name}.json")), secret)?;
        members.push(member);
    }
    Ok(members)
}

fn secret(name: &str, member: &Member) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "labels": {LABEL_CREDENTIAL_TYPE: "ServiceAccountToken"},
        },
        "stringData": {"endpoint": member.url(), "ca.crt": member.ca_pem(), "token": TOKEN},
    })
}

fn deployment(name: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": name, "image": format!("example.test/{name}:1.0")}]},
            },
        },
    })
}

fn greeting(member: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "greeting", "namespace": "default"},
        "data": {"text": format!("You have reached {member}.")},
    })
}

fn config(directory: &Path, port: u16) -> anyhow::Result<Config> {
    let data_dir = directory.join("data");
    DataDir::open(&data_dir)?;
    Ok(Config {
        serves_gateway: true,
        manage: Some(management(directory)?),
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        tls: None,
        mode: Mode::Standalone(StandaloneMode {
            clusters: ClustersDirectory {
                directory: directory.join("clusters"),
                ..ClustersDirectory::default()
            },
            rbac: None,
            data_dir,
            names: Vec::new(),
            authentication: StandaloneAuthentication {
                token_file: Some(directory.join(TOKENS)),
                ..StandaloneAuthentication::default()
            },
        }),
        authorization: AuthorizationConfig::default(),
        gates: FeatureGates::default(),
        audit: None,
        identity: IdentityConfig::default(),
        health: HealthConfig::default(),
        renewal: RenewalConfig::default(),
        response_header_timeout: None,
        allow_insecure_clusters: false,
        allow_loopback_clusters: true,
        proxies: ProxyEnvironment::default(),
        exec: ExecPolicy::default(),
        konnectivity: None,
        limits: LimitsConfig::default(),
        shutdown_delay: Duration::ZERO,
        shutdown_send_retry_after: false,
        poll: Duration::from_secs(10),
    })
}

/// The console, for this machine alone.
fn management(directory: &Path) -> anyhow::Result<ManageConfig> {
    let records = StoreUrl::new(&directory.join("clusters.db").display().to_string());
    Ok(ManageConfig {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: false,
        name: Some("demo".to_owned()),
        records: StoreConfig::new(StoreType::Sqlite, None, Some(&records)).map_err(anyhow::Error::msg)?,
        login: LoginConfig::default(),
    })
}

/// A token for the console, made for this run.
fn token(directory: &Path) -> anyhow::Result<String> {
    let token = uuid::Uuid::new_v4().simple().to_string();
    std::fs::write(directory.join(TOKENS), format!("{token},admin,admin,{GROUP_MASTERS}\n"))?;
    Ok(token)
}

/// The kubeconfig; removed when dropped.
struct Written(PathBuf);

impl Written {
    fn new(path: &Path, directory: &Path, address: SocketAddr) -> anyhow::Result<Self> {
        let data = DataDir::open(directory.join("data"))?;
        let clients = CertificateAuthority::load_or_create(&data, Role::Clients)?;
        let issued = clients.issue("admin", &[GROUP_MASTERS.to_owned()], DAY)?;
        let serving = CertificateAuthority::load_or_create(&data, Role::Serving)?;
        let server = format!("https://localhost:{}", address.port());
        let kubeconfig =
            kubeconfig::kubeconfig(&server, serving.certificate_pem(), "admin", &issued, MEMBERS.into_iter());
        kubeconfig::save(path, &kubeconfig, false)?;
        Ok(Self(std::path::absolute(path)?))
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // It may have been moved or removed by its owner.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn introduce(Written(kubeconfig): &Written, console: Option<SocketAddr>, token: &str) -> anyhow::Result<()> {
    let console = console.map_or_else(String::new, |address| {
        format!("In a browser: http://{address}/ and the token {token}\n\n")
    });
    let kubeconfig = shell_word(&kubeconfig.display().to_string());
    let text = format!(
        "Two simulated clusters behind one gateway, and no hub. Ctrl-C ends it and leaves nothing behind.\n\n  \
         export KUBECONFIG={kubeconfig}\n\n  \
         kubectl get pods\n  \
         kubectl --context {} get deployments\n  \
         kubectl --context cluster-gateway get clustergateways\n\n\
         {console}What is asked of it:\n",
        MEMBERS[1]
    );
    std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output")
}

/// A text as a shell reads it as one word.
fn shell_word(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "/._-+:@%".contains(character);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Prints a line per request.
fn recorder() -> Recorder {
    let colour = std::io::stdout().is_terminal();
    let listener = Box::new(move |served: &Served<'_>| {
        // Nobody is left to read it if standard output is closed.
        let _ = writeln!(std::io::stdout(), "{}", line(served, colour));
    });
    Recorder { listener: Some(listener), ..Recorder::default() }
}

/// `200 GET member1 /api/v1/pods admin 2 ms`
fn line(served: &Served<'_>, colour: bool) -> String {
    let code = served.code.as_u16();
    let paint = match code {
        _ if !colour => ("", ""),
        0..400 => ("\x1b[32m", "\x1b[0m"),
        400..500 => ("\x1b[33m", "\x1b[0m"),
        _ => ("\x1b[31m", "\x1b[0m"),
    };
    let (cluster, path) = match ProxyPath::parse(served.path) {
        Ok(Some(path)) => (path.cluster, path.path),
        _ => ("-".to_owned(), served.path.to_owned()),
    };
    let user = if served.user.is_empty() { "-" } else { served.user };
    let (method, elapsed) = (served.method.as_str(), served.elapsed.as_millis());
    format!("{}{code}{} {method:<6} {cluster:<8} {path} ({user}, {elapsed} ms)", paint.0, paint.1)
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};

    use super::*;

    #[test]
    fn paths_are_words_of_a_shell() {
        assert_eq!(shell_word("/a/b-c_d.1"), "/a/b-c_d.1");
        assert_eq!(shell_word("/it's mine"), r"'/it'\''s mine'");
    }

    #[test]
    fn a_line_names_the_members_own_path_and_is_coloured_on_a_terminal_only() {
        let served = Served {
            method: &Method::GET,
            path: "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/member1/proxy/api/v1/pods",
            user: "admin",
            code: StatusCode::NOT_FOUND,
            bytes: 1,
            elapsed: Duration::from_millis(3),
        };
        assert_eq!(line(&served, false), "404 GET    member1  /api/v1/pods (admin, 3 ms)");
        assert!(line(&served, true).starts_with("\x1b[33m404\x1b[0m GET"));
    }
}
