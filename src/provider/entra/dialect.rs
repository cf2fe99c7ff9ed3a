//! How calls to Microsoft Graph are made: by an app registration that authenticates with a secret,
//! with a certificate, or with the controller's own identity, in one of Microsoft's clouds.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};

use super::{CATALOG, Entra, Mark, errors::judge};
use crate::provider::prelude::*;

/// How long a token is good if the answer does not say: "slightly less than an hour" (Microsoft
/// identity platform, client credentials flow).
const PUBLISHED: Duration = Duration::from_secs(3599);

/// How long an assertion is good: "short-lived" (Microsoft identity platform, certificate
/// credentials).
const ASSERTED: Duration = Duration::from_secs(600);

/// What a Secret without a credential needs.
const SET: &str = "set clientSecret, or clientCertificate and clientKey";

/// One of Microsoft's clouds (Microsoft Graph, "National cloud deployments").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cloud {
    /// The address of Microsoft Graph.
    pub graph: &'static str,
    /// The address of the sign-in service.
    pub login: &'static str,
}

impl Cloud {
    /// The worldwide service.
    pub const GLOBAL: Self =
        Self { graph: "https://graph.microsoft.com", login: "https://login.microsoftonline.com" };
    /// US Government L4.
    pub const US_GOVERNMENT: Self =
        Self { graph: "https://graph.microsoft.us", login: "https://login.microsoftonline.us" };
    /// US Government L5.
    pub const US_GOVERNMENT_DOD: Self =
        Self { graph: "https://dod-graph.microsoft.us", login: "https://login.microsoftonline.us" };
    /// China, operated by 21Vianet.
    pub const CHINA: Self = Self {
        graph: "https://microsoftgraph.chinacloudapi.cn",
        login: "https://login.chinacloudapi.cn",
    };
}

/// An Entra ID tenant, as the settings name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The tenant's GUID or one of its verified domains.
    pub id: String,
    /// Scheme, host, port and a path prefix if any, without a trailing slash. Calls go to
    /// `<base>/v1.0/...`.
    pub base: String,
    /// The same for the sign-in service. Calls go to `<tokens>/{id}/oauth2/v2.0/token`.
    pub tokens: String,
    /// The cloud. Scopes, audiences and references use its addresses, even if calls go to another
    /// address.
    pub cloud: Cloud,
    /// Usage location of new accounts.
    pub usage_location: Option<String>,
    /// Where the mark is written.
    pub mark: Mark,
}

impl Destination for Tenant {
    fn tenant(&self) -> String {
        format!("{} {}", self.base, self.id.to_lowercase())
    }

    fn keys(&self) -> Keys {
        Keys {
            required: &["clientId"],
            optional: &["clientSecret", "clientCertificate", "clientKey"],
        }
    }

    fn reserved(&self) -> Option<&str> {
        Some(self.mark.attribute())
    }

    fn takes_identity(&self, keys: &[&str]) -> bool {
        keys == ["clientId"]
    }

    fn connect(&self, credential: Credential, hooks: Hooks, pacer: Arc<Pacer>) -> Connected {
        let app = App::read(credential)?;
        Ok(Box::new(Entra::new(self.clone(), app, hooks, pacer)?))
    }

    fn catalog(&self) -> &'static Catalog {
        &CATALOG
    }
}

/// Returns the directory that a token names as its own (`tid`). It is a GUID, even if the settings
/// name one of the tenant's domains. The signature need not be checked, because the token came from
/// Microsoft itself.
fn directory(token: &str) -> Option<Box<str>> {
    #[derive(Deserialize)]
    struct Claims {
        tid: Box<str>,
    }
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&claims).ok().map(|claims: Claims| claims.tid.to_lowercase().into())
}

/// An app registration, and how it authenticates.
#[derive(Debug)]
pub struct App {
    client_id: String,
    proof: AppProof,
}

#[derive(Debug)]
enum AppProof {
    Secret(Secret),
    Certificate {
        key: Box<SigningKey>,
        /// SHA-256 of the certificate, in the form of `x5t#S256`.
        thumbprint: String,
    },
    /// A token of the controller's service account, which the app trusts by a federated credential.
    Federated(TokenFile),
}

impl App {
    /// Reads the keys of the Secret.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if they are not a credential. The error has nothing of their
    /// content.
    pub fn read(mut credential: Credential) -> Result<Self, Error> {
        let refuse = |why: &str| Error::unauthorized(why);
        let client_id = credential.required("clientId").expose().trim().to_owned();
        let identity = credential.identity().clone();
        // A key without a value is not the wish to do without it.
        let is_alone = credential.keys().next().is_none();
        let mut given =
            |key: &str| credential.take(key).filter(|value| !value.expose().trim().is_empty());
        let proof = match (given("clientSecret"), given("clientCertificate"), given("clientKey")) {
            (None, None, None) if is_alone => AppProof::Federated(identity.token(SET)?),
            (Some(secret), None, None) => AppProof::Secret(Secret::new(secret.expose().trim())),
            (None, Some(certificate), Some(key)) => {
                let certificate = without_byte_order_mark(certificate.expose());
                let der = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| {
                    let key = certificate.contains("PRIVATE KEY-----");
                    refuse(if key {
                        "clientCertificate: this is a private key, which belongs into clientKey"
                    } else {
                        "clientCertificate: this is not a certificate in PEM"
                    })
                })?;
                let key =
                    SigningKey::read(&key).map_err(|why| refuse(&format!("clientKey: {why}")))?;
                AppProof::Certificate {
                    key: Box::new(key),
                    thumbprint: BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&der)),
                }
            }
            (secret, certificate, key) => {
                let said = match (secret, certificate, key) {
                    (Some(_), ..) => {
                        "set clientSecret, or clientCertificate and clientKey, and not both"
                    }
                    (_, Some(_), _) => "clientCertificate needs its private key as clientKey",
                    (.., Some(_)) => "clientKey needs its certificate as clientCertificate",
                    _ => SET,
                };
                return Err(refuse(said));
            }
        };
        if client_id.is_empty() {
            return Err(refuse("clientId is empty"));
        }
        Ok(Self { client_id, proof })
    }
}

/// One app in one tenant.
#[derive(Debug)]
pub(super) struct EntraDialect {
    tenant: Arc<Tenant>,
    app: App,
    address: Address,
}

impl EntraDialect {
    pub(super) fn new(tenant: Arc<Tenant>, app: App) -> Self {
        let address = Address::of(&tenant.base);
        Self { tenant, app, address }
    }

    /// Returns the path of a call at the tenant's address.
    pub(super) fn path(&self, below: &str) -> String {
        self.address.path(&format!("/v1.0{below}"))
    }

    fn audience(&self) -> String {
        format!("{}/{}/oauth2/v2.0/token", self.tenant.cloud.login, self.tenant.id)
    }
}

impl Dialect for EntraDialect {
    fn base(&self) -> &str {
        &self.address.origin
    }

    fn ask_for_a_token(&self, http: &Client) -> Result<(RequestBuilder, Sent<'_>), Error> {
        let url = format!("{}/{}/oauth2/v2.0/token", self.tenant.tokens, self.tenant.id);
        let scope = format!("{}/.default", self.tenant.cloud.graph);
        let App { client_id, proof } = &self.app;
        let mut pairs =
            vec![("grant_type", "client_credentials"), ("client_id", client_id), ("scope", &scope)];
        let mut secret = "";
        let assertion = match proof {
            AppProof::Secret(shared) => {
                secret = shared.expose();
                pairs.push(("client_secret", secret));
                None
            }
            AppProof::Certificate { key, thumbprint } => Some(self.assertion(key, thumbprint)?),
            AppProof::Federated(file) => Some(file.read()?),
        };
        pairs.extend(assertion.iter().flat_map(asserted));
        Ok((form(http.request(Method::POST, &url), &pairs), Sent::Credential(client_id, secret)))
    }

    fn granted(&self, body: &[u8]) -> Option<GrantedToken> {
        let granted = GrantedToken::read(body, PUBLISHED)?;
        Some(GrantedToken { tenant: directory(granted.text.expose()), ..granted })
    }

    fn judge(&self, route: Route, answer: &Answer, sent: Sent<'_>) -> Result<(), Error> {
        judge(route, answer, sent, self.tenant.mark.attribute())
    }
}

impl EntraDialect {
    /// Returns a signed request for a token (Microsoft identity platform, "Certificate
    /// credentials").
    fn assertion(&self, key: &SigningKey, thumbprint: &str) -> Result<Secret, Error> {
        let (unique, now) = (unique()?, now());
        let claims = json!({
            "iss": self.app.client_id, "sub": self.app.client_id,
            // The assertion is for this audience, even if the call goes to another address.
            "aud": self.audience(), "jti": unique,
            "iat": now, "nbf": now, "exp": now + ASSERTED.as_secs(),
        });
        key.sign(Algorithm::Ps256, &[("x5t#S256", json!(thumbprint))], &claims)
    }
}
