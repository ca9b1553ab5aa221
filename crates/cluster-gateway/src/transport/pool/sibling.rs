//! Pools to one member under different client certificates.

use std::sync::Arc;

use super::{Pool, TransportSpec};
use crate::credential::ClientCertificate;

impl Pool {
    /// One to the same member under another client certificate, without connections. What is counted and known of the
    /// member is that of both.
    pub(in crate::transport) fn with_client_certificate(&self, certificate: ClientCertificate) -> Self {
        let spec = TransportSpec { client_certificate: Some(certificate), ..self.spec().clone() };
        let mut pool = Self::new(spec, Arc::clone(&self.dialer.options));
        pool.dialer.counters = Arc::clone(&self.dialer.counters);
        pool.breaker = Arc::clone(&self.breaker);
        pool
    }
}
