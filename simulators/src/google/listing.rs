//! Pages, projections, partial answers and searches.

use base64::{Engine as _, prelude::BASE64_URL_SAFE};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::errors;
use super::state::State;
use super::users::User;
use crate::front::{Answer, Call};

type Checked<T> = Result<T, Answer>;

const KNOWN: [&str; 16] = [
    "customer",
    "domain",
    "maxResults",
    "pageToken",
    "orderBy",
    "sortOrder",
    "query",
    "projection",
    "customFieldMask",
    "showDeleted",
    "viewType",
    "fields",
    "alt",
    "prettyPrint",
    "quotaUser",
    "event",
];

/// The parameters of a read.
struct Asked {
    pairs: Vec<(String, String)>,
}

impl Asked {
    fn read(call: &Call) -> Checked<Self> {
        let pairs = call.pairs();
        for (at, (name, value)) in pairs.iter().enumerate() {
            let twice = pairs[..at].iter().any(|(earlier, _)| earlier == name);
            if !KNOWN.contains(&name.as_str()) || twice || (name == "alt" && value != "json") {
                let message = format!(
                    "Invalid JSON payload received. Unknown name \"{name}\": Cannot bind query parameter."
                );
                return Err(errors::refused(400, "badRequest", &message));
            }
        }
        Ok(Self { pairs })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Which custom schemas are shown; `None`: all.
    fn custom(&self) -> Checked<Option<Vec<String>>> {
        let mask = self
            .get("customFieldMask")
            .map(|mask| mask.split(',').map(str::to_owned).collect::<Vec<_>>());
        match (self.get("projection").unwrap_or("basic"), mask) {
            ("basic", _) => Ok(Some(Vec::new())),
            ("full", _) => Ok(None),
            ("custom", Some(mask)) => Ok(Some(mask)),
            ("custom", None) => Err(errors::required("customFieldMask")),
            _ => Err(errors::refused(400, "invalid", "Invalid value for projection")),
        }
    }

    fn answer(&self, value: Value) -> Checked<Answer> {
        let value = match self.get("fields") {
            Some(fields) => selected(value, fields).ok_or_else(|| {
                errors::refused(400, "invalidParameter", "Invalid field selection")
            })?,
            None => value,
        };
        Ok(Answer::json(200, &value))
    }
}

/// Returns a user as a read shows it.
fn shown(
    state: &State,
    user: &User,
    custom: Option<&[String]>,
    listed: bool,
    now: Timestamp,
) -> Value {
    let mut value = user.value();
    if let Some(mask) = custom {
        if let Some(Value::Object(schemas)) = value.get_mut("customSchemas") {
            schemas.retain(|schema, _| mask.contains(schema));
        }
        let none = value.get("customSchemas").and_then(Value::as_object).is_none_or(Map::is_empty);
        if none {
            value.remove("customSchemas");
        }
    }
    if listed && !user.has_flags(&state.quirks, now) {
        for name in ["suspended", "archived", "name"] {
            value.remove(name);
        }
    }
    Value::Object(value)
}

/// Handles `GET /users/{userKey}`.
pub fn get(state: &State, call: &Call, key: &str, now: Timestamp) -> Answer {
    let read = || {
        let asked = Asked::read(call)?;
        let user = state
            .users
            .find(key)
            .filter(|user| user.is_gettable(&state.quirks, now))
            .ok_or_else(|| state.no_user(key, now))?;
        let custom = asked.custom()?;
        asked.answer(shown(state, user, custom.as_deref(), false, now))
    };
    read().unwrap_or_else(|refused| refused)
}

/// Handles `GET /users`.
pub fn list(state: &State, call: &Call, now: Timestamp) -> Answer {
    page(state, call, now).unwrap_or_else(|refused| refused)
}

fn page(state: &State, call: &Call, now: Timestamp) -> Checked<Answer> {
    let asked = Asked::read(call)?;
    match (asked.get("customer"), asked.get("domain")) {
        (Some("my_customer" | "C01234567"), None) => {}
        (Some(_), None) => {
            return Err(errors::refused(
                403,
                "forbidden",
                "Not Authorized to access this resource/api",
            ));
        }
        (None, Some(domain)) if state.domains.iter().any(|own| own == domain) => {}
        (None, Some(_)) => return Err(errors::refused(404, "domainNotFound", "Domain not found.")),
        (None, None) | (Some(_), Some(_)) => {
            return Err(errors::refused(400, "badRequest", "Bad Request"));
        }
    }
    let size: usize = match asked.get("maxResults") {
        None => 100,
        Some(text) => text
            .parse()
            .ok()
            .filter(|size| (1..=500).contains(size))
            .ok_or_else(|| errors::refused(400, "invalid", "Invalid value for maxResults"))?,
    };
    let after: u128 = match asked.get("pageToken") {
        None => 0,
        Some(token) => {
            let decoded =
                BASE64_URL_SAFE.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            decoded.and_then(|text| text.strip_prefix("after:")?.parse().ok()).ok_or_else(|| {
                errors::refused(400, "invalid", "Invalid Input: INVALID_PAGE_TOKEN")
            })?
        }
    };
    let terms = asked.get("query").map(parse).transpose()?;
    let custom = asked.custom()?;
    let deleted = asked.get("showDeleted") == Some("true");
    let all: Box<dyn Iterator<Item = &User>> = if deleted {
        Box::new(state.users.deleted().filter(move |user| user.id > after))
    } else {
        Box::new(state.users.after(after))
    };
    let mut matching =
        all.filter(|user| user.is_listed(&state.quirks, now)).filter(|user| match &terms {
            Some(terms) => user
                .searchable(now)
                .is_some_and(|members| terms.iter().all(|term| term.holds(members))),
            None => true,
        });
    let rows: Vec<&User> = matching.by_ref().take(size).collect();
    let more = matching.next().is_some();
    let mut answer = json!({"kind": "admin#directory#users", "etag": "\"simulated\""});
    if !rows.is_empty() {
        answer["users"] =
            rows.iter().map(|user| shown(state, user, custom.as_deref(), true, now)).collect();
    }
    if let (true, Some(last)) = (more, rows.last()) {
        answer["nextPageToken"] = json!(BASE64_URL_SAFE.encode(format!("after:{}", last.id)));
    }
    asked.answer(answer)
}

/// One clause of a search: `field=value` or `field:value`.
struct Term {
    field: String,
    contains: bool,
    value: String,
}

/// developers.google.com, "Search for users": clauses with blanks between them; values with blanks
/// in single quotes.
fn parse(query: &str) -> Checked<Vec<Term>> {
    let bad = || errors::refused(400, "invalid", "Invalid Input: INVALID_QUERY");
    let mut terms = Vec::new();
    let mut chars = query.chars().peekable();
    loop {
        while chars.next_if(|c| *c == ' ').is_some() {}
        if chars.peek().is_none() {
            return if terms.is_empty() { Err(bad()) } else { Ok(terms) };
        }
        let mut field = String::new();
        while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || "._".contains(*c)) {
            field.push(c);
        }
        let contains = match chars.next() {
            Some('=') => false,
            Some(':') => true,
            _ => return Err(bad()),
        };
        let mut value = String::new();
        if chars.next_if_eq(&'\'').is_some() {
            loop {
                match chars.next().ok_or_else(bad)? {
                    '\'' => break,
                    '\\' => value.push(chars.next().ok_or_else(bad)?),
                    c => value.push(c),
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| *c != ' ') {
                value.push(c);
            }
        }
        let known = [
            "email",
            "givenName",
            "familyName",
            "externalId",
            "orgUnitPath",
            "isSuspended",
            "directManager",
            "phone",
        ];
        if !known.contains(&field.as_str()) || value.is_empty() {
            return Err(bad());
        }
        terms.push(Term { field, contains, value: value.to_lowercase() });
    }
}

impl Term {
    fn holds(&self, members: &Map<String, Value>) -> bool {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_lowercase();
        let entries =
            |name: &str| members.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let candidates: Vec<String> = match self.field.as_str() {
            "email" => {
                let aliases = entries("aliases");
                members.get("primaryEmail").into_iter().chain(&aliases).map(text).collect()
            }
            "givenName" | "familyName" => {
                members.get("name").map(|name| text(&name[&self.field])).into_iter().collect()
            }
            "externalId" => {
                entries("externalIds").iter().map(|entry| text(&entry["value"])).collect()
            }
            "phone" => entries("phones").iter().map(|entry| text(&entry["value"])).collect(),
            "directManager" => entries("relations")
                .iter()
                .filter(|entry| entry["type"] == "manager")
                .map(|entry| text(&entry["value"]))
                .collect(),
            "isSuspended" => members.get("suspended").map(Value::to_string).into_iter().collect(),
            _ => members.get("orgUnitPath").map(text).into_iter().collect(),
        };
        candidates.iter().any(|have| match self.value.strip_suffix('*') {
            Some(prefix) if self.contains => have.starts_with(prefix),
            _ if self.contains => have.contains(&self.value),
            _ => *have == self.value,
        })
    }
}

/// A partial answer: `nextPageToken,users(id,name(givenName),customSchemas)`; `a/b` is `a(b)`.
fn selected(value: Value, fields: &str) -> Option<Value> {
    let (selection, rest) = selection(fields)?;
    rest.is_empty().then(|| pick(&value, &selection))
}

struct Selected {
    name: String,
    inner: Vec<Selected>,
}

fn selection(text: &str) -> Option<(Vec<Selected>, &str)> {
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '*'))
            .unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        if name.is_empty() {
            return None;
        }
        rest = &rest[end..];
        let mut inner = Vec::new();
        if let Some(after) = rest.strip_prefix('(') {
            let (found, left) = selection(after)?;
            inner = found;
            rest = left.strip_prefix(')')?;
        } else if let Some(after) = rest.strip_prefix('/') {
            let end = after.find([',', ')']).unwrap_or(after.len());
            inner = selection(&after[..end])?.0;
            rest = &after[end..];
        }
        all.push(Selected { name, inner });
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None => return Some((all, rest)),
        }
    }
}

fn pick(value: &Value, selection: &[Selected]) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| pick(item, selection)).collect(),
        Value::Object(members) => {
            let mut picked = Map::new();
            for (name, value) in members {
                if let Some(found) =
                    selection.iter().find(|one| one.name == *name || one.name == "*")
                {
                    picked.insert(
                        name.clone(),
                        if found.inner.is_empty() {
                            value.clone()
                        } else {
                            pick(value, &found.inner)
                        },
                    );
                }
            }
            Value::Object(picked)
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_answer_has_what_was_selected_and_nothing_else() {
        let value = json!({"kind": "k", "users": [{"id": "1", "name": {"givenName": "A", "fullName": "A B"}, "phones": [{"type": "work"}]}], "nextPageToken": "t"});
        let picked =
            selected(value.clone(), "nextPageToken,users(id,name(givenName),phones)").unwrap();
        assert_eq!(
            picked,
            json!({"users": [{"id": "1", "name": {"givenName": "A"}, "phones": [{"type": "work"}]}], "nextPageToken": "t"})
        );
        assert_eq!(selected(value.clone(), "users/id").unwrap(), json!({"users": [{"id": "1"}]}));
        for bad in ["", "users(", "users(id", "users)id", "users(id))", "a,,b"] {
            assert!(selected(value.clone(), bad).is_none(), "{bad}");
        }
    }
}
