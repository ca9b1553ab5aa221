//! The way to a member, with the credential of the moment.

use std::borrow::Cow;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::{HeaderMap, StatusCode};

use crate::credential::{ClientCertificate, Credential, ExecCredential, Issued};
use crate::transport::{Certificates, Transport};

/// The way to a member.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// `https://host:port`, for the upstream request line.
    pub origin: String,
    /// Path prefix of the endpoint, without a trailing slash; may be empty.
    pub base_path: String,
    /// What proves the gateway to the member.
    pub credential: Credential,
    /// Whether the member's certificate is not verified.
    pub insecure: bool,
    /// Its connections.
    pub transport: Arc<Transport>,
    /// Connections under the client certificate that a program gave last; `None`: no program gives the credential.
    pub certified: Option<Arc<Certified>>,
}

/// Connections under a client certificate that a program gave; another certificate means other connections (rules 163,
/// 164).
#[derive(Debug, Default)]
pub struct Certified(ArcSwapOption<Transport>);

/// What one request needs.
#[derive(Debug)]
pub struct Way<'u> {
    credential: &'u Credential,
    issued: Option<Arc<Issued>>,
    /// The connections to use.
    pub transport: Cow<'u, Arc<Transport>>,
}

impl Upstream {
    /// The way for one request. Waits only for a program whose credential is needed and not there.
    ///
    /// # Errors
    /// The program gives none; why, in words for the cluster's owner.
    pub async fn way(&self) -> Result<Way<'_>, String> {
        let Credential::Exec(program) = &self.credential else {
            let transport = Cow::Borrowed(&self.transport);
            return Ok(Way { credential: &self.credential, issued: None, transport });
        };
        let issued = match program.current() {
            Some(issued) => issued,
            // Boxed: rare, and a request's future is moved and kept as a whole.
            None => Box::pin(program.obtain()).await?,
        };
        let transport = match (&self.certified, issued.client_certificate()) {
            (Some(certified), Some(certificate)) => {
                Cow::Owned(certified.transport(certificate, &self.transport))
            }
            _ => Cow::Borrowed(&self.transport),
        };
        Ok(Way { credential: &self.credential, issued: Some(issued), transport })
    }

    /// The certificates of both ends, as far as they are known: of the connections that requests use now. Opens none.
    #[must_use]
    pub fn certificates(&self) -> Certificates {
        let certified = self.certified.as_ref().and_then(|certified| certified.0.load_full());
        certified.unwrap_or_else(|| Arc::clone(&self.transport)).certificates()
    }

    /// The program that gives the credential, if one does.
    pub(super) fn program(&self) -> Option<&Arc<ExecCredential>> {
        match &self.credential {
            Credential::Exec(program) => Some(program),
            Credential::Token(_) | Credential::X509(_) => None,
        }
    }
}

impl Certified {
    /// The connections under `certificate`, otherwise like those of `plain`.
    fn transport(&self, certificate: &ClientCertificate, plain: &Transport) -> Arc<Transport> {
        let fits =
            |transport: &Arc<Transport>| transport.spec().client_certificate.as_ref() == Some(certificate);
        if let Some(transport) = self.0.load_full().filter(fits) {
            return transport;
        }
        let new = Arc::new(plain.with_client_certificate(certificate.clone()));
        // Of several requests that come here at once, one makes the connections for all.
        let before = self.0.rcu(|current| {
            let fitting = current.as_ref().filter(|current| fits(current));
            Some(Arc::clone(fitting.unwrap_or(&new)))
        });
        before.filter(fits).unwrap_or(new)
    }
}

impl Way<'_> {
    /// Puts the credential on a request, over whatever stands there (rules 84, 162).
    pub fn attach(&self, headers: &mut HeaderMap) {
        match &self.issued {
            Some(issued) => issued.attach(headers),
            None => self.credential.attach(headers),
        }
    }

    /// Learns from the member's answer whether the credential is still good: as in client-go, a 401 makes the program give
    /// another.
    pub fn answered(&self, status: StatusCode) {
        if let (StatusCode::UNAUTHORIZED, Some(issued), Credential::Exec(program)) =
            (status, &self.issued, self.credential)
        {
            program.refused(issued);
        }
    }
}
