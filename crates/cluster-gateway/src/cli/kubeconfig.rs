//! `cluster-gateway kubeconfig`

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use cluster_gateway_client::ProxyPath;
use serde_json::{Value, json};

use crate::authn::GROUP_MASTERS;
use crate::config::DataOptions;
use crate::issuer::{CertificateAuthority, DataDir, Issued, Role};
use crate::registry::DirectorySource;

/// Flags of `kubeconfig`.
#[derive(Debug, Args)]
pub(super) struct KubeconfigOptions {
    #[command(flatten)]
    data: DataOptions,

    /// User that the certificate names [default: admin, in the group system:masters]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// Group of the user; may be given several times
    #[arg(long = "group", value_name = "NAME", requires = "user")]
    groups: Vec<String>,

    /// How long the certificate holds
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = crate::request::duration)]
    ttl: Duration,

    /// URL at which clients reach the server
    #[arg(long, value_name = "URL", default_value = "https://localhost:9443")]
    server: String,

    /// CA bundle of the server, if it serves with --tls-cert-file [default: its own CA]
    #[arg(long, value_name = "FILE")]
    certificate_authority: Option<PathBuf>,

    /// File to write, for your eyes only; - for standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,

    /// Replace the file if it is there
    #[arg(long)]
    overwrite: bool,
}

pub(super) fn run(options: &KubeconfigOptions) -> ExitCode {
    match write(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell it to if standard error is closed.
            let _ = writeln!(std::io::stderr(), "cluster-gateway kubeconfig: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn write(options: &KubeconfigOptions) -> anyhow::Result<()> {
    let mut mistakes = Vec::new();
    let directory = options.data.data_dir(&mut mistakes);
    ensure!(mistakes.is_empty(), "{}", mistakes.join("; "));
    ensure!(
        options.server.starts_with("https://"),
        "--server: \"{}\" does not begin with https://",
        options.server
    );
    let data = DataDir::open(directory)?;
    let (user, groups) = match &options.user {
        Some(user) => (user.as_str(), options.groups.clone()),
        None => ("admin", vec![GROUP_MASTERS.to_owned()]),
    };
    let issued =
        CertificateAuthority::load_or_create(&data, Role::Clients)?.issue(user, &groups, options.ttl)?;
    let server_ca = match &options.certificate_authority {
        Some(file) => {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
        }
        None => CertificateAuthority::load_or_create(&data, Role::Serving)?.certificate_pem().to_owned(),
    };
    let clusters = DirectorySource::load(options.data.clusters())?.names();
    let kubeconfig =
        kubeconfig(&options.server, &server_ca, user, &issued, clusters.iter().map(String::as_str));
    save(&options.output, &kubeconfig, options.overwrite)
}

/// The context of the server itself, and its name where a cluster has that; no cluster can be called the second.
pub(super) const OWN: [&str; 2] = ["cluster-gateway", "cluster-gateway:self"];

/// A kubeconfig with one context per cluster, and one named `cluster-gateway` for the server itself.
pub(super) fn kubeconfig<'n>(
    server: &str,
    server_ca: &str,
    user: &str,
    issued: &Issued,
    clusters: impl Iterator<Item = &'n str> + Clone,
) -> Value {
    let server = server.trim_end_matches('/');
    let own = if clusters.clone().any(|name| name == OWN[0]) { OWN[1] } else { OWN[0] };
    let members = clusters.map(|name| (name, format!("{server}{}", ProxyPath::prefix(name))));
    let first = members.clone().next().map_or(own, |(name, _)| name);
    let entries: Vec<_> = members.clone().chain([(own, server.to_owned())]).collect();
    let ca = STANDARD.encode(server_ca);
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": first,
        "clusters": entries.iter().map(|(name, url)| json!({
            "name": name,
            "cluster": {"server": url, "certificate-authority-data": ca},
        })).collect::<Vec<_>>(),
        "contexts": entries.iter().map(|(name, _)| json!({
            "name": name,
            "context": {"cluster": name, "user": user},
        })).collect::<Vec<_>>(),
        "users": [{
            "name": user,
            "user": {
                "client-certificate-data": STANDARD.encode(&issued.certificate),
                "client-key-data": STANDARD.encode(&issued.key),
            },
        }],
    })
}

/// Writes a kubeconfig that only its owner can read.
pub(super) fn save(path: &Path, kubeconfig: &Value, overwrite: bool) -> anyhow::Result<()> {
    let text = serde_saphyr::to_string(kubeconfig).context("cannot write YAML")?;
    if path == Path::new("-") {
        return std::io::stdout().write_all(text.as_bytes()).context("cannot write to standard output");
    }
    if path.exists() && !overwrite {
        bail!("{} is there already; add --overwrite to replace it", path.display());
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file_name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
    let temporary = directory.join(format!(".{}.{}", file_name.to_string_lossy(), std::process::id()));
    let written =
        create(&temporary, &text).and_then(|()| std::fs::rename(&temporary, path)).inspect_err(|_| {
            // There is a key in it; the reason why it could not be written is the one to report.
            let _ = std::fs::remove_file(&temporary);
        });
    written.with_context(|| format!("cannot write {}", path.display()))
}

fn create(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contexts(clusters: &[&str]) -> Vec<String> {
        let issued = Issued {
            certificate: String::new(),
            key: String::new(),
            expires: std::time::SystemTime::UNIX_EPOCH,
        };
        let written = kubeconfig("https://h/", "ca", "u", &issued, clusters.iter().copied());
        let contexts = written["contexts"].as_array().unwrap().iter();
        contexts.map(|context| context["name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_servers_own_context_makes_way_for_a_cluster_of_its_name() {
        assert_eq!(contexts(&["a", "b"]), ["a", "b", "cluster-gateway"]);
        assert_eq!(contexts(&["cluster-gateway"]), ["cluster-gateway", "cluster-gateway:self"]);
    }

    #[test]
    fn what_cannot_be_written_leaves_no_key_behind() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("taken");
        std::fs::create_dir(&target).unwrap();
        let error = save(&target, &json!({"key": "secret"}), true).unwrap_err();
        assert!(format!("{error:#}").contains("cannot write"), "{error:#}");
        let left: Vec<_> =
            std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, [target]);
    }

    #[test]
    fn a_file_that_is_there_is_replaced_only_where_that_is_asked_for() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("config");
        std::fs::write(&target, "mine").unwrap();
        let error = save(&target, &json!({}), false).unwrap_err().to_string();
        assert!(error.contains("is there already; add --overwrite"), "{error}");
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine");
        save(&target, &json!({"kind": "Config"}), true).unwrap();
        assert!(std::fs::read_to_string(&target).unwrap().contains("Config"));
        assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}
