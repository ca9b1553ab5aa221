//! The four stores of cluster records, on their real servers: the same suite for each.
//!
//! MongoDB's wire protocol is spoken by a server in Java; MongoDB itself is in no registry that CI reaches.

use anyhow::{Result, bail, ensure};
use cluster_gateway::manage::store::{Store, StoreError};

mod conformance;
mod faults;
mod place;
mod processes;
mod velaux;

use place::Place;

/// Makes of each scenario a test for each store.
macro_rules! for_each_store {
    ($($scenario:ident),+ $(,)?) => {
        for_each_store!(@kind kubeapi, KubeApi, $($scenario),+);
        for_each_store!(@kind mongodb, MongoDb, $($scenario),+);
        for_each_store!(@kind postgres, Postgres, $($scenario),+);
        for_each_store!(@kind sqlite, Sqlite, $($scenario),+);
    };
    (@kind $name:ident, $kind:ident, $($scenario:ident),+) => {
        mod $name {
            $(
                #[test]
                fn $scenario() -> anyhow::Result<()> {
                    use cluster_gateway::manage::store::StoreType;
                    crate::stores::run(crate::stores::Place::new(StoreType::$kind), super::$scenario)
                }
            )+
        }
    };
}
use for_each_store;

/// Runs what a scenario does with a place of its own.
fn run<F: Future<Output = Result<()>>>(
    place: Result<Place>,
    scenario: impl FnOnce(Place) -> F,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(scenario(place?))
}

async fn open(place: &Place) -> Result<Store> {
    Ok(Store::open(&place.config()?, place.hub().await?).await?)
}

/// Fails unless it is this error.
fn is<T: std::fmt::Debug>(
    result: Result<T, StoreError>,
    wanted: impl Fn(&StoreError) -> bool,
) -> Result<StoreError> {
    match result {
        Err(error) if wanted(&error) => {
            let text = format!("{error} {error:?}");
            ensure!(!text.contains("ter2"), "an error shows the password: {text}");
            Ok(error)
        }
        other => bail!("not what was expected: {other:?}"),
    }
}

fn exists(error: &StoreError) -> bool {
    matches!(error, StoreError::Exists(_))
}

fn missing(error: &StoreError) -> bool {
    matches!(error, StoreError::Missing(_))
}

fn changed(error: &StoreError) -> bool {
    matches!(error, StoreError::Changed(_))
}

fn unavailable(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_))
}

fn refused(error: &StoreError) -> bool {
    matches!(error, StoreError::Refused(_))
}
