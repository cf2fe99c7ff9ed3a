//! Signed requests for tokens: JSON Web Tokens (RFC 7519) with RSA and ECDSA signatures (RFC 7518,
//! 3.3 to 3.5).

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    rand::{SecureRandom as _, SystemRandom},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
        RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
    },
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::{Map, Value, json};

use super::Error;
use crate::http::secret::Secret;

/// Returns the seconds since 1970, as claims about time have them.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// How a token is signed with an RSA key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
        }
    }

    fn encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Rs256 => &RSA_PKCS1_SHA256,
            Self::Ps256 => &RSA_PSS_SHA256,
        }
    }
}

/// Returns the pairs of a request for a token that this assertion authenticates (RFC 7523, 2.2).
pub fn asserted(assertion: &Secret) -> [(&'static str, &str); 2] {
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    [("client_assertion_type", kind), ("client_assertion", assertion.expose())]
}

/// A key that signs. `Debug` does not show it.
pub enum SigningKey {
    /// An RSA key.
    Rsa(RsaKeyPair),
    /// An elliptic-curve key of the curve P-256, which signs with ES256.
    P256(EcdsaKeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// Returns the text without the mark that some editors put before UTF-8.
pub fn without_byte_order_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Returns what is wrong with a text that has no readable private key.
fn no_key(pem: &str) -> &'static str {
    // PKCS#8 says it in the label, and PKCS#1 in a line below it (RFC 1421, 4.6.1.1).
    if pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
        || pem.contains("Proc-Type: 4,ENCRYPTED")
    {
        "the private key is encrypted: give it without its passphrase, as `openssl pkey -in KEY \
         -out PLAIN` writes it"
    } else if pem.contains("-----BEGIN OPENSSH PRIVATE KEY-----") {
        "the private key is in OpenSSH's own form: give it as PKCS#8 in PEM, as `ssh-keygen -p -m \
         PKCS8 -f KEY` writes it"
    } else if pem.contains("-----BEGIN CERTIFICATE-----") {
        "this is a certificate, which has no private key in it"
    } else if pem.contains("PUBLIC KEY-----") {
        "this is a public key, which has no private key in it"
    } else {
        "the private key is not PEM"
    }
}

/// Returns 128 random bits as a text, for a token that is valid once.
///
/// # Errors
/// This machine gives no randomness.
pub fn unique() -> Result<String, Error> {
    let mut unique = [0; 16];
    let filled = SystemRandom::new().fill(&mut unique);
    filled.map_err(|_| Error::unavailable("there is no randomness for the request for a token"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(unique))
}

impl SigningKey {
    /// Reads a private RSA key in PEM: PKCS#8 or PKCS#1, 2048 to 4096 bits.
    ///
    /// # Errors
    /// What is wrong with the key, without any part of it.
    pub fn read(pem: &Secret) -> Result<Self, &'static str> {
        let pem = without_byte_order_mark(pem.expose());
        Self::rsa(&der_of(pem)?)
    }

    /// Reads a private key in PEM: an RSA key as [`SigningKey::read`] does, or a P-256 key in
    /// PKCS#8.
    ///
    /// # Errors
    /// What is wrong with the key, without any part of it.
    pub fn read_either(pem: &Secret) -> Result<Self, &'static str> {
        let pem = without_byte_order_mark(pem.expose());
        let der = der_of(pem)?;
        let pair = match &der {
            PrivateKeyDer::Pkcs8(der) => EcdsaKeyPair::from_pkcs8(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                der.secret_pkcs8_der(),
                &SystemRandom::new(),
            )
            .ok(),
            PrivateKeyDer::Sec1(_) => {
                return Err(
                    "the private key is in the older form of elliptic-curve keys: give it as \
                     PKCS#8 in PEM, as `openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW` writes it",
                );
            }
            _ => None,
        };
        match pair {
            Some(pair) => Ok(Self::P256(pair)),
            None => Self::rsa(&der).map_err(|_| {
                "the private key is neither an RSA key of 2048 to 4096 bits nor an \
                 elliptic-curve key of the curve P-256"
            }),
        }
    }

    /// Returns a new key of the curve P-256.
    ///
    /// # Errors
    /// This machine gives no randomness.
    pub fn generated() -> Result<Self, &'static str> {
        let (curve, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pair = EcdsaKeyPair::generate_pkcs8(curve, &random)
            .ok()
            .and_then(|der| EcdsaKeyPair::from_pkcs8(curve, der.as_ref(), &random).ok());
        pair.map(Self::P256).ok_or("there is no randomness for a key")
    }

    fn rsa(der: &PrivateKeyDer<'_>) -> Result<Self, &'static str> {
        let pair = match der {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err("the private key is not an RSA key"),
        };
        pair.map(Self::Rsa).map_err(|_| "the private key is not an RSA key of 2048 to 4096 bits")
    }

    /// Returns the public key as a JSON Web Key (RFC 7518, 6.2.1). It is null for an RSA key, which
    /// no service asks for.
    #[must_use]
    pub fn public(&self) -> Value {
        let Self::P256(pair) = self else { return Value::Null };
        // The point is uncompressed: a byte 4, and two numbers of 32 bytes.
        let numbers = pair.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = numbers.split_at(numbers.len() / 2);
        let encode = |number: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(number);
        json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
    }

    /// Returns a signed token with these claims. `header` is added to `alg` and `typ`, and may
    /// replace `typ`. `algorithm` is for an RSA key.
    ///
    /// # Errors
    /// This machine gives no randomness.
    pub fn sign(
        &self,
        algorithm: Algorithm,
        header: &[(&str, Value)],
        claims: &Value,
    ) -> Result<Secret, Error> {
        let name = match self {
            Self::Rsa(_) => algorithm.name(),
            Self::P256(_) => "ES256",
        };
        let own = [("alg", json!(name)), ("typ", json!("JWT"))];
        let head: Map<String, Value> = own
            .iter()
            .chain(header)
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let encode = |json: String| BASE64_URL_SAFE_NO_PAD.encode(json);
        let message =
            format!("{}.{}", encode(Value::Object(head).to_string()), encode(claims.to_string()));
        let random = SystemRandom::new();
        let signed = match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(algorithm.encoding(), &random, message.as_bytes(), &mut signature)
                    .map(|()| signature)
            }
            Self::P256(pair) => {
                pair.sign(&random, message.as_bytes()).map(|signature| signature.as_ref().to_vec())
            }
        };
        let signature = signed
            .map_err(|_| Error::unavailable("the request for a token cannot be signed here"))?;
        Ok(Secret::new(format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))))
    }
}

/// Returns the key in PEM.
fn der_of(pem: &str) -> Result<PrivateKeyDer<'static>, &'static str> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| no_key(pem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_private_key_says_what_it_is_instead() {
        let pem = |label: &str, head: &str| {
            format!("\u{feff}-----BEGIN {label}-----\n{head}c3dvcmRmaXNo\n-----END {label}-----\n")
        };
        for (text, said) in [
            (pem("ENCRYPTED PRIVATE KEY", ""), "the private key is encrypted"),
            (
                pem("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n"),
                "the private key is encrypted",
            ),
            (pem("OPENSSH PRIVATE KEY", ""), "OpenSSH's own form"),
            (pem("CERTIFICATE", ""), "this is a certificate"),
            (pem("PUBLIC KEY", ""), "this is a public key"),
            (pem("EC PRIVATE KEY", ""), "is not an RSA key"),
            (pem("PRIVATE KEY", ""), "is not an RSA key of 2048 to 4096 bits"),
            ("swordfish".to_owned(), "is not PEM"),
        ] {
            let refused = SigningKey::read(&Secret::new(&*text)).unwrap_err();
            assert!(refused.contains(said) && !refused.contains("c3dv"), "{text}: {refused}");
        }
    }

    #[test]
    fn a_key_of_either_kind_is_read_and_no_other_one() {
        let pem = |label: &str| {
            Secret::new(format!("-----BEGIN {label}-----\nc3dvcmRmaXNo\n-----END {label}-----\n"))
        };
        for (label, said) in [
            ("EC PRIVATE KEY", "the older form of elliptic-curve keys: give it as PKCS#8"),
            ("PRIVATE KEY", "neither an RSA key of 2048 to 4096 bits nor an elliptic-curve key"),
            ("RSA PRIVATE KEY", "neither an RSA key"),
            ("PUBLIC KEY", "this is a public key"),
        ] {
            let refused = SigningKey::read_either(&pem(label)).unwrap_err();
            assert!(refused.contains(said) && !refused.contains("c3dv"), "{label}: {refused}");
        }
        let key = SigningKey::generated().unwrap();
        let token = key.sign(Algorithm::Rs256, &[("typ", json!("x"))], &json!({})).unwrap();
        let part = |at: usize| {
            BASE64_URL_SAFE_NO_PAD.decode(token.expose().split('.').nth(at).unwrap()).unwrap()
        };
        let head: Value = serde_json::from_slice(&part(0)).unwrap();
        assert_eq!(head, json!({"alg": "ES256", "typ": "x"}));
        assert_eq!(part(2).len(), 64, "two numbers of 32 bytes (RFC 7518, 3.4)");
    }
}
