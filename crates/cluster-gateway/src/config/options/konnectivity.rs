//! Flags of the konnectivity proxy server.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Where the proxy server is behind which clusters of the endpoint type `ClusterProxy` are (contract rule 242).
#[derive(Debug, Clone, Args)]
pub struct KonnectivityOptions {
    /// Host of the konnectivity proxy server for clusters of the endpoint type ClusterProxy [default: there is none]
    #[arg(long, value_name = "HOST", help_heading = "Konnectivity")]
    pub proxy_host: Option<String>,

    /// Its port for API servers
    #[arg(long, value_name = "PORT", default_value_t = 8090, help_heading = "Konnectivity")]
    pub proxy_port: u16,

    /// CA bundle for its certificate; read again when it changes, like the next two
    #[arg(long, value_name = "FILE", help_heading = "Konnectivity")]
    pub proxy_ca_cert: Option<PathBuf>,

    /// Certificate of the gateway for it, PEM, leaf first
    #[arg(long, value_name = "FILE", help_heading = "Konnectivity")]
    pub proxy_cert: Option<PathBuf>,

    /// Private key of that certificate, PEM
    #[arg(long, value_name = "FILE", help_heading = "Konnectivity")]
    pub proxy_key: Option<PathBuf>,

    /// Its --mode
    #[arg(long, value_name = "MODE", value_enum, default_value = "grpc", help_heading = "Konnectivity")]
    pub proxy_mode: ProxyModeOption,
}

/// `--proxy-mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProxyModeOption {
    /// All tunnels on one connection
    Grpc,
    /// A connection for each tunnel, opened by HTTP CONNECT
    HttpConnect,
}
