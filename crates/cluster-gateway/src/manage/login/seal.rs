//! What a browser keeps for us and may neither read nor change: AES-256-GCM, by one of a few keys.
//!
//! Text: base64url of version (1 byte), id of the key (8), nonce (12), ciphertext and tag. The purpose is authenticated
//! with it, so that what was sealed for one purpose opens for no other.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Bytes of a key.
const KEY_LEN: usize = 32;
/// Bytes of a key's id.
const ID_LEN: usize = 8;
/// The form of what is sealed.
const VERSION: u8 = 1;
/// Longest text that is looked at: more than a browser keeps.
const MAX_TEXT: usize = 8 << 10;
/// Keys, at most: the one in use, and those of what was sealed before.
const MAX_KEYS: usize = 8;

/// What something is sealed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Who is signed in.
    Session,
    /// What has to be known when somebody comes back from the OpenID Connect provider.
    OidcState,
}

impl Purpose {
    fn aad(self) -> Aad<&'static [u8]> {
        Aad::from(match self {
            Self::Session => b"cluster-gateway session v1",
            Self::OidcState => b"cluster-gateway oidc state v1",
        })
    }
}

/// The keys: the first one seals, all of them open.
pub(super) struct KeyRing(Vec<Key>);

struct Key {
    id: [u8; ID_LEN],
    key: RandomizedNonceKey,
}

/// Why something does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenError {
    /// It was sealed by a key that is not here.
    UnknownKey,
    /// It was not made by any of our keys for this purpose, or has been changed since.
    Broken,
}

impl KeyRing {
    /// Reads keys: each line is the base64 of 32 bytes (`openssl rand -base64 32`), the first is the one that seals. Empty
    /// lines and lines that begin with `#` are passed over.
    ///
    /// # Errors
    /// What is wrong, with the number of the line and without any part of it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bytes = STANDARD.decode(line).ok().filter(|bytes| bytes.len() == KEY_LEN);
            let key = bytes.and_then(|bytes| Key::new(&bytes)).ok_or_else(|| {
                format!("line {} is not the base64 of {KEY_LEN} bytes; make one by: openssl rand -base64 {KEY_LEN}", index + 1)
            })?;
            keys.push(key);
        }
        match keys.len() {
            0 => Err(format!("holds no key; make one by: openssl rand -base64 {KEY_LEN}")),
            1..=MAX_KEYS => Ok(Self(keys)),
            many => Err(format!("holds {many} keys, at most {MAX_KEYS} are taken; remove the last ones")),
        }
    }

    /// A new key, as [`KeyRing::parse`] reads it. `None`: the system has no randomness to give.
    pub(super) fn generate() -> Option<String> {
        let mut bytes = [0; KEY_LEN];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        Some(format!("{}\n", STANDARD.encode(bytes)))
    }

    /// Seals by the first key, with a nonce of its own.
    ///
    /// `None` if the system has no randomness to give.
    pub(super) fn seal(&self, purpose: Purpose, plain: &[u8]) -> Option<String> {
        let Key { id, key } = self.0.first()?;
        let mut sealed = plain.to_vec();
        let nonce = key.seal_in_place_append_tag(purpose.aad(), &mut sealed).ok()?;
        Some(URL_SAFE_NO_PAD.encode([&[VERSION][..], id, nonce.as_ref(), &sealed].concat()))
    }

    /// # Errors
    /// [`OpenError`].
    pub(super) fn open(&self, purpose: Purpose, text: &str) -> Result<Vec<u8>, OpenError> {
        if text.len() > MAX_TEXT {
            return Err(OpenError::Broken);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| OpenError::Broken)?;
        let rest = bytes.strip_prefix(&[VERSION]).ok_or(OpenError::Broken)?;
        let (id, rest) = rest.split_first_chunk::<ID_LEN>().ok_or(OpenError::Broken)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or(OpenError::Broken)?;
        let key = self.0.iter().find(|key| key.id == *id).ok_or(OpenError::UnknownKey)?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = key.key.open_in_place(nonce, purpose.aad(), &mut sealed);
        let length = opened.map_err(|_| OpenError::Broken)?.len();
        sealed.truncate(length);
        Ok(sealed)
    }

    /// Whether it holds the same keys in the same order.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.0.iter().map(|key| key.id).eq(other.0.iter().map(|key| key.id))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Key {
    fn new(bytes: &[u8]) -> Option<Self> {
        let own = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes), b"cluster-gateway session key id");
        let id = *own.as_ref().first_chunk::<ID_LEN>()?;
        Some(Self { id, key: RandomizedNonceKey::new(&AES_256_GCM, bytes).ok()? })
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(texts: &[&str]) -> KeyRing {
        KeyRing::parse(&texts.concat()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_by_the_same_key_for_the_same_purpose_alone() {
        let (one, two) = (KeyRing::generate().unwrap(), KeyRing::generate().unwrap());
        let (old, both, new) = (ring(&[&one]), ring(&[&two, &one]), ring(&[&two]));
        let sealed = old.seal(Purpose::Session, b"who").unwrap();
        assert_ne!(sealed, old.seal(Purpose::Session, b"who").unwrap(), "a nonce is used once");
        assert_eq!(old.open(Purpose::Session, &sealed).unwrap(), b"who");
        assert_eq!(both.open(Purpose::Session, &sealed).unwrap(), b"who", "the key before is still taken");
        assert_eq!(new.open(Purpose::Session, &sealed), Err(OpenError::UnknownKey));
        assert_eq!(old.open(Purpose::OidcState, &sealed), Err(OpenError::Broken));
        let sealed = both.seal(Purpose::Session, b"").unwrap();
        assert_eq!(old.open(Purpose::Session, &sealed), Err(OpenError::UnknownKey), "the first key seals");
        assert_eq!(new.open(Purpose::Session, &sealed).unwrap(), b"");
    }

    #[test]
    fn every_changed_bit_and_every_missing_byte_is_noticed() {
        let ring = ring(&[&KeyRing::generate().unwrap()]);
        let sealed = ring.seal(Purpose::Session, b"alice").unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let opened = ring.open(Purpose::Session, &URL_SAFE_NO_PAD.encode(changed));
            assert!(opened.is_err(), "bit {bit}: {opened:?}");
        }
        for length in 0..bytes.len() {
            let opened = ring.open(Purpose::Session, &URL_SAFE_NO_PAD.encode(&bytes[..length]));
            assert!(opened.is_err(), "{length} bytes: {opened:?}");
        }
        for text in
            ["", "=", "a b", "\u{e9}", &format!("{sealed}="), &format!("{sealed}A"), &"A".repeat(100_000)]
        {
            assert_eq!(ring.open(Purpose::Session, text), Err(OpenError::Broken), "{text:.40}");
        }
    }

    #[test]
    fn a_file_of_keys_that_cannot_be_used_is_refused_without_showing_it() {
        let key = KeyRing::generate().unwrap();
        for (text, words) in [
            (String::new(), "holds no key"),
            ("# nothing\n\n".to_owned(), "holds no key"),
            (format!("{key}c2hvcnQ=\n"), "line 2 is not"),
            ("hunter2".to_owned(), "line 1 is not"),
            (key.repeat(9), "holds 9 keys, at most 8"),
        ] {
            let error = KeyRing::parse(&text).unwrap_err();
            assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
        }
        assert_eq!(ring(&["# ours\n\n  ", &key, "\n"]).len(), 1);
        assert!(!format!("{:?}", ring(&[&key])).contains(key.trim()));
    }
}
