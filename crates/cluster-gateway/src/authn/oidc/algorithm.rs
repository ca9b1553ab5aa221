//! The algorithms that a token may be signed with. What is not here cannot be configured: neither `none` nor the HMACs, whose
//! key an issuer would have to share.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey,
};

/// A signature algorithm, by its name in a token's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Algorithm {
    pub(super) name: &'static str,
    scheme: Scheme,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    RsaPkcs1(Digest),
    RsaPss(Digest),
    Ecdsa(Curve),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digest {
    Sha256,
    Sha384,
    Sha512,
}

/// A curve, by which the digest is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicKey {
    /// Modulus and exponent, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// The uncompressed point.
    Ec { curve: Curve, point: Vec<u8> },
}

const ALL: [Algorithm; 9] = [
    Algorithm { name: "RS256", scheme: Scheme::RsaPkcs1(Digest::Sha256) },
    Algorithm { name: "RS384", scheme: Scheme::RsaPkcs1(Digest::Sha384) },
    Algorithm { name: "RS512", scheme: Scheme::RsaPkcs1(Digest::Sha512) },
    Algorithm { name: "PS256", scheme: Scheme::RsaPss(Digest::Sha256) },
    Algorithm { name: "PS384", scheme: Scheme::RsaPss(Digest::Sha384) },
    Algorithm { name: "PS512", scheme: Scheme::RsaPss(Digest::Sha512) },
    Algorithm { name: "ES256", scheme: Scheme::Ecdsa(Curve::P256) },
    Algorithm { name: "ES384", scheme: Scheme::Ecdsa(Curve::P384) },
    Algorithm { name: "ES512", scheme: Scheme::Ecdsa(Curve::P521) },
];

impl Algorithm {
    pub(super) fn parse(name: &str) -> Option<Self> {
        ALL.into_iter().find(|algorithm| algorithm.name == name)
    }

    pub(super) fn names() -> String {
        ALL.map(|algorithm| algorithm.name).join(", ")
    }

    /// Whether a key is of the kind that this algorithm takes.
    pub(super) fn takes(self, key: &PublicKey) -> bool {
        match (self.scheme, key) {
            (Scheme::RsaPkcs1(_) | Scheme::RsaPss(_), PublicKey::Rsa { .. }) => true,
            (Scheme::Ecdsa(wanted), PublicKey::Ec { curve, .. }) => wanted == *curve,
            _ => false,
        }
    }

    /// Whether `key` has signed `message`. RSA keys below 2048 bits never have.
    pub(super) fn verify(self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        match (self.scheme, key) {
            (Scheme::RsaPkcs1(digest), PublicKey::Rsa { n, e }) => {
                let params = match digest {
                    Digest::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
                    Digest::Sha384 => &RSA_PKCS1_2048_8192_SHA384,
                    Digest::Sha512 => &RSA_PKCS1_2048_8192_SHA512,
                };
                rsa(params, n, e, message, signature)
            }
            (Scheme::RsaPss(digest), PublicKey::Rsa { n, e }) => {
                let params = match digest {
                    Digest::Sha256 => &RSA_PSS_2048_8192_SHA256,
                    Digest::Sha384 => &RSA_PSS_2048_8192_SHA384,
                    Digest::Sha512 => &RSA_PSS_2048_8192_SHA512,
                };
                rsa(params, n, e, message, signature)
            }
            (Scheme::Ecdsa(wanted), PublicKey::Ec { curve, point }) if wanted == *curve => {
                let algorithm = match curve {
                    Curve::P256 => &ECDSA_P256_SHA256_FIXED,
                    Curve::P384 => &ECDSA_P384_SHA384_FIXED,
                    Curve::P521 => &ECDSA_P521_SHA512_FIXED,
                };
                UnparsedPublicKey::new(algorithm, point).verify(message, signature).is_ok()
            }
            _ => false,
        }
    }
}

fn rsa(params: &RsaParameters, n: &[u8], e: &[u8], message: &[u8], signature: &[u8]) -> bool {
    RsaPublicKeyComponents { n, e }.verify(params, message, signature).is_ok()
}

impl Curve {
    pub(super) fn parse(name: &str) -> Option<Self> {
        match name {
            "P-256" => Some(Self::P256),
            "P-384" => Some(Self::P384),
            "P-521" => Some(Self::P521),
            _ => None,
        }
    }

    /// Bytes of one coordinate.
    pub(super) fn coordinate(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}
