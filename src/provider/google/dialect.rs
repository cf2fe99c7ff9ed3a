//! How calls to Google are made: by a service account that acts for an administrator (domain-wide
//! delegation).

use super::{CATALOG, Google, errors::judge};
use crate::provider::prelude::*;

/// The Directory API.
pub const API: &str = "https://admin.googleapis.com";
/// Google's token service.
pub const TOKENS: &str = "https://oauth2.googleapis.com";

/// The scope to read and write users.
pub(super) const USERS: &str = "https://www.googleapis.com/auth/admin.directory.user";
/// The scope to read which custom schemas there are.
pub(super) const SCHEMAS: &str =
    "https://www.googleapis.com/auth/admin.directory.userschema.readonly";

/// How long an assertion and its token are good at most (developers.google.com, "Using OAuth 2.0
/// for Server to Server Applications").
const HOUR: Duration = Duration::from_secs(3600);

/// A Google Workspace account, as the settings name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// The administrator who delegates rights to the service account.
    pub admin: String,
    /// Id of the account, or `my_customer`.
    pub customer: String,
    /// Organizational unit of new accounts.
    pub org_unit: String,
    /// Scheme, host, port and a path prefix if any, without a trailing slash. Calls go to
    /// `<base>/admin/directory/v1/...`.
    pub base: String,
    /// The same for the token service. Calls go to `<tokens>/token`.
    pub tokens: String,
}

impl Destination for Tenant {
    /// Returns the administrators' domain, because an administrator belongs to only one account.
    fn tenant(&self) -> String {
        let domain = self.admin.rsplit('@').next().unwrap_or_default().to_lowercase();
        format!("{} {domain}", self.base)
    }

    fn keys(&self) -> Keys {
        Keys { required: &["serviceAccount.json"], optional: &[] }
    }

    fn connect(&self, mut credential: Credential, hooks: Hooks, pacer: Arc<Pacer>) -> Connected {
        let account = ServiceAccount::read(&credential.required("serviceAccount.json"))?;
        Ok(Box::new(Google::new(self.clone(), account, &hooks, &pacer)?))
    }

    fn catalog(&self) -> &'static Catalog {
        &CATALOG
    }
}

/// A service account's key, as its key file has it. The file's `token_uri` is not used: the author
/// of the file could send assertions to any address with it.
#[derive(Debug)]
pub struct ServiceAccount {
    email: String,
    key_id: String,
    key: SigningKey,
}

#[derive(Deserialize)]
struct KeyFile {
    #[serde(rename = "type", default)]
    kind: String,
    client_email: String,
    private_key: String,
    #[serde(default)]
    private_key_id: String,
}

impl ServiceAccount {
    /// Reads a key file as downloaded.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if it is not one. The error has nothing of its content.
    pub fn read(file: &Secret) -> Result<Self, Error> {
        let refuse = |why: &str| Error::unauthorized(format!("serviceAccount.json: {why}"));
        let file: KeyFile =
            serde_json::from_str(without_byte_order_mark(file.expose())).map_err(|_| {
                refuse(
                    "this is not the key file of a service account: JSON with client_email and \
                private_key, as downloaded from Google Cloud",
                )
            })?;
        if !file.kind.is_empty() && file.kind != "service_account" {
            return Err(refuse(
                "this is a key file of another kind; a service account's \
                 has \"type\": \"service_account\"",
            ));
        }
        let key = SigningKey::read(&Secret::new(file.private_key)).map_err(refuse)?;
        Ok(Self { email: file.client_email, key_id: file.private_key_id, key })
    }
}

/// One service account with one scope.
#[derive(Debug)]
pub(super) struct GoogleDialect {
    pub(super) tenant: Arc<Tenant>,
    pub(super) account: Arc<ServiceAccount>,
    pub(super) scope: &'static str,
}

impl Dialect for GoogleDialect {
    fn base(&self) -> &str {
        &self.tenant.base
    }

    fn ask_for_a_token(&self, http: &Client) -> Result<(RequestBuilder, Sent<'_>), Error> {
        let ServiceAccount { email, key_id, key } = &*self.account;
        let now = now();
        let url = format!("{}/token", self.tenant.tokens);
        let claims = json!({
            "iss": email, "sub": self.tenant.admin, "scope": self.scope,
            // The assertion is for this audience, even if the call goes to another address.
            "aud": format!("{TOKENS}/token"), "iat": now, "exp": now + HOUR.as_secs(),
        });
        let header = if key_id.is_empty() { Vec::new() } else { vec![("kid", json!(key_id))] };
        let assertion = key.sign(Algorithm::Rs256, &header, &claims)?;
        let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
        let request = form(
            http.request(Method::POST, &url),
            &[("grant_type", grant), ("assertion", assertion.expose())],
        );
        Ok((request, Sent::Credential(email, &self.tenant.admin)))
    }

    fn granted(&self, body: &[u8]) -> Option<GrantedToken> {
        GrantedToken::read(body, HOUR)
    }

    fn judge(&self, route: Route, answer: &Answer, sent: Sent<'_>) -> Result<(), Error> {
        judge(route, answer, sent, self.scope)
    }
}
