//! The names that a server's certificate is for.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use rustls::pki_types::{CertificateDer, ServerName};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::IssuerError;

/// Host names and addresses, each written in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerNames(BTreeSet<String>);

impl ServerNames {
    /// `localhost`, the loopback addresses and `names`: host names or IP addresses, IPv6 in brackets or without.
    /// Unspecified addresses are left out.
    ///
    /// # Errors
    /// [`IssuerError::Request`] for a name that can stand in no certificate.
    pub fn with_localhost(names: &[String]) -> Result<Self, IssuerError> {
        let own = ["localhost", "127.0.0.1", "::1"].into_iter();
        let given = names.iter().map(String::as_str).filter(|name| can_be_dialled(name));
        own.chain(given).map(normal).collect::<Result<_, _>>().map(Self)
    }

    /// The names, sorted.
    #[must_use]
    pub fn to_vec(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }

    /// Whether a certificate is for all of them.
    #[must_use]
    pub fn covered_by(&self, certificate: &CertificateDer<'_>) -> bool {
        self.0.is_subset(&names(certificate))
    }
}

impl fmt::Display for ServerNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_vec().join(", "))
    }
}

/// Nobody connects to an unspecified address; it only says where to listen.
fn can_be_dialled(name: &str) -> bool {
    !name.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
}

/// One way to write each name; an IPv6 address may stand in brackets.
fn normal(name: &str) -> Result<String, IssuerError> {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    match ServerName::try_from(bare) {
        Ok(ServerName::DnsName(name)) => Ok(name.as_ref().to_ascii_lowercase()),
        Ok(ServerName::IpAddress(address)) => Ok(IpAddr::from(address).to_string()),
        _ => Err(IssuerError::Request(format!("{name:?} is neither a host name nor an IP address"))),
    }
}

/// The names that a certificate is for.
fn names(certificate: &CertificateDer<'_>) -> BTreeSet<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return BTreeSet::new() };
    let Ok(Some(extension)) = parsed.subject_alternative_name() else { return BTreeSet::new() };
    let names = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
        },
        _ => None,
    });
    names.collect()
}
