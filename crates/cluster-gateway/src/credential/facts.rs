//! What may be told of a credential: enough to see that two are the same and when one ends, and no more.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::Credential;
use crate::pki;

/// Shortest token, in bytes, whose fingerprint is told. Whoever knows a fingerprint can try guesses against it, so a
/// token that a person may have made up must have none; what programs make is longer.
const MIN_TOKEN: usize = 32;
/// Hexadecimal digits of a token's fingerprint: enough to compare by eye, too few to be looked up or to stand for it.
const TOKEN_DIGITS: usize = 16;

/// What may be told of a credential (contract rule 210).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialFacts {
    /// `sha256:` and hexadecimal digits: 64 of a certificate (over its DER form), the first 16 of a token. `None` for a
    /// token that could be guessed.
    pub fingerprint: Option<String>,
    /// When it ends: the certificate's end, or the `exp` of a token that is a JWT (unverified). `None` when unknown.
    pub not_after: Option<OffsetDateTime>,
}

impl CredentialFacts {
    /// The facts of a credential.
    #[must_use]
    pub fn of(credential: &Credential) -> Self {
        match credential {
            Credential::Token(value) => {
                let token = value.as_bytes().strip_prefix(b"Bearer ").unwrap_or_default();
                let fingerprint = (token.len() >= MIN_TOKEN).then(|| fingerprint(token, TOKEN_DIGITS));
                Self { fingerprint, not_after: expiry(token) }
            }
            Credential::X509(certificate) => {
                let Some(leaf) = certificate.key.cert.first() else { return Self::default() };
                let end = pki::validity(leaf).ok().and_then(|validity| date(*validity.end()));
                Self { fingerprint: Some(fingerprint(leaf, 64)), not_after: end }
            }
            // It changes without its Secret.
            Credential::Exec(_) => Self::default(),
        }
    }
}

fn fingerprint(bytes: &[u8], digits: usize) -> String {
    use std::fmt::Write as _;
    let mut text = "sha256:".to_owned();
    for byte in &Sha256::digest(bytes)[..digits / 2] {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The `exp` of a JWT.
fn expiry(token: &[u8]) -> Option<OffsetDateTime> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let mut parts = token.split(|byte| *byte == b'.');
    let (_, payload, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
        return None;
    };
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    // A cast of a float stops at the limits of the integer, and the next step refuses those.
    shown(OffsetDateTime::from_unix_timestamp(claims.exp as i64).ok()?)
}

fn date(time: SystemTime) -> Option<OffsetDateTime> {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    shown(OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?)
}

/// RFC 3339 ends with the year 9999.
fn shown(time: OffsetDateTime) -> Option<OffsetDateTime> {
    (0..=9999).contains(&time.year()).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> CredentialFacts {
        CredentialFacts::of(&Credential::token(text.as_bytes()).unwrap())
    }

    fn jwt(payload: &str) -> String {
        format!("{0}.{1}.{0}", URL_SAFE_NO_PAD.encode("{\"alg\":\"RS256\"}"), URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn rule_210_a_token_is_told_by_a_part_of_its_digest() {
        let long = "0123456789abcdef0123456789abcdef";
        // `printf %s TOKEN | sha256sum`
        assert_eq!(token(long).fingerprint.as_deref(), Some("sha256:3eb1bd439947eb76"));
        assert_eq!(token(long), token(&format!("{long}\n")), "as it is sent, not as it is written");
        assert_eq!(token("guess-me").fingerprint, None);
    }

    #[test]
    fn a_jwt_says_when_it_ends_and_anything_else_does_not() {
        let end = token(&jwt("{\"exp\":1767225600}")).not_after.unwrap();
        assert_eq!(end.unix_timestamp(), 1_767_225_600);
        for payload in ["{}", "[]", "{\"exp\":\"soon\"}", "{\"exp\":1e300}", "{\"exp\":-1e300}", "x", ""] {
            assert_eq!(token(&jwt(payload)).not_after, None, "{payload}");
        }
        assert_eq!(token("a.b").not_after, None);
        assert_eq!(token(&format!("{}.x", jwt("{\"exp\":1767225600}"))).not_after, None);
    }

    #[test]
    fn a_certificate_is_told_by_its_digest_and_its_end() {
        let mut parameters = rcgen::CertificateParams::new(vec!["c".to_owned()]).unwrap();
        parameters.not_after = OffsetDateTime::from_unix_timestamp(1_767_225_600).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let credential =
            Credential::x509(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let facts = CredentialFacts::of(&credential);
        let digest: String =
            Sha256::digest(certificate.der()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(facts.fingerprint, Some(format!("sha256:{digest}")));
        assert_eq!(facts.not_after.unwrap().unix_timestamp(), 1_767_225_600);
    }
}
