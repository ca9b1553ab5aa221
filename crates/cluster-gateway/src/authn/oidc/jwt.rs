//! A signed token, taken apart. Nothing in it is true before its signature is verified.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;

/// Bytes of a token, at most. Tokens with hundreds of groups have some tens of kilobytes.
const MAX_TOKEN: usize = 128 * 1024;

/// A token in compact form.
#[derive(Debug)]
pub(crate) struct Jwt<'a> {
    header: Header,
    pub(crate) claims: Map<String, Value>,
    pub(crate) message: &'a [u8],
    pub(crate) signature: Vec<u8>,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl<'a> Jwt<'a> {
    /// `None` if it is no signed token of JSON claims.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        Some(Self {
            header: serde_json::from_slice(&decode(header)?).ok()?,
            claims: serde_json::from_slice(&decode(claims)?).ok()?,
            message: message.as_bytes(),
            signature: decode(signature)?,
        })
    }

    /// The id of the key that it names.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// Whether it says that it is signed by `algorithm`, and nothing that is not understood.
    pub(crate) fn is_signed_with(&self, algorithm: &str) -> bool {
        self.header.alg == algorithm && self.header.crit.is_none()
    }

    /// The algorithm that it names, if it is one of those that are allowed. `flags`: what the setting's name begins with.
    pub(super) fn algorithm(&self, allowed: &[Algorithm], flags: &str) -> Result<Algorithm, String> {
        if self.header.crit.is_some() {
            return Err("it has critical extensions, which are not understood".to_owned());
        }
        let named = allowed.iter().find(|algorithm| algorithm.name == self.header.alg);
        named.copied().ok_or_else(|| {
            let name: String = self.header.alg.chars().take(32).collect();
            format!("it is signed with {name:?}, which is not among {flags}signing-algs")
        })
    }
}
