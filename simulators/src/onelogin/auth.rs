//! `/auth/*`: tokens, revocation and the rate-limit report.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::errors;
use super::state::State;
use crate::front::{Answer, Call};

/// Whether the answer is v1's envelope or v2's flat object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

/// Reads the client's id and secret and the rest of the request, in one of the four documented
/// forms: the vendor's own header or Basic with a JSON body, or everything in a JSON or a form
/// body.
fn client(call: &Call) -> Option<(String, String, Value)> {
    let media = call.media_type();
    if media.as_deref() == Some("application/x-www-form-urlencoded") {
        if call.header("authorization").is_some() {
            return None;
        }
        let pairs = form_urlencoded::parse(&call.body).into_owned();
        let body: Value = pairs.map(|(key, value)| (key, Value::from(value))).collect();
        return in_body(body);
    }
    if media.as_deref() != Some("application/json") {
        return None;
    }
    let body: Value = serde_json::from_slice(&call.body).ok()?;
    let Some(header) = call.header("authorization") else { return in_body(body) };
    let (id, secret) = call.basic().or_else(|| {
        let (id, secret) = header.split_once(',')?;
        let id = id.trim().strip_prefix("client_id:")?.trim();
        let secret = secret.trim().strip_prefix("client_secret:")?.trim();
        Some((id.to_owned(), secret.to_owned()))
    })?;
    Some((id, secret, body))
}

fn in_body(body: Value) -> Option<(String, String, Value)> {
    let part = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
    Some((part("client_id")?, part("client_secret")?, body))
}

/// Handles `POST /auth/oauth2/v2/token` and `POST /auth/oauth2/token`.
pub fn token(state: &mut State, call: &Call, version: Version, now: Timestamp) -> Answer {
    let Some((id, secret, body)) = client(call) else {
        return errors::v1(400, "Authorization Information is incorrect");
    };
    if state.quirks.credential_owner_deleted {
        return errors::v1(500, "Internal Server Error");
    }
    if !state.tokens.knows(&id, &secret) {
        return errors::v1(401, "Authentication Failure");
    }
    if body.get("grant_type").and_then(Value::as_str) != Some("client_credentials") {
        return errors::v1(
            400,
            "grant_type is incorrect. Please use grant_type: client_credentials",
        );
    }
    let token = state.tokens.issue(now);
    match version {
        Version::V1 => Answer::json(200, &json!({"status": errors::v1_success(), "data": [token]})),
        Version::V2 => Answer::json(200, &token),
    }
}

/// Handles `POST /auth/oauth2/revoke`.
pub fn revoke(state: &mut State, call: &Call) -> Answer {
    let Some((id, secret, body)) = client(call) else {
        return errors::v1(400, "Authorization Information is incorrect");
    };
    if !state.tokens.knows(&id, &secret) {
        return errors::v1(401, "Authentication Failure");
    }
    match body.get("access_token").and_then(Value::as_str) {
        None => errors::v1(
            400,
            json!({"attribute": "access_token", "description": "access_token is missing"}),
        ),
        Some(access) if state.tokens.revoke(access) => {
            Answer::json(200, &json!({"status": errors::v1_success()}))
        }
        Some(_) => errors::v1(401, "Authentication Failure"),
    }
}

/// Returns the bearer token; the documentation writes it with a blank and with a colon.
pub fn bearer(call: &Call) -> Option<&str> {
    let header = call.header("authorization")?;
    let (scheme, token) = header.split_once([' ', ':'])?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Handles `GET /auth/rate_limit`: `Reset` is seconds until the window refills.
pub fn rate_limit(state: &mut State, call: &Call, now: Timestamp) -> Answer {
    let Some(token) = bearer(call) else {
        return errors::v1(400, "Authorization Information is incorrect");
    };
    if !state.tokens.accepts(token, now) || !state.tokens.scope.reads_users() {
        return errors::v1(401, "Authentication Failure");
    }
    let window = state.window.look(now);
    Answer::json(
        200,
        &json!({
            "status": errors::v1_success(),
            "data": {
                "X-RateLimit-Limit": window.limit,
                "X-RateLimit-Remaining": window.remaining,
                "X-RateLimit-Reset": window.seconds_left(now),
            },
        }),
    )
}
