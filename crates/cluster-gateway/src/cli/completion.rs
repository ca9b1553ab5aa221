//! `cluster-gateway completion`, and what kubectl asks a plugin for.

use std::process::ExitCode;

use clap::{Args, Command, ValueEnum};
use clap_complete::{Shell, generate};

use super::output;

/// Flags of `completion`.
#[derive(Debug, Args)]
pub(super) struct CompletionOptions {
    /// The shell to write it for
    #[arg(value_name = "SHELL", value_enum)]
    shell: ShellName,
}

/// Shells for which completions can be written.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ShellName {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

pub(super) fn run(options: &CompletionOptions, mut command: Command) -> ExitCode {
    let text = script(options.shell, &mut command);
    output::finish("completion", output::write(&text).map(|()| output::Exit::Done))
}

fn script(shell: ShellName, command: &mut Command) -> String {
    let shell = match shell {
        ShellName::Bash => Shell::Bash,
        ShellName::Elvish => Shell::Elvish,
        ShellName::Fish => Shell::Fish,
        ShellName::Powershell => Shell::PowerShell,
        ShellName::Zsh => Shell::Zsh,
    };
    let mut text = Vec::new();
    generate(shell, command, "cluster-gateway", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Answers kubectl, which runs `kubectl_complete-cluster_gateway WORD… BEGUN` and reads what Cobra's programs print: a
/// candidate per line, with a tab before its description, and last `:4`, which means that no file names are wanted.
pub(super) fn for_kubectl(words: &[String], command: &mut Command) -> ExitCode {
    let text = candidates(words, command).into_iter().map(|line| line + "\n").collect::<String>() + ":4\n";
    output::finish("completion", output::write(&text).map(|()| output::Exit::Done))
}

fn candidates(words: &[String], command: &mut Command) -> Vec<String> {
    command.build();
    let (begun, before) = words.split_last().map_or(("", &[][..]), |(last, before)| (last.as_str(), before));
    let mut at: &Command = command;
    for word in before {
        if let Some(below) = at.find_subcommand(word) {
            at = below;
        }
    }
    let described = |name: String, about: Option<String>| match about {
        Some(about) => format!("{name}\t{}", about.lines().next().unwrap_or_default()),
        None => name,
    };
    let flags = at.get_arguments().filter(|argument| !argument.is_hide_set()).filter_map(|argument| {
        let help = argument.get_help().map(ToString::to_string);
        Some(described(format!("--{}", argument.get_long()?), help))
    });
    let commands = at.get_subcommands().filter(|command| !command.is_hide_set()).map(|command| {
        described(command.get_name().to_owned(), command.get_about().map(ToString::to_string))
    });
    let all: Vec<_> = if begun.starts_with('-') { flags.collect() } else { commands.collect() };
    all.into_iter().filter(|candidate| candidate.starts_with(begun)).collect()
}

#[cfg(test)]
pub(super) mod tests {

    use super::*;

    /// The scripts of all shells under golden files, by file name.
    pub(in crate::cli) fn scripts() -> Vec<(String, String)> {
        let shells = ShellName::value_variants().iter();
        let named =
            shells.filter_map(|shell| Some((*shell, shell.to_possible_value()?.get_name().to_owned())));
        named.map(|(shell, name)| (name, script(shell, &mut crate::cli::whole_command()))).collect()
    }

    fn completed(line: &[&str]) -> Vec<String> {
        let words: Vec<_> = line.iter().map(|word| (*word).to_owned()).collect();
        candidates(&words, &mut crate::cli::whole_command())
    }

    #[test]
    fn kubectl_gets_subcommands_and_flags() {
        let commands = completed(&["pr"]);
        assert_eq!(commands.len(), 1, "{commands:?}");
        assert!(commands[0].starts_with("probe\t"), "{commands:?}");
        assert!(completed(&[""]).len() > 5);
        let flags = completed(&["probe", "edge", "--al"]);
        assert_eq!(flags.len(), 1, "{flags:?}");
        assert!(flags[0].starts_with("--all\t"), "{flags:?}");
        assert!(completed(&["probe", "nonsense"]).is_empty());
    }
}
