//! Stores that are away, that hang, and that refuse.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cluster_gateway::manage::store::{Expect, Record, Store, StoreError, StoreType};
use e2e::mongodb::MongoDb;
use e2e::pki::{Authority, Leaf};
use e2e::postgres::Postgres;
use e2e::switch::Position;

use super::{Place, for_each_store, is, missing, open, place, refused, run, unavailable};

const RECOVERY: Duration = Duration::from_secs(30);

for_each_store!(
    a_store_that_is_away_at_the_start_is_used_when_it_is_there,
    a_store_that_goes_away_says_so_and_is_used_when_it_is_back,
);

/// Takes the store away, or brings it back.
fn turn(place: &Place, position: Position) -> Result<()> {
    if let Some(switch) = &place.switch {
        switch.turn(position);
        return Ok(());
    }
    let (file, away) = (place.file(), place.directory().join("away"));
    let (from, to) = if position == Position::On { (&away, &file) } else { (&file, &away) };
    if from.exists() { fs::rename(from, to).context("move the file") } else { Ok(()) }
}

/// Everything fails, in bounded time, with words that help.
async fn is_away(store: &Store) -> Result<()> {
    let begun = Instant::now();
    is(store.get("prod").await, unavailable)?;
    is(store.list().await, unavailable)?;
    is(store.add(Record::new("other")).await, unavailable)?;
    is(store.put(Record::new("prod"), Expect::Any).await, unavailable)?;
    let error = is(store.delete("prod").await, unavailable)?.to_string();
    ensure!(
        error.starts_with("the store of cluster records cannot be asked: ") && error.len() > 60,
        "{error}"
    );
    ensure!(begun.elapsed() < Duration::from_secs(120), "it took {:?}", begun.elapsed());
    Ok(())
}

async fn is_back(store: &Store) -> Result<()> {
    let deadline = Instant::now() + RECOVERY;
    loop {
        match store.list().await {
            Ok(_) => return Ok(()),
            Err(StoreError::Unavailable(_)) if Instant::now() < deadline => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_store_that_is_away_at_the_start_is_used_when_it_is_there(mut place: Place) -> Result<()> {
    place.prepare().await?;
    turn(&place, Position::Off)?;
    let folder = place.directory().join("folder");
    if place.kind == StoreType::Sqlite {
        place.url = Some(folder.join("clusters.db").display().to_string());
    }
    let store = open(&place).await?;
    is_away(&store).await?;
    match place.kind {
        StoreType::Sqlite => fs::create_dir(folder)?,
        _ => turn(&place, Position::On)?,
    }
    is_back(&store).await?;
    is(store.get("prod").await, missing)?;
    let added = store.add(Record::new("prod")).await?;
    ensure!(store.get("prod").await? == added);
    Ok(())
}

async fn a_store_that_goes_away_says_so_and_is_used_when_it_is_back(place: Place) -> Result<()> {
    place.prepare().await?;
    let store = open(&place).await?;
    let added = store.add(Record::new("prod")).await?;
    for _ in 0..2 {
        turn(&place, Position::Off)?;
        is_away(&store).await?;
        turn(&place, Position::On)?;
        is_back(&store).await?;
        ensure!(store.list().await?.records == [added.clone()], "and nothing was changed");
    }
    Ok(())
}

/// A server that accepts and is silent, the worst of all.
async fn silence(place: Place) -> Result<()> {
    place.prepare().await?;
    let store = open(&place).await?;
    let added = store.add(Record::new("prod")).await?;
    turn(&place, Position::Silent)?;
    let begun = Instant::now();
    is(store.get("prod").await, unavailable)?;
    ensure!(begun.elapsed() < Duration::from_secs(60), "it took {:?}", begun.elapsed());
    turn(&place, Position::On)?;
    is_back(&store).await?;
    ensure!(store.get("prod").await? == added);
    Ok(())
}

#[test]
fn a_postgres_that_is_silent_is_given_up_and_used_when_it_speaks() -> Result<()> {
    run(Place::new(StoreType::Postgres), silence)
}

#[test]
fn a_mongodb_that_is_silent_is_given_up_and_used_when_it_speaks() -> Result<()> {
    run(Place::new(StoreType::MongoDb), silence)
}

#[test]
fn a_hub_that_is_silent_is_given_up_and_used_when_it_speaks() -> Result<()> {
    run(Place::new(StoreType::KubeApi), silence)
}

#[test]
fn a_file_that_another_process_has_locked_or_replaced() -> Result<()> {
    run(Place::new(StoreType::Sqlite), async |place| {
        let store = open(&place).await?;
        let added = store.add(Record::new("prod")).await?;
        let other = rusqlite::Connection::open(place.file())?;
        other.execute_batch("BEGIN EXCLUSIVE")?;
        let error = is(store.add(Record::new("other")).await, unavailable)?.to_string();
        ensure!(error.contains("another process has it locked"), "{error}");
        other.execute_batch("COMMIT")?;
        ensure!(store.get("prod").await? == added);
        store.add(Record::new("other")).await?;

        // A backup that is put in its place is what counts from now on.
        let backup = place.directory().join("backup");
        other.execute(&format!("VACUUM INTO '{}'", backup.display()), [])?;
        store.delete("prod").await?;
        fs::rename(&backup, place.file())?;
        ensure!(store.get("prod").await? == added, "the backup's");

        // Nobody but its owner reads it.
        use std::os::unix::fs::PermissionsExt as _;
        let fresh = place::config(StoreType::Sqlite, "", place.directory().join("fresh").to_str())?;
        Store::open(&fresh, None).await?.list().await?;
        let mode = fs::metadata(place.directory().join("fresh"))?.permissions().mode();
        ensure!(mode & 0o777 == 0o600, "{mode:o}");

        fs::write(place.directory().join("text"), "x".repeat(5000))?;
        let text = place::config(StoreType::Sqlite, "", place.directory().join("text").to_str())?;
        let error = is(Store::open(&text, None).await?.list().await, refused)?.to_string();
        ensure!(error.contains("is no database of SQLite"), "{error}");
        Ok(())
    })
}

#[test]
fn postgres_refuses_wrong_passwords_missing_databases_and_missing_rights() -> Result<()> {
    run(Place::new(StoreType::Postgres), async |mut place| {
        let address = Postgres::shared()?.address();
        let error = is(open(&place).await?.list().await, refused)?.to_string();
        ensure!(error.contains(&format!("database \"{}\" does not exist", place.database)), "{error}");
        place.prepare().await?;
        let good = place.url.clone();
        place.url = Some(format!("postgres://postgres:hunter2@{address}/{}?sslmode=disable", place.database));
        let error = is(open(&place).await?.list().await, refused)?.to_string();
        ensure!(error.contains("password authentication failed"), "{error}");

        // A role that may read and write the table, and not make one.
        let own = Place::postgres(&place.database).await?;
        own.batch_execute("CREATE ROLE clerk LOGIN PASSWORD 'hunter2'").await?;
        place.url = Some(format!(
            "host=127.0.0.1 port={} user=clerk password=hunter2 sslmode=disable dbname={}",
            address.split_once(':').context("a port")?.1,
            place.database
        ));
        let error = is(open(&place).await?.list().await, refused)?.to_string();
        ensure!(error.contains("permission denied"), "{error}");
        place.url = good;
        open(&place).await?.add(Record::new("prod")).await?;
        own.batch_execute("GRANT SELECT, INSERT, UPDATE, DELETE ON vela_cluster TO clerk").await?;
        place.url = Some(format!(
            "postgres://clerk:hunter2@{address}/{}?sslmode=disable&application_name=x",
            place.database
        ));
        let store = open(&place).await?;
        ensure!(store.list().await?.records.len() == 1);
        store.delete("prod").await?;
        Ok(())
    })
}

#[test]
fn postgres_is_reached_by_tls_as_far_as_sslmode_wants_it_checked() -> Result<()> {
    run(Place::new(StoreType::Postgres), async |mut place| {
        place.prepare().await?;
        let server = Postgres::shared()?;
        let (address, ca) = (server.address(), server.ca_file()?);
        let other = place.directory().join("other.crt");
        fs::write(&other, Authority::new("another CA")?.pem())?;
        // Its certificate is for db.example, which is where `hostaddr` says it is.
        let named = format!(
            "hostaddr=127.0.0.1 port={} user=postgres password='hun/ter2@ä' dbname={}",
            address.split_once(':').context("a port")?.1,
            place.database
        );
        for (host, query, wanted) in [
            ("127.0.0.1", "sslmode=require".to_owned(), None),
            ("127.0.0.1", "sslmode=prefer".to_owned(), None),
            ("127.0.0.1", format!("sslmode=verify-ca sslrootcert={}", ca.display()), None),
            ("127.0.0.1", format!("sslmode=require sslrootcert={}", ca.display()), None),
            ("db.example", format!("sslmode=verify-full sslrootcert={}", ca.display()), None),
            (
                "127.0.0.1",
                format!("sslmode=verify-full sslrootcert={}", ca.display()),
                Some("not valid for name"),
            ),
            (
                "db.example",
                format!("sslmode=verify-full sslrootcert={}", other.display()),
                Some("UnknownIssuer"),
            ),
            (
                "127.0.0.1",
                format!("sslmode=verify-ca sslrootcert={}", other.display()),
                Some("UnknownIssuer"),
            ),
            ("127.0.0.1", format!("sslmode=require sslrootcert={}", other.display()), Some("UnknownIssuer")),
            ("db.example", "sslmode=verify-full".to_owned(), Some("UnknownIssuer")),
        ] {
            place.url = Some(format!("{named} host={host} {query}"));
            match (open(&place).await?.list().await, wanted) {
                (Ok(_), None) => {}
                (Err(StoreError::Unavailable(words)), Some(wanted)) if words.contains(wanted) => {}
                (other, wanted) => bail!("{host} {query}: {other:?} and not {wanted:?}"),
            }
        }
        Ok(())
    })
}

#[test]
fn mongodb_is_reached_by_tls_if_its_certificate_is_trusted() -> Result<()> {
    run(Place::new(StoreType::MongoDb), async |mut place| {
        let ca = Authority::new("mongodb CA")?;
        let server = MongoDb::start(Some(&ca.issue(&Leaf::server(&["127.0.0.1", "localhost"]))?))?;
        let (good, bad) = (place.directory().join("ca.crt"), place.directory().join("other.crt"));
        fs::write(&good, ca.pem())?;
        fs::write(&bad, Authority::new("another CA")?.pem())?;
        let url = |ca: &std::path::Path| {
            format!(
                "mongodb://{}/?serverSelectionTimeoutMS=2000&tls=true&tlsCAFile={}",
                server.address(),
                ca.display()
            )
        };
        place.url = Some(url(&good));
        let store = open(&place).await?;
        let added = store.add(Record::new("prod")).await?;
        ensure!(store.get("prod").await? == added);
        place.url = Some(url(&bad));
        let error = is(open(&place).await?.list().await, unavailable)?.to_string();
        ensure!(error.contains("UnknownIssuer"), "{error}");
        place.url = Some(format!("mongodb://{}/?serverSelectionTimeoutMS=2000", server.address()));
        is(open(&place).await?.list().await, unavailable)?;
        Ok(())
    })
}
