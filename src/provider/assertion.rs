//! Signed requests for tokens: JSON Web Tokens (RFC 7519) with RSA signatures (RFC 7518, 3.3 and 3.5).

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::{Map, Value};

use super::http::Secret;

/// How a token is signed.
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

/// An RSA key that signs, and shows itself to nobody.
pub struct SigningKey(RsaKeyPair);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// Reads a private key in PEM: PKCS#8 or PKCS#1, 2048 to 4096 bits.
    ///
    /// # Errors
    /// What is wrong with it, without any of it.
    pub fn read(pem: &Secret) -> Result<Self, &'static str> {
        let der = PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()).map_err(|_| "the private key is not PEM")?;
        let pair = match &der {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err("the private key is not an RSA key"),
        };
        pair.map(Self).map_err(|_| "the private key is not an RSA key of 2048 to 4096 bits")
    }

    /// A signed token with these claims; `header` goes beside `alg` and `typ`.
    ///
    /// # Errors
    /// There is no randomness to be had on this machine.
    pub fn sign(&self, algorithm: Algorithm, header: &[(&str, &str)], claims: &Value) -> Result<Secret, &'static str> {
        let own = [("alg", algorithm.name()), ("typ", "JWT")];
        let head: Map<String, Value> = own.iter().chain(header).map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        let encode = |json: String| BASE64_URL_SAFE_NO_PAD.encode(json);
        let message = format!("{}.{}", encode(Value::Object(head).to_string()), encode(claims.to_string()));
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(algorithm.encoding(), &SystemRandom::new(), message.as_bytes(), &mut signature)
            .map_err(|_| "the request for a token cannot be signed here")?;
        Ok(Secret::new(format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))))
    }
}
