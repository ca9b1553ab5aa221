//! `cluster-gateway version`

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

/// Flags of `version`.
#[derive(Debug, Args)]
pub(super) struct VersionOptions {
    /// Form of the output
    #[arg(short, long, value_name = "FORM", default_value = "text", value_parser = ["text", "json"])]
    output: String,
}

/// What this binary was built from; the body of `/version` (contract rule 5).
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildInfo {
    /// Major version.
    pub major: &'static str,
    /// Minor version.
    pub minor: &'static str,
    /// Whole version, with a leading `v`.
    pub git_version: String,
    /// Commit, or empty when it was not known at build time.
    pub git_commit: &'static str,
    /// `clean`, `dirty`, or empty.
    pub git_tree_state: &'static str,
    /// When it was built, RFC 3339, or empty.
    pub build_date: &'static str,
    /// Toolchain; the key is Kubernetes'.
    pub go_version: &'static str,
    /// Compiler.
    pub compiler: &'static str,
    /// Operating system and architecture.
    pub platform: String,
}

impl BuildInfo {
    /// The values of this binary.
    #[must_use]
    pub fn current() -> Self {
        Self {
            major: env!("CARGO_PKG_VERSION_MAJOR"),
            minor: env!("CARGO_PKG_VERSION_MINOR"),
            git_version: concat!("v", env!("CARGO_PKG_VERSION")).to_owned(),
            git_commit: option_env!("CLUSTER_GATEWAY_GIT_COMMIT").unwrap_or_default(),
            git_tree_state: option_env!("CLUSTER_GATEWAY_GIT_TREE_STATE").unwrap_or_default(),
            build_date: option_env!("CLUSTER_GATEWAY_BUILD_DATE").unwrap_or_default(),
            go_version: concat!("rust", env!("CARGO_PKG_RUST_VERSION")),
            compiler: "rustc",
            platform: format!("{}/{}", std::env::consts::OS, go_architecture(std::env::consts::ARCH)),
        }
    }
}

/// Kubernetes names architectures as Go does.
fn go_architecture(architecture: &'static str) -> &'static str {
    match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[expect(clippy::print_stdout, reason = "this command's output")]
pub(super) fn run(options: &VersionOptions) -> ExitCode {
    let info = BuildInfo::current();
    match options.output.as_str() {
        "json" => println!("{}", serde_json::to_string_pretty(&info).unwrap_or_default()),
        _ => {
            let commit = if info.git_commit.is_empty() { "unknown commit" } else { info.git_commit };
            println!("cluster-gateway {} ({commit}, {})", info.git_version, info.platform);
        }
    }
    ExitCode::SUCCESS
}
