//! `cluster-gateway man`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command};
use clap_mangen::Man;

use super::output::{self, Exit};

/// Flags of `man`.
#[derive(Debug, Args)]
pub(super) struct ManOptions {
    /// Directory for all pages; it is made if need be [default: the first page goes to standard output]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(super) fn run(options: &ManOptions, command: Command) -> ExitCode {
    output::finish("man", write(options.directory.as_deref(), command))
}

fn write(directory: Option<&Path>, command: Command) -> anyhow::Result<Exit> {
    let pages = pages(command)?;
    let Some(directory) = directory else {
        let first = pages.first().map(|(_, page)| page.as_str()).unwrap_or_default();
        return output::write(first).map(|()| Exit::Done);
    };
    std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    for (name, page) in pages {
        let path = directory.join(name);
        std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(Exit::Done)
}

/// All pages by file name, that of the program first.
fn pages(mut command: Command) -> anyhow::Result<Vec<(String, String)>> {
    command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    let mut waiting = vec![command];
    while let Some(next) = waiting.pop() {
        waiting.extend(next.get_subcommands().filter(|command| !command.is_hide_set()).cloned());
        let name = next.get_display_name().unwrap_or(next.get_name()).to_owned();
        let mut text = Vec::new();
        let page = Man::new(next).manual("Cluster Gateway");
        page.render(&mut text).context("cannot write a manual page")?;
        pages.push((format!("{name}.1"), String::from_utf8(text).context("a manual page is no text")?));
    }
    Ok(pages)
}

#[cfg(test)]
pub(super) mod tests {

    use super::*;

    /// The pages under golden files, by file name.
    pub(in crate::cli) fn all() -> Vec<(String, String)> {
        pages(crate::cli::whole_command()).unwrap()
    }

    #[test]
    fn every_subcommand_has_a_page() {
        let directory = tempfile::tempdir().unwrap();
        let exit = write(Some(&directory.path().join("man1")), crate::cli::whole_command());
        assert_eq!(exit.unwrap(), Exit::Done);
        for name in ["cluster-gateway.1", "cluster-gateway-list.1", "cluster-gateway-kubeconfig.1"] {
            let page = std::fs::read_to_string(directory.path().join("man1").join(name)).unwrap();
            assert!(page.contains(".SH SYNOPSIS"), "{page}");
        }
    }
}
