//! `/version` (contract rule 5).

use serde::Serialize;

/// What is running. All nine keys are on the wire, whatever their value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionInfo {
    /// Major version.
    pub major: String,
    /// Minor version.
    pub minor: String,
    /// Whole version, `v1.2.3`.
    pub git_version: String,
    /// Commit that was built; empty when unknown.
    pub git_commit: String,
    /// `clean` or `dirty`; empty when unknown.
    pub git_tree_state: String,
    /// When it was built, RFC 3339; empty when unknown.
    pub build_date: String,
    /// The key is Go's; the value names the language and compiler that made this program.
    pub go_version: String,
    /// Compiler.
    pub compiler: String,
    /// `OS/ARCH`, in Go's spelling.
    pub platform: String,
}

impl VersionInfo {
    /// The version of this binary. Commit and date are taken from `CLUSTER_GATEWAY_GIT_COMMIT` and
    /// `CLUSTER_GATEWAY_BUILD_DATE` in the environment of the build; empty when not given.
    #[must_use]
    pub fn current() -> Self {
        let platform = format!("{}/{}", std::env::consts::OS, go_arch(std::env::consts::ARCH));
        Self {
            major: env!("CARGO_PKG_VERSION_MAJOR").to_owned(),
            minor: env!("CARGO_PKG_VERSION_MINOR").to_owned(),
            git_version: concat!("v", env!("CARGO_PKG_VERSION")).to_owned(),
            git_commit: option_env!("CLUSTER_GATEWAY_GIT_COMMIT").unwrap_or_default().to_owned(),
            git_tree_state: option_env!("CLUSTER_GATEWAY_GIT_TREE_STATE").unwrap_or_default().to_owned(),
            build_date: option_env!("CLUSTER_GATEWAY_BUILD_DATE").unwrap_or_default().to_owned(),
            go_version: "none (Rust)".to_owned(),
            compiler: "rustc".to_owned(),
            platform,
        }
    }
}

fn go_arch(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
