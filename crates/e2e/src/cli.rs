//! The program under test, as people call it.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::access::Access;
use crate::running::{Output, Running};
use crate::settings::variable;
use crate::{binaries, kubectl, process};

const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs `cluster-gateway` with these arguments, with nobody's kubeconfig.
pub fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Result<Output> {
    let mut command = process::command(binaries::gateway()?);
    command.args(args);
    kubectl::isolate(&mut command)?;
    Running::start(command)?.finish(TIMEOUT)
}

/// Runs it for somebody's hub.
pub fn of(hub: &Access, args: &[&str]) -> Result<Output> {
    let kubeconfig = hub.kubeconfig();
    let kubeconfig = kubeconfig.to_str().context("a path in UTF-8")?;
    run([args, &["--kubeconfig", kubeconfig]].concat())
}

/// Runs the stock kubectl with these arguments, and with the program as its plugin in `folder`.
pub fn as_plugin(folder: &Path, args: &[&str]) -> Result<Output> {
    for name in ["kubectl-cluster_gateway", "kubectl_complete-cluster_gateway"] {
        let link = folder.join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(binaries::gateway()?, &link).context("link the plugin")?;
        }
    }
    let mut command = process::command(&binaries::Binaries::shared()?.kubectl);
    let path = variable("PATH").unwrap_or_default();
    let folders = std::iter::once(folder.to_owned()).chain(std::env::split_paths(&path));
    command.args(args).env("PATH", std::env::join_paths(folders).context("a search path")?);
    kubectl::isolate(&mut command)?;
    Running::start(command)?.finish(TIMEOUT)
}
