//! Workload identity federation: a token of another issuer in place of a secret.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bobsync::{
    http::secret::Secret,
    provider::{
        Credential, Destination as _, Error, Identity, Provider as _, TokenFile,
        assertion::{Algorithm, SigningKey, now},
        entra::Entra,
    },
};
use ring::signature::{KeyPair as _, RsaKeyPair, RsaPublicKeyComponents};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use simulators::client::Service;

use super::directory::{Directory, credential, mapping};
use crate::tenant::Tenant as _;

const ISSUER: &str = "https://oidc.example.com/cluster";
const SUBJECT: &str = "system:serviceaccount:bobsync:bobsync";
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// A cluster that signs with the sample key, and a file with its token.
struct Cluster {
    entra: Directory,
    key: SigningKey,
    file: PathBuf,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

impl Cluster {
    async fn trusted() -> Self {
        static FILES: AtomicU32 = AtomicU32::new(0);
        let entra = Directory::start().await;
        let pem = entra.app["clientKey"].as_str().unwrap().to_owned();
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
        let public: RsaPublicKeyComponents<Vec<u8>> = pair.public_key().into();
        let [n, e] = [&public.n, &public.e].map(|number| BASE64_URL_SAFE_NO_PAD.encode(number));
        let keys = [json!({"kty": "RSA", "kid": "one", "alg": "RS256", "n": n, "e": e})];
        let federated = json!({"issuer": ISSUER, "subject": SUBJECT, "keys": keys});
        entra.put("/app", json!({"federated": federated})).await;
        let number = FILES.fetch_add(1, Ordering::Relaxed);
        let name = format!("bobsync-federated-{}-{number}", std::process::id());
        let file = std::env::temp_dir().join(name);
        Self { entra, key: SigningKey::read(&Secret::new(pem)).unwrap(), file }
    }

    /// Returns a token with this claim changed.
    fn token(&self, kid: &str, claim: &str, value: Value) -> String {
        let mut claims = json!({
            "iss": ISSUER, "sub": SUBJECT, "aud": [AUDIENCE],
            "iat": now(), "nbf": now(), "exp": now() + 3600,
        });
        claims[claim] = value;
        let signed = self.key.sign(Algorithm::Rs256, &[("kid", json!(kid))], &claims);
        signed.unwrap().expose().to_owned()
    }

    fn good(&self) -> String {
        self.token("one", "iat", json!(now()))
    }

    fn connected(&self) -> Entra {
        let identity = Identity::Token(TokenFile::new(&self.file));
        let only = credential(&self.entra.app, &["clientId"]);
        self.entra.connected_with(only.with_identity(identity))
    }
}

async fn list(provider: &Entra) -> Result<(), Error> {
    provider.list(&mapping(&["userPrincipalName"]), &mut |_| ()).await.map(drop)
}

#[tokio::test]
async fn a_trusted_token_opens_the_door_as_often_as_it_is_asked_for() {
    let cluster = Cluster::trusted().await;
    let token = cluster.good();
    std::fs::write(&cluster.file, format!("{token}\n")).unwrap();
    let provider = cluster.connected();
    list(&provider).await.unwrap();
    cluster.entra.revoke_tokens().await;
    list(&provider).await.unwrap();
    assert_eq!(cluster.entra.token_calls().await, 2);
    // The file is read for each request.
    std::fs::write(&cluster.file, cluster.token("one", "exp", json!(now() - 1))).unwrap();
    cluster.entra.revoke_tokens().await;
    let refused = list(&provider).await;
    assert!(matches!(refused, Err(Error::Unauthorized { .. })), "{refused:?}");
    assert!(!format!("{:?}", cluster.connected().capabilities()).contains(&token));
    let log = cluster.entra.control.log(Service::Entra, 0).await.unwrap();
    let id = cluster.entra.app["tenantId"].as_str().unwrap();
    assert_eq!((&*log[0].method, &*log[0].path), ("POST", &*format!("/{id}/oauth2/v2.0/token")));
}

#[tokio::test]
async fn a_token_that_is_not_trusted_is_unauthorized_and_never_shown() {
    let cluster = Cluster::trusted().await;
    let changed = |claim: &str, value: Value| cluster.token("one", claim, value);
    let mut forged = cluster.good();
    forged.replace_range(forged.len() - 8.., "AAAAAAAA");
    for (token, number) in [
        (changed("iss", json!("https://oidc.example.com/other")), "AADSTS700211"),
        (changed("aud", json!(["https://kubernetes.default.svc"])), "AADSTS700212"),
        (changed("aud", json!([AUDIENCE, "https://kubernetes.default.svc"])), "AADSTS700212"),
        (changed("sub", json!("system:serviceaccount:bobsync:default")), "AADSTS700213"),
        (changed("exp", json!(now() - 1)), "AADSTS700024"),
        (changed("nbf", json!(now() + 3000)), "AADSTS700024"),
        (cluster.token("two", "iat", json!(now())), "AADSTS700027"),
        (forged, "AADSTS700027"),
    ] {
        std::fs::write(&cluster.file, &token).unwrap();
        match list(&cluster.connected()).await {
            Err(Error::Unauthorized { said }) => {
                assert!(said.contains(number), "{said}");
                assert!(!token.split('.').any(|part| said.contains(part)), "{said}");
            }
            other => panic!("{number}: {other:?}"),
        }
    }
    // A sign-in service that repeats what it got.
    let token = cluster.good();
    std::fs::write(&cluster.file, &token).unwrap();
    let body = json!({"error": "invalid_client", "error_description": format!("{token} is bad")});
    let fault = json!({"kind": "status", "status": 401, "pathPrefix": "/", "method": "POST", "times": 1, "body": body.to_string()});
    let fault = serde_json::from_value(fault).unwrap();
    cluster.entra.control.fault(Service::Entra, &fault).await.unwrap();
    let refused = format!("{:?}", list(&cluster.connected()).await);
    assert!(refused.contains("is bad") && !refused.contains(&token[..40]), "{refused}");
}

#[tokio::test]
async fn a_file_without_a_token_calls_nobody_and_the_next_content_counts() {
    let cluster = Cluster::trusted().await;
    let provider = cluster.connected();
    for (content, said) in
        [(None, "cannot be read"), (Some(""), "is empty"), (Some("x"), "no token")]
    {
        if let Some(content) = content {
            std::fs::write(&cluster.file, content).unwrap();
        }
        let refused = list(&provider).await;
        let path = cluster.file.to_str().unwrap();
        assert!(
            matches!(&refused, Err(Error::Unauthorized { said: why }) if why.contains(said) && why.contains(path)),
            "{refused:?}"
        );
    }
    assert_eq!(cluster.entra.token_calls().await, 0);
    std::fs::write(&cluster.file, cluster.good()).unwrap();
    list(&provider).await.unwrap();
}

#[tokio::test]
async fn only_a_client_id_alone_is_federated() {
    let cluster = Cluster::trusted().await;
    let identity = Identity::Token(TokenFile::new(&cluster.file));
    let secret = credential(&cluster.entra.app, &["clientId", "clientSecret"]);
    list(&cluster.entra.connected_with(secret.with_identity(identity.clone()))).await.unwrap();
    let connect = |keys: &[(&str, &str)], identity: Identity| {
        let keys = keys.iter().map(|(key, text)| ((*key).to_owned(), Secret::new(*text)));
        let credential = Credential::new(keys.collect()).with_identity(identity);
        let outcomes = std::sync::Arc::clone(&cluster.entra.outcomes);
        let hooks = crate::tenant::hooks(true, outcomes, crate::tenant::untold());
        let pacer = std::sync::Arc::new(bobsync::provider::entra::pacer());
        match cluster.entra.settings().connect(credential, hooks, pacer) {
            Err(Error::Unauthorized { said }) => said,
            other => panic!("{:?}", other.err()),
        }
    };
    // A key without a value is not the wish to do without it.
    let said = connect(&[("clientId", "id"), ("clientSecret", " ")], identity.clone());
    assert!(said.contains("set clientSecret"), "{said}");
    let said = connect(&[("clientId", " ")], identity);
    assert!(said.contains("clientId is empty"), "{said}");
    for (absent, why) in [
        (Identity::default(), "--federated-token-file"),
        (Identity::Absent("of the reason".to_owned()), "of the reason"),
    ] {
        let said = connect(&[("clientId", "id")], absent);
        assert!(said.contains("set clientSecret") && said.contains(why), "{said}");
    }
}
