//! The hop of TLS: what the member shows, and whether it is what the Secret says.

use std::time::{Duration, SystemTime};

use http::Request;
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use tokio::time::timeout;

use super::finding::Verdict;
use super::member::date;
use super::secret::timestamp;
use crate::body::Body;
use crate::pki;
use crate::registry::Upstream;
use crate::transport::{Handshake, Transport, TransportError, Verification};

/// A certificate that ends sooner is warned of.
pub(super) const SOON: Duration = Duration::from_secs(30 * DAY);
const DAY: u64 = 24 * 60 * 60;
/// Clocks that differ by less are well: an answer takes a while, and its date has whole seconds.
const MOST_SKEW: Duration = Duration::from_secs(10);
/// How long the look at a member may take that was refused already.
const SECOND_LOOK: Duration = Duration::from_secs(3);
/// Names of a certificate that are shown.
const MOST_NAMES: usize = 8;

pub(super) async fn look(upstream: &Upstream) -> Verdict {
    let transport = &upstream.transport;
    if !transport.spec().endpoint.tls {
        return Verdict::warned(
            "NOT ENCRYPTED: the endpoint is http://, so the credential and all that passes can be read on the way",
            "serve the API with TLS, and write https:// into key \"endpoint\"",
        );
    }
    match transport.shake_hands().await {
        Ok(handshake) => judge(upstream, &handshake),
        Err(error) => refused(transport, &error).await,
    }
}

fn judge(upstream: &Upstream, handshake: &Handshake) -> Verdict {
    let protocol = if handshake.http2 { "HTTP/2" } else { "HTTP/1.1 only" };
    let version = handshake.version.unwrap_or("TLS").replace('_', ".");
    let found = format!("{version}, {protocol}, {}", shown(&handshake.certificates));
    if upstream.insecure {
        return Verdict::warned(
            format!(
                "NOT VERIFIED: anybody on the way can pose as the member and read the credential; {found}"
            ),
            "put the member's CA into key \"ca.crt\" and remove the annotation that marks it insecure",
        );
    }
    let Some(end) = end(&handshake.certificates) else { return Verdict::passed(found) };
    match end.duration_since(SystemTime::now()) {
        Ok(left) if left >= SOON => Verdict::passed(found),
        left => Verdict::warned(
            format!("{found}; the chain ends in {}", days(left.unwrap_or_default())),
            "renew the member's serving certificate before it ends",
        ),
    }
}

/// When the first certificate of the chain ends.
fn end(certificates: &[CertificateDer<'_>]) -> Option<SystemTime> {
    certificates.iter().filter_map(|certificate| Some(*pki::validity(certificate).ok()?.end())).min()
}

/// `12 days`, or hours for the last two.
pub(super) fn days(left: Duration) -> String {
    let hours = left.as_secs() / 3600;
    if hours < 48 { format!("{hours} hours") } else { format!("{} days", hours / 24) }
}

fn shown(certificates: &[CertificateDer<'_>]) -> String {
    let Some(leaf) = certificates.first() else { return "no certificate".to_owned() };
    let names = pki::server_names(leaf).unwrap_or_default();
    let more = names.len().saturating_sub(MOST_NAMES);
    let mut list = names.into_iter().take(MOST_NAMES).collect::<Vec<_>>().join(", ");
    if more > 0 {
        list = format!("{list} and {more} more");
    } else if list.is_empty() {
        "no name".clone_into(&mut list);
    }
    let issuer = pki::issuer(leaf).unwrap_or_else(|_| "somebody unknown".to_owned());
    let until = match end(certificates) {
        Some(end) => {
            let left = end.duration_since(SystemTime::now()).map_or_else(|_| "it is over".to_owned(), days);
            format!("valid until {} ({left})", timestamp(OffsetDateTime::from(end)))
        }
        None => "that cannot be read".to_owned(),
    };
    super::member::line(&format!("a certificate for {list}, issued by {issuer}, {until}"))
}

/// No agreement. The words say why; a second look, without a credential, says what is there.
async fn refused(transport: &Transport, error: &TransportError) -> Verdict {
    let text = error.to_string();
    let (there, skew) = timeout(SECOND_LOOK, second_look(transport)).await.unwrap_or_default();
    let mut found = text.clone();
    if let Some(there) = there {
        found = format!("{found}; the member shows {there}");
    }
    let mut remedy = remedy(transport, &text).to_owned();
    if let Some((note, advice)) = skew.and_then(self::skew) {
        found = format!("{found}; {note}");
        remedy = format!("{remedy}; {advice}");
    }
    Verdict::failed(found, remedy)
}

type Skew = (Duration, bool);

async fn second_look(transport: &Transport) -> (Option<String>, Option<Skew>) {
    let unverified = transport.unverified();
    let there = unverified.shake_hands().await.ok().map(|handshake| shown(&handshake.certificates));
    let Ok(request) = Request::get("/version").body(Body::empty()) else { return (there, None) };
    let answer = if there.is_some() { unverified.send(request).await.ok() } else { None };
    let date = answer.and_then(|answer| date(answer.headers()));
    (there, date.map(difference))
}

/// How far the member's clock is from ours, and whether it is ahead.
pub(super) fn difference(date: SystemTime) -> Skew {
    match date.duration_since(SystemTime::now()) {
        Ok(ahead) => (ahead, true),
        Err(behind) => (behind.duration(), false),
    }
}

/// What to say of the clocks, if they differ.
pub(super) fn skew((difference, ahead): Skew) -> Option<(String, String)> {
    (difference > MOST_SKEW).then(|| {
        let seconds = difference.as_secs();
        let direction = if ahead { "ahead of" } else { "behind" };
        (
            format!("the member's clock is {seconds} s {direction} the one here"),
            "set both clocks (NTP): certificates and tokens are judged by them".to_owned(),
        )
    })
}

/// What to do, by the words of Go (rule 177), which do not change.
fn remedy(transport: &Transport, text: &str) -> &'static str {
    let bundle = matches!(transport.spec().verification, Verification::Bundle(_));
    if text.contains("signed by unknown authority") && bundle {
        "put the CA that has issued the certificate into key \"ca.crt\" (certificate-authority-data of a kubeconfig), or \
         correct the endpoint: this may be another cluster, or a proxy that opens TLS"
    } else if text.contains("signed by unknown authority") {
        "put the CA of the cluster into key \"ca.crt\" (certificate-authority-data of a kubeconfig)"
    } else if text.contains("certificate has expired or is not yet valid") {
        "renew the member's serving certificate (kubeadm certs renew apiserver), and compare the clocks"
    } else if text.contains("certificate is valid for") || text.contains("not valid for any names") {
        concat!(
            "set annotation ",
            cluster_gateway_client::group!(),
            "/tls-server-name to a name of the certificate, or correct the endpoint"
        )
    } else if text.contains("first record does not look like a TLS handshake") {
        "this port speaks something else, perhaps plain HTTP: correct the port in key \"endpoint\""
    } else if text.contains("asks for a client certificate") {
        "use credential type X509Certificate with keys \"tls.crt\" and \"tls.key\""
    } else if text.contains("refuses the client certificate") {
        "renew the client certificate in key \"tls.crt\", or take one that the member's client CA has issued"
    } else {
        "see what answers at the endpoint: a load balancer or a firewall may close connections that it does not know"
    }
}
