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
    /// The version of this package on this platform, built from `commit` (empty when unknown) with `compiler`.
    #[must_use]
    pub fn of_package(commit: &str, build_date: &str) -> Self {
        let platform = format!("{}/{}", std::env::consts::OS, go_arch(std::env::consts::ARCH));
        Self {
            major: env!("CARGO_PKG_VERSION_MAJOR").to_owned(),
            minor: env!("CARGO_PKG_VERSION_MINOR").to_owned(),
            git_version: concat!("v", env!("CARGO_PKG_VERSION")).to_owned(),
            git_commit: commit.to_owned(),
            git_tree_state: String::new(),
            build_date: build_date.to_owned(),
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
