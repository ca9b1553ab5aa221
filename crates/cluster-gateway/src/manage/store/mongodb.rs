//! Records in a collection of MongoDB.
//!
//! VelaUX looks before it inserts; here a unique index decides, and the `_id` of what is made here is the name.

use std::fmt;

use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{ClientOptions, CollectionOptions, IndexOptions, ReadPreference, SelectionCriteria};
use mongodb::{Client, Collection, IndexModel};
use tokio::sync::OnceCell;

use super::record::Record;
use super::{Expect, LIMIT, LIST_LIMIT, Listing, StoreConfig, StoreError, StoreUrl, TABLE, within};

mod document;

/// The key of a record, beside its field `name`.
const KEY: &str = "_name";

/// MongoDB's code for a second document of a name.
const DUPLICATE: i32 = 11_000;

/// Its codes for rights that are missing, logins that fail, and databases that cannot be named.
const REFUSALS: [i32; 4] = [13, 18, 73, 8000];

/// The store in MongoDB.
pub(super) struct MongoDb {
    records: Collection<Document>,
    url: StoreUrl,
    index: OnceCell<Index>,
}

/// Whether the server itself sees to it that a name is there once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Index {
    Unique,
    /// VelaUX has left several of a name, and no index can be made.
    Impossible,
}

impl MongoDb {
    pub(super) async fn new(config: &StoreConfig) -> Result<Self, StoreError> {
        let url = config.url.clone();
        let wrong = |words: &str| StoreError::Config(format!("--datastore-url: {}", config.url.scrub(words)));
        let text = url.expose();
        if text.starts_with("mongodb+srv://") {
            return Err(wrong(
                "mongodb+srv is not supported: name the hosts, mongodb://HOST1,HOST2/?tls=true",
            ));
        }
        let text = match text.contains("://") {
            true => text.to_owned(),
            // As in VelaUX.
            false => format!("mongodb://{text}"),
        };
        let parsed = ClientOptions::parse(text).await;
        let mut options = parsed.map_err(|error| wrong(&error.kind.to_string()))?;
        options.app_name.get_or_insert_with(|| "cluster-gateway".to_owned());
        options.server_selection_timeout.get_or_insert(LIMIT / 2);
        options.connect_timeout.get_or_insert(LIMIT / 2);
        let client = Client::with_options(options).map_err(|error| wrong(&error.kind.to_string()))?;
        // What has been written is to be read at once, whatever the address says for others.
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let options = CollectionOptions::builder().selection_criteria(primary).build();
        let records = client.database(&config.database).collection_with_options(TABLE, options);
        Ok(Self { records, url, index: OnceCell::new() })
    }

    pub(super) async fn add(&self, record: &Record) -> Result<(), StoreError> {
        let exists = || StoreError::Exists(record.name.clone());
        if self.ready().await? == Index::Impossible && self.find(&record.name).await?.is_some() {
            return Err(exists());
        }
        let mut document = document::of(record);
        document.insert("_id", &record.name);
        document.insert(KEY, &record.name);
        let insert = async { Ok(self.records.insert_one(document).await) };
        match within(LIMIT, insert).await? {
            Ok(_) => Ok(()),
            Err(error) if is_duplicate(&error) => Err(exists()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    pub(super) async fn put(&self, record: &Record, expect: Expect) -> Result<(), StoreError> {
        let index = self.ready().await?;
        let mut filter = doc! { KEY: &record.name };
        if let Expect::UpdatedAt(time) = expect {
            filter.insert(document::UPDATE_TIME, document::date(time));
        }
        let change = doc! { "$set": document::of(record) };
        let update = async {
            let done = match index {
                Index::Unique => self.records.update_one(filter, change).await,
                Index::Impossible => self.records.update_many(filter, change).await,
            };
            done.map_err(|error| self.failed(&error))
        };
        if within(LIMIT, update).await?.matched_count > 0 {
            return Ok(());
        }
        match (expect, self.find(&record.name).await?) {
            (Expect::UpdatedAt(_), Some(_)) => Err(StoreError::Changed(record.name.clone())),
            _ => Err(StoreError::Missing(record.name.clone())),
        }
    }

    pub(super) async fn get(&self, name: &str) -> Result<Record, StoreError> {
        self.ready().await?;
        let found = self.find(name).await?.ok_or_else(|| StoreError::Missing(name.to_owned()))?;
        document::read(&found).map_err(|cause| StoreError::Unreadable { name: name.to_owned(), cause })
    }

    pub(super) async fn list(&self) -> Result<Listing, StoreError> {
        self.ready().await?;
        within(LIST_LIMIT, async {
            let failed = |error: Error| self.failed(&error);
            let mut cursor = self.records.find(doc! {}).await.map_err(failed)?;
            let mut listing = Listing::default();
            while cursor.advance().await.map_err(failed)? {
                let read = Document::try_from(cursor.current()).map_err(|error| error.to_string());
                let name = read.as_ref().ok().and_then(|document| document.get_str(KEY).ok());
                let name = name.unwrap_or_default().to_owned();
                listing.found(&name, read.and_then(|document| document::read(&document)));
            }
            Ok(listing)
        })
        .await
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let index = self.ready().await?;
        let filter = doc! { KEY: name };
        let delete = async {
            let done = match index {
                Index::Unique => self.records.delete_one(filter).await,
                Index::Impossible => self.records.delete_many(filter).await,
            };
            done.map_err(|error| self.failed(&error))
        };
        match within(LIMIT, delete).await?.deleted_count {
            0 => Err(StoreError::Missing(name.to_owned())),
            _ => Ok(()),
        }
    }

    /// Sees to the index, once.
    async fn ready(&self) -> Result<Index, StoreError> {
        let make = async || {
            let options = IndexOptions::builder().unique(true).name("vela_cluster_name".to_owned()).build();
            let index = IndexModel::builder().keys(doc! { KEY: 1 }).options(options).build();
            match within(LIMIT, async { Ok(self.records.create_index(index).await) }).await? {
                Ok(_) => Ok(Index::Unique),
                Err(error) if is_duplicate(&error) => {
                    tracing::warn!(
                        "collection {TABLE} holds several documents of one {KEY}: the one written last counts; delete \
                         the others and restart, so that a unique index can be made: {}",
                        self.url.scrub(&error.kind.to_string())
                    );
                    Ok(Index::Impossible)
                }
                Err(error) => Err(self.failed(&error)),
            }
        };
        self.index.get_or_try_init(make).await.copied()
    }

    /// The document of a name; of several, the one that was written last.
    async fn find(&self, name: &str) -> Result<Option<Document>, StoreError> {
        let find = self.records.find_one(doc! { KEY: name }).sort(doc! { document::UPDATE_TIME: -1 });
        within(LIMIT, async { find.await.map_err(|error| self.failed(&error)) }).await
    }

    fn failed(&self, error: &Error) -> StoreError {
        let words = self.url.scrub(&error.kind.to_string());
        match error.kind.as_ref() {
            ErrorKind::Authentication { .. } => StoreError::Refused(words),
            ErrorKind::Command(failure) if REFUSALS.contains(&failure.code) => StoreError::Refused(words),
            ErrorKind::InvalidTlsConfig { .. } | ErrorKind::IncompatibleServer { .. } => {
                StoreError::Refused(words)
            }
            _ => StoreError::Unavailable(words),
        }
    }
}

fn is_duplicate(error: &Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(failure)) => failure.code == DUPLICATE,
        ErrorKind::Command(failure) => failure.code == DUPLICATE,
        _ => false,
    }
}

impl fmt::Debug for MongoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoDb").field("url", &self.url).finish_non_exhaustive()
    }
}
