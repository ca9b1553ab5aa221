//! A serving certificate that renews itself, for a gateway that no certificate was given to.
//!
//! A Secret in the gateway's own namespace holds a CA and a certificate for the Service's names. Every replica serves what
//! stands there. One of them, the holder of a Lease, makes it, renews it, and keeps the APIService's `caBundle` such that
//! the hub verifies it. Everything is looked at again every few seconds, so whatever is deleted or damaged is made anew;
//! every write carries the resource version of what it was decided on, so two writers do no harm.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::sign::CertifiedKey;
use tokio::sync::watch;

mod api_service;
mod keeper;
mod material;
mod plan;
mod store;

use api_service::Publisher;
use keeper::Keeper;
use store::Store;

use crate::hub::{Hub, Lease};
use crate::issuer::{IssuerError, ServerNames};

/// What the certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateConfig {
    /// Service that the hub's APIService leads to (`--service-name`). Secret and Lease are called after it.
    pub service: String,
    /// The Service's namespace, and that of Secret and Lease (`--service-namespace`).
    pub namespace: String,
    /// Other names and addresses that clients use (`--advertise-host`).
    pub names: Vec<String>,
    /// How often and how long. The default is for everything but tests.
    pub times: Times,
}

/// How often things are looked at, and how long others are waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// Pause between two looks. Default: 5 s.
    pub look: Duration,
    /// Pause between two looks of a replica that has nothing to serve yet. Default: 1 s.
    pub impatient: Duration,
    /// How long the Lease holds. Default: 15 s.
    pub lease: Duration,
    /// How long a CA has been published before a certificate of it is served: every API server of the hub must know it.
    /// Default: 60 s.
    pub adopted: Duration,
    /// How long the CA before is still trusted after that: every replica must have seen the new certificate. Default:
    /// ten minutes.
    pub retired: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(5),
            impatient: Duration::from_secs(1),
            lease: Duration::from_secs(15),
            adopted: Duration::from_secs(60),
            retired: Duration::from_secs(600),
        }
    }
}

impl CertificateConfig {
    /// Name of the Secret and of the Lease.
    #[must_use]
    pub fn object_name(&self) -> String {
        format!("{}-certificate", self.service)
    }

    /// Every name that the certificate is for: the Service's, `localhost`, and those that were given.
    ///
    /// # Errors
    /// [`IssuerError::Request`] for a name that can stand in no certificate.
    pub fn server_names(&self) -> Result<ServerNames, IssuerError> {
        let (service, namespace) = (&self.service, &self.namespace);
        let mut names = vec![
            service.clone(),
            format!("{service}.{namespace}"),
            format!("{service}.{namespace}.svc"),
            format!("{service}.{namespace}.svc.cluster.local"),
        ];
        names.extend(self.names.iter().cloned());
        ServerNames::with_localhost(&names)
    }
}

/// The certificate, followed and kept.
pub struct ManagedCertificate {
    keeper: Keeper,
    lease: Lease,
    settled: watch::Receiver<bool>,
}

impl ManagedCertificate {
    /// Sends nothing yet.
    ///
    /// # Errors
    /// As [`CertificateConfig::server_names`].
    pub fn new(hub: &Hub, config: &CertificateConfig) -> Result<Self, IssuerError> {
        let name = config.object_name();
        let (lease, leadership) = Lease::new(hub, &config.namespace, &name, config.times.lease);
        let (settling, settled) = watch::channel(false);
        let keeper = Keeper {
            store: Store::new(hub, &config.namespace, &name),
            publisher: Publisher::new(hub, &config.service, &config.namespace),
            leadership,
            names: config.server_names()?,
            times: config.times.clone(),
            memory: None,
            settled: plan::Settled::default(),
            complaints: keeper::Complaints::default(),
            settling,
        };
        Ok(Self { keeper, lease, settled })
    }

    /// Becomes true when there is nothing to wait for: the shared certificate is served, or it is known that a right is
    /// missing without which there is none.
    #[must_use]
    pub fn settled(&self) -> watch::Receiver<bool> {
        self.settled.clone()
    }

    /// Follows and keeps the certificate, for ever. `present` is given each one that is to be served from then on.
    pub async fn run(self, present: impl Fn(Arc<CertifiedKey>) + Send + Sync) {
        tokio::join!(self.lease.run(), self.keeper.run(present));
    }
}

impl fmt::Debug for ManagedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedCertificate").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
