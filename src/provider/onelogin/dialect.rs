//! How calls to `OneLogin` are made: its address, its token, its window of calls.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use reqwest::{Method, RequestBuilder, header::CONTENT_TYPE};
use serde::Deserialize;

use super::{
    CATALOG, OneLogin,
    errors::{denied, judge},
};
use crate::{
    http::{
        client::{Answer, Client},
        secret::Secret,
        waits::Waits,
    },
    provider::{
        Catalog, Credential, Destination, Error, Keys, Provider,
        answers::{Route, Sent},
        call::{Dialect, Gate, Observer, Ties},
        limits::{Pacer, Ticket},
        token::{Granted, Token},
    },
};

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
    fn catalog(&self) -> &'static Catalog {
        &CATALOG
    }

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

    fn connect(
        &self,
        mut credential: Credential,
        ties: Ties,
        pacer: Arc<Pacer>,
    ) -> Result<Box<dyn Provider>, Error> {
        let config = Config {
            base: self.base.clone(),
            client_id: credential.required("clientId").expose().to_owned(),
            client_secret: credential.required("clientSecret"),
            observer: ties.observer,
            gate: ties.gate,
            waits: ties.waits,
            mastered: self.mastered,
        };
        match OneLogin::new(config, pacer) {
            Ok(provider) => Ok(Box::new(provider)),
            Err(error) => Err(Error::Unavailable { said: error.to_string() }),
        }
    }
}

/// How to reach one `OneLogin` account.
#[derive(Clone)]
pub struct Config {
    /// Scheme, host, port and a path prefix if any. Calls go to `<base>/auth/...` and
    /// `<base>/api/2/...`.
    pub base: String,
    /// The API credential's id.
    pub client_id: String,
    /// The API credential's secret.
    pub client_secret: Secret,
    /// Receives every HTTP call: `token`, `list`, `custom_attributes`, `find`, `create`, `update`.
    pub observer: Observer,
    /// Returns false if a write must not begin.
    pub gate: Gate,
    /// Receives the waits that calls meet.
    pub waits: Waits,
    /// Whether a directory that is named with a user is the user's master.
    pub mastered: bool,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Config {
    pub(super) fn split(self) -> (OneLoginDialect, Ties) {
        let base = self.base.trim_end_matches('/').to_owned();
        let dialect =
            OneLoginDialect { base, client_id: self.client_id, client_secret: self.client_secret };
        (dialect, Ties { observer: self.observer, gate: self.gate, waits: self.waits })
    }
}

/// One API credential at one account.
pub(super) struct OneLoginDialect {
    base: String,
    client_id: String,
    client_secret: Secret,
}

impl Dialect for OneLoginDialect {
    fn base(&self) -> &str {
        &self.base
    }

    /// Uses form 2 of developers.onelogin.com, "Generate Tokens", which needs no region.
    fn ask_for_a_token(&self, http: &Client) -> Result<(RequestBuilder, Sent<'_>), Error> {
        let (id, secret) = (&self.client_id, self.client_secret.expose());
        let request = http
            .request(Method::POST, &format!("{}/auth/oauth2/v2/token", self.base))
            .basic_auth(id, Some(secret));
        let request = request
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .body(r#"{"grant_type":"client_credentials"}"#);
        Ok((request, Sent::Credential(id, secret)))
    }

    fn granted(&self, body: &[u8]) -> Option<Granted> {
        granted(body, Timestamp::now())
    }

    fn authorise(&self, request: RequestBuilder, token: Option<&Token>) -> RequestBuilder {
        match token {
            Some(token) => request.bearer_auth(token.text.expose()),
            None => request,
        }
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
        denied(&said)
    }
}

/// What the token endpoint answers (developers.onelogin.com, "Generate Tokens").
#[derive(Deserialize)]
struct Answered {
    access_token: String,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    account_id: Option<u64>,
}

/// Returns the token in a body. `OneLogin` returns the same token again until it ends, so the
/// token's age counts, and not the time of asking.
fn granted(body: &[u8], today: Timestamp) -> Option<Granted> {
    let answered: Answered = serde_json::from_slice(body).ok()?;
    let lifetime = answered.expires_in.map_or(PUBLISHED, Duration::from_secs).min(PUBLISHED * 24);
    let created: Option<Timestamp> =
        answered.created_at.as_deref().and_then(|text| text.parse().ok());
    let age = created
        .and_then(|created| Duration::try_from(today.duration_since(created)).ok())
        .unwrap_or_default();
    let text = Some(answered.access_token).filter(|text| !text.trim().is_empty())?;
    let tenant = answered.account_id.map(|account| account.to_string().into());
    Some(Granted { text: Secret::new(text), lifetime: lifetime.saturating_sub(age), tenant })
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
            let body = serde_json::json!({"access_token": "t", "created_at": created_at, "expires_in": expires_in}).to_string();
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
