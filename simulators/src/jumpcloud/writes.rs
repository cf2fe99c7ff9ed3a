//! Create, update, activate, expire and delete.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::rules::{ARRAYS, check, password, restricted};
use super::state::State;
use super::users::{User, Users};
use crate::front::{Answer, Call};

fn body(state: &State, call: &Call) -> Result<Map<String, Value>, Answer> {
    if call.media_type().as_deref() != Some("application/json") {
        return Err(state.refuse(400, "Bad Request: Content-Type must be application/json"));
    }
    serde_json::from_slice(&call.body)
        .map_err(|_| state.refuse(400, "Bad Request: the body is no JSON object"))
}

/// Returns whether the caller asks for the mistakes of a password.
fn wants_details(state: &State, call: &Call) -> Result<bool, Answer> {
    let mut details = false;
    for (name, value) in call.pairs() {
        if name != "fullValidationDetails" || value != "password" {
            return Err(state.refuse(400, "Bad Request: unknown query parameter"));
        }
        details = true;
    }
    Ok(details)
}

fn shown(user: &User) -> Answer {
    Answer::json(200, &Value::Object(user.value()))
}

/// Handles `POST /systemusers`.
pub fn create(state: &mut State, call: &Call, now: Timestamp) -> Answer {
    let done = body(state, call).and_then(|given| {
        let details = wants_details(state, call)?;
        for name in ["email", "username"] {
            if given.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
                return Err(state.refuse(400, &format!("Bad Request: {name} is required")));
            }
        }
        check(state, &given, true)?;
        password(state, &given, details)?;
        unique(state, &given, None)?;
        Ok(given)
    });
    let mut given = match done {
        Ok(given) => given,
        Err(refused) => return refused,
    };
    state.quirks.keep(&mut given);
    let mut members = Users::defaults(now);
    members.insert("state".into(), json!(state.quirks.default_state));
    members.insert("activated".into(), json!(given.contains_key("password")));
    apply(state, &mut members, given);
    let user = User { id: state.users.next_id(), members, made: Some(now) };
    let answer = shown(&user);
    state.users.put(user);
    answer
}

/// Handles `PUT /systemusers/{id}`.
pub fn update(state: &mut State, call: &Call, id: &str) -> Answer {
    let Some(mut user) = state.users.get(id).cloned() else {
        return state.refuse(404, "Not Found");
    };
    if state.protected.contains(id) {
        return state.refuse(403, "Forbidden");
    }
    let done = body(state, call).and_then(|given| {
        let details = wants_details(state, call)?;
        check(state, &given, false)?;
        restricted(state, &user.members, &given)?;
        password(state, &given, details)?;
        unique(state, &given, Some(id))?;
        if given.get("manager").and_then(Value::as_str) == Some(id) {
            return Err(state.refuse(400, "Bad Request: manager is invalid"));
        }
        Ok(given)
    });
    let mut given = match done {
        Ok(given) => given,
        Err(refused) => return refused,
    };
    state.quirks.keep(&mut given);
    apply(state, &mut user.members, given);
    let answer = shown(&user);
    state.users.put(user);
    answer
}

/// Merges checked members into a user's: members without a new value stay, arrays are replaced as a
/// whole.
pub fn apply(state: &mut State, members: &mut Map<String, Value>, given: Map<String, Value>) {
    for (name, value) in given {
        let value = match (name.as_str(), value) {
            ("password", _) => {
                members.insert("password_expired".into(), json!(false));
                continue;
            }
            ("suspended", suspended) => {
                let state = if suspended == true { "SUSPENDED" } else { "ACTIVATED" };
                members.insert("state".into(), json!(state));
                continue;
            }
            ("email", Value::String(text)) if state.quirks.lowers_addresses => {
                json!(text.trim().to_lowercase())
            }
            (name, Value::Array(mut entries))
                if ARRAYS.iter().any(|(known, ..)| *known == name && name != "relationships") =>
            {
                // Custom attributes have an id under the name that MongoDB gives it.
                let key = if name == "attributes" { "_id" } else { "id" };
                for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
                    entry.insert(key.into(), json!(state.users.next_entry()));
                }
                Value::Array(entries)
            }
            (_, value) => value,
        };
        members.insert(name, value);
    }
    let suspended = members.get("state").is_some_and(|state| *state == "SUSPENDED");
    members.insert("suspended".into(), json!(suspended));
}

fn unique(state: &State, given: &Map<String, Value>, own: Option<&str>) -> Result<(), Answer> {
    for name in ["username", "email", "employeeIdentifier"] {
        let Some(text) = given.get(name).and_then(Value::as_str) else { continue };
        // All empty texts are equal in an index.
        if state.users.is_taken(name, text, own)
            && (!text.is_empty() || name == "employeeIdentifier" && has_empty(state, own))
        {
            let said = if state.quirks.bare_duplicates {
                "User already exists".to_owned()
            } else {
                format!("{name} already exists")
            };
            return Err(state.refuse(400, &said));
        }
    }
    Ok(())
}

fn has_empty(state: &State, own: Option<&str>) -> bool {
    state.users.rows().any(|user| {
        Some(&*user.id) != own
            && user.members.get("employeeIdentifier").is_some_and(|value| *value == "")
    })
}

/// Handles `POST /systemusers/{id}/state/activate`.
pub fn activate(state: &mut State, call: &Call, id: &str) -> Answer {
    let Some(mut user) = state.users.get(id).cloned() else {
        return state.refuse(404, "Not Found");
    };
    let given = if call.body.is_empty() {
        Map::new()
    } else {
        match body(state, call) {
            Ok(given) => given,
            Err(refused) => return refused,
        }
    };
    let right = given
        .iter()
        .all(|(name, value)| name == "email" && (value.is_boolean() || value.is_string()));
    if !right || user.text("state") != "STAGED" {
        return state.refuse(400, "Bad Request: only a staged user is activated");
    }
    user.members.insert("state".into(), json!("ACTIVATED"));
    let answer = shown(&user);
    state.users.put(user);
    answer
}

/// Handles `POST /systemusers/{id}/expire`.
pub fn expire(state: &mut State, id: &str) -> Answer {
    let Some(mut user) = state.users.get(id).cloned() else {
        return state.refuse(404, "Not Found");
    };
    if state.protected.contains(id) {
        return state.refuse(403, "Forbidden");
    }
    user.members.insert("password_expired".into(), json!(true));
    state.users.put(user);
    Answer::new(200, "text/plain; charset=utf-8", "OK")
}

/// Handles `DELETE /systemusers/{id}`: final. Users who report to this user get no manager, or
/// another one.
pub fn delete(state: &mut State, call: &Call, id: &str) -> Answer {
    if state.users.get(id).is_none() {
        return state.refuse(404, "Not Found");
    }
    if state.protected.contains(id) {
        return state.refuse(403, "Forbidden");
    }
    let cascade = call
        .pairs()
        .into_iter()
        .find(|(name, _)| name == "cascade_manager")
        .map(|(_, value)| value);
    let reports = state.users.reports(id);
    let next = match cascade.as_deref() {
        None if reports.is_empty() => Value::Null,
        None => return state.refuse(409, "Conflict: the user is the manager of other users"),
        Some("null") => Value::Null,
        Some(other) if other != id && state.users.get(other).is_some() => json!(other),
        Some(_) => return state.refuse(400, "Bad Request: cascade_manager is invalid"),
    };
    for report in reports {
        if let Some(mut user) = state.users.get(&report).cloned() {
            user.members.insert("manager".into(), next.clone());
            state.users.put(user);
        }
    }
    state.users.remove(id).map_or_else(|| Answer::empty(404), |user| shown(&user))
}
