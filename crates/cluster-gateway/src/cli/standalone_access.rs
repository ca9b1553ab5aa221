//! A standalone server, as the owner of its data directory reaches it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use kube::Client;
use kube::config::Kubeconfig;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::kubeconfig::kubeconfig;
use super::target::TargetOptions;
use crate::authn::GROUP_MASTERS;
use crate::config::{ContextsOption, DataOptions};
use crate::hub::Operator;
use crate::issuer::{CertificateAuthority, DataDir, Role};
use crate::transport::EndpointUrl;

/// How long the certificate holds that is made for one command.
const TTL: Duration = Duration::from_secs(3600);
/// How long a server may take to accept a connection.
const LIMIT: Duration = Duration::from_secs(3);

/// Flags that say where the server is, with `--clusters-dir`.
#[derive(Debug, Clone, Args)]
pub(super) struct StandaloneOptions {
    /// URL of the standalone server, with --clusters-dir
    #[arg(
        long,
        value_name = "URL",
        default_value = "https://localhost:9443",
        help_heading = "Which clusters"
    )]
    server: String,

    /// CA bundle of the standalone server, if it serves with --tls-cert-file [default: its own CA]
    #[arg(long, value_name = "FILE", requires = "clusters_dir", help_heading = "Which clusters")]
    certificate_authority: Option<PathBuf>,
}

impl StandaloneOptions {
    /// A client with a certificate of its own; `None`: no server runs, or none has ever run with this data directory.
    pub(super) async fn client(&self, target: &TargetOptions) -> anyhow::Result<Option<Client>> {
        let endpoint = EndpointUrl::parse(&self.server).context("--server")?.endpoint;
        ensure!(endpoint.tls, "--server: expected https://HOST[:PORT]");
        let data = DataOptions {
            clusters_dir: target.clusters_dir.clone().unwrap_or_default(),
            kubeconfig_contexts: ContextsOption::All,
            data_dir: target.data_dir.clone(),
        };
        let mut mistakes = Vec::new();
        let directory = data.data_dir(&mut mistakes);
        ensure!(mistakes.is_empty(), "{}", mistakes.join("; "));
        let connected = timeout(LIMIT, TcpStream::connect((endpoint.host.as_str(), endpoint.port))).await;
        if !directory.is_dir() || !matches!(connected, Ok(Ok(_))) {
            return Ok(None);
        }
        let data = DataDir::open(directory)?;
        let groups = [GROUP_MASTERS.to_owned()];
        let issued =
            CertificateAuthority::load_or_create(&data, Role::Clients)?.issue("admin", &groups, TTL)?;
        let ca = match &self.certificate_authority {
            Some(file) => {
                std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?
            }
            None => CertificateAuthority::load_or_create(&data, Role::Serving)?.certificate_pem().to_owned(),
        };
        let value = kubeconfig(&self.server, &ca, "admin", &issued, std::iter::empty());
        let kubeconfig: Kubeconfig = serde_json::from_value(value)?;
        Ok(Some(Operator::of(kubeconfig, &self.server, None).await?.client()))
    }
}
