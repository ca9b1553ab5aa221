//! Where records of clusters are kept: in ConfigMaps of the hub, MongoDB, PostgreSQL or a file, all of them as VelaUX keeps
//! them (the file is ours alone), so that it finds our records and we find its own.
//!
//! Making a [`Store`] sends nothing: a process starts while its store is away, and what it asks then says so, until the
//! store is back. Tables, indexes and old names are seen to by the first request that comes through.

use std::cmp::Reverse;
use std::time::Duration;

use time::OffsetDateTime;

mod config;
mod kubeapi;
#[cfg(feature = "mongodb")]
mod mongodb;
#[cfg(feature = "postgres")]
mod postgres;
mod record;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use config::{StoreConfig, StoreType, StoreUrl};
pub use record::{KubeConfig, LOCAL, MAX_NAME, MAX_SIZE, Provider, Record, Status};

/// Longest time for one request to a store; a list has [`LIST_LIMIT`].
#[cfg(any(feature = "mongodb", feature = "postgres", feature = "sqlite"))]
const LIMIT: Duration = Duration::from_secs(10);

/// Longest time for a list.
const LIST_LIMIT: Duration = Duration::from_secs(30);

/// The name of table and collection, and a label of ConfigMaps.
const TABLE: &str = "vela_cluster";

/// Why a store did not do what it was asked. No text holds a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A flag is wrong; the text names it.
    #[error("{0}")]
    Config(String),
    /// There is such a record already.
    #[error("there is already a record of cluster \"{0}\"")]
    Exists(String),
    /// There is no such record.
    #[error("there is no record of cluster \"{0}\"")]
    Missing(String),
    /// Somebody else has written the record in the meantime.
    #[error("the record of cluster \"{0}\" has been changed in the meantime: read it again")]
    Changed(String),
    /// No store can keep this record.
    #[error("{0}")]
    Invalid(String),
    /// What is stored under the name is no record. Writing or deleting it helps.
    #[error("the record of cluster \"{name}\" cannot be read: {cause}")]
    Unreadable {
        /// The cluster.
        name: String,
        /// What is wrong.
        cause: String,
    },
    /// The store does not let us: somebody must grant a right or mend a configuration.
    #[error("the store of cluster records refuses: {0}")]
    Refused(String),
    /// The store does not answer, or cannot right now. Whether a write was carried out is not known.
    #[error("the store of cluster records cannot be asked: {0}")]
    Unavailable(String),
}

/// What a record must be like to be overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Anything.
    Any,
    /// What was read when this was its [`Record::update_time`]; otherwise [`StoreError::Changed`].
    UpdatedAt(OffsetDateTime),
}

impl Expect {
    fn holds(self, stored: OffsetDateTime) -> bool {
        match self {
            Self::Any => true,
            Self::UpdatedAt(time) => time == stored,
        }
    }
}

/// All records. One that cannot be read hides no other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// The records: that of the hub first, then by creation time, the newest first, then by name.
    pub records: Vec<Record>,
    /// What could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// What is stored under a name and is no record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unreadable {
    /// The cluster, or where it is stored.
    pub name: String,
    /// What is wrong with it.
    pub cause: String,
}

impl Listing {
    /// Puts in what was found under a name; a record that has another name is none of that name.
    fn found(&mut self, name: &str, record: Result<Record, String>) {
        match record {
            Ok(record) => self.records.push(record),
            Err(cause) => self.unreadable.push(Unreadable { name: name.to_owned(), cause }),
        }
    }

    /// Brings all into their order. Of several records of one name, which VelaUX can make, the one written last stays.
    fn sorted(mut self) -> Self {
        self.records
            .sort_by(|a, b| (&a.name, Reverse(a.update_time)).cmp(&(&b.name, Reverse(b.update_time))));
        self.records.dedup_by(|later, first| later.name == first.name);
        self.records.sort_by(|a, b| {
            let key = |record: &Record| (Reverse(record.name == LOCAL), Reverse(record.create_time));
            key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name))
        });
        self.unreadable.sort();
        self
    }
}

/// A store of cluster records.
#[derive(Debug)]
pub struct Store(Backend);

#[derive(Debug)]
enum Backend {
    KubeApi(kubeapi::KubeApi),
    #[cfg(feature = "mongodb")]
    MongoDb(mongodb::MongoDb),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Postgres),
    #[cfg(feature = "sqlite")]
    Sqlite(sqlite::Sqlite),
}

/// Calls a method of whatever store it is.
macro_rules! each {
    ($store:expr, $backend:ident => $call:expr) => {
        match &$store.0 {
            Backend::KubeApi($backend) => $call,
            #[cfg(feature = "mongodb")]
            Backend::MongoDb($backend) => $call,
            #[cfg(feature = "postgres")]
            Backend::Postgres($backend) => $call,
            #[cfg(feature = "sqlite")]
            Backend::Sqlite($backend) => $call,
        }
    };
}

impl Store {
    /// Makes a store; nothing is sent. `hub` is the client of the hub, for `kubeapi` alone. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::Config`]: the address is none, a file that it names cannot be read, there is no hub, or this
    /// program was built without the driver.
    pub async fn open(config: &StoreConfig, hub: Option<kube::Client>) -> Result<Self, StoreError> {
        let backend = match config.kind {
            StoreType::KubeApi => {
                let hub = hub.ok_or_else(|| {
                    StoreError::Config(
                        "--datastore-type=kubeapi needs a hub: without one, use sqlite, postgres or mongodb"
                            .to_owned(),
                    )
                })?;
                Backend::KubeApi(kubeapi::KubeApi::new(hub, &config.database))
            }
            #[cfg(feature = "mongodb")]
            StoreType::MongoDb => Backend::MongoDb(mongodb::MongoDb::new(config).await?),
            #[cfg(feature = "postgres")]
            StoreType::Postgres => Backend::Postgres(postgres::Postgres::new(config)?),
            #[cfg(feature = "sqlite")]
            StoreType::Sqlite => Backend::Sqlite(sqlite::Sqlite::new(config)?),
            #[allow(unreachable_patterns, reason = "reached without a driver")]
            other => {
                let kind = other.as_str();
                let error =
                    format!("--datastore-type={kind}: this program was built without the feature \"{kind}\"");
                return Err(StoreError::Config(error));
            }
        };
        Ok(Self(backend))
    }

    /// Adds a record, with the present as its creation and update time (`local` is made in the year 2999), and returns
    /// it as it is stored. Of several at once, one wins.
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`StoreError::Invalid`], and what a store can say.
    pub async fn add(&self, record: Record) -> Result<Record, StoreError> {
        record.check()?;
        let record = record.made(OffsetDateTime::now_utc());
        each!(self, store => store.add(&record).await)?;
        Ok(record)
    }

    /// Overwrites a record, all fields of it but the update time, which is the present, and returns it as it is stored.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Changed`], [`StoreError::Invalid`], and what a store can say.
    pub async fn put(&self, record: Record, expect: Expect) -> Result<Record, StoreError> {
        record.check()?;
        let record = record.changed(OffsetDateTime::now_utc());
        each!(self, store => store.put(&record, expect).await)?;
        Ok(record)
    }

    /// Reads a record. Names are compared byte by byte; what can be no name is no record.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Unreadable`], and what a store can say.
    pub async fn get(&self, name: &str) -> Result<Record, StoreError> {
        must_be_name(name)?;
        let record = each!(self, store => store.get(name).await)?;
        match record.name == name {
            true => Ok(record),
            false => Err(StoreError::Missing(name.to_owned())),
        }
    }

    /// Reads all records.
    ///
    /// # Errors
    /// What a store can say.
    pub async fn list(&self) -> Result<Listing, StoreError> {
        each!(self, store => store.list().await).map(Listing::sorted)
    }

    /// Deletes a record.
    ///
    /// # Errors
    /// [`StoreError::Missing`], and what a store can say.
    pub async fn delete(&self, name: &str) -> Result<(), StoreError> {
        must_be_name(name)?;
        each!(self, store => store.delete(name).await)
    }
}

fn must_be_name(name: &str) -> Result<(), StoreError> {
    if record::is_name(name) { Ok(()) } else { Err(StoreError::Missing(name.to_owned())) }
}

/// Waits for a store's answer, but not for ever.
#[cfg(any(feature = "mongodb", feature = "postgres", feature = "sqlite"))]
async fn within<T>(
    limit: Duration,
    request: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let silent = |_| StoreError::Unavailable(format!("no answer within {} s", limit.as_secs()));
    tokio::time::timeout(limit, request).await.map_err(silent)?
}

#[cfg(test)]
mod tests;
