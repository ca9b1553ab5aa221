//! Client certificates (contract rules 55, 73-75).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use rustls::pki_types::CertificateDer;

use super::UserInfo;
use super::scheme::{Answer, Asked};
use crate::pki::{ClientCas, Subject};

/// For how long a refusal is believed. A certificate that is not valid yet becomes so without anything else changing.
const REFUSAL_HOLDS: Duration = Duration::from_secs(10);

/// What one bundle says about a connection's certificates, remembered: kube-apiserver sends everything over one
/// connection, and a signature takes longer to verify than the rest of a request. It holds for exactly this bundle and
/// until the first certificate involved expires, so a reload and an expiry act on the next request (rules 73, 74).
#[derive(Debug, Default)]
pub(super) struct Verification(ArcSwapOption<Verdict>);

#[derive(Debug)]
pub(super) struct Verdict {
    against: Arc<ClientCas>,
    reached: SystemTime,
    holds_until: SystemTime,
    pub(super) subject: Result<Subject, String>,
}

impl Verification {
    /// Whom the certificates `chain` name, or why the bundle does not believe them.
    pub(super) fn verify(
        &self,
        cas: &Arc<ClientCas>,
        chain: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Arc<Verdict> {
        if let Some(verdict) = self.0.load_full().filter(|verdict| verdict.holds(cas, now)) {
            return verdict;
        }
        let verdict = Arc::new(Verdict::reach(cas, chain, now));
        self.0.store(Some(Arc::clone(&verdict)));
        verdict
    }
}

impl Verdict {
    fn reach(cas: &Arc<ClientCas>, chain: &[CertificateDer<'_>], now: SystemTime) -> Self {
        let verified = cas.verify_client(chain, now).map_err(|error| error.to_string());
        let subject = verified.and_then(|()| {
            let leaf = chain.first().ok_or("there is none")?;
            Subject::of(leaf).map_err(|error| error.to_string())
        });
        let holds_until = if subject.is_ok() { cas.holds_until(chain, now) } else { now + REFUSAL_HOLDS };
        Self { against: Arc::clone(cas), reached: now, holds_until, subject }
    }

    fn holds(&self, cas: &Arc<ClientCas>, now: SystemTime) -> bool {
        Arc::ptr_eq(&self.against, cas) && self.reached <= now && now < self.holds_until
    }
}

/// A user who proves to be one by a certificate: the common name is the name, organizations are groups (rule 75).
pub(super) fn authenticate(cas: &Arc<ClientCas>, asked: &Asked<'_>) -> Answer {
    let chain = asked.connection.certificates();
    if chain.is_empty() {
        return Answer::NotRequested;
    }
    match &asked.connection.as_client.verify(cas, chain, asked.now).subject {
        Err(error) => Answer::Failed(format!("client certificate: {error}")),
        Ok(subject) if subject.common_name.is_empty() => Answer::NotRequested,
        Ok(subject) => Answer::Authenticated(Arc::new(UserInfo {
            name: subject.common_name.clone(),
            groups: subject.organizations.clone(),
            ..UserInfo::default()
        })),
    }
}
