//! Who are they? Every scheme has three answers: not requested, authenticated, failed (contract rules 60-84).
//!
//! Whatever has been consumed here is gone from the request afterwards: no credential of a caller goes on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;
use http::request::Parts;
use rustls::pki_types::CertificateDer;
use tokio::sync::Notify;

use crate::hub::Hub;
use crate::pki::ClientCas;
use crate::status::Error;

mod certificate;
mod complaints;
mod config;
mod hygiene;
mod oidc;
mod request_header;
mod scheme;
mod session;
mod static_token;
mod token;
mod token_review;
mod trust;

use certificate::Verification;
pub use config::{AuthenticationConfig, LoadError, RequestHeaderConfig, StandaloneAuthentication};
use oidc::Oidc;
pub use oidc::OidcConfig;
pub(crate) use oidc::{AuthorizationCode, Begun, Jwt, LoginError, words};
pub(crate) use request_header::extra_key;
use scheme::{Asked, Known, first_success};
pub(crate) use session::TokenError;
use static_token::TokenFile;
pub use token::Warning;
use token::{TokenSource, Tokens};
use token_review::TokenReviews;
use trust::Trust;

/// How somebody without a credential gets one, where there is no hub that hands them out.
const ADVICE: &str = "`cluster-gateway kubeconfig` on the server's machine issues a client certificate; a bearer token \
    that the server knows will do, too";

/// Finds out who sends a request (rules 60-84). With and without a hub the same schemes are combined in the same way; only
/// who is asked differs.
#[derive(Debug)]
pub struct Authenticator {
    schemes: Vec<Known>,
    trust: Arc<Trust>,
    tokens: Arc<Tokens>,
    anonymous: bool,
    advice: Option<&'static str>,
}

impl Authenticator {
    /// An authenticator that trusts nobody yet but the hub's tokens: [`Authenticator::load`] reads whom to trust.
    #[must_use]
    pub fn for_hub(config: AuthenticationConfig, hub: Hub) -> Self {
        let anonymous = config.anonymous;
        let reviews = TokenReviews::new(hub.clone(), config.token_cache_ttl);
        let tokens = Arc::new(Tokens(vec![TokenSource::Review(Box::new(reviews))]));
        let trust = Arc::new(Trust::new(config, ClientCas::default(), Some(hub)));
        let mut schemes = vec![Known::RequestHeader(Arc::clone(&trust))];
        schemes.extend(direct(&trust, &tokens));
        Self { schemes, trust, tokens, anonymous, advice: None }
    }

    /// An authenticator without a hub: client certificates, then tokens of the file, then ID tokens. Nobody is a front
    /// proxy. It trusts nobody yet but its own CA: [`Authenticator::load`] reads the files.
    ///
    /// # Errors
    /// [`LoadError::Fatal`] with all mistakes in the settings of the issuer, see [`OidcConfig::check`].
    pub fn standalone(config: StandaloneAuthentication) -> Result<Self, LoadError> {
        let mut sources = Vec::new();
        if let Some(path) = config.token_file {
            sources.push(TokenSource::File(Box::new(TokenFile::new(path, config.file_poll))));
        }
        if let Some(issuer) = config.oidc {
            let issuer = Oidc::new(issuer).map_err(|mistakes| LoadError::Fatal(mistakes.join("; ")))?;
            sources.push(TokenSource::Oidc(Arc::new(issuer)));
        }
        let tokens = Arc::new(Tokens(sources));
        let files = AuthenticationConfig {
            client_ca_file: config.client_ca_file,
            file_poll: config.file_poll,
            ..AuthenticationConfig::default()
        };
        let trust = Arc::new(Trust::new(files, config.ca, None));
        let schemes = direct(&trust, &tokens).into();
        Ok(Self { schemes, trust, tokens, anonymous: config.anonymous, advice: Some(ADVICE) })
    }

    /// Reads the files and, with a hub, its ConfigMap `kube-system/extension-apiserver-authentication` once, at start. An
    /// issuer of ID tokens need not be there.
    ///
    /// # Errors
    /// [`LoadError::Unreachable`]: try again. [`LoadError::Fatal`]: somebody must mend something (rule 72).
    pub async fn load(&self) -> Result<(), LoadError> {
        let (trust, mut problems) = tokio::join!(self.trust.load(), self.tokens.load());
        if problems.is_empty() {
            return trust;
        }
        if let Err(LoadError::Fatal(text)) = trust {
            problems.insert(0, text);
        }
        Err(LoadError::Fatal(problems.join("; ")))
    }

    /// Follows files, ConfigMap and issuer for ever; ends at once if there are none. What becomes unreadable leaves the last good state in force (rules 56,
    /// 72, 73).
    pub async fn watch(&self) {
        tokio::join!(self.trust.watch(), self.tokens.watch());
    }

    /// All CA certificates that a caller's certificate may come from, for whoever wants to hint at them in the handshake
    /// (rule 55).
    #[must_use]
    pub fn ca_certificates(&self) -> Vec<CertificateDer<'static>> {
        self.trust.ca_certificates()
    }

    /// Who sends this request. Afterwards no credential and no identity header is left in `parts`, also when nobody
    /// looked at them: `Authorization`, `Proxy-Authorization`, `Cookie`, all `X-Remote-*` identity headers (standard and
    /// configured) and bearer tokens among the WebSocket protocols are gone (rules 82, 83). A [`Warning`] may be left in
    /// `parts.extensions` for the answer.
    ///
    /// # Errors
    /// [`Error::Unauthorized`], [`Error::UnauthorizedWithAdvice`]; a connection of HTTP/2 is then asked to close, as it is for
    /// callers without credentials (rule 64).
    pub async fn authenticate(
        &self,
        connection: &Connection,
        parts: &mut Parts,
    ) -> Result<Arc<UserInfo>, Error> {
        self.authenticate_at(connection, parts, SystemTime::now(), self.anonymous).await
    }

    /// As [`Authenticator::authenticate`], on a path that everybody may use: who shows no credential is anonymous there,
    /// also where anonymous requests are off.
    ///
    /// # Errors
    /// As [`Authenticator::authenticate`], for wrong credentials only.
    pub async fn authenticate_on_open_path(
        &self,
        connection: &Connection,
        parts: &mut Parts,
    ) -> Result<Arc<UserInfo>, Error> {
        self.authenticate_at(connection, parts, SystemTime::now(), true).await
    }

    async fn authenticate_at(
        &self,
        connection: &Connection,
        parts: &mut Parts,
        now: SystemTime,
        anonymous: bool,
    ) -> Result<Arc<UserInfo>, Error> {
        if let Some(user) = &connection.inside {
            hygiene::strip(&mut parts.headers, self.trust.request_header().as_deref());
            return Ok(Arc::clone(user));
        }
        let asked = Asked { connection, headers: &parts.headers, now };
        let user = match first_success(&self.schemes, &asked).await {
            Ok(Some(user)) => Ok(UserInfo::completed(user)),
            Ok(None) if anonymous => Ok(Arc::new(UserInfo::anonymous())),
            Ok(None) => Err(self.refusal("no credential was presented", None)),
            Err(reasons) => {
                Err(self.refusal("the credential is not accepted, the server's log says why", Some(reasons)))
            }
        };
        if let Some(warning) = token::warning(&parts.headers) {
            parts.extensions.insert(warning);
        }
        hygiene::strip(&mut parts.headers, self.trust.request_header().as_deref());
        // A front proxy that forwards an anonymous caller keeps its connection: it carries everybody else's requests.
        let nobody =
            user.as_ref().map_or(true, |user| user.is_anonymous() && connection.certificates().is_empty());
        if nobody && parts.version == http::Version::HTTP_2 {
            connection.close_when_idle();
        }
        user
    }

    /// What a caller is told: all that happened where it helps, and never what exactly is wrong with a credential.
    fn refusal(&self, what: &'static str, cause: Option<String>) -> Error {
        let cause = cause.unwrap_or_else(|| format!("{what}, and anonymous requests are off"));
        match self.advice {
            None => Error::Unauthorized(cause),
            Some(advice) => Error::UnauthorizedWithAdvice { cause, advice: format!("{what}; {advice}") },
        }
    }
}

/// The schemes of callers who speak for themselves.
fn direct(trust: &Arc<Trust>, tokens: &Arc<Tokens>) -> [Known; 3] {
    [
        Known::ClientCertificate(Arc::clone(trust)),
        Known::Bearer(Arc::clone(tokens)),
        Known::WebSocket(Arc::clone(tokens)),
    ]
}

/// An authenticated user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct UserInfo {
    /// Name; never empty.
    pub name: String,
    /// Unique id; may be empty.
    pub uid: String,
    /// Groups, in the order in which they were given.
    pub groups: Vec<String>,
    /// Further attributes, keys in lower case.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Group of the hub's unrestricted administrators.
pub const GROUP_MASTERS: &str = "system:masters";
/// Group of everybody who authenticated.
pub const GROUP_AUTHENTICATED: &str = "system:authenticated";
/// Group of everybody who did not.
pub const GROUP_UNAUTHENTICATED: &str = "system:unauthenticated";
/// Name of everybody who did not authenticate.
pub const USER_ANONYMOUS: &str = "system:anonymous";

impl UserInfo {
    /// The user of requests without credentials (rule 63).
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            name: USER_ANONYMOUS.to_owned(),
            groups: vec![GROUP_UNAUTHENTICATED.to_owned()],
            ..Self::default()
        }
    }

    /// Whether the user is [`UserInfo::anonymous`].
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.name == USER_ANONYMOUS
    }

    /// Adds the group of everybody who authenticated, unless a standing among the two is given already (rule 62).
    pub(crate) fn completed(user: Arc<Self>) -> Arc<Self> {
        let standing = [GROUP_AUTHENTICATED, GROUP_UNAUTHENTICATED];
        if user.is_anonymous() || standing.iter().any(|group| user.in_group(group)) {
            return user;
        }
        let mut user = Arc::unwrap_or_clone(user);
        user.groups.push(GROUP_AUTHENTICATED.to_owned());
        Arc::new(user)
    }

    /// About how much memory the user takes, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let list =
            |values: &[String]| values.iter().map(|value| value.len() + size_of::<String>()).sum::<usize>();
        let extra = self.extra.iter().map(|(key, values)| key.len() + list(values)).sum::<usize>();
        self.name.len() + self.uid.len() + list(&self.groups) + extra
    }

    /// Whether the user belongs to `group`.
    #[must_use]
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}

/// What is known of the connection that a request came on.
#[derive(Debug)]
pub struct Connection {
    peer: SocketAddr,
    /// The peer's address, made once for all requests.
    forwarded_for: HeaderValue,
    certificates: Vec<CertificateDer<'static>>,
    as_front_proxy: Verification,
    as_client: Verification,
    closing: Notify,
    inside: Option<Arc<UserInfo>>,
}

impl Connection {
    /// What a request of this very process comes on, for somebody who has been authenticated already. Nothing that a
    /// socket brings in makes one.
    #[must_use]
    pub fn inside(user: Arc<UserInfo>, peer: SocketAddr) -> Self {
        Self { inside: Some(user), ..Self::new(peer, Vec::new()) }
    }

    /// A connection from `peer` which presented `certificates` (leaf first; none if it presented none). Possession of
    /// the key has been proven in the handshake; who issued them has not been judged.
    #[must_use]
    pub fn new(peer: SocketAddr, certificates: Vec<CertificateDer<'static>>) -> Self {
        let address = HeaderValue::try_from(peer.ip().to_canonical().to_string());
        Self {
            peer,
            // An address is a header's value, always.
            forwarded_for: address.unwrap_or_else(|_| HeaderValue::from_static("unknown")),
            certificates,
            as_front_proxy: Verification::default(),
            as_client: Verification::default(),
            closing: Notify::new(),
            inside: None,
        }
    }

    /// Address of the peer.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Address of the peer as `X-Forwarded-For` names it (rule 160).
    #[must_use]
    pub fn forwarded_for(&self) -> &HeaderValue {
        &self.forwarded_for
    }

    /// Unjudged certificates of the peer, leaf first.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// Asks the server to end this connection once its open requests are answered (GOAWAY on HTTP/2, rule 64).
    pub fn close_when_idle(&self) {
        self.closing.notify_one();
    }

    /// Completes when somebody called [`Connection::close_when_idle`].
    pub async fn closing(&self) {
        self.closing.notified().await;
    }
}

#[cfg(test)]
mod tests;
