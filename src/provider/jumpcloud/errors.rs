//! What JumpCloud's answers mean: a message in one of two forms, and the status.

use serde_json::Value;

use super::catalog::{Array, MARK, TEXTS, Target, locate};
use crate::{
    http::client::Answer,
    provider::{
        Error,
        answers::{ERROR_BODY, Purpose, Route, Sent, field, retry_after, without_words},
    },
};

/// Expires a password. The body of its answer says nothing (JumpCloud API v1,
/// `ExpireUserPassword_POST`).
pub(super) const EXPIRE: Route = Route::new("expire", Purpose::Update);

/// The most characters of a plain text that is a message. A longer text is a page.
const SENTENCE: usize = 500;

/// Attributes that no two users have the same value of.
pub(super) const UNIQUE: [&str; 3] = ["email", "username", "employeeIdentifier"];

/// Returns whether an answer grants the call, and if not, what to do about it.
///
/// # Errors
/// Every answer except a 2xx with JSON.
pub(super) fn judge(route: Route, answer: &Answer, sent: Sent<'_>) -> Result<(), Error> {
    let status = answer.status.as_u16();
    if route == EXPIRE && answer.status.is_success() && !answer.is_html() {
        return Ok(());
    }
    if let Some(judged) = without_words(route, answer, retry_after(answer)) {
        return judged;
    }
    let body = Body::read(answer);
    let clean = sent.clean(&body.text);
    let said = if clean.is_empty() { format!("HTTP {status}") } else { clean };
    let lower = body.text.to_lowercase();
    Err(match (status, route.purpose) {
        (401, _) => Error::Unauthorized {
            said: format!(
                "{said}; an administrator of several organizations also needs organizationId"
            ),
        },
        // jumpcloud.com, "A JumpCloud service returns 403 Forbidden: your IP has been blocked due
        // to suspected abuse".
        (403, _) if lower.contains("blocked") || lower.contains("abuse") => {
            route.no_answer(format!("HTTP 403: {said}"))
        }
        (400 | 403 | 404, purpose) if speaks_of_the_organization(purpose, &lower) => {
            Error::Denied {
                said: format!(
                    "organizationId has to be an organization of the administrator who owns the API key; JumpCloud said: {said}"
                ),
            }
        }
        (400 | 403 | 404, Purpose::Find | Purpose::Update) if lower.contains("user not found") => {
            Error::NotFound
        }
        (403, Purpose::Update | Purpose::Find) => forbidden(&said),
        (403, Purpose::Create) => Error::Forbidden { said: needs(&said) },
        (403, _) => denied(&said),
        (404, Purpose::Find | Purpose::Update) => Error::NotFound,
        (_, Purpose::Token | Purpose::List | Purpose::Definitions | Purpose::Find) => {
            Error::Unavailable { said: format!("HTTP {status}: {said}") }
        }
        (404, Purpose::Create) => Error::Unavailable { said: format!("HTTP 404: {said}") },
        _ => {
            let named = body.field.as_deref().filter(|name| !name.is_empty());
            let field = field(&sent.targets(MARK), named, &[&said, &body.text], names);
            let is_unique = |field: &str| UNIQUE.contains(&field);
            let unique = field.as_deref().is_none_or(is_unique)
                && sent.targets(MARK).into_iter().any(is_unique);
            if status == 409 && !unique {
                // The call sent nothing that another user could have.
                return Err(Error::Unavailable { said: format!("HTTP 409: {said}") });
            }
            if unique && (status == 409 || speaks_of_a_duplicate(&lower)) {
                Error::Duplicate { field }
            } else {
                let of_password = |text: &str| sent.password_refused(text, "password", &said);
                let of_password = of_password(named.unwrap_or(&said))
                    .or_else(|| of_password(&body.text).filter(|_| field.is_none()));
                of_password.unwrap_or(Error::Rejected { field, said })
            }
        }
    })
}

/// Returns the error of a key with an owner who may not do this to this account.
fn forbidden(said: &str) -> Error {
    let needs = "the administrator who owns the API key needs a role that may change this user";
    Error::Forbidden { said: format!("{needs}; JumpCloud said: {said}") }
}

/// Returns the error of a key with an owner who may not make this kind of call.
fn denied(said: &str) -> Error {
    Error::Denied { said: needs(said) }
}

fn needs(said: &str) -> String {
    format!(
        "the administrator who owns the API key needs a role that may manage users; JumpCloud said: {said}"
    )
}

/// Returns whether a refusal is about the organization itself. That is so if it names the
/// organization's header, or if the call lists all users. A refusal of a call about one user may
/// name the organization and mean that user.
fn speaks_of_the_organization(purpose: Purpose, text: &str) -> bool {
    text.contains("x-org-id")
        || (purpose == Purpose::List
            && text.contains("organization")
            && ["not found", "not match", "invalid"].iter().any(|word| text.contains(word)))
}

/// Returns whether the text is about a duplicate. JumpCloud has no code for it ("User already
/// exists or Bad Request").
fn speaks_of_a_duplicate(text: &str) -> bool {
    [
        "already exist",
        "already in use",
        "already taken",
        "already been taken",
        "already used",
        "duplicate",
        "must be unique",
        "not unique",
    ]
    .iter()
    .any(|words| text.contains(words))
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

/// Returns the words by which a refusal may name an attribute.
fn names(target: &str) -> Vec<String> {
    let mut names = vec![target.to_owned()];
    match locate(target) {
        Some(Target::Text(name)) => names.extend(
            TEXTS.iter().find(|(known, _)| *known == name).map(|(_, words)| (*words).to_owned()),
        ),
        Some(Target::Phone(kind)) => {
            names.extend([kind.to_owned(), "phoneNumbers".to_owned(), "phone number".to_owned()])
        }
        Some(Target::Address(kind, part)) => {
            names.extend([part.to_owned(), kind.to_owned(), "addresses".to_owned()])
        }
        Some(Target::Custom(name)) => {
            names.extend([name.to_owned(), Array::Attributes.name().to_owned()])
        }
        None => {}
    }
    names
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
