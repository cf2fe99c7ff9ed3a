//! What JumpCloud's answers mean: a message in one of two forms, and the status.

use super::catalog::{MARK, TABLE};
use crate::provider::prelude::*;

/// Expires a password. The body of its answer says nothing (JumpCloud API v1,
/// `ExpireUserPassword_POST`).
pub(super) const EXPIRE: Route = Route::new("expire", Purpose::Update);

/// The most characters of a plain text that is a message. A longer text is a page.
const SENTENCE: usize = 500;

/// Attributes that no two users have the same value of.
pub(super) const UNIQUE: [&str; 3] = ["email", "username", "employeeIdentifier"];

/// What a refusal means that is not about a value.
const RULES: [Rule; 10] = [
    Rule::on(&[401], Means::Unauthorized, UNAUTHORIZED),
    // jumpcloud.com, "A JumpCloud service returns 403 Forbidden: your IP has been blocked due to
    // suspected abuse".
    Rule::on(&[403], Means::NoAnswer, STATUS).word(&["blocked", "abuse"]),
    Rule::on(&[400, 403, 404], Means::Denied, ORGANIZATION).word(&["x-org-id"]),
    // A refusal of a call about one user may name the organization and mean that user.
    Rule::on(&[400, 403, 404], Means::Denied, ORGANIZATION)
        .of(&[Purpose::List])
        .word(&["organization"])
        .also(&["not found", "not match", "invalid"]),
    Rule::on(&[400, 403, 404], Means::NotFound, "").of(ONE_USER).word(&["user not found"]),
    Rule::on(&[403], Means::Forbidden, NEEDS_ROLE).of(ONE_USER),
    Rule::on(&[403], Means::Forbidden, NEEDS).of(&[Purpose::Create]),
    Rule::on(&[403], Means::Denied, NEEDS),
    Rule::on(&[404], Means::NotFound, "").of(ONE_USER),
    Rule::on(&[], Means::Unavailable, STATUS).of(&[Purpose::Find]),
];

const ONE_USER: &[Purpose] = &[Purpose::Find, Purpose::Update];
const ORGANIZATION: &str = "organizationId has to be an organization of the administrator who owns \
    the API key; JumpCloud said: {said}";
const UNAUTHORIZED: &str =
    "{said}; an administrator of several organizations also needs organizationId";
const NEEDS_ROLE: &str = "the administrator who owns the API key needs a role that may change this \
    user; JumpCloud said: {said}";
const NEEDS: &str = "the administrator who owns the API key needs a role that may manage users; \
    JumpCloud said: {said}";

/// Words about a value that another account has. JumpCloud has no code for it ("User already exists
/// or Bad Request").
const TAKEN: [&str; 8] = [
    "already exist",
    "already in use",
    "already taken",
    "already been taken",
    "already used",
    "duplicate",
    "must be unique",
    "not unique",
];

/// Returns whether an answer grants the call, and if not, what to do about it.
///
/// # Errors
/// Every answer except a 2xx with JSON.
pub(super) fn judge(route: Route, answer: &Answer, sent: Sent<'_>) -> Result<(), Error> {
    if route == EXPIRE && answer.status.is_success() && !answer.is_html() {
        return Ok(());
    }
    let wait = retry_after(answer);
    if let Some(judged) = by_status(route, answer, wait) {
        return judged;
    }
    let body = Body::read(answer);
    let named = body.field.as_deref().filter(|name| !name.is_empty());
    let refusal = Refusal { named, ..Refusal::new(route, answer, sent, &body.text) };
    let names = |target: &str| TABLE.names(target);
    Err(refusal.by(&RULES).unwrap_or_else(|| refusal.of_value(MARK, &UNIQUE, &TAKEN, names)))
}

/// What an error body says: `{"code", "message", "status"[, "details"]}`, or from older routes
/// `{"message"}` or plain text.
#[derive(Debug, Default)]
struct Body {
    text: String,
    field: Option<String>,
}

impl Body {
    fn read(answer: &Answer) -> Self {
        if answer.body.len() > ERROR_BODY {
            return Self::default();
        }
        let Ok(body) = serde_json::from_slice::<Value>(&answer.body) else {
            let text = std::str::from_utf8(&answer.body).map(str::trim).unwrap_or_default();
            return Self {
                text: if text.chars().count() <= SENTENCE {
                    text.to_owned()
                } else {
                    String::new()
                },
                field: None,
            };
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let message = [&body["message"], &body["error"], &body["error"]["message"], &body]
            .into_iter()
            .map(text)
            .find(|text| !text.is_empty());
        let mut message = message.unwrap_or_default();
        let violations = body["details"].as_array().into_iter().flatten();
        let violations: Vec<&Value> = violations
            .flat_map(|detail| detail["fieldViolationsList"].as_array().into_iter().flatten())
            .collect();
        for violation in &violations {
            message = format!(
                "{message} ({}: {})",
                text(&violation["field"]),
                text(&violation["description"])
            );
        }
        Self { text: message, field: violations.first().map(|violation| text(&violation["field"])) }
    }
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
