//! Where records of clusters are kept.

use std::path::Path;

use super::{ConfigError, StoreOptions};
use crate::manage::store::{StoreConfig, StoreType, StoreUrl};

/// Checks what was typed. `data_dir` is that of a server without a hub, whose records are in a file unless it is told
/// otherwise; with a hub there is none, and the records are in the hub.
///
/// # Errors
/// [`ConfigError`], which shows no password.
pub fn record_store(options: &StoreOptions, data_dir: Option<&Path>) -> Result<StoreConfig, ConfigError> {
    let default = if data_dir.is_some() { StoreType::Sqlite } else { StoreType::KubeApi };
    let kind = options.datastore_type.unwrap_or(default);
    let url = match (&options.datastore_url, &options.datastore_url_file, data_dir) {
        (Some(url), ..) => Some(url.clone()),
        (None, Some(file), _) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                ConfigError(vec![format!("--datastore-url-file: {}: {error}", file.display())])
            })?;
            Some(StoreUrl::new(&text))
        }
        (None, None, Some(dir)) if kind == StoreType::Sqlite => {
            Some(StoreUrl::new(&dir.join("clusters.db").display().to_string()))
        }
        _ => None,
    };
    let database = options.datastore_database.as_deref();
    StoreConfig::new(kind, database, url.as_ref()).map_err(|mistake| ConfigError(vec![mistake]))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: StoreOptions,
    }

    fn resolve(flags: &[&str], data_dir: Option<&Path>) -> Result<StoreConfig, ConfigError> {
        record_store(&Line::parse_from(["x"].iter().chain(flags)).options, data_dir)
    }

    #[test]
    fn the_default_is_the_hub_or_a_file_of_the_data_directory() {
        let dir = Path::new("/data");
        let kind = |flags: &[&str], dir| resolve(flags, dir).unwrap().kind();
        assert_eq!(kind(&[], None), StoreType::KubeApi);
        assert_eq!(kind(&[], Some(dir)), StoreType::Sqlite);
        assert!(format!("{:?}", resolve(&[], Some(dir)).unwrap()).contains("/data/clusters.db"));
        assert_eq!(kind(&["--datastore-type=mongodb", "--datastore-url=h"], Some(dir)), StoreType::MongoDb);
        assert!(resolve(&["--datastore-type=postgres"], Some(dir)).is_err(), "the file is for sqlite alone");
    }

    #[test]
    fn an_address_comes_from_a_flag_or_a_file_and_its_password_is_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        std::fs::write(&file, "postgres://u:hunter2@h/d\n").unwrap();
        let file = format!("--datastore-url-file={}", file.display());
        let config = resolve(&["--datastore-type=postgres", &file], None).unwrap();
        let flag = resolve(&["--datastore-type=postgres", "--datastore-url=postgres://u:hunter2@h/d"], None);
        assert_eq!(Ok(&config), flag.as_ref().map_err(|error| &error.0));
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");

        let error =
            resolve(&["--datastore-type=postgres", "--datastore-url-file=/nowhere"], None).unwrap_err();
        assert!(error.0[0].contains("--datastore-url-file: /nowhere"), "{error:?}");
        let both = Line::try_parse_from(["x", "--datastore-url=postgres://u:hunter2@h", &file]).unwrap_err();
        assert!(!both.to_string().contains("hunter2"), "{both}");
        let error = resolve(&["--datastore-url=postgres://u:hunter2@h"], None).unwrap_err();
        assert!(error.0[0].contains("no meaning") && !error.0[0].contains("hunter2"), "{error:?}");
    }
}
