//! What `OneLogin`'s answers mean: every shape of error body, sorted by what to do about it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    catalog::{CUSTOM, TEXTS},
    scrub::scrub,
};
use crate::{
    domain::{
        account::{AccountWrite, NewValue},
        mapping::Mapping,
    },
    provider::{Error, http::Answer},
};

/// Error bodies beyond this are not read.
const BODY: usize = 64 * 1024;

/// No wait is believed beyond the length of the window.
const LONGEST_WAIT: u64 = 3600;

/// The calls there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Token,
    List,
    Definitions,
    Find,
    Create,
    Update,
}

impl Route {
    /// The bounded word for metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::List => "list",
            Self::Definitions => "custom_attributes",
            Self::Find => "find",
            Self::Create => "create",
            Self::Update => "update",
        }
    }

    pub(super) const fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Update)
    }

    /// No trustworthy answer to a call that may have arrived.
    pub(super) fn no_answer(self, said: impl Into<String>) -> Error {
        let said = said.into();
        if self.writes() { Error::Unknown { said } } else { Error::Unavailable { said } }
    }
}

/// What went out with a call, and must not come back in a text.
#[derive(Clone, Copy)]
pub(super) enum Sent<'a> {
    Nothing,
    Key(&'a str),
    Credential(&'a str, &'a str),
    Write(&'a Mapping, &'a AccountWrite),
}

impl Sent<'_> {
    /// `OneLogin`'s names of the attributes that were sent.
    fn targets(&self) -> Vec<&str> {
        match self {
            Self::Write(mapping, write) => {
                let rows = write.attributes.iter().filter_map(|(row, _)| mapping.rows.get(*row));
                rows.map(|row| &*row.target).chain(write.mark.as_ref().map(|_| "external_id")).collect()
            }
            _ => Vec::new(),
        }
    }

    fn clean(&self, text: &str) -> String {
        let Self::Write(_, write) = self else {
            let values = match *self {
                Self::Key(key) => vec![key],
                Self::Credential(id, secret) => vec![id, secret],
                Self::Nothing | Self::Write(..) => Vec::new(),
            };
            return scrub(text, &values);
        };
        let foreign = write.foreign.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let foreign = foreign.iter().filter_map(Value::as_object).flat_map(serde_json::Map::values).filter_map(Value::as_str);
        let set = write.attributes.iter().filter_map(|(_, value)| match value {
            NewValue::Set(text) => Some(&**text),
            NewValue::Clear => None,
        });
        scrub(text, &set.chain(write.mark.as_deref()).chain(foreign).collect::<Vec<_>>())
    }
}

/// Whether an answer grants the call, and if not, what to do about it.
///
/// # Errors
/// Everything but a 2xx with JSON.
pub(super) fn judge(route: Route, answer: &Answer, sent: Sent<'_>) -> Result<(), Error> {
    let status = answer.status.as_u16();
    match status {
        200..=299 if answer.is_json() => return Ok(()),
        200..=299 if answer.is_html() => return Err(route.no_answer("a page for people came instead of JSON")),
        200..=299 => return Err(route.no_answer(format!("HTTP {status} without JSON"))),
        300..=399 => return Err(route.no_answer(format!("HTTP {status}, a redirect, which is never followed"))),
        429 => return Err(Error::Throttled { wait: wait(answer) }),
        // developers.onelogin.com, "Generate Tokens": so the credential of a deleted user is answered.
        500 if route == Route::Token => {
            return Err(route
                .no_answer("HTTP 500 for the token; if this lasts, the OneLogin user who made the API credential may have been deleted"));
        }
        408 | 500.. => return Err(route.no_answer(format!("HTTP {status}"))),
        _ if answer.is_html() => return Err(route.no_answer(format!("HTTP {status} with a page for people"))),
        _ => {}
    }
    let (text, named) = read(&answer.body);
    let clean = sent.clean(&text);
    let said = if clean.is_empty() { format!("HTTP {status}") } else { clean };
    Err(match (status, route) {
        (400 | 401 | 403, Route::Token) | (401, _) => Error::Unauthorized { said },
        (403, Route::Update) => Error::Forbidden { said },
        (403, Route::Create) if speaks_of_the_owner(&text) => Error::Forbidden { said },
        (403, _) => denied(&said),
        (404, Route::Find | Route::Update) => Error::NotFound,
        (_, Route::Token | Route::List | Route::Definitions) => Error::Unavailable { said: format!("HTTP {status}: {said}") },
        (404, Route::Create) => Error::Unavailable { said: format!("HTTP 404: {said}") },
        _ => {
            let field = field(&sent.targets(), named.as_deref(), &[&said, &text]);
            let key = field.as_deref().is_none_or(|field| matches!(field, "email" | "username"));
            if status == 409 || (key && speaks_of_a_duplicate(&text)) {
                Error::Duplicate { field: field.filter(|_| key) }
            } else {
                Error::Rejected { field, said }
            }
        }
    })
}

/// The credential may not do this kind of call.
pub(super) fn denied(said: &str) -> Error {
    Error::Denied { said: format!("the OneLogin API credential needs the scope \"Manage users\"; OneLogin said: {said}") }
}

fn speaks_of_the_owner(text: &str) -> bool {
    text.to_lowercase().contains("account owner")
}

fn speaks_of_a_duplicate(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("must be unique") || text.contains("already been taken")
}

/// When to come back: `Retry-After`, else the seconds until the window resets (developers.onelogin.com, "Get Rate
/// Limit": they are relative).
pub(super) fn wait(answer: &Answer) -> Option<Duration> {
    let after = answer.header("retry-after");
    let seconds = after.and_then(|text| text.parse().ok());
    let until = || {
        let date = jiff::fmt::rfc2822::parse(after?).ok()?.timestamp();
        u64::try_from(date.duration_since(Timestamp::now()).as_secs()).ok()
    };
    let wait = seconds.or_else(until).or_else(|| answer.number("x-ratelimit-reset"))?;
    Some(Duration::from_secs(wait.clamp(1, LONGEST_WAIT)))
}

/// What an error body says, and the attribute it names of its own accord. `OneLogin` has several shapes:
/// `{message, name, statusCode, field?}`, `{status, error, description}`, `{code, message, errors: [{field, message}]}`,
/// `{status: {code, type, message | {attribute, description}}}`, `{message}`.
fn read(body: &[u8]) -> (String, Option<String>) {
    let mut said = Vec::new();
    let mut field = None;
    if body.len() <= BODY
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
        Value::String(text) if !text.trim().is_empty() && !said.contains(text) => said.push(text.clone()),
        Value::Array(items) => items.iter().take(20).for_each(|item| gather(item, depth + 1, said, field)),
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

/// Which of the sent attributes an error speaks of: the one it names, else the one that stands first in the text.
fn field(targets: &[&str], named: Option<&str>, texts: &[&str]) -> Option<String> {
    let called = |target: &&str, name: &str| names(target).iter().any(|known| known.eq_ignore_ascii_case(name.trim()));
    if let Some(target) = named.and_then(|name| targets.iter().find(|target| called(target, name))) {
        return Some((*target).to_owned());
    }
    texts.iter().find_map(|text| {
        let text = text.to_lowercase();
        let places = targets.iter().filter_map(|target| {
            let found =
                names(target).into_iter().filter_map(|name| Some((word(&text, &name.to_lowercase())?, std::cmp::Reverse(name.len()))));
            found.min().map(|place| (place, *target))
        });
        places.min().map(|(_, target)| target.to_owned())
    })
}

/// The words in which a refusal may speak of an attribute.
fn names(target: &str) -> Vec<String> {
    let mut names = vec![target.to_owned(), target.replace('_', " ")];
    if let Some(shortname) = target.strip_prefix(CUSTOM) {
        names.extend([shortname.to_owned(), shortname.replace('_', " "), format!("custom_attribute_{shortname}")]);
    }
    // "Validation failed: Manager user must exist": the ending is left off, as Rails does.
    names.extend(target.strip_suffix("_id").map(|stem| stem.replace('_', " ")));
    names.extend(TEXTS.iter().filter(|(name, _)| *name == target).map(|(_, label)| (*label).to_owned()));
    names
}

/// Where `name` stands in `text` as a whole word.
fn word(text: &str, name: &str) -> Option<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name).map(|(at, _)| at).find(|&at| {
        let after = text[at + name.len()..].chars().next();
        !text[..at].chars().next_back().is_some_and(part) && !after.is_some_and(part)
    })
}

#[cfg(test)]
#[path = "errors_tests.rs"]
mod tests;
