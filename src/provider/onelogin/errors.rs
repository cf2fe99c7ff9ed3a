//! What `OneLogin`'s answers mean: every form of error body, sorted by what to do about it.

use std::time::Duration;

use serde_json::Value;

use super::catalog::{CUSTOM, MARK, TEXTS};
use crate::{
    http::client::Answer,
    provider::{
        Error,
        answers::{ERROR_BODY, Purpose, Route, Sent, believed, field, retry_after, without_words},
    },
};

/// The wait after a refusal for the number of calls while the window has calls left.
const SHORT_WAIT: Duration = Duration::from_secs(5);

/// Returns whether an answer grants the call, and if not, what to do about it.
///
/// # Errors
/// Every answer except a 2xx with JSON.
pub(super) fn judge(route: Route, answer: &Answer, sent: Sent<'_>) -> Result<(), Error> {
    let status = answer.status.as_u16();
    // developers.onelogin.com, "Generate Tokens": this is the answer to the credential of a deleted
    // user.
    if status == 500 && route == Route::TOKEN {
        return Err(
            route.no_answer("HTTP 500 for the token; if this lasts, the OneLogin user who made the API credential may have been deleted")
        );
    }
    if let Some(judged) = without_words(route, answer, wait(answer)) {
        return judged;
    }
    let (text, named) = read(&answer.body);
    let clean = sent.clean(&text);
    let said = if clean.is_empty() { format!("HTTP {status}") } else { clean };
    Err(match (status, route.purpose) {
        (400 | 401 | 403, Purpose::Token) | (401, _) => Error::Unauthorized { said },
        (403, Purpose::Update) => Error::Forbidden { said },
        (403, Purpose::Create) if speaks_of_the_owner(&text) => Error::Forbidden { said },
        (403, Purpose::Create) => Error::Forbidden { said: needs(&said) },
        (403, _) => denied(&said),
        (404, Purpose::Find | Purpose::Update) => Error::NotFound,
        (_, Purpose::Token | Purpose::List | Purpose::Definitions) => {
            Error::Unavailable { said: format!("HTTP {status}: {said}") }
        }
        (404, Purpose::Create) => Error::Unavailable { said: format!("HTTP 404: {said}") },
        _ => {
            let field = field(&sent.targets(MARK), named.as_deref(), &[&said, &text], names);
            let is_key = |field: &str| matches!(field, "email" | "username");
            let key =
                field.as_deref().is_none_or(is_key) && sent.targets(MARK).into_iter().any(is_key);
            if status == 409 && !key {
                // The call sent nothing that another account could have.
                return Err(Error::Unavailable { said: format!("HTTP 409: {said}") });
            }
            if status == 409 || (key && speaks_of_a_duplicate(&text)) {
                Error::Duplicate { field: field.filter(|_| key) }
            } else {
                Error::Rejected { field, said }
            }
        }
    })
}

/// Returns the error of a credential that may not make this kind of call.
pub(super) fn denied(said: &str) -> Error {
    Error::Denied { said: needs(said) }
}

fn needs(said: &str) -> String {
    format!("the OneLogin API credential needs the scope \"Manage users\"; OneLogin said: {said}")
}

fn speaks_of_the_owner(text: &str) -> bool {
    text.to_lowercase().contains("account owner")
}

fn speaks_of_a_duplicate(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("must be unique") || text.contains("already been taken")
}

/// Returns when to come back: `Retry-After`, else the seconds until the window resets
/// (developers.onelogin.com, "Get Rate Limit": they are relative). If the window has calls left,
/// another limit refused the call, and the reset says nothing about that limit.
fn wait(answer: &Answer) -> Option<Duration> {
    let reset = || match answer.number("x-ratelimit-remaining") {
        Some(left) if left > 0 => Some(SHORT_WAIT),
        _ => answer.number("x-ratelimit-reset").map(believed),
    };
    retry_after(answer).or_else(reset)
}

/// Returns what an error body says, and the attribute that it names itself. `OneLogin` has several
/// forms: `{message, name, statusCode, field?}`, `{status, error, description}`,
/// `{code, message, errors: [{field, message}]}`,
/// `{status: {code, type, message | {attribute, description}}}`, `{message}`.
fn read(body: &[u8]) -> (String, Option<String>) {
    let mut said = Vec::new();
    let mut field = None;
    if body.len() <= ERROR_BODY
        && let Ok(value) = serde_json::from_slice::<Value>(body)
    {
        gather(&value, 0, &mut said, &mut field);
        if said.is_empty()
            && let Some(Value::String(error)) = value.get("error")
        {
            said.push(error.clone());
        }
    }
    (said.join("; "), field)
}

fn gather(value: &Value, depth: u8, said: &mut Vec<String>, field: &mut Option<String>) {
    match value {
        Value::String(text) if !text.trim().is_empty() && !said.contains(text) => {
            said.push(text.clone())
        }
        Value::Array(items) => {
            items.iter().take(20).for_each(|item| gather(item, depth + 1, said, field))
        }
        Value::Object(object) if depth < 6 => {
            for name in ["field", "attribute"] {
                if let Some(Value::String(named)) = object.get(name) {
                    field.get_or_insert_with(|| named.clone());
                }
            }
            for key in ["message", "description", "error_description", "errors"] {
                if let Some(inner) = object.get(key) {
                    gather(inner, depth + 1, said, field);
                }
            }
            if let Some(status @ Value::Object(_)) = object.get("status") {
                gather(status, depth + 1, said, field);
            }
        }
        _ => {}
    }
}

/// Returns the words by which a refusal may name an attribute.
fn names(target: &str) -> Vec<String> {
    let mut names = vec![target.to_owned(), target.replace('_', " ")];
    if let Some(shortname) = target.strip_prefix(CUSTOM) {
        names.extend([
            shortname.to_owned(),
            shortname.replace('_', " "),
            format!("custom_attribute_{shortname}"),
        ]);
    }
    // "Validation failed: Manager user must exist": the ending is left off, as Rails does.
    names.extend(target.strip_suffix("_id").map(|stem| stem.replace('_', " ")));
    names.extend(
        TEXTS.iter().filter(|(name, _)| *name == target).map(|(_, label)| (*label).to_owned()),
    );
    names
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
