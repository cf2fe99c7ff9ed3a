//! Keys and certificates, made anew for each control plane: an authority, the server's certificate
//! for loopback, and the pair of keys that signs service account tokens.

use std::path::Path;

use anyhow::{Result, anyhow};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

pub(crate) const ADMIN: &str = "admin";
pub(crate) const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";

/// The bearer tokens and their users, for kube-apiserver to read.
pub(crate) const TOKENS: &str = "tokens.csv";
pub(crate) const AUTHORITY: &str = "ca.crt";
pub(crate) const SERVER_CERTIFICATE: &str = "server.crt";
pub(crate) const SERVER_KEY: &str = "server.key";
pub(crate) const TOKEN_PUBLIC_KEY: &str = "tokens.pub";
pub(crate) const TOKEN_KEY: &str = "tokens.key";

/// A pair of RSA keys made for tests, and used nowhere else.
const SAMPLE_KEY: &str = include_str!("sample-token-key.pem");
const SAMPLE_PUBLIC_KEY: &str = include_str!("sample-token-key.pub.pem");

/// What a client needs: the authority to trust, and a token.
pub(crate) struct Credentials {
    /// PEM.
    pub(crate) authority: String,
    pub(crate) admin_token: String,
    pub(crate) controller_manager_token: String,
}

impl Credentials {
    /// Writes every file into `folder`, which only its owner may read.
    pub(crate) fn write(folder: &Path, rsa_tokens: bool) -> Result<Self> {
        let authority_key = KeyPair::generate()?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.distinguished_name.push(DnType::CommonName, "bobsync testbed");
        let certificate = authority.self_signed(&authority_key)?.pem();
        let issuer = Issuer::new(authority, authority_key);

        let server_key = KeyPair::generate()?;
        let mut server =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        let server = server.signed_by(&server_key, &issuer)?.pem();

        let [token_key, token_public_key] = if rsa_tokens {
            [SAMPLE_KEY, SAMPLE_PUBLIC_KEY].map(str::to_owned)
        } else {
            let key = KeyPair::generate()?;
            [key.serialize_pem(), key.public_key_pem()]
        };
        let admin_token = token()?;
        let controller_manager_token = token()?;

        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text);
        write(AUTHORITY, &certificate)?;
        write(SERVER_CERTIFICATE, &server)?;
        write(SERVER_KEY, &server_key.serialize_pem())?;
        write(TOKEN_PUBLIC_KEY, &token_public_key)?;
        write(TOKEN_KEY, &token_key)?;
        // A separate name distinguishes kube-controller-manager from the tests in the audit log.
        let tokens = [(&admin_token, ADMIN), (&controller_manager_token, CONTROLLER_MANAGER)]
            .map(|(token, user)| format!("{token},{user},{user},system:masters\n"));
        write(TOKENS, &tokens.concat())?;
        Ok(Self { authority: certificate, admin_token, controller_manager_token })
    }
}

/// Returns 32 random bytes, printable.
fn token() -> Result<String> {
    let mut bytes = [0_u8; 32];
    let random = rustls::crypto::ring::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| anyhow!("no random numbers to be had"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}
