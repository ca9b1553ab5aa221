//! Records in a table of PostgreSQL, as GORM makes it for VelaUX.
//!
//! One connection, on which requests are pipelined; one that has ended is made anew by the next request. Statements have no
//! names, so that a connection pooler may be in between.

use std::error::Error;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::BytesMut;
use time::OffsetDateTime;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Row};

use super::record::{Record, no_time};
use super::row::{self, TEXTS};
use super::{Expect, LIMIT, LIST_LIMIT, Listing, StoreConfig, StoreError, StoreUrl, TABLE, within};

mod address;
mod tls;

use address::Address;

/// The store in PostgreSQL.
#[derive(Debug)]
pub(super) struct Postgres {
    address: Address,
    url: StoreUrl,
    client: ArcSwapOption<Client>,
}

type Parameters<'a> = [(&'a (dyn ToSql + Sync), Type)];

impl Postgres {
    pub(super) fn new(config: &StoreConfig) -> Result<Self, StoreError> {
        let wrong =
            |words: String| StoreError::Config(format!("--datastore-url: {}", config.url.scrub(&words)));
        let address = Address::read(&config.url, &config.database).map_err(wrong)?;
        Ok(Self { address, url: config.url.clone(), client: ArcSwapOption::empty() })
    }

    pub(super) async fn add(&self, record: &Record) -> Result<(), StoreError> {
        let places: Vec<_> = (1..=14).map(|place| format!("${place}")).collect();
        let (columns, places) = (TEXTS.join(", "), places.join(", "));
        let sql = format!(
            "INSERT INTO {TABLE} (createtime, updatetime, {columns}) VALUES ({places}) ON CONFLICT (name) DO NOTHING"
        );
        let values = Values::of(record);
        match self.execute(&sql, &values.parameters()).await? {
            0 => Err(StoreError::Exists(record.name.clone())),
            _ => Ok(()),
        }
    }

    pub(super) async fn put(&self, record: &Record, expect: Expect) -> Result<(), StoreError> {
        let set: Vec<_> =
            TEXTS.iter().zip(3..).map(|(column, place)| format!("{column} = ${place}")).collect();
        let sql = format!(
            "UPDATE {TABLE} SET createtime = $1, updatetime = $2, {} WHERE name = $3 AND ($15 IS NULL OR updatetime = $15)",
            set.join(", ")
        );
        let values = Values::of(record);
        let expected = match expect {
            Expect::Any => None,
            Expect::UpdatedAt(time) => Some(Timestamp::of(time)),
        };
        let mut parameters = values.parameters();
        parameters.push((&expected, Type::TIMESTAMPTZ));
        match self.execute(&sql, &parameters).await? {
            0 if expect == Expect::Any => Err(StoreError::Missing(record.name.clone())),
            0 => {
                self.get(&record.name).await?;
                Err(StoreError::Changed(record.name.clone()))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn get(&self, name: &str) -> Result<Record, StoreError> {
        let rows = self.query(&format!("{} WHERE name = $1", select()), &[(&name, Type::TEXT)]).await?;
        let row = rows.first().ok_or_else(|| StoreError::Missing(name.to_owned()))?;
        read(row).map_err(|cause| StoreError::Unreadable { name: name.to_owned(), cause })
    }

    pub(super) async fn list(&self) -> Result<Listing, StoreError> {
        let mut listing = Listing::default();
        for row in self.query(&select(), &[]).await? {
            listing.found(row.try_get(2).unwrap_or_default(), read(&row));
        }
        Ok(listing)
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), StoreError> {
        let sql = format!("DELETE FROM {TABLE} WHERE name = $1");
        match self.execute(&sql, &[(&name, Type::TEXT)]).await? {
            0 => Err(StoreError::Missing(name.to_owned())),
            _ => Ok(()),
        }
    }

    async fn execute(&self, sql: &str, parameters: &Parameters<'_>) -> Result<u64, StoreError> {
        let done = within(LIMIT, async {
            let client = self.connected().await?;
            client.execute_typed(sql, parameters).await.map_err(|error| self.failed(&error))
        });
        self.noticed(done.await)
    }

    async fn query(&self, sql: &str, parameters: &Parameters<'_>) -> Result<Vec<Row>, StoreError> {
        let done = within(LIST_LIMIT, async {
            let client = within(LIMIT, self.connected()).await?;
            client.query_typed(sql, parameters).await.map_err(|error| self.failed(&error))
        });
        self.noticed(done.await)
    }

    /// A connection that did not answer, or whose table is gone, is given up: the next request makes another.
    fn noticed<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(done, Err(StoreError::Unavailable(_))) {
            self.client.store(None);
        }
        done
    }

    /// The connection. Two that need one at the same time may make two, of which one is kept.
    async fn connected(&self) -> Result<Arc<Client>, StoreError> {
        if let Some(client) = self.client.load_full().filter(|client| !client.is_closed()) {
            return Ok(client);
        }
        let client = Arc::new(self.address.connect().await.map_err(|error| self.failed(&error))?);
        self.prepare(&client).await.map_err(|error| self.failed(&error))?;
        self.client.store(Some(Arc::clone(&client)));
        Ok(client)
    }

    /// Makes the table if there is none, and adds columns that an older VelaUX did not have. A role that may do neither
    /// needs neither if all is there.
    async fn prepare(&self, client: &Client) -> Result<(), tokio_postgres::Error> {
        let columns = TEXTS[1..].iter().map(|column| format!("{column} text"));
        let columns: Vec<_> = ["createtime timestamptz".to_owned(), "updatetime timestamptz".to_owned()]
            .into_iter()
            .chain(columns)
            .collect();
        // Two processes that make the table at once can fail each other, once.
        for last in [false, true] {
            let Err(error) = client.batch_execute(&format!("{} LIMIT 0", select())).await else {
                return Ok(());
            };
            let change = match error.code() {
                Some(&SqlState::UNDEFINED_TABLE) => {
                    format!(
                        "CREATE TABLE IF NOT EXISTS {TABLE} (name text PRIMARY KEY, {})",
                        columns.join(", ")
                    )
                }
                Some(&SqlState::UNDEFINED_COLUMN) => {
                    let add: Vec<_> =
                        columns.iter().map(|column| format!("ADD COLUMN IF NOT EXISTS {column}")).collect();
                    format!("ALTER TABLE {TABLE} {}", add.join(", "))
                }
                _ => return Err(error),
            };
            match client.batch_execute(&change).await {
                Ok(()) => return Ok(()),
                Err(error) if last => return Err(error),
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn failed(&self, error: &tokio_postgres::Error) -> StoreError {
        let words = match error.as_db_error() {
            Some(said) => format!("{} ({})", said.message(), said.code().code()),
            None => crate::hub::chain(error),
        };
        let words = self.url.scrub(&words);
        let code = error.code().map(SqlState::code).unwrap_or_default();
        match code {
            // The table is not as it was: the next request looks at it anew.
            "42P01" | "42703" => StoreError::Unavailable(words),
            "3D000" | "0LP01" => StoreError::Refused(words),
            code if ["28", "42", "25"].iter().any(|class| code.starts_with(class)) => {
                StoreError::Refused(words)
            }
            code if code.starts_with("22") => StoreError::Invalid(words),
            _ => StoreError::Unavailable(words),
        }
    }
}

fn select() -> String {
    // Whatever type a column has, it is read as text.
    let texts = TEXTS.map(|column| format!("{column}::text"));
    format!("SELECT createtime, updatetime, {} FROM {TABLE}", texts.join(", "))
}

fn read(row: &Row) -> Result<Record, String> {
    let wrong = |error: tokio_postgres::Error| crate::hub::chain(&error);
    let mut texts = <[String; 12]>::default();
    for (column, text) in texts.iter_mut().enumerate() {
        *text = row.try_get::<_, Option<String>>(column + 2).map_err(wrong)?.unwrap_or_default();
    }
    let time = |column: usize| match row.try_get::<_, Option<Timestamp>>(column).map_err(wrong)? {
        None => Ok(no_time()),
        Some(stamp) => stamp.time(),
    };
    row::record(time(0)?, time(1)?, texts)
}

/// A record as parameters of a statement.
struct Values {
    create_time: Timestamp,
    update_time: Timestamp,
    texts: [String; 12],
}

impl Values {
    fn of(record: &Record) -> Self {
        Self {
            create_time: Timestamp::of(record.create_time),
            update_time: Timestamp::of(record.update_time),
            texts: row::texts(record),
        }
    }

    fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        let times: [&(dyn ToSql + Sync); 2] = [&self.create_time, &self.update_time];
        let times = times.into_iter().map(|time| (time, Type::TIMESTAMPTZ));
        times.chain(self.texts.iter().map(|text| (text as &(dyn ToSql + Sync), Type::TEXT))).collect()
    }
}

/// A `timestamptz`: microseconds since the year 2000, where both ends are infinity, which is no time of ours.
#[derive(Debug, Clone, Copy)]
struct Timestamp(i64);

/// The year 2000, in seconds of Unix.
const EPOCH: i64 = 946_684_800;

impl Timestamp {
    fn of(time: OffsetDateTime) -> Self {
        Self((time.unix_timestamp() - EPOCH) * 1_000_000 + i64::from(time.microsecond()))
    }

    fn time(self) -> Result<OffsetDateTime, String> {
        let nanoseconds = (i128::from(self.0) + i128::from(EPOCH) * 1_000_000) * 1_000;
        OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).map_err(|error| format!("its time: {error}"))
    }
}

impl ToSql for Timestamp {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0.to_be_bytes());
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Timestamp {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(i64::from_be_bytes(raw.try_into()?)))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::TIMESTAMPTZ
    }
}
