//! Three ways of authentication: a bearer token, Basic, and OAuth client credentials (RFC 6749).

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::front::{Answer, Call};
use crate::rng::Rng;

/// How long an access token is valid.
const LIFETIME: i64 = 3_600;

/// A way of authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    Bearer,
    Basic,
    OAuth,
}

/// The rights of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rights {
    Manage,
    /// Changes are refused with 403.
    Read,
    /// Everything is refused with 403.
    None,
}

/// The credentials, and the access tokens.
pub struct Access {
    pub ways: Vec<Way>,
    pub token: String,
    pub username: String,
    pub password: String,
    pub client_id: String,
    pub client_secret: String,
    /// The scope of the client, and whether a request must name it.
    pub scope: String,
    pub scope_required: bool,
    pub rights: Rights,
    live: HashMap<String, Timestamp>,
    rng: Rng,
}

impl Default for Access {
    fn default() -> Self {
        let seed = Timestamp::now().as_nanosecond().unsigned_abs();
        Self {
            ways: vec![Way::Bearer, Way::Basic, Way::OAuth],
            token: "scim-token-1".into(),
            username: "scim-user".into(),
            password: "scim-password-1".into(),
            client_id: "scim-client".into(),
            client_secret: "scim-secret-1".into(),
            scope: "scim".into(),
            scope_required: false,
            rights: Rights::Manage,
            live: HashMap::new(),
            rng: Rng::new(u64::try_from(seed & u128::from(u64::MAX)).unwrap_or(1) ^ 0x5c1a),
        }
    }
}

fn refused(status: u16, error: &str, why: &str) -> Answer {
    let body = json!({ "error": error, "error_description": why });
    let answer = Answer::json(status, &body).with("cache-control", "no-store");
    if status == 401 { answer.with("www-authenticate", "Basic realm=\"token\"") } else { answer }
}

impl Access {
    /// Ends all access tokens.
    pub fn revoke(&mut self) {
        self.live.clear();
    }

    fn has(&self, way: Way) -> bool {
        self.ways.contains(&way)
    }

    /// Handles `POST /oauth/token`.
    pub fn issue(&mut self, call: &Call, now: Timestamp) -> Answer {
        if call.media_type().as_deref() != Some("application/x-www-form-urlencoded") {
            return refused(400, "invalid_request", "The body must be a form");
        }
        let form: HashMap<String, String> =
            form_urlencoded::parse(&call.body).into_owned().collect();
        let given = |name: &str| form.get(name).cloned();
        let in_body = given("client_id").zip(given("client_secret"));
        let client = match (call.basic(), in_body) {
            // A client must not use more than one way in a request (RFC 6749, 2.3).
            (Some(_), Some(_)) => {
                return refused(400, "invalid_request", "The client authenticates twice");
            }
            (found, None) | (None, found) => found,
        };
        if !self.has(Way::OAuth)
            || client != Some((self.client_id.clone(), self.client_secret.clone()))
        {
            return refused(401, "invalid_client", "The client is not known");
        }
        if given("grant_type").as_deref() != Some("client_credentials") {
            return refused(400, "unsupported_grant_type", "Only client_credentials is supported");
        }
        let wrong = match given("scope").filter(|scope| !scope.is_empty()) {
            Some(scope) => scope.split(' ').any(|scope| scope != self.scope),
            None => self.scope_required,
        };
        if wrong {
            return refused(400, "invalid_scope", "The scope is missing or not granted");
        }
        let token = self.rng.hex(24);
        self.live.retain(|_, until| *until > now);
        self.live.insert(token.clone(), now + SignedDuration::from_secs(LIFETIME));
        let body = json!({
            "access_token": token, "token_type": "Bearer", "expires_in": LIFETIME,
            "scope": self.scope,
        });
        Answer::json(200, &body).with("cache-control", "no-store")
    }

    /// Returns whether a call has a valid credential.
    pub fn admits(&self, call: &Call, now: Timestamp) -> bool {
        if let Some(pair) = call.basic() {
            return self.has(Way::Basic) && pair == (self.username.clone(), self.password.clone());
        }
        let header = call.header("authorization").and_then(|header| header.split_once(' '));
        let Some((scheme, token)) = header else { return false };
        let token = token.trim();
        scheme.eq_ignore_ascii_case("bearer")
            && (self.has(Way::Bearer) && token == self.token
                || self.has(Way::OAuth) && self.live.get(token).is_some_and(|until| *until > now))
    }

    /// Returns the credentials, for the control API.
    pub fn shown(&self) -> Value {
        json!({
            "ways": self.ways, "token": self.token, "username": self.username,
            "password": self.password, "clientId": self.client_id,
            "clientSecret": self.client_secret, "scope": self.scope,
            "scopeRequired": self.scope_required, "rights": self.rights,
        })
    }
}
