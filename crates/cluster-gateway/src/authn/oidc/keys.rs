//! The keys that an issuer publishes (RFC 7517).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::algorithm::{Algorithm, Curve, PublicKey};
use super::jwt::Jwt;

/// Keys of one issuer, at most; a token that names none is tried with each.
const MAX_KEYS: usize = 64;

/// The keys of an issuer that can have signed a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Debug, PartialEq, Eq)]
struct Key {
    id: Option<String>,
    algorithm: Option<String>,
    public: PublicKey,
}

/// Whether a key has signed a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Signed,
    /// The key that the token names has not signed it.
    NotSigned,
    /// The token names a key that is not here, or none and none here has signed it.
    NoKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    n: Option<String>,
    e: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a key set; keys of unknown kinds and for other uses are passed over.
    ///
    /// # Errors
    /// If it is none, or has no key that could sign a token.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let document: Document =
            serde_json::from_slice(json).map_err(|error| format!("is no key set: {error}"))?;
        let keys = document.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        let keys: Vec<Key> = keys.filter_map(Key::of).take(MAX_KEYS).collect();
        if keys.is_empty() {
            return Err("holds no RSA or EC key for signatures".to_owned());
        }
        Ok(Self(keys))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether one of the keys has signed the token.
    pub(super) fn verify(&self, algorithm: Algorithm, token: &Jwt<'_>) -> Found {
        let named = |key: &&Key| token.key_id().is_none_or(|id| key.id.as_deref() == Some(id));
        let mut keys = self.0.iter().filter(named).filter(|key| key.fits(algorithm)).peekable();
        let known = keys.peek().is_some() && token.key_id().is_some();
        if keys.any(|key| algorithm.verify(&key.public, token.message, &token.signature)) {
            Found::Signed
        } else if known {
            Found::NotSigned
        } else {
            Found::NoKey
        }
    }
}

impl Key {
    fn of(jwk: Jwk) -> Option<Self> {
        if jwk.usage.is_some_and(|usage| usage != "sig") {
            return None;
        }
        let number = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?.trim_end_matches('=')).ok();
        let public = match jwk.kty.as_str() {
            "RSA" => PublicKey::Rsa { n: positive(&number(jwk.n)?), e: positive(&number(jwk.e)?) },
            "EC" => {
                let curve = Curve::parse(&jwk.crv?)?;
                let (x, y) = (number(jwk.x)?, number(jwk.y)?);
                if x.len() != curve.coordinate() || y.len() != curve.coordinate() {
                    return None;
                }
                PublicKey::Ec { curve, point: [vec![4], x, y].concat() }
            }
            _ => return None,
        };
        Some(Self { id: jwk.kid, algorithm: jwk.alg, public })
    }

    /// A key that says what it is for is not taken for anything else.
    fn fits(&self, algorithm: Algorithm) -> bool {
        algorithm.takes(&self.public) && self.algorithm.as_deref().is_none_or(|name| name == algorithm.name)
    }
}

/// Without the zeros that some issuers put in front.
fn positive(number: &[u8]) -> Vec<u8> {
    number.iter().copied().skip_while(|&byte| byte == 0).collect()
}
