//! Command lines as a person types them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::binaries::Binaries;
use crate::settings::variable;
use crate::{kubectl, process};

/// `line` in a shell, in `directory`. Programs are looked for in `programs`, beside the harness's kubectl, and in `PATH`.
pub fn command(directory: &Path, programs: &[PathBuf], line: &str) -> Result<Command> {
    let kubectl = Binaries::shared()?.kubectl.parent().context("a folder with kubectl")?.to_owned();
    let path = variable("PATH").unwrap_or_default();
    let folders = programs.iter().cloned().chain([kubectl]).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(folders).context("a PATH")?;
    let mut command = process::command("sh");
    kubectl::isolate(&mut command)?;
    command.args(["-c", line]).current_dir(directory).env("PATH", path);
    Ok(command)
}
