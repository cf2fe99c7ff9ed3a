//! Insert, update, patch, delete and undelete, and what Google makes of them.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::auth::Rights;
use super::errors;
use super::rules::{ARRAYS, check};
use super::state::State;
use super::users::User;
use crate::front::{Answer, Call};

fn body(call: &Call) -> Result<Map<String, Value>, Answer> {
    if call.media_type().as_deref() != Some("application/json") {
        return Err(errors::refused(400, "badContent", "Content-Type is not application/json"));
    }
    serde_json::from_slice(&call.body).map_err(|_| {
        errors::refused(400, "parseError", "This API does not support parsing form-encoded input.")
    })
}

/// Returns the user as a write answers it: without custom schemas, which only a projection shows.
fn shown(user: &User) -> Answer {
    let mut value = user.value();
    value.remove("customSchemas");
    Answer::json(200, &Value::Object(value))
}

/// Handles `POST /users`.
pub fn insert(state: &mut State, call: &Call, now: Timestamp) -> Answer {
    let done = body(call).and_then(|given| {
        for name in ["primaryEmail", "password"] {
            if given.get(name).is_none_or(Value::is_null) {
                return Err(errors::required(name));
            }
        }
        for (name, spoken) in
            [("givenName", "Invalid Given Name"), ("familyName", "Invalid Family Name")]
        {
            if given.get("name").and_then(|names| names.get(name)).and_then(Value::as_str).is_none()
            {
                return Err(errors::refused(400, "invalid", spoken));
            }
        }
        let domain = given["primaryEmail"]
            .as_str()
            .and_then(|email| email.rsplit('@').next())
            .unwrap_or_default();
        if state.quirks.foreign_domain_is_forbidden
            && !state.domains.iter().any(|own| own.eq_ignore_ascii_case(domain))
        {
            return Err(errors::forbidden());
        }
        let checked = check(state, &given)?;
        unique(state, &checked, None)?;
        if !state.creations.take(now) {
            return Err(state.slow_down());
        }
        Ok(checked)
    });
    let mut checked = match done {
        Ok(checked) => checked,
        Err(refused) => return refused,
    };
    state.quirks.keep(&mut checked);
    let mut members = defaults(now);
    apply(&mut members, checked, true);
    if state.quirks.create_ignores_suspended {
        members.insert("suspended".into(), json!(false));
    }
    let until = now + SignedDuration::from_secs(state.quirks.search_lag_seconds);
    let user =
        User { id: state.users.next_id(), members, made: Some(now), indexed: Some((None, until)) };
    let answer = shown(&user);
    state.users.put(user);
    answer
}

/// Returns what every user has from the start.
pub fn defaults(now: Timestamp) -> Map<String, Value> {
    let created = crate::clock::millis(now);
    let members = json!({
        "suspended": false, "archived": false, "isAdmin": false, "isDelegatedAdmin": false, "changePasswordAtNextLogin": false,
        "orgUnitPath": "/", "agreedToTerms": false, "ipWhitelisted": false, "customerId": "C01234567", "creationTime": created,
        "lastLoginTime": "1970-01-01T00:00:00.000Z", "isMailboxSetup": true, "includeInGlobalAddressList": true,
        "isEnrolledIn2Sv": false, "isEnforcedIn2Sv": false,
    });
    match members {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// `PUT` and `PATCH /users/{userKey}`
pub fn update(state: &mut State, call: &Call, key: &str, rights: Rights, now: Timestamp) -> Answer {
    let Some(old) =
        state.users.find(key).filter(|user| user.is_gettable(&state.quirks, now)).cloned()
    else {
        return state.no_user(key, now);
    };
    if rights != Rights::Manage || state.protected.contains(&old.id) {
        return errors::forbidden();
    }
    if !old.is_updatable(&state.quirks, now) {
        return errors::refused(412, "conditionNotMet", "User creation is not complete.");
    }
    let lag = SignedDuration::from_secs(state.quirks.conflict_seconds);
    if state.changed.get(&old.id).is_some_and(|at| now < *at + lag) {
        return errors::refused(409, "conflict", "Conflicting requests. Please try again.");
    }
    let patch = call.method.as_str() == "PATCH";
    let done = body(call).and_then(|given| {
        let mut checked = check(state, &given)?;
        if checked.contains_key("primaryEmail") && checked.contains_key("suspended") {
            return Err(errors::invalid("a rename and a change of suspension in one call"));
        }
        if checked.get("suspended") == Some(&json!(false))
            && old.members["suspended"] == true
            && state.suspended_by_google.contains(&old.id)
        {
            return Err(errors::refused(
                403,
                "adminCannotUnsuspend",
                "Admin cannot unsuspend this user.",
            ));
        }
        unique(state, &checked, Some(old.id))?;
        if patch {
            // A patch does not empty a repeated field.
            checked.retain(|_, value| value.as_array().is_none_or(|entries| !entries.is_empty()));
        }
        Ok(checked)
    });
    let mut checked = match done {
        Ok(checked) => checked,
        Err(refused) => return refused,
    };
    state.quirks.keep(&mut checked);
    let mut user = old.clone();
    let email = checked
        .get("primaryEmail")
        .and_then(Value::as_str)
        .filter(|email| *email != old.email())
        .map(str::to_owned);
    apply(&mut user.members, checked, false);
    if let Some(email) = email {
        // The old address becomes an alias.
        let mut aliases: Vec<&str> =
            old.aliases().into_iter().filter(|alias| *alias != email).collect();
        aliases.push(old.email());
        user.members.insert("aliases".into(), json!(aliases));
    }
    let shows = old.searchable(now).cloned();
    user.indexed = Some((shows, now + SignedDuration::from_secs(state.quirks.search_lag_seconds)));
    let answer = shown(&user);
    state.changed.insert(user.id, now);
    state.users.put(user);
    answer
}

/// Merges checked members into a user's.
pub fn apply(members: &mut Map<String, Value>, checked: Map<String, Value>, new: bool) {
    for (name, value) in checked {
        match (name.as_str(), value) {
            ("name", Value::Object(names)) => {
                let own = members.entry("name").or_insert_with(|| json!({}));
                if let Value::Object(own) = own {
                    for (name, value) in names {
                        if value.is_null() {
                            own.remove(&name)
                        } else {
                            own.insert(name, value)
                        };
                    }
                    let part = |name: &str| {
                        own.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
                    };
                    let full = format!("{} {}", part("givenName"), part("familyName"));
                    own.insert("fullName".into(), json!(full));
                }
            }
            ("customSchemas", Value::Object(schemas)) => {
                let own = members.entry("customSchemas").or_insert_with(|| json!({}));
                for (schema, fields) in schemas {
                    for (field, value) in fields.as_object().cloned().unwrap_or_default() {
                        if value.is_null() {
                            if let Some(fields) = own[&schema].as_object_mut() {
                                fields.remove(&field);
                            }
                        } else {
                            own[&schema][&field] = value;
                        }
                    }
                }
            }
            (name, Value::Null) => drop(members.remove(name)),
            // An empty array is not shown.
            (name, Value::Array(entries)) if entries.is_empty() => drop(members.remove(name)),
            (name, value) => drop(members.insert(name.to_owned(), value)),
        }
    }
    if new {
        let arrays = ARRAYS.iter().map(|(name, ..)| *name);
        debug_assert!(arrays.into_iter().all(|name| members.get(name).is_none_or(Value::is_array)));
    }
}

/// Checks that an address is unique among users, their aliases, and groups.
fn unique(state: &State, checked: &Map<String, Value>, own: Option<u128>) -> Result<(), Answer> {
    let Some(email) = checked.get("primaryEmail").and_then(Value::as_str) else { return Ok(()) };
    if state.users.is_taken(email, own)
        || state.groups.iter().any(|group| group.eq_ignore_ascii_case(email))
    {
        return Err(errors::refused(409, "duplicate", "Entity already exists."));
    }
    Ok(())
}

/// Handles `DELETE /users/{userKey}`.
pub fn delete(state: &mut State, key: &str, rights: Rights, now: Timestamp) -> Answer {
    let Some(id) = state.users.find(key).map(|user| user.id) else {
        return state.no_user(key, now);
    };
    if rights != Rights::Manage || state.protected.contains(&id) {
        return errors::forbidden();
    }
    state.users.remove(id, now);
    Answer::empty(204)
}

/// Handles `POST /users/{id}/undelete`.
pub fn undelete(state: &mut State, call: &Call, key: &str, now: Timestamp) -> Answer {
    let Ok(id) = key.parse() else { return errors::invalid("userKey") };
    let unit = body(call).ok().and_then(|given| given.get("orgUnitPath").cloned());
    if !unit
        .as_ref()
        .and_then(Value::as_str)
        .is_some_and(|path| state.org_units.iter().any(|known| known == path))
    {
        return errors::refused(400, "invalid", "Invalid Ou Id");
    }
    match state.users.restore(id, now) {
        Ok(()) => Answer::empty(204),
        Err("no such deleted user") => errors::not_found("userKey"),
        Err(why) => errors::refused(412, "conditionNotMet", why),
    }
}
