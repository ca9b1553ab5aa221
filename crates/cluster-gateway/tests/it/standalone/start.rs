//! What keeps a server from starting, and what it says then.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use clap::Parser;
use cluster_gateway::config::{Config, StandaloneOptions};
use cluster_gateway::serve::Server;
use tokio::net::TcpListener;

use super::{Alone, Files, standalone};

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    options: StandaloneOptions,
}

/// What the command line comes to.
fn flags(flags: &[&str]) -> Result<Config, Vec<String>> {
    let line = std::iter::once("standalone").chain(flags.iter().copied());
    let options = Flags::try_parse_from(line).map_err(|error| vec![error.to_string()])?.options;
    Config::standalone(options).map_err(|error| error.0)
}

/// Why it does not start.
async fn refusal(config: Config) -> String {
    match Server::start(config).await {
        Ok(server) => panic!("it serves on {}", server.address()),
        Err(error) => format!("{error:#}"),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_named() {
    let files = Files::new();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = files.config();
    config.address = taken.local_addr().unwrap();
    let said = refusal(config).await;
    let expected =
        format!("cannot listen on {}; is the port taken or privileged?", taken.local_addr().unwrap());
    assert!(said.starts_with(&expected) && said.contains("in use"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_cannot_be_written_is_named_with_the_flag() {
    let files = Files::new();
    files.write("file", "");
    let mut config = files.config();
    // Also for root, who may write everywhere else.
    standalone(&mut config).data_dir = files.path("file/data");
    let said = refusal(config).await;
    let path = files.path("file/data");
    assert!(said.starts_with(&format!("--data-dir {}: cannot be written", path.display())), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_others_may_read_are_refused_with_the_remedy() {
    let alone = Alone::start().await;
    let Alone { mut server, files, member: _member } = alone;
    server.stop(std::time::Duration::ZERO).await;
    let chmod = |name: &str, mode| {
        std::fs::set_permissions(files.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for (name, open, wanted) in
        [("data", 0o755, 0o700), ("data/ca.key", 0o640, 0o600), ("data/serving.key", 0o604, 0o600)]
    {
        chmod(name, open);
        let said = refusal(files.config()).await;
        let remedy = format!("chmod {wanted:o} {}", files.path(name).display());
        assert!(said.contains("others than its owner have rights on") && said.contains(&remedy), "{said}");
        chmod(name, wanted);
    }
    // The remedy is enough.
    Server::start(files.config()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_before_are_good_after_a_restart() {
    let alone = Alone::start().await;
    let admin = super::issue(&alone.files.path("data"), "admin", &["system:masters"], super::HOUR);
    let Alone { mut server, files, member } = alone;
    server.stop(std::time::Duration::ZERO).await;
    let server = Server::start(files.config()).await.unwrap();
    let alone = Alone { server, files, member };
    super::answered(&alone.nobody().certificate(&admin), super::CLUSTERS, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_that_are_missing_are_refused() {
    for folder in ["clusters", "rbac"] {
        let files = Files::new();
        let path = files.path(folder);
        if path.exists() {
            std::fs::remove_dir(&path).unwrap();
        }
        let said = refusal(files.config()).await;
        assert!(said.contains(text(&path)), "{folder}: {said}");
    }
}

#[test]
fn all_mistakes_in_the_flags_are_said_at_once() {
    let files = Files::new();
    let (missing, here) = (files.path("missing"), files.path("clusters"));
    let said = flags(&[
        "--clusters-dir",
        text(&missing),
        "--rbac-dir",
        text(&missing),
        "--token-auth-file",
        text(&missing),
        "--data-dir",
        text(&here),
        "--bind-address=here",
        "--tls-cert-file",
        text(&missing),
    ])
    .unwrap_err();
    for expected in [
        "--clusters-dir: cannot list",
        "--rbac-dir: cannot list",
        "--token-auth-file: cannot read",
        "--bind-address: \"here\" is not an IP address",
        "--tls-cert-file: cannot read",
        "--tls-cert-file and --tls-private-key-file belong together",
    ] {
        assert!(said.iter().any(|mistake| mistake.starts_with(expected)), "{expected}: {said:?}");
    }
}

#[test]
fn what_is_not_said_is_safe() {
    let files = Files::new();
    let (clusters, data) = (files.path("clusters"), files.path("data"));
    let mut config = flags(&["--clusters-dir", text(&clusters), "--data-dir", text(&data)]).unwrap();
    assert_eq!(config.address.to_string(), "127.0.0.1:9443");
    assert!(!config.allow_insecure_clusters);
    assert!(!config.gates.client_identity_penetration);
    let mode = standalone(&mut config);
    assert!(!mode.authentication.anonymous);
    assert!(!mode.clusters.allow_exec);
    assert!(mode.rbac.is_none(), "without manifests nobody but an admin may do anything");
}

#[test]
fn rule_136_audit_needs_a_policy_and_a_place_and_says_what_is_wrong_with_the_policy() {
    let files = Files::new();
    let (clusters, policy, log) =
        (files.path("clusters"), files.path("policy.yaml"), files.path("audit.log"));
    let directory = format!("--clusters-dir={}", text(&clusters));
    let of = |rest: &[&str]| {
        let rest: Vec<_> = std::iter::once(directory.as_str()).chain(rest.iter().copied()).collect();
        flags(&rest)
    };
    let (policy_flag, log_flag) =
        (format!("--audit-policy-file={}", text(&policy)), format!("--audit-log-path={}", text(&log)));
    let missing = of(&[&policy_flag, &log_flag]).unwrap_err().join("\n");
    assert!(missing.starts_with(&format!("--audit-policy-file: cannot read {}", text(&policy))), "{missing}");
    files.write(
        "policy.yaml",
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: All\n- level: Few\n",
    );
    let wrong = of(&[&policy_flag, &log_flag]).unwrap_err();
    let [first, second] = wrong.as_slice() else { panic!("{wrong:?}") };
    let start = |line: usize| format!("--audit-policy-file: {}:{line}: document 1: rules[", text(&policy));
    assert!(first.starts_with(&start(4)) && second.starts_with(&start(5)), "{wrong:?}");
    files.write("policy.yaml", "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n");
    for half in [&policy_flag, &log_flag] {
        assert!(of(&[half]).unwrap().audit.is_none(), "{half} alone audits nothing, as in kube-apiserver");
    }
    let config = of(&[&policy_flag, &log_flag, "--audit-log-maxsize=7", "--audit-log-mode=batch"]).unwrap();
    let log = config.audit.unwrap().log.unwrap();
    assert_eq!((log.max_size, log.mode), (7, cluster_gateway::audit::Mode::Batch));
    for unsupported in
        ["--audit-log-format=legacy", "--audit-log-mode=blocking-strict", "--audit-webhook-batch-max-size=0"]
    {
        assert!(of(&[unsupported]).is_err(), "{unsupported}");
    }
}
