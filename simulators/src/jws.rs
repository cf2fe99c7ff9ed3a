//! Signed tokens in compact form (RFC 7515), and public keys as JSON (RFC 7517).

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The algorithms that are verified. There is no code for `ES512`.
const ALGORITHMS: [&str; 5] = ["RS256", "RS384", "RS512", "ES256", "ES384"];

pub fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the SHA-256 of a text, as base64url.
pub fn hashed(text: &str) -> String {
    encoded(Sha256::digest(text.as_bytes()))
}

/// A token that was read; its signature is not verified yet.
pub struct Token {
    pub head: Value,
    pub claims: Value,
    message: String,
    signature: Vec<u8>,
}

impl Token {
    pub fn parse(text: &str) -> Option<Self> {
        let (message, signature) = text.rsplit_once('.')?;
        let (head, claims) = message.split_once('.')?;
        let object = |text: &str| -> Option<Value> {
            let value: Value =
                serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            value.is_object().then_some(value)
        };
        Some(Self {
            head: object(head)?,
            claims: object(claims)?,
            message: message.to_owned(),
            signature: BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// Returns whether the algorithm is one that is verified.
    pub fn has_known_algorithm(&self) -> bool {
        self.head["alg"].as_str().is_some_and(|name| ALGORITHMS.contains(&name))
    }

    /// Returns whether this key made the signature, with the algorithm that the token names.
    pub fn is_signed_by(&self, key: &Key) -> bool {
        let message = self.message.as_bytes();
        match (self.head["alg"].as_str().unwrap_or_default(), key) {
            ("RS256", Key::Rsa { n, e }) => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, &self.signature)
                .is_ok(),
            ("RS384", Key::Rsa { n, e }) => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA384, message, &self.signature)
                .is_ok(),
            ("RS512", Key::Rsa { n, e }) => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA512, message, &self.signature)
                .is_ok(),
            ("ES256", Key::P256(point)) => self.is_signed_at(&ECDSA_P256_SHA256_FIXED, point),
            ("ES384", Key::P384(point)) => self.is_signed_at(&ECDSA_P384_SHA384_FIXED, point),
            _ => false,
        }
    }

    fn is_signed_at(&self, with: &'static dyn VerificationAlgorithm, point: &[u8]) -> bool {
        UnparsedPublicKey::new(with, point).verify(self.message.as_bytes(), &self.signature).is_ok()
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point.
    P256(Vec<u8>),
    P384(Vec<u8>),
}

impl Key {
    /// Reads a key, and refuses one with a private member.
    pub fn read(jwk: &Value) -> Option<Self> {
        if ["d", "p", "q", "dp", "dq", "qi", "k"].iter().any(|private| jwk.get(private).is_some()) {
            return None;
        }
        let part = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok();
        let point = |size: usize| {
            let (x, y) = (part("x")?, part("y")?);
            (x.len() == size && y.len() == size).then(|| [&[4], &*x, &*y].concat())
        };
        match (jwk["kty"].as_str()?, jwk["crv"].as_str()) {
            ("RSA", _) => Some(Self::Rsa { n: part("n")?, e: part("e")? }),
            ("EC", Some("P-256")) => point(32).map(Self::P256),
            ("EC", Some("P-384")) => point(48).map(Self::P384),
            _ => None,
        }
    }

    /// Returns the thumbprint of RFC 7638.
    pub fn thumbprint(&self) -> String {
        let of_point = |curve: &str, point: &[u8]| {
            let (x, y) = point[1..].split_at(point.len() / 2);
            format!(r#"{{"crv":"{curve}","kty":"EC","x":"{}","y":"{}"}}"#, encoded(x), encoded(y))
        };
        hashed(&match self {
            Self::Rsa { n, e } => {
                format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encoded(e), encoded(n))
            }
            Self::P256(point) => of_point("P-256", point),
            Self::P384(point) => of_point("P-384", point),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_thumbprint_is_that_of_the_example_in_rfc_7638() {
        let key = json!({
            "kty": "RSA", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        });
        let thumbprint = Key::read(&key).unwrap().thumbprint();
        assert_eq!(thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn a_private_key_is_no_public_key() {
        assert_eq!(Key::read(&json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB"})), None);
        assert_eq!(
            Key::read(&json!({"kty": "EC", "crv": "P-256", "x": "AQAB", "y": "AQAB"})),
            None
        );
    }
}
