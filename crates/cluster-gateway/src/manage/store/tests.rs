//! What is the same for every store.

use time::Duration;
use time::macros::datetime;

use super::*;

fn record(name: &str, created: OffsetDateTime, updated: OffsetDateTime) -> Record {
    Record { create_time: created, update_time: updated, ..Record::new(name) }
}

#[test]
fn lists_begin_with_the_hub_and_go_from_new_to_old_and_then_by_name() {
    let (old, new) = (datetime!(2024-01-01 0:00 UTC), datetime!(2025-01-01 0:00 UTC));
    let mut listing = Listing::default();
    for (name, created) in [("b", new), ("z", old), ("local", old), ("a", new)] {
        listing.found(name, Ok(record(name, created, created)));
    }
    // Twice, as VelaUX can leave it in MongoDB.
    let later = Record { alias: "later".to_owned(), ..record("z", old, new) };
    listing.found("z", Ok(later.clone()));
    listing.found("z", Ok(record("z", old, old - Duration::DAY)));
    listing.found("y", Err("wrong".to_owned()));
    listing.found("x", Err("wrong".to_owned()));
    let listing = listing.sorted();
    let names: Vec<_> = listing.records.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(names, ["local", "a", "b", "z"]);
    assert_eq!(listing.records[3], later);
    assert_eq!(listing.unreadable.iter().map(|bad| bad.name.as_str()).collect::<Vec<_>>(), ["x", "y"]);
}

#[tokio::test]
async fn addresses_that_cannot_be_used_are_told_at_once_and_show_no_password() {
    for (kind, url, words) in [
        #[cfg(feature = "mongodb")]
        (StoreType::MongoDb, "mongodb+srv://u:hunter2@h", "mongodb+srv is not supported"),
        #[cfg(feature = "mongodb")]
        (StoreType::MongoDb, "mongodb://u:hunter2@h:port", "--datastore-url"),
        #[cfg(feature = "mongodb")]
        (StoreType::MongoDb, "mongodb://u:hun/ter2@h", "--datastore-url"),
        #[cfg(feature = "mongodb")]
        (StoreType::MongoDb, "http://u:hunter2@h", "--datastore-url"),
        #[cfg(feature = "mongodb")]
        (StoreType::MongoDb, "mongodb://u:hunter2@h/?tls=true&tlsCAFile=/nowhere", "--datastore-url"),
        #[cfg(feature = "postgres")]
        (StoreType::Postgres, "postgres://u:hunter2@h:port/d", "--datastore-url"),
        #[cfg(feature = "postgres")]
        (StoreType::Postgres, "postgres://u:hunter2@h/d?sslmode=maybe", "sslmode=maybe is none of"),
        #[cfg(feature = "postgres")]
        (StoreType::Postgres, "host=h password=hunter2 sslrootcert=/nowhere sslmode=verify-ca", "/nowhere"),
        #[cfg(feature = "postgres")]
        (StoreType::Postgres, "user=u password=hunter2", "it names no host"),
        #[cfg(feature = "postgres")]
        (StoreType::Postgres, "hunter2", "it is neither postgres://"),
        #[cfg(feature = "sqlite")]
        (StoreType::Sqlite, ":memory:", "is no path of a file"),
    ] {
        let config = StoreConfig::new(kind, None, Some(&StoreUrl::new(url))).unwrap();
        assert!(!format!("{config:?}").contains("ter2") || url == "hunter2", "{config:?}");
        let error = match Store::open(&config, None).await {
            Err(StoreError::Config(error)) => error,
            other => panic!("{url}: {other:?}"),
        };
        assert!(error.contains(words) && !error.contains("ter2"), "{url}: {error}");
    }
    let config = StoreConfig::new(StoreType::KubeApi, None, None).unwrap();
    let error = Store::open(&config, None).await.unwrap_err().to_string();
    assert!(error.contains("needs a hub"), "{error}");
}
