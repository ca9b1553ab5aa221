//! cargo-deny, which checks dependencies against deny.toml: found, or installed once below `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::workspace;

const VERSION: &str = "0.20.2";

/// The command that checks bans, licences and sources.
pub(crate) fn command() -> Result<Command> {
    let mut command = Command::new(find_or_install()?);
    command.current_dir(workspace::root()).args(["--locked", "check", "bans", "licenses", "sources"]);
    Ok(command)
}

fn find_or_install() -> Result<PathBuf> {
    let tools = workspace::target().join("tools");
    let ours = tools.join("bin/cargo-deny");
    if let Some(found) =
        [ours.as_path(), Path::new("cargo-deny")].into_iter().find(|program| is_right(program))
    {
        return Ok(found.to_owned());
    }
    println!("installing cargo-deny {VERSION} (once; takes minutes) into {}", tools.display());
    let begun = Instant::now();
    let mut install = workspace::cargo();
    install.args(["install", "cargo-deny", "--locked", "--version", VERSION, "--root"]).arg(&tools);
    // It runs for a second: what its own release profile spends on optimization would be waited for here.
    install.envs(
        [("LTO", "off"), ("CODEGEN_UNITS", "16"), ("OPT_LEVEL", "1")]
            .map(|(option, value)| (format!("CARGO_PROFILE_RELEASE_{option}"), value)),
    );
    let status = install.status().context("start cargo install")?;
    ensure!(status.success(), "cargo install cargo-deny: {status}");
    println!("installed cargo-deny in {:.0?}", begun.elapsed());
    Ok(ours)
}

/// Whether it is there and has the version that deny.toml was written for.
fn is_right(program: &Path) -> bool {
    let output = Command::new(program).arg("--version").output();
    output
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == format!("cargo-deny {VERSION}"))
}
