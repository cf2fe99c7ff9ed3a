//! Signed requests for tokens: JSON Web Tokens (RFC 7519) with RSA signatures (RFC 7518, 3.3 and
//! 3.5).

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::{Map, Value};

use super::Error;
use crate::http::secret::Secret;

/// Returns the seconds since 1970, as claims about time have them.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

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

/// An RSA key that signs. `Debug` does not show it.
pub struct SigningKey(RsaKeyPair);

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

impl SigningKey {
    /// Reads a private key in PEM: PKCS#8 or PKCS#1, 2048 to 4096 bits.
    ///
    /// # Errors
    /// What is wrong with the key, without any part of it.
    pub fn read(pem: &Secret) -> Result<Self, &'static str> {
        let pem = without_byte_order_mark(pem.expose());
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| no_key(pem))?;
        let pair = match &der {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            _ => return Err("the private key is not an RSA key"),
        };
        pair.map(Self).map_err(|_| "the private key is not an RSA key of 2048 to 4096 bits")
    }

    /// Returns a signed token with these claims. `header` is added to `alg` and `typ`.
    ///
    /// # Errors
    /// This machine gives no randomness.
    pub fn sign(
        &self,
        algorithm: Algorithm,
        header: &[(&str, &str)],
        claims: &Value,
    ) -> Result<Secret, Error> {
        let own = [("alg", algorithm.name()), ("typ", "JWT")];
        let head: Map<String, Value> = own
            .iter()
            .chain(header)
            .map(|(name, value)| ((*name).to_owned(), Value::from(*value)))
            .collect();
        let encode = |json: String| BASE64_URL_SAFE_NO_PAD.encode(json);
        let message =
            format!("{}.{}", encode(Value::Object(head).to_string()), encode(claims.to_string()));
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(algorithm.encoding(), &SystemRandom::new(), message.as_bytes(), &mut signature)
            .map_err(|_| Error::unavailable("the request for a token cannot be signed here"))?;
        Ok(Secret::new(format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))))
    }
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
}
