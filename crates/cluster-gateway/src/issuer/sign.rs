//! Signing with the exact names that are wanted.
//!
//! rcgen keeps one value for each type of attribute, but a certificate names one organization for each group, and a CA
//! that somebody else made may have any name. So rcgen writes a certificate, and here the names in it are replaced and it
//! is signed again.

use rcgen::{CertificateParams, Issuer, KeyPair, PublicKeyData, SerialNumber, SigningKey};
use rustls::pki_types::CertificateDer;
use uuid::Uuid;
use x509_parser::asn1_rs::{Any, FromDer};

use super::IssuerError;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const BIT_STRING: u8 = 0x03;
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.4.10
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
/// Places of the fields in a certificate's signed part, which begins with its version.
const ALGORITHM: usize = 2;
const ISSUER: usize = 3;
const SUBJECT: usize = 5;

/// A name of organizations and one common name, in DER.
pub(super) fn name(common_name: &str, organizations: &[String]) -> Vec<u8> {
    let attribute = |kind: &[u8], value: &str| {
        let pair = [element(OBJECT_IDENTIFIER, kind), element(UTF8_STRING, value.as_bytes())].concat();
        element(SET, &element(SEQUENCE, &pair))
    };
    let mut attributes: Vec<u8> =
        organizations.iter().flat_map(|value| attribute(ORGANIZATION, value)).collect();
    attributes.extend(attribute(COMMON_NAME, common_name));
    element(SEQUENCE, &attributes)
}

/// The subject of a certificate as it stands there.
pub(super) fn subject(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, IssuerError> {
    let signed_part = first(elements(content(certificate)?)?)?;
    let fields = elements(content(signed_part)?)?;
    fields.get(SUBJECT).map(|field| field.to_vec()).ok_or_else(damaged)
}

/// Signs a certificate of `subject` (in DER) for `key`, with a random serial number.
pub(super) fn sign(
    mut params: CertificateParams,
    key: &impl PublicKeyData,
    subject: &[u8],
    issuer: &Issuer<'_, KeyPair>,
    issuer_name: &[u8],
) -> Result<CertificateDer<'static>, IssuerError> {
    params.serial_number = Some(random_serial());
    let drawn = params.signed_by(key, issuer)?;
    let signed_part = first(elements(content(drawn.der())?)?)?;
    let mut fields = elements(content(signed_part)?)?;
    let algorithm = *fields.get(ALGORITHM).ok_or_else(damaged)?;
    *fields.get_mut(ISSUER).ok_or_else(damaged)? = issuer_name;
    *fields.get_mut(SUBJECT).ok_or_else(damaged)? = subject;
    let signed_part = element(SEQUENCE, &fields.concat());
    let signature = [vec![0], issuer.key().sign(&signed_part)?].concat();
    let parts = [signed_part.as_slice(), algorithm, &element(BIT_STRING, &signature)];
    Ok(element(SEQUENCE, &parts.concat()).into())
}

/// 122 random bits, positive and not zero.
fn random_serial() -> SerialNumber {
    let mut serial = Uuid::new_v4().into_bytes();
    serial[0] = serial[0] & 0x3f | 0x40;
    SerialNumber::from_slice(&serial)
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let mut der = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => der.push(short),
        _ => {
            let significant: Vec<u8> = length.into_iter().skip_while(|&byte| byte == 0).collect();
            der.push(0x80 | u8::try_from(significant.len()).unwrap_or(u8::MAX));
            der.extend(significant);
        }
    }
    der.extend_from_slice(content);
    der
}

fn content(der: &[u8]) -> Result<&[u8], IssuerError> {
    Any::from_der(der).map(|(_, any)| any.data).map_err(|_| damaged())
}

/// The elements that stand one after the other, each with its head.
fn elements(mut der: &[u8]) -> Result<Vec<&[u8]>, IssuerError> {
    let mut found = Vec::new();
    while !der.is_empty() {
        let (rest, _) = Any::from_der(der).map_err(|_| damaged())?;
        found.push(&der[..der.len() - rest.len()]);
        der = rest;
    }
    Ok(found)
}

fn first(elements: Vec<&[u8]>) -> Result<&[u8], IssuerError> {
    elements.into_iter().next().ok_or_else(damaged)
}

fn damaged() -> IssuerError {
    IssuerError::Making("a certificate does not parse".to_owned())
}
