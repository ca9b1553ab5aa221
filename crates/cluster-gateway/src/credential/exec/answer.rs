//! What a program says: an ExecCredential with a token, a client certificate, or both. No message repeats any of it.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, header};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use super::super::{ClientCertificate, Credential};
use super::config::ApiVersion;
use crate::manifest::Fields;
use crate::pki;

/// How long before its end a credential is no longer used, for clocks that differ and requests under way; a tenth of its
/// life if that is shorter.
const MARGIN: Duration = Duration::from_secs(60);

/// A credential that a program gave.
pub struct Issued {
    /// The whole `Authorization` value, marked sensitive.
    pub(super) token: Option<HeaderValue>,
    pub(super) certificate: Option<ClientCertificate>,
    pub(super) since: Instant,
    /// When to ask for the next one: after four fifths of its life.
    pub(super) renew: Option<Instant>,
    /// When it is used no more.
    pub(super) expires: Option<Instant>,
}

impl Issued {
    /// Puts it on a request, over whatever stands there (rules 84, 162).
    pub fn attach(&self, headers: &mut HeaderMap) {
        match &self.token {
            Some(token) => {
                headers.insert(header::AUTHORIZATION, token.clone());
            }
            None => {
                headers.remove(header::AUTHORIZATION);
            }
        }
    }

    /// The client certificate, if there is one.
    #[must_use]
    pub fn client_certificate(&self) -> Option<&ClientCertificate> {
        self.certificate.as_ref()
    }
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Issued")
    }
}

/// Reads a program's output. Failures are words that follow the program's name.
pub(super) fn read(output: &[u8], api_version: ApiVersion) -> Result<Issued, String> {
    let answered = |problem: String| format!("wrote no usable ExecCredential: {problem}");
    let value: Value =
        serde_json::from_slice(output).map_err(|_| answered("its output is not JSON".to_owned()))?;
    parse(&value, api_version).map_err(answered)
}

fn parse(value: &Value, api_version: ApiVersion) -> Result<Issued, String> {
    let object = Fields::of(value, "")?;
    let expected = api_version.as_str();
    if object.text("kind")? != Some("ExecCredential") || object.text("apiVersion")? != Some(expected) {
        return Err(format!(
            "expected kind ExecCredential of the apiVersion that the Secret names, {expected}"
        ));
    }
    let status = object.fields("status")?.ok_or("status is missing")?;
    let token = match status.text("token")? {
        Some(token) => match Credential::token(token.as_bytes()) {
            Ok(Credential::Token(value)) => Some(value),
            _ => return Err("status.token holds characters that no bearer token has".to_owned()),
        },
        None => None,
    };
    let pair = (status.text("clientCertificateData")?, status.text("clientKeyData")?);
    let certificate = match pair {
        (Some(chain), Some(key)) => Some(
            Credential::certificate(chain.as_bytes(), key.as_bytes())
                .map_err(|error| format!("status.clientCertificateData and status.clientKeyData: {error}"))?,
        ),
        (None, None) if token.is_none() => {
            return Err("status has neither a token nor a certificate with its key".to_owned());
        }
        (None, None) => None,
        _ => return Err("status has only one of clientCertificateData and clientKeyData".to_owned()),
    };
    let lifetime = lifetime(&status, certificate.as_ref())?;
    let since = Instant::now();
    Ok(Issued {
        token,
        certificate,
        since,
        renew: lifetime.map(|lifetime| since + lifetime * 4 / 5),
        expires: lifetime.map(|lifetime| since + (lifetime - MARGIN.min(lifetime / 10))),
    })
}

/// How long the credential is good from now on: until its own end or that of its certificate. `None`: for ever.
fn lifetime(
    status: &Fields<'_>,
    certificate: Option<&ClientCertificate>,
) -> Result<Option<Duration>, String> {
    let told = match status.text("expirationTimestamp")? {
        Some(text) => {
            let time = OffsetDateTime::parse(text, &Rfc3339);
            let time =
                time.map_err(|_| "status.expirationTimestamp: expected a time such as 2026-01-31T12:00:00Z")?;
            Some(SystemTime::from(time))
        }
        None => None,
    };
    let leaf = certificate.and_then(|certificate| certificate.key.cert.first());
    let leaf = leaf.map(|leaf| pki::validity(leaf).map(|validity| *validity.end()));
    let leaf = leaf.transpose().map_err(|error| format!("status.clientCertificateData {error}"))?;
    let Some(end) = told.into_iter().chain(leaf).min() else { return Ok(None) };
    // Whatever is good for years is not looked at again in this process.
    let longest = Duration::from_secs(10 * 365 * 24 * 3600);
    match end.duration_since(SystemTime::now()) {
        Ok(left) if !left.is_zero() => Ok(Some(left.min(longest))),
        _ => Err("the credential had expired when it came; compare the clocks".to_owned()),
    }
}
