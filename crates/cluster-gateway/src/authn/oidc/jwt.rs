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
pub(super) struct Jwt<'a> {
    header: Header,
    pub(super) claims: Map<String, Value>,
    pub(super) message: &'a [u8],
    pub(super) signature: Vec<u8>,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl<'a> Jwt<'a> {
    /// `None` if it is no signed token of JSON claims.
    pub(super) fn parse(token: &'a str) -> Option<Self> {
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

    /// The algorithm that it names, if it is one of those that are allowed.
    pub(super) fn algorithm(&self, allowed: &[Algorithm]) -> Result<Algorithm, String> {
        if self.header.crit.is_some() {
            return Err("it has critical extensions, which are not understood".to_owned());
        }
        let named = allowed.iter().find(|algorithm| algorithm.name == self.header.alg);
        named.copied().ok_or_else(|| {
            let name: String = self.header.alg.chars().take(32).collect();
            format!("it is signed with {name:?}, which is not among --oidc-signing-algs")
        })
    }
}
