//! Which store, and where. What proves us to it is shown nowhere.

use std::fmt;

use percent_encoding::percent_decode_str;

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum StoreType {
    /// ConfigMaps of the hub.
    #[value(name = "kubeapi")]
    KubeApi,
    /// A collection of MongoDB.
    #[value(name = "mongodb")]
    MongoDb,
    /// A table of PostgreSQL.
    Postgres,
    /// A table in a file.
    Sqlite,
}

impl StoreType {
    /// As it is typed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KubeApi => "kubeapi",
            Self::MongoDb => "mongodb",
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }
}

/// A store's address. It can hold a password, which neither `Debug` nor `Display` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// Takes the text as it is.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The text with what it holds of credentials: for the driver.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text`, in which what is secret in this address is hidden: for the words of a driver.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        let mut secrets = self.secrets();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }

    /// What is secret: a password before the last `@`, and values of keys whose names say so; each also decoded.
    fn secrets(&self) -> Vec<String> {
        let rest = self.0.split_once("://").map_or(self.0.as_str(), |(_, rest)| rest);
        let login = rest.rsplit_once('@').and_then(|(login, _)| login.split_once(':'));
        let query = rest.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let mut found: Vec<String> = pairs
            .filter(|(key, _)| is_secret(&percent_decode_str(key).decode_utf8_lossy()))
            .map(|(_, value)| value.to_owned())
            .chain(login.map(|(_, password)| password.to_owned()))
            .collect();
        let words = keyword_values(&self.0).unwrap_or_default();
        found.extend(words.into_iter().filter(|(key, _)| is_secret(key)).map(|(_, value)| value));
        let decoded: Vec<String> =
            found.iter().map(|text| percent_decode_str(text).decode_utf8_lossy().into_owned()).collect();
        found.extend(decoded);
        found.retain(|secret| !secret.is_empty());
        found
    }
}

fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "passwd", "secret", "token", "authmechanismproperties"].iter().any(|word| key.contains(word))
}

/// PostgreSQL's other form of an address: `key=value key='a value'`. `None`: it is none.
pub(super) fn keyword_values(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (key, value) = rest.split_once('=')?;
        let key = key.trim();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return None;
        }
        let (value, after) = keyword_value(value.trim_start())?;
        pairs.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    Some(pairs)
}

/// One value, in quotes or up to the next space, and what follows it.
fn keyword_value(text: &str) -> Option<(String, &str)> {
    let (quoted, body) = text.strip_prefix('\'').map_or((false, text), |body| (true, body));
    let mut value = String::new();
    let mut characters = body.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next()?.1),
            '\'' if quoted => return Some((value, &body[at + 1..])),
            space if !quoted && space.is_whitespace() => return Some((value, &body[at..])),
            other => value.push(other),
        }
    }
    (!quoted).then_some((value, ""))
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scrub(&self.0))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Which store, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    pub(super) kind: StoreType,
    pub(super) database: String,
    pub(super) url: StoreUrl,
}

/// VelaUX' default of `--datastore-database`.
const DATABASE: &str = "kubevela";

impl StoreConfig {
    /// Puts the three flags together. For `sqlite` the address is a file; for `kubeapi` there is none.
    ///
    /// # Errors
    /// A text that names the flag.
    pub fn new(kind: StoreType, database: Option<&str>, url: Option<&StoreUrl>) -> Result<Self, String> {
        let shown = kind.as_str();
        let url = url.filter(|url| !url.0.is_empty());
        match kind {
            StoreType::KubeApi if url.is_some() => {
                return Err(
                    "--datastore-url has no meaning with --datastore-type=kubeapi: the records are in the \
                            hub, in the namespace that --datastore-database names"
                        .to_owned(),
                );
            }
            StoreType::Sqlite if database.is_some() => {
                return Err(
                    "--datastore-database has no meaning with --datastore-type=sqlite: --datastore-url \
                            names the file"
                        .to_owned(),
                );
            }
            StoreType::MongoDb | StoreType::Postgres | StoreType::Sqlite if url.is_none() => {
                return Err(format!("--datastore-type={shown} needs --datastore-url"));
            }
            _ => {}
        }
        let default = if kind == StoreType::Postgres { "" } else { DATABASE };
        let database = database.unwrap_or(default);
        let fits = match kind {
            StoreType::KubeApi => {
                super::record::is_name(database) && database.len() <= 63 && !database.contains('.')
            }
            StoreType::MongoDb => {
                (1..64).contains(&database.len())
                    && !database.contains(|c: char| c.is_control() || "/\\. \"$*<>:|?".contains(c))
            }
            StoreType::Postgres => database.len() < 64 && !database.contains('\0'),
            StoreType::Sqlite => true,
        };
        if !fits {
            return Err(format!("--datastore-database: \"{database}\" is no name for {shown}"));
        }
        let url = url.cloned().unwrap_or_else(|| StoreUrl::new(""));
        Ok(Self { kind, database: database.to_owned(), url })
    }

    /// The hub's namespace that VelaUX keeps all its records in, too; `None`: they are elsewhere.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        (self.kind == StoreType::KubeApi).then_some(self.database.as_str())
    }

    /// The kind of store.
    #[must_use]
    pub fn kind(&self) -> StoreType {
        self.kind
    }

    /// The address; empty for `kubeapi`.
    #[must_use]
    pub fn url(&self) -> &StoreUrl {
        &self.url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_secret_in_an_address_is_shown_nowhere() {
        for (url, shown) in [
            ("mongodb://u:hunter2@h:1/db", "mongodb://u:***@h:1/db"),
            ("u:hunter2@h", "u:***@h"),
            ("postgres://u:a@b:c/d@h/db", "postgres://u:***@h/db"),
            ("postgres://u@h/db?password=hunter2&x=y", "postgres://u@h/db?password=***&x=y"),
            ("host=h user=u password='hun ter2' dbname=d", "host=h user=u password='***' dbname=d"),
            ("host=h password=hunter2", "host=h password=***"),
            (
                "mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:x1y2",
                "mongodb://h/?authMechanismProperties=***",
            ),
            ("mongodb://h:1/db", "mongodb://h:1/db"),
        ] {
            let url = StoreUrl::new(url);
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("\"{shown}\""));
        }
        let url = StoreUrl::new("postgres://u:p%40ss@h");
        assert_eq!(url.scrub("raw p%40ss decoded p@ss"), "raw *** decoded ***");
    }

    #[test]
    fn keywords_are_read_as_libpq_reads_them() {
        let pairs = keyword_values(r"host = h password='it''s' ");
        assert_eq!(pairs, None, "two quotes are no escape here");
        let pairs = keyword_values(r"host = h  password='it\'s\\' x=a\ b y=").unwrap();
        let expected = [("host", "h"), ("password", r"it's\"), ("x", "a b"), ("y", "")];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        for none in ["postgres://h?a=b", "host", "host='x", "=x", r"host=\"] {
            assert_eq!(keyword_values(none), None, "{none}");
        }
    }

    #[test]
    fn flags_that_do_not_fit_together_are_refused() {
        let url = StoreUrl::new("mongodb://h");
        let config = |kind, database, url| StoreConfig::new(kind, database, url);
        assert_eq!(config(StoreType::KubeApi, None, None).unwrap().database, "kubevela");
        assert_eq!(config(StoreType::MongoDb, Some("x"), Some(&url)).unwrap().database, "x");
        assert_eq!(config(StoreType::Postgres, None, Some(&url)).unwrap().database, "");
        for (kind, database, url, words) in [
            (StoreType::KubeApi, None, Some(&url), "--datastore-url has no meaning"),
            (StoreType::KubeApi, Some("kubevela_store"), None, "--datastore-database: \"kubevela_store\""),
            (StoreType::KubeApi, Some("a.b"), None, "--datastore-database"),
            (StoreType::MongoDb, None, None, "--datastore-type=mongodb needs --datastore-url"),
            (StoreType::MongoDb, Some("a/b"), Some(&url), "--datastore-database"),
            (StoreType::Postgres, None, Some(&StoreUrl::new("")), "--datastore-type=postgres needs"),
            (StoreType::Sqlite, Some("x"), Some(&url), "--datastore-database has no meaning"),
        ] {
            let error = config(kind, database, url).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
