//! The `cluster-gateway` command.

use std::process::ExitCode;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // ring is not linked, but a provider must be named before the hub's client makes its first TLS connection.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    cluster_gateway::cli::run(std::env::args())
}
