//! The flags that say which clusters are meant: those of a hub, or those in a standalone server's directory.

use std::path::PathBuf;

use clap::Args;

use crate::config;
use crate::hub::{HubError, Operator, OperatorConfig};
use crate::lifecycle::Store;

/// Flags of all commands about clusters.
#[derive(Debug, Clone, Args)]
pub(super) struct TargetOptions {
    /// Kubeconfig of the hub [default: the files in $KUBECONFIG, else ~/.kube/config, else the pod's service account]
    #[arg(long, value_name = "FILE", conflicts_with = "clusters_dir", help_heading = "Which clusters")]
    pub(super) kubeconfig: Option<PathBuf>,

    /// Context of that kubeconfig [default: its current-context]
    #[arg(long, value_name = "NAME", conflicts_with = "clusters_dir", help_heading = "Which clusters")]
    pub(super) hub_context: Option<String>,

    /// Namespace of the hub that holds the clusters' credential Secrets
    #[arg(long, value_name = "NAMESPACE", default_value = "vela-system", help_heading = "Which clusters")]
    pub(super) secret_namespace: String,

    /// Directory of clusters of a standalone server, instead of a hub
    #[arg(long, value_name = "DIR", help_heading = "Which clusters")]
    pub(super) clusters_dir: Option<PathBuf>,

    /// Directory of the standalone server's certificate authorities [default: ~/.local/state/cluster-gateway]
    #[arg(long, value_name = "DIR", requires = "clusters_dir", help_heading = "Which clusters")]
    pub(super) data_dir: Option<PathBuf>,
}

/// The clusters, and the hub if there is one.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) store: Store,
    pub(super) hub: Option<Operator>,
}

impl TargetOptions {
    /// Opens what the flags name. Nothing is sent.
    ///
    /// # Errors
    /// [`HubError`]: no hub is named, or its kubeconfig cannot be used.
    pub(super) async fn open(&self) -> Result<Target, HubError> {
        if let Some(directory) = &self.clusters_dir {
            return Ok(Target { store: Store::directory(directory), hub: None });
        }
        let kubeconfigs = match &self.kubeconfig {
            Some(file) => vec![file.clone()],
            None => config::kubeconfigs(),
        };
        let settings = OperatorConfig { kubeconfigs, context: self.hub_context.clone() };
        let hub = Operator::connect(&settings).await?;
        Ok(Target { store: Store::hub(hub.client(), &self.secret_namespace), hub: Some(hub) })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        target: TargetOptions,
    }

    fn parsed(flags: &[&str]) -> Result<TargetOptions, clap::Error> {
        Line::try_parse_from(["x"].iter().chain(flags)).map(|line| line.target)
    }

    #[tokio::test]
    async fn a_hub_or_a_directory_but_not_both() {
        let target = parsed(&["--clusters-dir=/x"]).unwrap().open().await.unwrap();
        assert!(matches!((&target.store, &target.hub), (Store::Directory(_), None)));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        let text = r#"{"clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:1"}}],"users":[{"name":"u"}],
            "contexts":[{"name":"x","context":{"cluster":"c","user":"u"}}],"current-context":"x"}"#;
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let target = parsed(&["--kubeconfig", file]).unwrap().open().await.unwrap();
        let Store::Hub(hub) = &target.store else { panic!("not a hub") };
        assert_eq!(
            (hub.namespace(), target.hub.as_ref().unwrap().url()),
            ("vela-system", "http://127.0.0.1:1/")
        );
        assert!(parsed(&["--kubeconfig=a", "--clusters-dir=b"]).is_err());
        assert!(parsed(&["--data-dir=b"]).is_err());
        let target = parsed(&["--kubeconfig", file, "--hub-context=y"]).unwrap().open().await;
        assert!(target.unwrap_err().to_string().contains("\"y\""));
    }
}
