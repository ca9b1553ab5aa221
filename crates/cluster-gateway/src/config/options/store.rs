//! Flags of where records of clusters are kept.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::Args;

use crate::manage::store::{StoreType, StoreUrl};

/// Records of clusters: aliases, descriptions, icons, what VelaUX shows. The flags of VelaUX.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Records of clusters")]
pub struct StoreOptions {
    /// Where records of clusters are kept [default: kubeapi with a hub, sqlite without]
    #[arg(long, value_name = "TYPE", value_enum)]
    pub datastore_type: Option<StoreType>,

    /// Namespace of the ConfigMaps (kubeapi), or name of the database (mongodb, postgres) [default: kubevela; with
    /// postgres that of the address]
    #[arg(long, value_name = "NAME")]
    pub datastore_database: Option<String>,

    /// Address of the database: mongodb://…, postgres://… or host=… user=…, or a file (sqlite) [default: clusters.db in
    /// --data-dir]
    #[arg(long, value_name = "URL", value_parser = url)]
    pub datastore_url: Option<StoreUrl>,

    /// File whose content is that address; a password in it is not seen in the list of processes
    #[arg(long, value_name = "FILE", conflicts_with = "datastore_url")]
    pub datastore_url_file: Option<PathBuf>,
}

/// Fails never: a message of the parser would show the password.
fn url(text: &str) -> Result<StoreUrl, Infallible> {
    Ok(StoreUrl::new(text))
}
