//! Who are they? Every scheme has three answers: not requested, authenticated, failed (contract rules 60-84).
//!
//! Whatever has been consumed here is gone from the request afterwards: no credential of a caller goes on.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rustls::pki_types::CertificateDer;
use tokio::sync::Notify;

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
    certificates: Vec<CertificateDer<'static>>,
    closing: Notify,
}

impl Connection {
    /// A connection from `peer` which presented `certificates` (leaf first; none if it presented none). Possession of
    /// the key has been proven in the handshake; who issued them has not been judged.
    #[must_use]
    pub fn new(peer: SocketAddr, certificates: Vec<CertificateDer<'static>>) -> Self {
        Self { peer, certificates, closing: Notify::new() }
    }

    /// Address of the peer.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
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
