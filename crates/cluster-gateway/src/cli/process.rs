//! What all servers do before and after they serve.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::output::{self, Exit};
use crate::config::{CommonOptions, Config, ConfigError, Leftover};

/// How long the end of the process waits for threads that write audit events.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Starts the log, resolves the settings and runs `serve` until it ends.
pub(super) fn serve<F: Future<Output = anyhow::Result<()>>>(
    common: &CommonOptions,
    leftovers: &[Leftover],
    resolve: impl FnOnce() -> Result<Config, ConfigError>,
    serve: impl FnOnce(Config) -> F,
) -> ExitCode {
    start_log(common.verbosity, &common.logging_format);
    for Leftover { flag, why } in leftovers {
        tracing::warn!(flag, why, "this flag is accepted and has no effect");
    }
    let config = match resolve() {
        Ok(config) => config,
        Err(error) => {
            tracing::error!("{error}");
            return ExitCode::from(2);
        }
    };
    for gate in &config.gates.ignored {
        tracing::warn!(gate, "this feature gate is accepted and has no effect");
    }
    block_on(serve(config))
}

/// Runs `task` on a runtime of its own.
pub(super) fn block_on(task: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start the runtime");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(task);
    // Watches and upgrades that are still open end here, as an abort (contract rule 134); what is to be said of that goes
    // to the audit backends.
    runtime.shutdown_timeout(LAST_WORDS);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command for people on a runtime of its own, and ends as it says.
pub(super) fn run(command: &str, task: impl Future<Output = anyhow::Result<Exit>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = runtime.map_err(anyhow::Error::new).and_then(|runtime| runtime.block_on(task));
    output::finish(command, result)
}

/// klog's levels, roughly: what an operator asks for with `-v`.
fn start_log(verbosity: u8, format: &str) {
    let filter = match verbosity {
        0..=3 => "info,kube_client=off,kube_runtime=off,hyper=warn",
        4..=5 => "info,cluster_gateway=debug,kube_client=off,kube_runtime=off,hyper=warn",
        6..=7 => "debug,hyper=info,h2=info,rustls=info",
        _ => "debug,cluster_gateway=trace",
    };
    start_log_of(filter, format);
}

/// Starts the log with the directives of `filter`.
pub(super) fn start_log_of(filter: &str, format: &str) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A log that is started already belongs to whoever started it.
    let _ = match format {
        "json" => builder.json().try_init(),
        _ => builder.try_init(),
    };
}
