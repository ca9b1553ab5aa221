//! Records in a file.
//!
//! One connection, which waits for other processes for some seconds. The journal is a rollback journal: whatever ends a
//! process in the middle of a write, the next one that opens the file finds what was there before it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, params, params_from_iter};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::record::{Record, no_time};
use super::row::{self, TEXTS};
use super::{Expect, LIMIT, LIST_LIMIT, Listing, StoreConfig, StoreError, TABLE, within};

/// The store in a file.
#[derive(Debug)]
pub(super) struct Sqlite(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    open: Mutex<Option<Open>>,
}

/// An open file, and which one: it could be taken away or put in the place of another.
#[derive(Debug)]
struct Open {
    connection: Connection,
    file: (u64, u64),
}

impl Sqlite {
    pub(super) fn new(config: &StoreConfig) -> Result<Self, StoreError> {
        let text = config.url.expose();
        let path = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")).unwrap_or(text);
        if path.is_empty() || path == ":memory:" || path.starts_with("file:") {
            let error = format!("--datastore-url: \"{path}\" is no path of a file");
            return Err(StoreError::Config(error));
        }
        Ok(Self(Arc::new(Inner { path: PathBuf::from(path), open: Mutex::new(None) })))
    }

    pub(super) async fn add(&self, record: &Record) -> Result<(), StoreError> {
        let record = record.clone();
        let columns = TEXTS.join(", ");
        let sql = format!(
            "INSERT INTO {TABLE} (createtime, updatetime, {columns}) VALUES ({}) ON CONFLICT (name) DO NOTHING",
            ["?"; 14].join(", ")
        );
        self.run(move |connection| match connection.execute(&sql, params_from_iter(values(&record)))? {
            0 => Ok(Err(StoreError::Exists(record.name))),
            _ => Ok(Ok(())),
        })
        .await
    }

    pub(super) async fn put(&self, record: &Record, expect: Expect) -> Result<(), StoreError> {
        let record = record.clone();
        let columns = TEXTS.join(" = ?, ");
        let sql = format!("UPDATE {TABLE} SET createtime = ?, updatetime = ?, {columns} = ? WHERE name = ?");
        self.run(move |connection| {
            // Taken at once for writing: two that have both read would wait for each other.
            let transaction =
                rusqlite::Transaction::new_unchecked(connection, rusqlite::TransactionBehavior::Immediate)?;
            let find = format!("SELECT updatetime FROM {TABLE} WHERE name = ?");
            let stored = transaction.query_row(&find, [&record.name], |row| row.get::<_, Option<String>>(0));
            let Some(stored) = stored.optional()? else { return Ok(Err(StoreError::Missing(record.name))) };
            if !time(stored.as_deref()).is_ok_and(|stored| expect.holds(stored)) && expect != Expect::Any {
                return Ok(Err(StoreError::Changed(record.name)));
            }
            let values = values(&record).into_iter().chain([record.name.clone()]);
            transaction.execute(&sql, params_from_iter(values))?;
            transaction.commit()?;
            Ok(Ok(()))
        })
        .await
    }

    pub(super) async fn get(&self, name: &str) -> Result<Record, StoreError> {
        let name = name.to_owned();
        self.run(move |connection| {
            let sql = format!("{} WHERE name = ?", select());
            let found = connection.query_row(&sql, [&name], |row| Ok(record(row))).optional()?;
            Ok(match found {
                None => Err(StoreError::Missing(name)),
                Some(read) => read.map_err(|cause| StoreError::Unreadable { name, cause }),
            })
        })
        .await
    }

    pub(super) async fn list(&self) -> Result<Listing, StoreError> {
        self.run(|connection| {
            let mut statement = connection.prepare(&select())?;
            let mut rows = statement.query([])?;
            let mut listing = Listing::default();
            while let Some(row) = rows.next()? {
                let name = row.get::<_, String>(2).unwrap_or_default();
                listing.found(&name, record(row));
            }
            Ok(Ok(listing))
        })
        .await
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.run(move |connection| {
            match connection.execute(&format!("DELETE FROM {TABLE} WHERE name = ?"), params![name])? {
                0 => Ok(Err(StoreError::Missing(name))),
                _ => Ok(Ok(())),
            }
        })
        .await
    }

    /// Does something with the file, where it may block.
    async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<Result<T, StoreError>> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || inner.run(work));
        // Who waits for a lock waits for all who came before.
        within(LIST_LIMIT, async { done.await.map_err(|error| StoreError::Unavailable(error.to_string()))? })
            .await
    }
}

impl Inner {
    fn run<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let file = std::fs::metadata(&self.path).map(|metadata| (metadata.dev(), metadata.ino()));
        match (&*open, file) {
            (Some(known), Ok(file)) if known.file == file => {}
            // Writing on into a file that is no longer there would lose what is written, and so would a new one.
            (Some(_), Err(error)) => {
                return Err(self.unavailable(&format!("{error}. Put it back, or restart to begin a new one")));
            }
            (None | Some(_), _) => *open = Some(self.open()?),
        }
        let Some(Open { connection, .. }) = &*open else {
            return Err(self.unavailable("it is not open"));
        };
        work(connection).map_err(|error| self.failed(&error))?
    }

    fn open(&self) -> Result<Open, StoreError> {
        let file = create(&self.path).map_err(|error| self.unavailable(&error.to_string()))?;
        let metadata = file.metadata().map_err(|error| self.unavailable(&error.to_string()))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let prepare = || {
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(LIMIT / 2)?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            let texts = TEXTS[1..].join(" text NOT NULL DEFAULT '', ");
            connection.execute_batch(&format!(
                "CREATE TABLE IF NOT EXISTS {TABLE} (createtime text, updatetime text, name text PRIMARY KEY NOT NULL, \
                 {texts} text NOT NULL DEFAULT '')"
            ))?;
            Ok(connection)
        };
        let connection = prepare().map_err(|error| self.failed(&error))?;
        Ok(Open { connection, file: (metadata.dev(), metadata.ino()) })
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                self.unavailable("another process has it locked")
            }
            Some(ErrorCode::NotADatabase) => {
                StoreError::Refused(format!("{} is no database of SQLite", self.path.display()))
            }
            Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
                StoreError::Refused(format!("{}: {error}", self.path.display()))
            }
            _ => self.unavailable(&error.to_string()),
        }
    }

    fn unavailable(&self, words: &str) -> StoreError {
        StoreError::Unavailable(format!("{}: {words}", self.path.display()))
    }
}

/// Opens the file, or makes it for nobody but us.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn select() -> String {
    format!("SELECT createtime, updatetime, {} FROM {TABLE}", TEXTS.join(", "))
}

fn values(record: &Record) -> Vec<String> {
    let time = |time: OffsetDateTime| time.format(&Rfc3339).unwrap_or_default();
    [time(record.create_time), time(record.update_time)].into_iter().chain(row::texts(record)).collect()
}

fn record(row: &Row<'_>) -> Result<Record, String> {
    let text = |column: usize| {
        let read = row.get::<_, Option<String>>(column);
        read.map_err(|error| format!("column {column} of its row: {error}"))
    };
    let mut texts = <[String; 12]>::default();
    for (column, value) in texts.iter_mut().enumerate() {
        *value = text(column + 2)?.unwrap_or_default();
    }
    row::record(time(text(0)?.as_deref())?, time(text(1)?.as_deref())?, texts)
}

fn time(text: Option<&str>) -> Result<OffsetDateTime, String> {
    text.map_or(Ok(no_time()), |text| {
        OffsetDateTime::parse(text, &Rfc3339).map_err(|error| format!("\"{text}\" is no time: {error}"))
    })
}
