//! The flags that say which service account the gateway is to have on a cluster.

use std::time::Duration;

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use crate::lifecycle::{AccountChoice, AccountRequest};
use crate::renewal::ServiceAccountRef;

/// Which service account, in `join` and `rotate` alike.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Credential")]
pub(super) struct AccountOptions {
    /// Make a service account in the cluster, whose tokens the gateway renews: auto (it may act as others; everything, if the
    /// gateway does not pass callers' identities on), impersonate, cluster-admin, or none [default of join: auto where the
    /// kubeconfig's user may make it and no program gives the credential, else none]
    #[arg(long, value_name = "ROLE", value_enum, num_args = 0..=1, default_missing_value = "auto", require_equals = true)]
    pub(super) service_account: Option<RoleOption>,

    /// Namespace of that account in the cluster
    #[arg(long, value_name = "NAMESPACE", default_value = crate::renewal::DEFAULT_NAMESPACE)]
    service_account_namespace: String,

    /// Name of that account
    #[arg(long, value_name = "NAME", default_value = crate::renewal::DEFAULT_NAME)]
    service_account_name: String,

    /// How long its first token is to hold; the cluster may shorten it, and the gateway asks for its own --credential-lifetime later
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = crate::request::duration)]
    pub(super) credential_lifetime: Duration,
}

/// What the account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RoleOption {
    /// Act as others; everything, if the gateway does not pass identities on
    Auto,
    /// Act as others
    Impersonate,
    /// Everything
    ClusterAdmin,
    /// No account: the credential stays as it is
    None,
}

impl AccountOptions {
    /// The account that is wanted, if one is; `otherwise` counts where nobody says. `asks`: a gateway will be asked.
    ///
    /// # Errors
    /// One of the names is none.
    pub(super) fn request(
        &self,
        otherwise: Option<AccountChoice>,
        asks: bool,
    ) -> anyhow::Result<Option<AccountRequest>> {
        let choice = match self.service_account {
            None => otherwise,
            Some(RoleOption::None) => None,
            Some(RoleOption::Auto) => Some(AccountChoice::Auto),
            Some(RoleOption::Impersonate) => Some(AccountChoice::Impersonate),
            Some(RoleOption::ClusterAdmin) => Some(AccountChoice::ClusterAdmin),
        };
        let Some(choice) = choice else { return Ok(None) };
        let account = ServiceAccountRef::new(&self.service_account_namespace, &self.service_account_name);
        let account = account
            .map_err(|reason| anyhow!("--service-account-namespace, --service-account-name: {reason}"))?;
        Ok(Some(AccountRequest { account, choice, lifetime: self.credential_lifetime, asks_gateway: asks }))
    }
}
