//! The settings of management.

use std::net::SocketAddr;
use std::path::Path;

use super::{ApiserverOptions, Config, ConfigError, ManageOptions, Mode, login, record_store};
use crate::authn::OidcConfig;
use crate::manage::login::LoginConfig;
use crate::manage::store::StoreConfig;

/// Management, checked.
#[derive(Debug, Clone)]
pub struct ManageConfig {
    /// Where to listen.
    pub address: SocketAddr,
    /// Whether the listener speaks TLS. Default: yes.
    pub tls: bool,
    /// What people call the hub; `None`: as its address says.
    pub name: Option<String>,
    /// Where records are kept.
    pub records: StoreConfig,
    /// How people sign in.
    pub login: LoginConfig,
}

impl Config {
    /// Checks what was typed for a process that serves management alone: the gateway is inside it, and has no socket.
    ///
    /// # Errors
    /// [`ConfigError`] with every mistake.
    pub fn for_management(mut options: ApiserverOptions) -> Result<Self, ConfigError> {
        let mut mistakes = Vec::new();
        if options.manage.manage_address.is_some() {
            mistakes.push("--manage-address is for other servers; this one has --bind-address".to_owned());
        }
        // VelaUX has the port in its --bind-addr.
        if let Ok(address) = options.bind_address.parse::<SocketAddr>() {
            options.bind_address = address.ip().to_string();
            options.secure_port = address.port();
        }
        let address = super::address(&options.bind_address, options.secure_port, &mut Vec::new());
        options.manage.manage_address = Some(address);
        match Self::for_hub(options) {
            Ok(config) if mistakes.is_empty() => Ok(alone(config)),
            Ok(_) => Err(ConfigError(mistakes)),
            Err(error) => Err(ConfigError(mistakes.into_iter().chain(error.0).collect())),
        }
    }
}

/// The certificate at the hub is that of the gateway's Service: nobody reaches management by it.
fn alone(mut config: Config) -> Config {
    config.serves_gateway = false;
    if let Mode::Hub(mode) = &mut config.mode {
        mode.certificate = None;
    }
    config
}

/// `data_dir` and `issuer` of ID tokens: those of a server without a hub.
pub(super) fn resolve(
    options: &ManageOptions,
    data_dir: Option<&Path>,
    issuer: Option<&OidcConfig>,
    mistakes: &mut Vec<String>,
) -> Option<ManageConfig> {
    let Some(address) = options.manage_address else {
        let unused = [
            (options.manage_http, "--manage-http"),
            (options.insecure_manage_http, "--insecure-manage-http"),
            (options.manage_name.is_some(), "--manage-name"),
            (options.store.datastore_type.is_some(), "--datastore-type"),
        ];
        for (_, flag) in unused.iter().filter(|(given, _)| *given) {
            mistakes.push(format!("{flag} has no meaning without --manage-address"));
        }
        for flag in login::given(&options.login) {
            mistakes.push(format!("{flag} has no meaning without --manage-address"));
        }
        return None;
    };
    if options.manage_http && !address.ip().is_loopback() && !options.insecure_manage_http {
        mistakes.push(format!(
            "--manage-http: {address} is not a loopback address; serve with TLS, or say --insecure-manage-http behind a \
             proxy that ends it"
        ));
    }
    let login = login::resolve(&options.login, issuer, mistakes);
    let records = record_store(&options.store, data_dir).map_err(|error| mistakes.extend(error.0)).ok()?;
    let name = options.manage_name.clone();
    let tls = !(options.manage_http || options.insecure_manage_http);
    Some(ManageConfig { address, tls, name, records, login })
}
