//! How calls to `OneLogin` are made: its address, its token, its window of calls.

use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;

use super::{
    CATALOG, OneLogin,
    errors::{NEEDS, judge},
};
use crate::provider::prelude::*;

/// developers.onelogin.com, "Generate Tokens": ten hours. It is used if the answer does not say.
const PUBLISHED: Duration = Duration::from_secs(36_000);

/// A `OneLogin` account, as the settings name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Scheme, host, port and a path prefix if any, without a trailing slash.
    pub base: String,
    /// Whether a directory that `OneLogin` names with a user is the user's master.
    pub mastered: bool,
}

impl Destination for Tenant {
    fn tenant(&self) -> String {
        self.base.clone()
    }

    fn shared_address(&self) -> Option<&'static str> {
        // Every customer of a region has this address.
        self.base.starts_with("https://api.").then_some("clientId")
    }

    fn keys(&self) -> Keys {
        Keys { required: &["clientId", "clientSecret"], optional: &[] }
    }

    fn connect(&self, mut credential: Credential, hooks: Hooks, pacer: Arc<Pacer>) -> Connected {
        let id = credential.required("clientId").expose().to_owned();
        let secret = credential.required("clientSecret");
        Ok(Box::new(OneLogin::new(self.clone(), id, secret, hooks, pacer)?))
    }

    fn catalog(&self) -> &'static Catalog {
        &CATALOG
    }
}

/// One API credential at one account.
pub(super) struct OneLoginDialect {
    pub(super) tenant: Tenant,
    pub(super) client_id: String,
    pub(super) client_secret: Secret,
}

impl Dialect for OneLoginDialect {
    fn base(&self) -> &str {
        self.tenant.base.trim_end_matches('/')
    }

    /// Uses form 2 of developers.onelogin.com, "Generate Tokens", which needs no region.
    fn ask_for_a_token(&self, http: &Client) -> Result<(RequestBuilder, Sent<'_>), Error> {
        let (id, secret) = (&self.client_id, self.client_secret.expose());
        let request = http
            .request(Method::POST, &format!("{}/auth/oauth2/v2/token", self.base()))
            .basic_auth(id, Some(secret))
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .body(r#"{"grant_type":"client_credentials"}"#);
        Ok((request, Sent::Credential(id, secret)))
    }

    fn granted(&self, body: &[u8]) -> Option<GrantedToken> {
        granted(body, Timestamp::now())
    }

    fn judge(&self, route: Route, answer: &Answer, sent: Sent<'_>) -> Result<(), Error> {
        judge(route, answer, sent)
    }

    fn learn(&self, answer: &Answer, ticket: &Ticket<'_>) {
        let number = |name| answer.number(name).and_then(|number| u32::try_from(number).ok());
        if let (Some(limit), Some(remaining), Some(reset)) = (
            number("x-ratelimit-limit"),
            number("x-ratelimit-remaining"),
            answer.number("x-ratelimit-reset"),
        ) {
            ticket.learn(limit, remaining, Duration::from_secs(reset));
        }
    }

    /// Returns a missing permission. `OneLogin` answers 401 for routes that do not exist and for
    /// missing scopes, as it does for bad tokens.
    fn refused_write(&self, said: String) -> Error {
        Error::Denied { said: NEEDS.replace("{said}", &said) }
    }
}

/// What the token endpoint says in addition (developers.onelogin.com, "Generate Tokens").
#[derive(Deserialize)]
struct TokenExtras {
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    account_id: Option<u64>,
}

/// Returns the token in a body. `OneLogin` returns the same token again until it ends, so the
/// token's age counts, and not the time of asking.
fn granted(body: &[u8], today: Timestamp) -> Option<GrantedToken> {
    let granted = GrantedToken::read(body, PUBLISHED)?;
    let TokenExtras { created_at, account_id } = serde_json::from_slice(body).ok()?;
    let created: Option<Timestamp> = created_at.and_then(|text| text.parse().ok());
    let age = created.and_then(|at| Duration::try_from(today.duration_since(at)).ok());
    let lifetime = granted.lifetime.saturating_sub(age.unwrap_or_default());
    let tenant = account_id.map(|account| account.to_string().into());
    Some(GrantedToken { lifetime, tenant, ..granted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_by_its_own_age() {
        let today: Timestamp = "2026-11-24T09:00:00Z".parse().unwrap();
        for (created_at, expires_in, seconds) in [
            (Some("2026-11-24T09:00:00.000Z"), Some(36_000), 36_000),
            (Some("2026-11-24T01:00:00.000Z"), Some(36_000), 7_200),
            // Clocks that differ change the lifetime only within what was published.
            (Some("2026-11-25T09:00:00.000Z"), Some(36_000), 36_000),
            (Some("2026-11-01T09:00:00.000Z"), Some(36_000), 0),
            (None, Some(600), 600),
            (Some("yesterday"), None, 36_000),
        ] {
            let body = serde_json::json!({"access_token": "t", "created_at": created_at,
                "expires_in": expires_in})
            .to_string();
            assert_eq!(
                granted(body.as_bytes(), today).unwrap().lifetime.as_secs(),
                seconds,
                "{created_at:?}"
            );
        }
        assert!(granted(br#"{"access_token": " "}"#, today).is_none());
        let named = granted(br#"{"access_token": "t", "account_id": 123456}"#, today).unwrap();
        assert_eq!(named.tenant.as_deref(), Some("123456"));
    }
}
