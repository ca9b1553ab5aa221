//! What a person's own environment says: their kubeconfig, proxies, programs.

use std::path::PathBuf;
use std::sync::Arc;

use crate::credential::{ExecPlugins, ExecPolicy};
use crate::registry::{ClusterPolicy, ProxyEnvironment};
use crate::transport::{AddressPolicy, TransportOptions};

/// The files of the environment variable `KUBECONFIG`; without it `~/.kube/config`, if that is there.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
pub fn kubeconfigs() -> Vec<PathBuf> {
    let named = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let named: Vec<_> = std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()).collect();
    if !named.is_empty() {
        return named;
    }
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube/config"));
    home.filter(|path| path.is_file()).into_iter().collect()
}

/// What a person's own tools may do on the way to a cluster, from where they are: use the proxies of the environment, reach a
/// loopback address, and run `program` with their own environment.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
pub fn operator_policy(allow_insecure: bool, program: Option<PathBuf>) -> ClusterPolicy {
    let proxies = ProxyEnvironment::read(|name| std::env::var(name).ok()).unwrap_or_default();
    let environment = std::env::vars_os();
    let environment =
        environment.filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    let exec = ExecPolicy {
        commands: program.into_iter().collect(),
        environment: environment.collect(),
        ..ExecPolicy::default()
    };
    let addresses = AddressPolicy { allow_loopback: true };
    ClusterPolicy {
        allow_insecure,
        proxies,
        exec: Arc::new(ExecPlugins::new(exec)),
        transport: Arc::new(TransportOptions { addresses, ..TransportOptions::default() }),
        ..ClusterPolicy::default()
    }
}

/// Where a program is that a kubeconfig names: an absolute path, or found in `PATH`.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
pub fn find_program(command: &str) -> Option<PathBuf> {
    let path = PathBuf::from(command);
    if command.contains('/') {
        return Some(path).filter(|path| path.is_absolute() && path.is_file());
    }
    let directories = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = std::env::split_paths(&directories).map(|directory| directory.join(command));
    candidates.find(|candidate| candidate.is_absolute() && candidate.is_file())
}
