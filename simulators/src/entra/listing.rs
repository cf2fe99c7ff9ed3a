//! Pages, `$select`, `$expand` and `$filter`.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::errors;
use super::rules::{DEFAULT, READ_ONLY, TEXTS};
use super::state::State;
use super::users::User;
use crate::front::{Answer, Call};

type Checked<T> = Result<T, Answer>;

/// Properties that only a read of one user shows.
const SINGLE: [&str; 11] = [
    "aboutMe",
    "birthday",
    "hireDate",
    "interests",
    "mySite",
    "pastProjects",
    "preferredName",
    "responsibilities",
    "schools",
    "skills",
    "mailboxSettings",
];

const OTHERS: [&str; 10] = [
    "accountEnabled",
    "businessPhones",
    "employeeHireDate",
    "onPremisesExtensionAttributes",
    "onPremisesImmutableId",
    "otherMails",
    "passwordPolicies",
    "passwordProfile",
    "userType",
    "employeeOrgData",
];

/// With managers, a page has at most this size.
const PAGE_WITH_MANAGERS: usize = 100;

/// The parameters of a read.
struct Asked {
    pairs: Vec<(String, String)>,
    select: Option<Vec<String>>,
    /// The visible properties of the manager.
    manager: Option<Vec<String>>,
}

impl Asked {
    fn read(call: &Call, known: &[&str], single: bool) -> Checked<Self> {
        let pairs = call.pairs();
        for (at, (name, value)) in pairs.iter().enumerate() {
            let twice = pairs[..at].iter().any(|(earlier, _)| earlier == name);
            if name.starts_with('$')
                && (!known.contains(&name.as_str()) || twice || value.is_empty())
            {
                return Err(errors::refused(
                    400,
                    "BadRequest",
                    &format!("Query option '{name}' is not allowed or not valid."),
                ));
            }
        }
        let mut asked = Self { pairs, select: None, manager: None };
        asked.select = asked.get("$select").map(|text| names(text, single)).transpose()?;
        asked.manager = asked.get("$expand").map(expansion).transpose()?;
        Ok(asked)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns only the selected properties: null for a missing value, and nothing for a missing
    /// extension.
    fn shown(&self, state: &State, user: &User) -> Value {
        let value = user.value();
        let select: Vec<&str> = match &self.select {
            Some(select) => select.iter().map(String::as_str).collect(),
            None => DEFAULT.to_vec(),
        };
        let mut shown = pick(&value, &select);
        if let Some(names) = &self.manager
            && let Some(manager) = user.manager.as_ref().and_then(|id| state.users.get(id))
        {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut manager = pick(&manager.value(), &names);
            manager["@odata.type"] = json!("#microsoft.graph.user");
            shown["manager"] = manager;
        }
        shown
    }
}

fn pick(value: &Map<String, Value>, names: &[&str]) -> Value {
    let mut shown = Map::new();
    for name in names {
        match (*name, value.get(*name)) {
            // Never shown again.
            ("passwordProfile", _) => drop(shown.insert((*name).into(), Value::Null)),
            ("onPremisesExtensionAttributes", own) => {
                let own = own.and_then(Value::as_object);
                let all: Map<String, Value> = (1..=15)
                    .map(|number| format!("extensionAttribute{number}"))
                    .map(|name| {
                        (
                            name.clone(),
                            own.and_then(|own| own.get(&name)).cloned().unwrap_or(Value::Null),
                        )
                    })
                    .collect();
                shown.insert((*name).into(), Value::Object(all));
            }
            (_, Some(value)) => drop(shown.insert((*name).into(), value.clone())),
            (name, None) if name.starts_with("extension_") => {}
            (name, None) => drop(shown.insert(name.into(), Value::Null)),
        }
    }
    Value::Object(shown)
}

fn names(text: &str, single: bool) -> Checked<Vec<String>> {
    let mut names = Vec::new();
    for name in text.split(',').map(str::trim) {
        if SINGLE.contains(&name) && !single {
            return Err(errors::refused(501, "NotImplemented", "Not Implemented"));
        }
        let known = TEXTS.iter().any(|(known, _)| *known == name)
            || [&READ_ONLY[..], &OTHERS[..], &SINGLE[..]].iter().any(|all| all.contains(&name))
            || name.starts_with("extension_");
        if !known {
            let why = format!(
                "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type 'microsoft.graph.user'."
            );
            return Err(errors::refused(400, "BadRequest", &why));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// `manager` or `manager($select=id,displayName)`
fn expansion(text: &str) -> Checked<Vec<String>> {
    if text == "manager" {
        return Ok(DEFAULT.map(str::to_owned).to_vec());
    }
    let inner = text.strip_prefix("manager($select=").and_then(|rest| rest.strip_suffix(')'));
    match inner {
        Some(inner) => names(inner, true),
        None => Err(errors::refused(400, "BadRequest", "Parsing OData Select and Expand failed.")),
    }
}

/// Handles `GET /users/{id}`.
pub fn get(state: &State, call: &Call, key: &str, now: Timestamp) -> Answer {
    let read = || {
        let asked = Asked::read(call, &["$select", "$expand"], true)?;
        let user = state
            .users
            .find(key)
            .filter(|user| !user.is_younger(state.quirks.read_lag_seconds, now));
        let mut shown = asked.shown(state, user.ok_or_else(|| errors::not_found(key))?);
        shown["@odata.context"] = json!("https://graph.microsoft.com/v1.0/$metadata#users/$entity");
        Ok(Answer::json(200, &shown))
    };
    read().unwrap_or_else(|refused| refused)
}

/// Handles `GET /users/{id}/manager`.
pub fn manager(state: &State, call: &Call, key: &str) -> Answer {
    let read = || {
        let asked = Asked::read(call, &["$select"], true)?;
        let user = state.users.find(key).ok_or_else(|| errors::not_found(key))?;
        let manager = user
            .manager
            .as_ref()
            .and_then(|id| state.users.get(id))
            .ok_or_else(|| errors::not_found("manager"))?;
        let mut shown = asked.shown(state, manager);
        shown["@odata.type"] = json!("#microsoft.graph.user");
        Ok(Answer::json(200, &shown))
    };
    read().unwrap_or_else(|refused| refused)
}

/// Handles `GET /users`.
pub fn list(state: &State, call: &Call, now: Timestamp) -> Answer {
    page(state, call, now).unwrap_or_else(|refused| refused)
}

/// Handles `GET /directory/deletedItems/microsoft.graph.user`.
pub fn deleted(state: &State, call: &Call) -> Answer {
    let read = || {
        let asked = Asked::read(call, &["$select", "$top"], false)?;
        let rows: Vec<Value> = state.users.deleted().map(|user| asked.shown(state, user)).collect();
        Ok(Answer::json(200, &json!({ "value": rows })))
    };
    read().unwrap_or_else(|refused| refused)
}

fn page(state: &State, call: &Call, now: Timestamp) -> Checked<Answer> {
    let asked = Asked::read(call, &["$select", "$expand", "$top", "$filter", "$skiptoken"], false)?;
    let size: usize = match asked.get("$top") {
        None => 100,
        Some(text) => {
            text.parse().ok().filter(|size| (1..=999).contains(size)).ok_or_else(|| {
                errors::refused(400, "Request_BadRequest", "Invalid page size specified.")
            })?
        }
    };
    let size = if asked.manager.is_some() { size.min(PAGE_WITH_MANAGERS) } else { size };
    let after = match asked.get("$skiptoken") {
        None => String::new(),
        Some(token) => {
            let decoded = BASE64_URL_SAFE_NO_PAD
                .decode(token)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok());
            let expired = || {
                errors::refused(
                    400,
                    "Directory_ExpiredPageToken",
                    "The specified page token value has expired.",
                )
            };
            decoded
                .and_then(|text| text.strip_prefix("after:").map(str::to_owned))
                .ok_or_else(expired)?
        }
    };
    let filter = asked.get("$filter").map(|text| Filter::read(state, text)).transpose()?;
    let mut matching = state.users.after(&after).filter(|user| match &filter {
        Some(filter) => filter.holds(user, now),
        None => !user.is_younger(state.quirks.list_lag_seconds, now),
    });
    let rows: Vec<&User> = matching.by_ref().take(size).collect();
    let more = matching.next().is_some();
    let mut answer = json!({
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users",
        "value": rows.iter().map(|user| asked.shown(state, user)).collect::<Vec<_>>(),
    });
    if let (Some(last), true) = (rows.last(), more || state.quirks.last_page_points_back) {
        let from = if more { &last.id } else { &after };
        answer["@odata.nextLink"] = json!(next_link(call, &asked, from));
    }
    Ok(Answer::json(200, &answer))
}

/// Returns an absolute and opaque link that contains the request's parameters.
fn next_link(call: &Call, asked: &Asked, after: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in asked.pairs.iter().filter(|(name, _)| name != "$skiptoken") {
        query.append_pair(name, value);
    }
    query.append_pair("$skiptoken", &BASE64_URL_SAFE_NO_PAD.encode(format!("after:{after}")));
    format!("http://{}{}?{}", call.header("host").unwrap_or("localhost"), call.path, query.finish())
}

/// `property eq 'text'`, `property eq true` or `startsWith(property,'text')`.
struct Filter {
    property: String,
    value: Value,
    starts: bool,
}

/// Texts that a filter accepts without the header for advanced queries.
const FILTERABLE: [&str; 10] = [
    "id",
    "userPrincipalName",
    "mail",
    "mailNickname",
    "displayName",
    "givenName",
    "surname",
    "jobTitle",
    "employeeId",
    "department",
];

impl Filter {
    fn read(state: &State, text: &str) -> Checked<Self> {
        let bad = || errors::refused(400, "BadRequest", "Invalid filter clause");
        let (property, value, starts) =
            match text.strip_prefix("startsWith(").and_then(|rest| rest.strip_suffix(')')) {
                Some(inner) => {
                    let (property, value) = inner.split_once(',').ok_or_else(bad)?;
                    (property.trim(), value.trim(), true)
                }
                None => {
                    let (property, value) = text
                        .split_once(" eq ")
                        .ok_or_else(|| errors::unsupported("Unsupported query."))?;
                    (property.trim(), value.trim(), false)
                }
            };
        if property.starts_with("extension_")
            && !state.extensions.iter().any(|known| known == property)
        {
            let why = format!(
                "Property '{property}' does not exist as a declared property or extension property."
            );
            return Err(errors::unsupported(&why));
        }
        let flag = property == "accountEnabled" && !starts;
        if !flag && !FILTERABLE.contains(&property) && !property.starts_with("extension_") {
            return Err(errors::unsupported(&format!(
                "Unsupported or invalid query filter clause specified for property '{property}' of resource 'User'."
            )));
        }
        let value = if flag {
            json!(value.parse::<bool>().map_err(|_| bad())?)
        } else {
            let inner = value
                .strip_prefix('\'')
                .and_then(|rest| rest.strip_suffix('\''))
                .ok_or_else(bad)?;
            let single = inner.replace("''", "");
            if single.contains('\'') {
                return Err(bad());
            }
            json!(inner.replace("''", "'").to_lowercase())
        };
        Ok(Self { property: property.to_owned(), value, starts })
    }

    fn holds(&self, user: &User, now: Timestamp) -> bool {
        let Some(members) = user.searchable(now) else { return false };
        if self.property == "id" {
            return self.value == user.id.as_str();
        }
        match (members.get(&self.property), &self.value) {
            (Some(Value::String(have)), Value::String(want)) => {
                let have = have.to_lowercase();
                if self.starts { have.starts_with(want) } else { have == *want }
            }
            (have, want) => have == Some(want),
        }
    }
}
