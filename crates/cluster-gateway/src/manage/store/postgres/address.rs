//! The address of a PostgreSQL server: a URL, or the words that libpq and GORM also take.

use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, Error, NoTls};

use super::tls::{self, Tls, TlsFiles};
use crate::manage::store::LIMIT;
use crate::manage::store::config::{StoreUrl, keyword_values};

/// What `sslmode` says, as in libpq.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verify {
    /// `prefer`, `require`: whoever answers.
    Nothing,
    /// `verify-ca`, and `require` with `sslrootcert`.
    Ca,
    /// `verify-full`.
    CaAndName,
}

/// Where the server is, and how a connection to it is made.
#[derive(Debug)]
pub(super) struct Address {
    config: Config,
    /// `None`: `sslmode=disable`.
    tls: Option<Tls>,
}

/// Keys that the driver knows. Any other is a setting of the session, as in pgx, which VelaUX uses.
const KNOWN: [&str; 18] = [
    "user",
    "password",
    "dbname",
    "options",
    "application_name",
    "sslnegotiation",
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
];

impl Address {
    /// Reads an address; `database` counts if it names none.
    pub(super) fn read(url: &StoreUrl, database: &str) -> Result<Self, String> {
        let (plain, extra) = split(url.expose())?;
        let mut config: Config = plain.parse().map_err(|error: Error| crate::hub::chain(&error))?;
        let (mut mode, mut files) = ("prefer".to_owned(), TlsFiles::default());
        let mut options = config.get_options().unwrap_or_default().to_owned();
        for (key, value) in extra {
            match key.as_str() {
                "sslmode" => mode = value,
                "sslrootcert" => files.root = Some(value.into()),
                "sslcert" => files.certificate = Some(value.into()),
                "sslkey" => files.key = Some(value.into()),
                "sslpassword" => return Err("sslpassword: keys with a password are not supported".to_owned()),
                _ => setting(&mut options, &key, &value)?,
            }
        }
        if !options.trim().is_empty() {
            config.options(options.trim());
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("it names no host".to_owned());
        }
        if config.get_dbname().is_none() && !database.is_empty() {
            config.dbname(database);
        }
        config.application_name(config.get_application_name().unwrap_or("cluster-gateway").to_owned());
        config.connect_timeout(config.get_connect_timeout().copied().unwrap_or(LIMIT / 2));
        let tls = ssl_mode(&mut config, &mode, &files)?;
        Ok(Self { config, tls })
    }

    /// Makes a connection, which lives in a task of its own until its client is gone.
    pub(super) async fn connect(&self) -> Result<Client, Error> {
        match &self.tls {
            None => self.config.connect(NoTls).await.map(|(client, connection)| {
                tokio::spawn(connection);
                client
            }),
            Some(tls) => self.config.connect(tls.clone()).await.map(|(client, connection)| {
                tokio::spawn(connection);
                client
            }),
        }
    }
}

/// Takes out of an address what the driver does not know.
fn split(text: &str) -> Result<(String, Vec<(String, String)>), String> {
    if ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs
            .map(|pair| pair.split_once('=').ok_or_else(|| "its query is no list of key=value".to_owned()));
        let (mut kept, mut extra) = (Vec::new(), Vec::new());
        for pair in pairs {
            let (key, value) = pair?;
            if KNOWN.contains(&key) {
                kept.push(format!("{key}={value}"));
            } else {
                let value = percent_encoding::percent_decode_str(value).decode_utf8();
                extra.push((key.to_owned(), value.map_err(|_| format!("{key} is not UTF-8"))?.into_owned()));
            }
        }
        return Ok((format!("{base}?{}", kept.join("&")).trim_end_matches('?').to_owned(), extra));
    }
    let words = keyword_values(text).filter(|words| !words.is_empty());
    let words = words
        .ok_or("it is neither postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE nor host=HOST user=USER …")?;
    let (kept, extra): (Vec<_>, Vec<_>) =
        words.into_iter().partition(|(key, _)| KNOWN.contains(&key.as_str()));
    let quoted = |text: &str| text.replace('\\', r"\\").replace('\'', r"\'");
    let kept: Vec<_> = kept.iter().map(|(key, value)| format!("{key}='{}'", quoted(value))).collect();
    Ok((kept.join(" "), extra))
}

/// Adds a setting of the session.
fn setting(options: &mut String, key: &str, value: &str) -> Result<(), String> {
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte)) {
        return Err("a key of it is no word".to_owned());
    }
    let value = value.replace('\\', r"\\").replace(' ', r"\ ");
    *options = format!("{options} -c {key}={value}");
    Ok(())
}

fn ssl_mode(config: &mut Config, mode: &str, files: &TlsFiles) -> Result<Option<Tls>, String> {
    let (ssl_mode, verify) = match mode {
        "disable" => {
            config.ssl_mode(SslMode::Disable);
            return Ok(None);
        }
        "allow" | "prefer" => (SslMode::Prefer, Verify::Nothing),
        "require" if files.root.is_some() => (SslMode::Require, Verify::Ca),
        "require" => (SslMode::Require, Verify::Nothing),
        "verify-ca" => (SslMode::Require, Verify::Ca),
        "verify-full" => (SslMode::Require, Verify::CaAndName),
        other => {
            return Err(format!(
                "sslmode={other} is none of disable, prefer, require, verify-ca, verify-full"
            ));
        }
    };
    config.ssl_mode(ssl_mode);
    let remote = config.get_hosts().iter().any(|host| matches!(host, Host::Tcp(name) if !is_loopback(name)));
    if remote && verify == Verify::Nothing {
        tracing::warn!(
            "--datastore-url: sslmode={mode} does not check whom it talks to; sslmode=verify-full with sslrootcert does"
        );
    }
    tls::configure(files, verify).map(Some)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
