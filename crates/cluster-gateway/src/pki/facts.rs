//! What a certificate says, for people. Nothing of it is believed here.

use rustls::pki_types::CertificateDer;
use serde::Serialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::extensions::ParsedExtension;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{PkiError, parse, server_names, validity};

/// Names that are shown.
const MOST_NAMES: usize = 100;
/// Characters of a name.
const MOST: usize = 256;
const ED25519: &str = "1.3.101.112";
const ED448: &str = "1.3.101.113";

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateFacts {
    /// Whom it names, as a distinguished name.
    pub subject: String,
    /// Who has issued it, as it says itself.
    pub issuer: String,
    /// Names and addresses of a server.
    pub subject_alt_names: Vec<String>,
    /// From when it is valid, RFC 3339.
    pub not_before: String,
    /// Until when it is valid, RFC 3339.
    pub not_after: String,
    /// Kind and size of its key: `ECDSA P-256`.
    pub public_key: String,
    /// SHA-256 over its DER form, hexadecimal.
    pub sha256: String,
}

impl CertificateFacts {
    /// Reads a certificate.
    ///
    /// # Errors
    /// [`PkiError::BadCertificate`].
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, PkiError> {
        let parsed = parse(certificate)?;
        let validity = validity(certificate)?;
        let names = server_names(certificate)?;
        Ok(Self {
            subject: shown(&parsed.subject().to_string()),
            issuer: shown(&parsed.issuer().to_string()),
            subject_alt_names: names.iter().take(MOST_NAMES).map(|name| shown(name)).collect(),
            not_before: timestamp(*validity.start()),
            not_after: timestamp(*validity.end()),
            public_key: public_key(parsed.public_key()),
            sha256: Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }
}

/// Whether a certificate names itself as its issuer.
#[must_use]
pub fn is_self_issued(certificate: &CertificateDer<'_>) -> bool {
    parse(certificate).is_ok_and(|parsed| parsed.subject().as_raw() == parsed.issuer().as_raw())
}

/// Whether `issuer` may have issued `certificate`, by names and key identifiers; signatures are not looked at.
#[must_use]
pub fn names_as_issuer(certificate: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> bool {
    let (Ok(certificate), Ok(issuer)) = (parse(certificate), parse(issuer)) else { return false };
    let asked = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => {
            identifier.key_identifier.as_ref().map(|id| id.0.to_vec())
        }
        _ => None,
    });
    let own = issuer.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0.to_vec()),
        _ => None,
    });
    let same_key = asked.is_none() || own.is_none() || asked == own;
    certificate.issuer().as_raw() == issuer.subject().as_raw() && same_key
}

fn public_key(info: &SubjectPublicKeyInfo<'_>) -> String {
    match (info.parsed(), info.algorithm.algorithm.to_id_string().as_str()) {
        (Ok(PublicKey::RSA(key)), _) => format!("RSA {}", key.key_size()),
        // An odd number of bytes: a tag, and two coordinates.
        (Ok(PublicKey::EC(point)), _) => match point.data().len() / 2 * 8 {
            528 => "ECDSA P-521".to_owned(),
            bits => format!("ECDSA P-{bits}"),
        },
        (_, ED25519) => "Ed25519".to_owned(),
        (_, ED448) => "Ed448".to_owned(),
        (_, other) => other.to_owned(),
    }
}

fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST).collect()
}

fn timestamp(time: std::time::SystemTime) -> String {
    OffsetDateTime::from(time).format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    use super::*;

    #[test]
    fn a_certificate_says_who_where_until_when_and_by_which_key() {
        let key = KeyPair::generate().unwrap();
        let mut parameters =
            CertificateParams::new(vec!["kube.test".to_owned(), "10.0.0.1".to_owned()]).unwrap();
        parameters.distinguished_name.push(DnType::CommonName, "kube\napiserver");
        parameters.not_before = OffsetDateTime::from_unix_timestamp(0).unwrap();
        parameters.not_after = OffsetDateTime::from_unix_timestamp(1_767_225_600).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let facts = CertificateFacts::of(certificate.der()).unwrap();
        assert!(facts.subject.contains("kube apiserver") && facts.subject == facts.issuer, "{facts:?}");
        assert_eq!(facts.subject_alt_names, ["kube.test", "10.0.0.1"]);
        assert_eq!(
            (facts.not_before.as_str(), facts.not_after.as_str()),
            ("1970-01-01T00:00:00Z", "2026-01-01T00:00:00Z")
        );
        assert_eq!((facts.public_key.as_str(), facts.sha256.len()), ("ECDSA P-256", 64));
        assert!(is_self_issued(certificate.der()));
        for (algorithm, expected) in [(&PKCS_ECDSA_P384_SHA384, "ECDSA P-384"), (&PKCS_ED25519, "Ed25519")] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate = CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
            assert_eq!(CertificateFacts::of(certificate.der()).unwrap().public_key, expected);
        }
        assert!(CertificateFacts::of(&CertificateDer::from(vec![1, 2, 3])).is_err());
    }

    #[test]
    fn an_issuer_is_known_by_its_name_and_its_key() {
        let authority = |name: &str| {
            let mut parameters = CertificateParams::default();
            parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            parameters.distinguished_name.push(DnType::CommonName, name);
            let key = KeyPair::generate().unwrap();
            let certificate = parameters.self_signed(&key).unwrap();
            (certificate, Issuer::new(parameters, key))
        };
        let [(ca, issuer), (twin, _), (other, _)] = ["kubernetes", "kubernetes", "other"].map(authority);
        let mut parameters = CertificateParams::default();
        parameters.use_authority_key_identifier_extension = true;
        let leaf = parameters.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        let issued_by = |issuer: &rcgen::Certificate| names_as_issuer(leaf.der(), issuer.der());
        assert_eq!((issued_by(&ca), issued_by(&twin), issued_by(&other)), (true, false, false));
        assert!(!is_self_issued(leaf.der()));
    }
}
