//! The command line: one file per subcommand; each parses, calls and prints.

use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

mod account;
mod apiserver;
mod completion;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod export_config;
mod detach;
mod edit;
mod interactive;
mod join;
mod kubeconfig;
mod list;
mod man;
mod manage;
mod output;
mod probe;
mod process;
mod rename;
mod rotate;
mod standalone;
mod standalone_access;
mod target;
#[cfg(test)]
mod tests;
mod version;

use crate::config;
use output::Exit;

/// One Kubernetes API path per cluster.
///
/// An aggregated API server that gives every registered cluster a path on the hub and forwards Kubernetes API traffic
/// there.
#[derive(Debug, Parser)]
#[command(
    name = "cluster-gateway",
    version,
    max_term_width = 110,
    after_long_help = "Exit codes: 0 done, 1 it failed, 2 the command line or a setting is wrong."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the aggregated API of a hub
    ///
    /// Clusters are the Secrets of --secret-namespace that carry the label
    /// cluster.core.oam.dev/cluster-credential-type. Register the server as APIService v1alpha1.cluster.core.oam.dev;
    /// then `kubectl get --raw /apis/cluster.core.oam.dev/v1alpha1/clustergateways/NAME/proxy/healthz` reaches a
    /// member.
    Apiserver(Box<config::ApiserverOptions>),
    /// Serve clusters without a hub: from files, with certificates and rights of its own
    ///
    /// Clusters are the Secret manifests and kubeconfigs in --clusters-dir; what is changed there takes effect without a
    /// restart. Write yourself a kubeconfig with `cluster-gateway kubeconfig`. Callers reach a member as the credential
    /// in its Secret or kubeconfig; with --feature-gates=ClientIdentityPenetration=true as themselves, by impersonation.
    Standalone(Box<config::StandaloneOptions>),
    /// Serve the management API and the console alone
    ///
    /// For people and programs that look after clusters: what `apiserver --manage-address` serves besides, in a process of its
    /// own. It reads and changes what is in the hub as whoever asks; the gateway need not be told.
    Manage(Box<config::ApiserverOptions>),
    /// Show it: two simulated clusters behind a gateway of their own, with a kubeconfig to try
    #[cfg(feature = "demo")]
    Demo(demo::DemoOptions),
    /// List the clusters
    ///
    /// As the gateway shows them; if it does not answer, as they stand in their Secrets.
    List(list::ListOptions),
    /// Ask clusters whether they are ready, and for their version
    ///
    /// Through the gateway, as your requests would go; with --clusters-dir straight from here. Ends with 1 if one of them is
    /// not ready.
    Probe(probe::ProbeOptions),
    /// Write a kubeconfig with one context per cluster, to use with kubectl --context or --cluster
    ///
    /// For a hub: you as in the hub's kubeconfig, through the hub or, with --direct, straight to the gateway, and the
    /// context local for the hub itself. For a standalone server: a client certificate from its own authority; run it where
    /// the server's --data-dir is: whoever can read that directory can be anybody.
    Kubeconfig(Box<kubeconfig::KubeconfigOptions>),
    /// Print a kubeconfig with one context per cluster, through the hub
    ///
    /// What `vela cluster export-config` prints, with contexts, and without what the hub's kubeconfig holds besides.
    ExportConfig(export_config::ExportConfigOptions),
    /// Find out why a cluster does not work, hop by hop, and what to do
    ///
    /// Looks from the gateway's place and from here, side by side: Secret, parsing, DNS, connection, tunnel, TLS, authentication,
    /// authorization, version, upgrades. Changes nothing. Without NAME: the hub itself, and every cluster in short.
    #[command(after_long_help = doctor::EXIT_CODES)]
    Doctor(Box<doctor::DoctorOptions>),
    /// Make a cluster known, by a kubeconfig
    ///
    /// Looks at the cluster first, writes its Secret (or, with --clusters-dir, its file), and sees that it answers through the
    /// gateway. If anything fails, or on Ctrl-C, what was there before is put back. --plan only shows what would be done.
    Join(Box<join::JoinOptions>),
    /// Take a cluster out of the set; it may be dead
    ///
    /// What of KubeVela still refers to it is shown first: ResourceTrackers are cleaned, Applications that name it need --force.
    Detach(detach::DetachOptions),
    /// Give a cluster another name
    Rename(rename::RenameOptions),
    /// Give a cluster another credential: a new token, that of a kubeconfig, or a service account that renews itself
    ///
    /// Without more than the name: a new token of the cluster's service account, now. The new credential is tried first; if the
    /// cluster does not answer with it through the gateway, the former one is put back.
    Rotate(Box<rotate::RotateOptions>),
    /// Set or remove labels of a cluster
    #[command(subcommand)]
    Labels(edit::LabelsCommand),
    /// Give a cluster a name for people
    Alias(edit::AliasOptions),
    /// Print version, commit and platform
    Version(version::VersionOptions),
    /// Print a script that completes commands and flags in a shell
    ///
    /// bash: source <(cluster-gateway completion bash). For kubectl, link the program as
    /// kubectl_complete-cluster_gateway into the PATH, besides kubectl-cluster_gateway.
    Completion(completion::CompletionOptions),
    /// Print the manual page, or write all pages into a directory
    ///
    /// Then: man -l DIR/cluster-gateway-list.1
    Man(man::ManOptions),
}

/// Under which name the program was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    /// Its own.
    Own,
    /// `kubectl-cluster_gateway`: kubectl runs it as `kubectl cluster-gateway`.
    Plugin,
    /// `kubectl_complete-cluster_gateway`: kubectl asks it how a command line could go on.
    Completer,
}

impl Name {
    fn of(program: &str) -> Self {
        match Path::new(program).file_name().and_then(|name| name.to_str()) {
            Some("kubectl-cluster_gateway") => Self::Plugin,
            Some("kubectl_complete-cluster_gateway") => Self::Completer,
            _ => Self::Own,
        }
    }

    /// The command line as it shows itself.
    fn command(self) -> clap::Command {
        match self {
            Self::Own => whole_command(),
            Self::Plugin | Self::Completer => whole_command().bin_name("kubectl cluster-gateway"),
        }
    }
}

/// The command line, with what one subcommand says otherwise than another with the same flags.
fn whole_command() -> clap::Command {
    Cli::command().mut_subcommand("manage", manage::adjusted)
}

/// Runs the command that `arguments`, the program's name first, ask for.
///
/// Exit codes: 0 done, 1 it failed, 2 the command line or a setting is wrong.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let name = Name::of(&arguments.next().unwrap_or_default());
    if name == Name::Completer {
        return completion::for_kubectl(&arguments.collect::<Vec<_>>(), &mut name.command());
    }
    let (kept, leftovers) = config::normalize(arguments);
    let program = std::iter::once("cluster-gateway".to_owned());
    let parsed = name.command().try_get_matches_from(program.chain(kept));
    match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => dispatch(cli.command, &leftovers, name),
        Err(error) => {
            // Printing help or an error to a closed pipe is nobody's concern.
            let _ = error.print();
            if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
        }
    }
}

fn dispatch(command: Command, leftovers: &[config::Leftover], name: Name) -> ExitCode {
    match command {
        Command::Apiserver(options) => apiserver::run(*options, leftovers),
        Command::Standalone(options) => standalone::run(*options, leftovers),
        Command::Manage(options) => manage::run(*options, leftovers),
        #[cfg(feature = "demo")]
        Command::Demo(options) => demo::run(&options),
        Command::List(options) => list::run(&options),
        Command::Probe(options) => probe::run(&options),
        Command::Kubeconfig(options) => kubeconfig::run(&options),
        Command::ExportConfig(options) => export_config::run(&options),
        Command::Doctor(options) => doctor::run(&options),
        Command::Version(options) => version::run(&options),
        Command::Completion(options) => completion::run(&options, name.command()),
        Command::Man(options) => man::run(&options, whole_command()),
        Command::Join(options) => join::run(&options),
        Command::Detach(options) => detach::run(&options),
        Command::Rename(options) => rename::run(&options),
        Command::Rotate(options) => rotate::run(&options),
        Command::Labels(command) => edit::labels(&command),
        Command::Alias(options) => edit::alias(&options),
    }
}
