//! What README.md tells people to type works as it stands there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::running::Running;
use e2e::settings::variable;
use e2e::{binaries, scratch, shell};

use crate::demo::INTRODUCED;

/// Cargo may have something to build.
const START_TIMEOUT: Duration = Duration::from_secs(30 * 60);
const TIMEOUT: Duration = Duration::from_secs(60);

fn read(file: &str) -> Result<String> {
    fs::read_to_string(scratch::workspace().join(file)).with_context(|| format!("read {file}"))
}

/// The commands in the `sh` blocks of one section of README.md.
fn commands(section: &str) -> Result<Vec<String>> {
    let readme = read("README.md")?;
    let heading = format!("\n## {section}\n");
    let (_, rest) = readme.split_once(&heading).with_context(|| format!("no section {section:?}"))?;
    let text = rest.split("\n## ").next().unwrap_or_default();
    let blocks = text.split("\n```sh\n").skip(1);
    let lines = blocks.flat_map(|block| block.lines().take_while(|line| !line.starts_with("```")));
    Ok(lines.filter(|line| !line.trim().is_empty()).map(str::to_owned).collect())
}

/// A folder with a `cargo` that works on this workspace, wherever it is called. With `CLUSTER_GATEWAY_BIN` set,
/// `cargo run … -- ARGUMENTS` runs that program, whatever its profile, and builds nothing.
fn cargo(folder: &Path) -> Result<PathBuf> {
    let cargo = variable("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    // The harness gives its own home to what it runs, and cargo keeps its registry in ours.
    let home = variable("HOME").map(PathBuf::from).unwrap_or_default();
    let manifest = scratch::workspace().join("Cargo.toml");
    let run = match variable("CLUSTER_GATEWAY_BIN") {
        Some(program) => format!(
            "[ \"$1\" = run ] || exit 64\nwhile [ \"$1\" != -- ]; do shift; done\nshift\nexec {} \"$@\"\n",
            word(Path::new(&program))?
        ),
        None => format!(
            "command=$1\nshift\nHOME={} exec {} \"$command\" --manifest-path {} \"$@\"\n",
            word(&home)?,
            word(&cargo)?,
            word(&manifest)?
        ),
    };
    let file = folder.join("cargo");
    fs::write(&file, format!("#!/bin/sh\n{run}"))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    Ok(folder.to_owned())
}

fn word(path: &Path) -> Result<String> {
    let text = path.to_str().context("a path in UTF-8")?;
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

#[test]
fn it_is_seen_in_two_commands() -> Result<()> {
    let commands = commands("See it in two commands")?;
    let [demo, get] = &commands[..] else { bail!("exactly two commands: {commands:?}") };
    ensure!(demo.starts_with("cargo run ") && demo.ends_with(" -- demo"), "{demo}");
    ensure!(get == "kubectl --kubeconfig cluster-gateway-demo.kubeconfig get pods", "{get}");
    // Built here, so that how long that may take is said in one place.
    binaries::gateway()?;
    let (home, programs) = (scratch::directory("readme")?, scratch::directory("programs")?);
    let cargo = cargo(programs.path())?;
    // As in a terminal, where the shell outlives what Ctrl-C ends.
    let running = Running::start(shell::command(home.path(), &[cargo], &format!("exec {demo}"))?)?;
    running.wait_for(INTRODUCED, START_TIMEOUT)?;
    let text = Running::start(shell::command(home.path(), &[], get)?)?.finish(TIMEOUT)?.success()?;
    ensure!(text.starts_with("NAME") && text.contains("\nweb-"), "{text}");
    running.interrupt()?;
    let output = running.finish(TIMEOUT)?;
    ensure!(output.code == Some(0), "{output}");
    let left = fs::read_dir(home.path())?.count();
    ensure!(left == 0, "{left} files left behind");
    Ok(())
}

#[test]
fn ci_runs_what_the_readme_says() -> Result<()> {
    let commands = commands("Test it")?;
    ensure!(commands == ["cargo xtask ci"], "{commands:?}");
    let script = read(".ci/run")?;
    let last = script.lines().rfind(|line| !line.trim().is_empty());
    ensure!(last == Some("exec cargo xtask ci"), "{last:?}");
    Ok(())
}

#[test]
fn files_that_the_readme_links_to_are_there() -> Result<()> {
    let readme = read("README.md")?;
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for link in links.filter(|link| !link.contains("://") && !link.starts_with('#')) {
        ensure!(scratch::workspace().join(link).exists(), "README.md links to {link}, which is not there");
    }
    Ok(())
}
