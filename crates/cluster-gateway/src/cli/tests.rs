//! What the command line says of itself, under golden files. `UPDATE_GOLDEN=1 cargo test -p cluster-gateway --lib cli::`
//! writes them anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

#[allow(clippy::disallowed_methods, reason = "a switch of the person who runs the tests, not a setting")]
fn is_updating() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cli").join(name)
}

/// The folder holds these files and no others.
fn check(name: &str, files: &[(String, String)]) {
    let folder = folder(name);
    if is_updating() {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        for (file, text) in files {
            std::fs::write(folder.join(file), text).unwrap();
        }
    }
    const REMEDY: &str = "look at it with UPDATE_GOLDEN=1 and git diff";
    for (file, text) in files {
        let expected = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
        assert!(expected == *text, "{name}/{file} has changed; {REMEDY}");
    }
    let there: BTreeSet<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let known: BTreeSet<_> = files.iter().map(|(file, _)| file.clone()).collect();
    assert_eq!(there, known, "{name}; {REMEDY}");
}

/// The long help of a command and of all below it, by file name.
fn helps(command: &mut clap::Command, path: &str) -> Vec<(String, String)> {
    let mut all = vec![(format!("{path}.txt"), command.render_long_help().to_string())];
    let below: Vec<_> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in below.iter().filter(|name| *name != "help") {
        let below = command.find_subcommand_mut(name).unwrap();
        all.extend(helps(below, &format!("{path}-{name}")));
    }
    all
}

#[test]
fn help_is_as_published() {
    let mut command = super::whole_command().term_width(100);
    command.build();
    check("help", &helps(&mut command, "cluster-gateway"));
}

#[test]
fn manual_pages_are_as_published() {
    check("man", &man::tests::all());
}

#[test]
fn completions_are_as_published() {
    check("completion", &completion::tests::scripts());
}

#[test]
fn the_command_line_holds_together() {
    super::whole_command().debug_assert();
}

#[test]
fn the_name_of_the_file_says_whom_it_serves() {
    let names =
        ["/usr/bin/cluster-gateway", "kubectl-cluster_gateway", "/x/kubectl_complete-cluster_gateway", ""];
    assert_eq!(names.map(Name::of), [Name::Own, Name::Plugin, Name::Completer, Name::Own]);
    let error =
        Name::Plugin.command().try_get_matches_from(["cluster-gateway", "list", "--help"]).unwrap_err();
    assert!(error.to_string().contains("Usage: kubectl cluster-gateway list"), "{error}");
    let error = Name::Own.command().try_get_matches_from(["cluster-gateway", "list", "--help"]).unwrap_err();
    assert!(error.to_string().contains("Usage: cluster-gateway list"), "{error}");
}

#[test]
fn what_the_command_line_gets_wrong_ends_with_2_and_help_with_0() {
    let ended = |line: &[&str]| {
        let code = run(line.iter().map(|word| (*word).to_owned()));
        format!("{code:?}")
    };
    let [done, usage] = [Exit::Done, Exit::Usage].map(|exit| format!("{:?}", ExitCode::from(exit)));
    assert_eq!(ended(&["cluster-gateway", "list", "-l", "a in"]), usage);
    assert_eq!(ended(&["cluster-gateway", "probe"]), usage);
    assert_eq!(ended(&["cluster-gateway", "kubeconfig", "--user", "bob"]), usage);
    assert_eq!(ended(&["cluster-gateway", "list", "--help"]), done);
}
