//! Where a person's kubeconfig is.

use std::path::PathBuf;

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
