//! Flags of how tokens of members' service accounts are renewed.

use std::time::Duration;

use clap::Args;

/// Renewal of the tokens that a Secret's annotation `cluster.core.oam.dev/service-account` makes the gateway's to renew.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Credentials of clusters")]
pub struct RenewalOptions {
    /// Percent of the life of a cluster's service account token after which it is renewed; 1 to 95
    #[arg(long, value_name = "PERCENT", default_value_t = 80)]
    pub credential_renewal_percent: u8,

    /// Life that is asked for when such a token is renewed; clusters may shorten it, and none gives less than 10m
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = crate::request::duration)]
    pub credential_lifetime: Duration,
}
