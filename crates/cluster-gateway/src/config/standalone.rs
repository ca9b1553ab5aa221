//! The settings of `standalone`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::manage;
use super::options::{ContextsOption, OidcOptions};
use super::{
    Common, Config, ConfigError, DataOptions, Mode, POLL, StandaloneMode, StandaloneOptions, address,
    check_files,
};
use crate::authn::{OidcConfig, StandaloneAuthentication};
use crate::authz::RbacConfig;
use crate::registry::{ClustersDirectory, Contexts};

impl Config {
    /// Checks what was typed for a server without a hub.
    ///
    /// # Errors
    /// [`ConfigError`] with every mistake.
    pub fn standalone(options: StandaloneOptions) -> Result<Self, ConfigError> {
        let mut mistakes = Vec::new();
        let address = address(&options.bind_address, options.secure_port, &mut mistakes);
        let common = Common::resolve(&options.common, &mut mistakes);
        let files =
            [("--token-auth-file", &options.token_auth_file), ("--oidc-ca-file", &options.oidc.oidc_ca_file)];
        check_files(&files, &mut mistakes);
        let mut clusters = options.data.clusters();
        clusters.allow_exec = !common.exec.commands.is_empty();
        check_directory("--clusters-dir", &clusters.directory, &mut mistakes);
        if let Some(directory) = &options.rbac_dir {
            check_directory("--rbac-dir", directory, &mut mistakes);
        }
        let oidc = oidc(options.oidc, &mut mistakes);
        let data_dir = options.data.data_dir(&mut mistakes);
        let manage = manage::resolve(&options.manage, Some(&data_dir), oidc.as_ref(), &mut mistakes);
        if !mistakes.is_empty() {
            return Err(ConfigError(mistakes));
        }
        let rbac = options.rbac_dir.map(|directory| RbacConfig { directory, ..RbacConfig::default() });
        let mut names = options.advertise_host;
        names.push(address.ip().to_string());
        Ok(Self {
            address,
            serves_gateway: true,
            manage,
            tls: common.tls,
            mode: Mode::Standalone(StandaloneMode {
                clusters,
                rbac,
                data_dir,
                names,
                authentication: StandaloneAuthentication {
                    client_ca_file: options.common.client_ca_file,
                    token_file: options.token_auth_file,
                    oidc,
                    anonymous: options.anonymous_auth,
                    ..StandaloneAuthentication::default()
                },
            }),
            authorization: common.authorization,
            gates: common.gates,
            proxies: common.proxies,
            exec: common.exec,
            audit: common.audit,
            health: common.health,
            renewal: common.renewal,
            response_header_timeout: common.response_header_timeout,
            identity: common.identity,
            allow_insecure_clusters: options.common.allow_insecure_clusters,
            allow_loopback_clusters: true,
            konnectivity: common.konnectivity,
            limits: common.limits,
            shutdown_delay: options.common.shutdown_delay_duration,
            shutdown_send_retry_after: options.common.limits.shutdown_send_retry_after,
            poll: POLL,
        })
    }
}

impl DataOptions {
    /// The directory of clusters.
    #[must_use]
    pub fn clusters(&self) -> ClustersDirectory {
        let contexts = match self.kubeconfig_contexts {
            ContextsOption::All => Contexts::All,
            ContextsOption::Current => Contexts::Current,
        };
        ClustersDirectory { directory: self.clusters_dir.clone(), contexts, ..ClustersDirectory::default() }
    }

    /// The directory of the server's certificate authorities: as given, or in the user's state directory.
    pub fn data_dir(&self, mistakes: &mut Vec<String>) -> PathBuf {
        self.data_dir.clone().or_else(state_directory).unwrap_or_else(|| {
            mistakes.push("--data-dir is required where neither XDG_STATE_HOME nor HOME is set".to_owned());
            PathBuf::new()
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the module that reads the environment")]
fn state_directory() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(home)?;
    Some(state.join("cluster-gateway"))
}

fn check_directory(flag: &str, directory: &Path, mistakes: &mut Vec<String>) {
    if let Err(error) = std::fs::read_dir(directory) {
        mistakes.push(format!("{flag}: cannot list {}: {error}", directory.display()));
    }
}

fn oidc(options: OidcOptions, mistakes: &mut Vec<String>) -> Option<OidcConfig> {
    let issuer_url = options.oidc_issuer_url?;
    let mut required_claims = BTreeMap::new();
    for claim in &options.oidc_required_claim {
        match claim.split_once('=') {
            Some((name, value)) => {
                required_claims.insert(name.to_owned(), value.to_owned());
            }
            None => mistakes.push(format!("--oidc-required-claim: \"{claim}\" is not CLAIM=VALUE")),
        }
    }
    let config = OidcConfig {
        issuer_url,
        client_id: options.oidc_client_id.unwrap_or_default(),
        username_claim: options.oidc_username_claim,
        username_prefix: options.oidc_username_prefix,
        groups_claim: options.oidc_groups_claim,
        groups_prefix: options.oidc_groups_prefix,
        required_claims,
        ca_file: options.oidc_ca_file,
        signing_algs: options.oidc_signing_algs,
        ..OidcConfig::default()
    };
    if let Err(problems) = config.check() {
        mistakes.extend(problems);
    }
    Some(config)
}
