//! What `OneLogin`'s answers mean: every form of error body, sorted by what to do about it.

use super::catalog::{CUSTOM, MARK, TABLE};
use crate::provider::prelude::*;

/// The wait after a refusal for the number of calls while the window has calls left.
const SHORT_WAIT: Duration = Duration::from_secs(5);

/// What a refusal means that is not about a value.
const RULES: [Rule; 5] = [
    Rule::on(&[400, 401, 403], Means::Unauthorized, "{said}").of(&[Purpose::Token]),
    Rule::on(&[403], Means::Forbidden, NOT_REACHED).of(&[Purpose::Update]),
    Rule::on(&[403], Means::Forbidden, NOT_REACHED).of(&[Purpose::Create]).word(&["account owner"]),
    Rule::on(&[403], Means::Forbidden, NEEDS).of(&[Purpose::Create]),
    Rule::on(&[403], Means::Denied, NEEDS),
];

/// The text of a user that the credential may not change.
const NOT_REACHED: &str = "no API credential may change the account owner, and for any other user \
    it needs the scope \"Manage users\"; OneLogin said: {said}";
/// The text of a missing permission.
pub(super) const NEEDS: &str =
    "the OneLogin API credential needs the scope \"Manage users\"; OneLogin said: {said}";

/// Words about a value that another account has.
const TAKEN: [&str; 2] = ["must be unique", "already been taken"];

/// Returns whether an answer grants the call, and if not, what to do about it.
///
/// # Errors
/// Every answer except a 2xx with JSON.
pub(super) fn judge(route: Route, answer: &Answer, sent: Sent<'_>) -> Result<(), Error> {
    // developers.onelogin.com, "Generate Tokens": this is the answer to the credential of a deleted
    // user.
    if answer.status.as_u16() == 500 && route == Route::TOKEN {
        return Err(route.no_answer(
            "HTTP 500 for the token; if this lasts, the OneLogin user who made the API credential \
             may have been deleted",
        ));
    }
    if let Some(judged) = by_status(route, answer, wait(answer)) {
        return judged;
    }
    let (text, named) = read(&answer.body);
    let refusal = Refusal { named: named.as_deref(), ..Refusal::new(route, answer, sent, &text) };
    let of_value = |refusal: Refusal<'_>| refusal.of_value(MARK, &TABLE.names, &TAKEN, names);
    Err(refusal.by(&RULES).unwrap_or_else(|| of_value(refusal)))
}

/// Returns when to come back: `Retry-After`, else the seconds until the window resets
/// (developers.onelogin.com, "Get Rate Limit": they are relative). If the window has calls left,
/// another limit refused the call, and the reset says nothing about that limit.
fn wait(answer: &Answer) -> Option<Duration> {
    let reset = || match answer.number("x-ratelimit-remaining") {
        Some(left) if left > 0 => Some(SHORT_WAIT),
        _ => answer.number("x-ratelimit-reset").map(clamp_wait),
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
        names.extend([shortname.to_owned(), shortname.replace('_', " ")]);
        names.push(format!("custom_attribute_{shortname}"));
    }
    // "Validation failed: Manager user must exist": the ending is left off, as Rails does.
    names.extend(target.strip_suffix("_id").map(|stem| stem.replace('_', " ")));
    let words = TABLE.locate(target).map_or(&[][..], |place| place.field.words);
    names.extend(words.iter().map(|word| (*word).to_owned()));
    names
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
