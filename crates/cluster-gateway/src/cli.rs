//! The command line: one file per subcommand; each parses, calls and prints.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod apiserver;
#[cfg(feature = "demo")]
mod demo;
mod detach;
mod edit;
mod interactive;
mod join;
mod kubeconfig;
#[allow(dead_code, unused_imports, reason = "the commands that use all of it are being written")]
mod output;
mod process;
mod rename;
mod standalone;
mod standalone_access;
mod target;
mod version;

use crate::config;

/// One Kubernetes API path per cluster.
///
/// An aggregated API server that gives every registered cluster a path on the hub and forwards Kubernetes API traffic
/// there.
#[derive(Debug, Parser)]
#[command(name = "cluster-gateway", version, max_term_width = 110)]
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
    /// Show it: two simulated clusters behind a gateway of their own, with a kubeconfig to try
    #[cfg(feature = "demo")]
    Demo(demo::DemoOptions),
    /// Write a kubeconfig for a standalone server, with a certificate of its own and one context per cluster
    ///
    /// Run it where the server's --data-dir is: whoever can read that directory can be anybody.
    Kubeconfig(kubeconfig::KubeconfigOptions),
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
    /// Set or remove labels of a cluster
    #[command(subcommand)]
    Labels(edit::LabelsCommand),
    /// Give a cluster a name for people
    Alias(edit::AliasOptions),
    /// Print version, commit and platform
    Version(version::VersionOptions),
}

/// Runs the command that `arguments` (without the program's name) ask for.
///
/// Exit codes: 0 done, 1 it failed, 2 the command line or a setting is wrong.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let (kept, leftovers) = config::normalize(arguments);
    let name = std::iter::once("cluster-gateway".to_owned());
    let cli = match Cli::try_parse_from(name.chain(kept)) {
        Ok(cli) => cli,
        Err(error) => {
            // Printing help or an error to a closed pipe is nobody's concern.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match cli.command {
        Command::Apiserver(options) => apiserver::run(*options, &leftovers),
        Command::Standalone(options) => standalone::run(*options, &leftovers),
        #[cfg(feature = "demo")]
        Command::Demo(options) => demo::run(&options),
        Command::Kubeconfig(options) => kubeconfig::run(&options),
        Command::Join(options) => join::run(&options),
        Command::Detach(options) => detach::run(&options),
        Command::Rename(options) => rename::run(&options),
        Command::Labels(command) => edit::labels(&command),
        Command::Alias(options) => edit::alias(&options),
        Command::Version(options) => version::run(&options),
    }
}
