//! `cluster-gateway version`

use std::process::ExitCode;

use clap::Args;

use crate::api::VersionInfo;

/// Flags of `version`.
#[derive(Debug, Args)]
pub(super) struct VersionOptions {
    /// Form of the output
    #[arg(short, long, value_name = "FORM", default_value = "text", value_parser = ["text", "json"])]
    output: String,
}

#[expect(clippy::print_stdout, reason = "this command's output")]
pub(super) fn run(options: &VersionOptions) -> ExitCode {
    let info = VersionInfo::current();
    match options.output.as_str() {
        "json" => println!("{}", serde_json::to_string_pretty(&info).unwrap_or_default()),
        _ => {
            let commit = if info.git_commit.is_empty() { "unknown commit" } else { info.git_commit.as_str() };
            println!("cluster-gateway {} ({commit}, {})", info.git_version, info.platform);
        }
    }
    ExitCode::SUCCESS
}
