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

/// A kubeconfig with one context per cluster, and one named `cluster-gateway` for the server itself.
pub(super) fn kubeconfig<'n>(
    server: &str,
    server_ca: &str,
    user: &str,
    issued: &Issued,
    clusters: impl Iterator<Item = &'n str> + Clone,
) -> Value {
    let server = server.trim_end_matches('/');
    let own = std::iter::once(("cluster-gateway", server.to_owned()));
    let members = clusters.map(|name| (name, format!("{server}{}", ProxyPath::prefix(name))));
    let first = members.clone().next().map_or("cluster-gateway", |(name, _)| name);
    let entries: Vec<_> = members.clone().chain(own).collect();
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
    let cannot = |path: &Path| format!("cannot write {}", path.display());
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .with_context(|| cannot(&temporary))?;
    file.write_all(text.as_bytes()).with_context(|| cannot(&temporary))?;
    std::fs::rename(&temporary, path).with_context(|| cannot(path))
}
