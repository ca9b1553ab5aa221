//! The command line: one file per subcommand; each parses, calls and prints.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod apiserver;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod kubeconfig;
#[allow(dead_code, unused_imports, reason = "the commands that use all of it are being written")]
mod output;
mod process;
mod standalone;
#[allow(dead_code, reason = "its users come with the next commits")]
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
    /// Find out why a cluster does not work, hop by hop, and what to do
    ///
    /// Looks from the gateway's place and from here, side by side: Secret, parsing, DNS, connection, tunnel, TLS, authentication,
    /// authorization, version, upgrades. Changes nothing. Without NAME: the hub itself, and every cluster in short.
    #[command(after_long_help = doctor::EXIT_CODES)]
    Doctor(Box<doctor::DoctorOptions>),
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
        Command::Doctor(options) => doctor::run(&options),
        Command::Version(options) => version::run(&options),
    }
}
