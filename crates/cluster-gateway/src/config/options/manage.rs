//! Flags of management: the REST API and the console.

use std::net::SocketAddr;

use clap::Args;

use super::{LoginOptions, StoreOptions};

/// Management inside another server.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Management")]
pub struct ManageOptions {
    /// Serve the management API and the console here, too, with TLS [default: not served]
    #[arg(long, value_name = "IP:PORT")]
    pub manage_address: Option<SocketAddr>,

    /// Serve management over HTTP without TLS; only on a loopback address
    #[arg(long)]
    pub manage_http: bool,

    /// Serve management over HTTP without TLS on any address: only behind a proxy that ends TLS, for whoever is on the way
    /// reads every password and token
    #[arg(long)]
    pub insecure_manage_http: bool,

    /// What people call this hub, for the console [default: the host of the hub's API server]
    #[arg(long, value_name = "NAME")]
    pub manage_name: Option<String>,

    /// How people sign in.
    #[command(flatten)]
    pub login: LoginOptions,

    /// Where records of clusters are kept.
    #[command(flatten)]
    pub store: StoreOptions,
}
