//! Create, update, manager, sessions, delete and restore, and what the directory makes of them.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::auth::CLOUDS;
use super::errors;
use super::rules::{DEFAULT, SENSITIVE, TYPE, check};
use super::state::State;
use super::users::User;
use crate::front::{Answer, Call};

type Checked<T = ()> = Result<T, Answer>;

fn body(call: &Call) -> Checked<Map<String, Value>> {
    if call.media_type().as_deref() != Some("application/json") {
        let why =
            "Write requests (excluding DELETE) must contain the Content-Type header declaration.";
        return Err(errors::refused(400, "RequestBodyRead", why));
    }
    serde_json::from_slice(&call.body)
        .map_err(|_| errors::refused(400, "BadRequest", "Unable to read JSON request payload."))
}

/// Handles `POST /users`.
pub fn create(state: &mut State, call: &Call, now: Timestamp) -> Answer {
    let done = body(call).and_then(|given| {
        for name in ["accountEnabled", "displayName", "mailNickname", "passwordProfile", "userPrincipalName"] {
            if given.get(name).is_none_or(Value::is_null) {
                let why = format!("A value is required for property '{name}' of resource 'User'.");
                return Err(errors::invalid_because(name, &why));
            }
        }
        if given["passwordProfile"].get("password").is_none() {
            return Err(errors::invalid_because("password", "A value is required for property 'password' of resource 'User'."));
        }
        let checked = check(state, &given, true)?;
        unique(state, &checked, "")?;
        if state.quota.is_some_and(|most| state.users.rows().count() as u64 >= most) {
            let why = "The directory object quota limit for the Tenant has been exceeded. Please ask your administrator to increase the quota limit or delete objects to reduce the used quota.";
            return Err(errors::refused(403, "Directory_QuotaExceeded", why));
        }
        Ok(checked)
    });
    let mut checked = match done {
        Ok(checked) => checked,
        Err(refused) => return refused,
    };
    let id = state.users.next_id();
    state.quirks.keep(&mut checked);
    let mut members = defaults(now);
    apply(&mut members, checked);
    let until = now + SignedDuration::from_secs(state.quirks.filter_lag_seconds);
    let user = User { id, members, manager: None, made: Some(now), indexed: Some((None, until)) };
    let answer = Answer::json(201, &shown(&user));
    state.users.put(user);
    answer
}

/// Returns a user as a write answers it: the default properties, without state and mark.
fn shown(user: &User) -> Value {
    let value = user.value();
    let mut shown =
        json!({"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users/$entity"});
    for name in DEFAULT {
        shown[name] = value.get(name).cloned().unwrap_or(Value::Null);
    }
    shown
}

/// Returns what every user has from the start.
pub fn defaults(now: Timestamp) -> Map<String, Value> {
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let members = json!({
        "businessPhones": [], "proxyAddresses": [], "otherMails": [], "userType": "Member", "accountEnabled": true,
        "createdDateTime": now, "signInSessionsValidFromDateTime": now,
    });
    members.as_object().cloned().unwrap_or_default()
}

/// Merges checked members into a user's. A null removes a value.
pub fn apply(members: &mut Map<String, Value>, checked: Map<String, Value>) {
    for (name, value) in checked {
        match (name.as_str(), value) {
            ("onPremisesExtensionAttributes", Value::Object(given)) => {
                let own =
                    members.entry("onPremisesExtensionAttributes").or_insert_with(|| json!({}));
                for (name, value) in given {
                    own[&name] = value;
                }
            }
            ("mail", value) => {
                let old =
                    members.get("mail").and_then(Value::as_str).map(|mail| format!("SMTP:{mail}"));
                let mut addresses = members
                    .get("proxyAddresses")
                    .and_then(Value::as_array)
                    .cloned()
                    .unwrap_or_default();
                addresses.retain(|address| address.as_str() != old.as_deref());
                match value.as_str() {
                    Some(mail) => {
                        addresses.push(json!(format!("SMTP:{mail}")));
                        members.insert("mail".into(), value);
                    }
                    None => drop(members.remove("mail")),
                }
                members.insert("proxyAddresses".into(), json!(addresses));
            }
            (name, Value::Null) => drop(members.remove(name)),
            (name, value) => drop(members.insert(name.to_owned(), value)),
        }
    }
}

/// Checks that a name is unique, and an address among all users.
pub fn unique(state: &State, checked: &Map<String, Value>, own: &str) -> Checked {
    let text = |name: &str| checked.get(name).and_then(Value::as_str);
    if text("userPrincipalName").is_some_and(|name| state.users.is_taken(name, own)) {
        return Err(errors::conflict("userPrincipalName"));
    }
    if text("mail").is_some_and(|mail| state.users.has_address(mail, own)) {
        return Err(errors::conflict("proxyAddresses"));
    }
    Ok(())
}

/// Returns the user of a write by key.
fn reached(state: &State, key: &str, now: Timestamp) -> Checked<User> {
    let user =
        state.users.find(key).filter(|user| !user.is_younger(state.quirks.read_lag_seconds, now));
    let user = user.ok_or_else(|| errors::not_found(key))?;
    if state.restricted.contains(&user.id) {
        return Err(errors::forbidden());
    }
    Ok(user.clone())
}

/// Handles `PATCH /users/{id}`.
pub fn update(state: &mut State, call: &Call, key: &str, now: Timestamp) -> Answer {
    let done = body(call).and_then(|given| {
        let user = reached(state, key, now)?;
        if given.is_empty() {
            return Err(errors::refused(400, "BadRequest", "Empty Payload. JSON content expected."));
        }
        if user.is_younger(state.quirks.update_lag_seconds, now) {
            return Err(errors::bad(&state.quirks.update_lag_says));
        }
        if state.administrators.contains(&user.id) && given.keys().any(|name| SENSITIVE.contains(&name.as_str())) {
            return Err(errors::forbidden());
        }
        let checked = check(state, &given, false)?;
        if user.is_synchronised() {
            let why = "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.";
            return Err(errors::bad(why));
        }
        unique(state, &checked, &user.id)?;
        Ok((user, checked))
    });
    let (mut user, mut checked) = match done {
        Ok(done) => done,
        Err(refused) => return refused,
    };
    note(state, &mut user, now);
    state.quirks.keep(&mut checked);
    apply(&mut user.members, checked);
    let answer = if state.quirks.answers_changes {
        Answer::json(200, &shown(&user))
    } else {
        Answer::empty(204)
    };
    state.users.put(user);
    answer
}

/// Filters still show the old state for a while.
fn note(state: &State, user: &mut User, now: Timestamp) {
    let before = user.searchable(now).cloned();
    user.indexed = Some((before, now + SignedDuration::from_secs(state.quirks.filter_lag_seconds)));
}

/// Handles `PUT /users/{id}/manager/$ref`.
pub fn set_manager(state: &mut State, call: &Call, key: &str, now: Timestamp) -> Answer {
    let lagging = |state: &State| {
        if state.quirks.reference_lag_is_bad_request {
            errors::bad("Not a valid reference update.")
        } else {
            errors::not_found(key)
        }
    };
    let done = body(call).and_then(|given| {
        let mut user = reached(state, key, now)?;
        let young = |user: &User| user.is_younger(state.quirks.reference_lag_seconds, now);
        if young(&user) {
            return Err(lagging(state));
        }
        let only = given.keys().all(|name| name == "@odata.id" || name == TYPE);
        let link = given.get("@odata.id").and_then(Value::as_str).filter(|_| only);
        let link = link.ok_or_else(|| errors::bad("A value is required for '@odata.id'."))?;
        let own = call.header("host").map(|host| format!("http://{host}")).unwrap_or_default();
        let roots = [CLOUDS[state.tokens.cloud].1, &own];
        let target = roots.iter().find_map(|root| link.strip_prefix(root)).and_then(|rest| {
            rest.strip_prefix("/v1.0/users/")
                .or_else(|| rest.strip_prefix("/v1.0/directoryObjects/"))
        });
        let target =
            target.ok_or_else(|| errors::bad("Invalid URL format specified in payload."))?;
        let manager = state.users.find(target).ok_or_else(|| errors::not_found(target))?;
        if young(manager) {
            return Err(lagging(state));
        }
        user.manager = Some(manager.id.clone());
        Ok(user)
    });
    match done {
        Ok(user) => {
            state.users.put(user);
            Answer::empty(204)
        }
        Err(refused) => refused,
    }
}

/// Handles `DELETE /users/{id}/manager/$ref`.
pub fn remove_manager(state: &mut State, key: &str, now: Timestamp) -> Answer {
    match reached(state, key, now) {
        Ok(User { manager: None, .. }) => errors::not_found("manager"),
        Ok(mut user) => {
            user.manager = None;
            state.users.put(user);
            Answer::empty(204)
        }
        Err(refused) => refused,
    }
}

/// Handles `POST /users/{id}/revokeSignInSessions`.
pub fn end_sessions(state: &mut State, key: &str, now: Timestamp) -> Answer {
    match reached(state, key, now) {
        Ok(mut user) => {
            let at = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            user.members.insert("signInSessionsValidFromDateTime".into(), json!(at));
            state.ended.push(user.id.clone());
            state.users.put(user);
            Answer::json(
                200,
                &json!({"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#Edm.Boolean", "value": true}),
            )
        }
        Err(refused) => refused,
    }
}

/// Handles `DELETE /users/{id}`.
pub fn delete(state: &mut State, key: &str, now: Timestamp) -> Answer {
    match reached(state, key, now) {
        Ok(user) if state.administrators.contains(&user.id) => errors::forbidden(),
        Ok(user) => {
            state.users.remove(&user.id, now);
            Answer::empty(204)
        }
        Err(refused) => refused,
    }
}

/// Handles `POST /directory/deletedItems/{id}/restore`.
pub fn restore(state: &mut State, id: &str, now: Timestamp) -> Answer {
    match state.users.restore(id, now) {
        Ok(user) => Answer::json(200, &shown(user)),
        Err("userPrincipalName") => errors::conflict("userPrincipalName"),
        Err(_) => errors::not_found(id),
    }
}
