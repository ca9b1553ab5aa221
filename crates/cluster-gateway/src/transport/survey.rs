//! The way to a member one step at a time, for whoever wants to know where it ends. It is the way that requests take, by
//! the same dialer; only the breaker is not asked and learns nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tokio::time::{Instant, timeout_at};

use super::dial::Purpose;
use super::resolve::Share;
use super::stream::Stream;
use super::{Route, Transport, TransportError, TransportOptions, TransportSpec, Verification, tcp};

/// What an agreement on TLS has come to.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// What the member has shown, its own certificate first; empty without TLS.
    pub certificates: Vec<CertificateDer<'static>>,
    /// `TLSv1_3` or `TLSv1_2`; `None` without TLS.
    pub version: Option<&'static str>,
    /// Whether it speaks HTTP/2.
    pub http2: bool,
}

impl Transport {
    /// The settings that it shares with the others.
    #[must_use]
    pub fn options(&self) -> &Arc<TransportOptions> {
        &self.pool.dialer.options
    }

    /// One to the same member that verifies nothing and proves nothing: to see what is there. No credential may be sent
    /// over it, and what it answers is not to be believed.
    #[must_use]
    pub fn unverified(&self) -> Self {
        let spec = TransportSpec {
            verification: Verification::Insecure,
            client_certificate: None,
            ..self.spec().clone()
        };
        Self::new(spec, Arc::clone(self.options()))
    }

    /// Host and port that the gateway itself connects to: the member's, or those of the proxy before it. `None`: an agent
    /// connects, and who reaches the agent is the konnectivity proxy server.
    #[must_use]
    pub fn first_hop(&self) -> Option<(&str, u16)> {
        let spec = self.spec();
        match &spec.route {
            Route::Direct => Some((&spec.endpoint.host, spec.endpoint.port)),
            Route::Proxy(proxy) => Some((&proxy.host, proxy.port)),
            Route::Konnectivity => None,
        }
    }

    /// The addresses of [`Transport::first_hop`], each with the reason why it may not be dialled, if there is one (rule
    /// 168). Empty where an agent connects.
    ///
    /// # Errors
    /// [`TransportError::Dial`].
    pub async fn look_up(&self) -> Result<Vec<(SocketAddr, Option<&'static str>)>, TransportError> {
        let Some((host, port)) = self.first_hop() else { return Ok(Vec::new()) };
        let options = self.options();
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => {
                let share = Share::default();
                let looking = options.resolver.resolve(&share, host, port);
                match timeout_at(Instant::now() + options.dial_timeout, looking).await {
                    Ok(found) => found.map_err(|error| TransportError::lookup(host, &error))?,
                    Err(_) => return Err(TransportError::lookup_timeout(host)),
                }
            }
        };
        Ok(addresses.into_iter().map(|address| (address, options.addresses.denial(address.ip()))).collect())
    }

    /// Connects to one address and closes the connection.
    ///
    /// # Errors
    /// [`TransportError::Dial`], in Go's words (rule 177).
    pub async fn connect_to(&self, address: SocketAddr) -> Result<(), TransportError> {
        let options = self.options();
        let manner = options.manner(Instant::now() + options.dial_timeout);
        tcp::dial(address, manner).await.map(drop)
    }

    /// Makes the first hop, with the tunnel if there is one, and closes it.
    ///
    /// # Errors
    /// [`TransportError::Dial`].
    pub async fn reach(&self) -> Result<(), TransportError> {
        self.pool.dialer.reach().await.map(drop)
    }

    /// Agrees on TLS, and closes the connection.
    ///
    /// # Errors
    /// [`TransportError::Dial`], [`TransportError::Tls`].
    pub async fn shake_hands(&self) -> Result<Handshake, TransportError> {
        let dialed = self.pool.dialer.dial(Purpose::Pooled).await?;
        let (certificates, version) = match &dialed.stream {
            Stream::Plain(_) => (Vec::new(), None),
            Stream::Tls(stream) => {
                let session = stream.get_ref().1;
                let shown = session.peer_certificates().unwrap_or_default();
                let certificates = shown.iter().map(|certificate| certificate.clone().into_owned()).collect();
                (certificates, session.protocol_version().and_then(|version| version.as_str()))
            }
        };
        Ok(Handshake { certificates, version, http2: dialed.http2 })
    }
}
