//! A database, namespace or file of its own, behind a switch.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use cluster_gateway::hub::{Hub, HubConfig};
use cluster_gateway::manage::store::{StoreConfig, StoreType, StoreUrl};
use e2e::mongodb::MongoDb;
use e2e::postgres::{self, Postgres};
use e2e::scratch;
use e2e::switch::Switch;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::world::planes;

/// Where a test keeps its records. Nobody else uses it.
pub(crate) struct Place {
    pub(crate) kind: StoreType,
    /// Between the store and its server; a file has none.
    pub(crate) switch: Option<Switch>,
    /// Namespace or database.
    pub(crate) database: String,
    /// `--datastore-url`.
    pub(crate) url: Option<String>,
    kubeconfig: Option<PathBuf>,
    directory: TempDir,
}

impl Place {
    pub(crate) fn new(kind: StoreType) -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let database = format!("stores-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = scratch::directory("store")?;
        let mut place = Self { kind, switch: None, database, url: None, kubeconfig: None, directory };
        match kind {
            StoreType::KubeApi => {
                let admin = planes()?.hub.admin();
                let switch = Switch::start(admin.server().trim_start_matches("https://"))?;
                place.kubeconfig = Some(admin.at(&format!("https://{}", switch.address()))?.kubeconfig());
                place.switch = Some(switch);
            }
            StoreType::MongoDb => {
                let switch = Switch::start(&MongoDb::shared()?.address())?;
                place.url = Some(format!("mongodb://{}/?serverSelectionTimeoutMS=2000", switch.address()));
                place.switch = Some(switch);
            }
            StoreType::Postgres => {
                let switch = Switch::start(&Postgres::shared()?.address())?;
                place.url = Some(place.postgres_url(&switch.address(), "sslmode=disable"));
                place.switch = Some(switch);
            }
            StoreType::Sqlite => place.url = Some(place.file().display().to_string()),
        }
        Ok(place)
    }

    /// The file of a store in a file.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory().join("clusters.db")
    }

    /// A directory of its own.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn postgres_url(&self, address: &str, query: &str) -> String {
        // The password is "hun/ter2@ä".
        format!("postgres://{}:hun%2Fter2%40%C3%A4@{address}/{}?{query}", postgres::USER, self.database)
    }

    /// Makes the database of PostgreSQL, which the store does not do. The others need nothing.
    pub(crate) async fn prepare(&self) -> Result<()> {
        if self.kind == StoreType::Postgres {
            let server = Self::postgres("postgres").await?;
            server.batch_execute(&format!("CREATE DATABASE \"{}\"", self.database)).await?;
        }
        Ok(())
    }

    /// A connection of the driver to a database of the server.
    pub(crate) async fn postgres(database: &str) -> Result<tokio_postgres::Client> {
        let address = Postgres::shared()?.address();
        let (host, port) = address.split_once(':').context("an address")?;
        let mut config = tokio_postgres::Config::new();
        config
            .host(host)
            .port(port.parse()?)
            .user(postgres::USER)
            .password(postgres::PASSWORD)
            .dbname(database);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// The collection, by the driver itself.
    pub(crate) async fn collection(&self) -> Result<mongodb::Collection<mongodb::bson::Document>> {
        let client =
            mongodb::Client::with_uri_str(format!("mongodb://{}", MongoDb::shared()?.address())).await?;
        Ok(client.database(&self.database).collection("vela_cluster"))
    }

    pub(crate) fn config(&self) -> Result<StoreConfig> {
        config(self.kind, &self.database, self.url.as_deref())
    }

    pub(crate) async fn hub(&self) -> Result<Option<kube::Client>> {
        hub(self.kubeconfig.clone()).await
    }

    /// What another process needs to open the same.
    pub(crate) fn order(&self) -> Value {
        json!({"kind": self.kind.as_str(), "database": self.database, "url": self.url, "kubeconfig": self.kubeconfig})
    }
}

pub(crate) fn config(kind: StoreType, database: &str, url: Option<&str>) -> Result<StoreConfig> {
    let database = Some(database).filter(|_| matches!(kind, StoreType::KubeApi | StoreType::MongoDb));
    StoreConfig::new(kind, database, url.map(StoreUrl::new).as_ref()).map_err(anyhow::Error::msg)
}

pub(crate) async fn hub(kubeconfig: Option<PathBuf>) -> Result<Option<kube::Client>> {
    if kubeconfig.is_none() {
        return Ok(None);
    }
    Ok(Some(Hub::connect(&HubConfig { kubeconfig, ..HubConfig::default() }).await?.client()))
}
