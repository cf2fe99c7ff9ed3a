//! The v1 calls on one user: `set_state`, `lock_user`, `logout` and
//! `set_custom_attributes` (developers.onelogin.com, version 1 "Users").

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::attributes::{Cell, LOCKED_UNTIL, STATE, STATUS, UPDATED};
use super::errors;
use super::state::State;
use super::users::User;
use crate::front::{Answer, Call};

/// The supported calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    SetState,
    Lock,
    Logout,
    SetCustom,
}

impl Action {
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "set_state" => Some(Self::SetState),
            "lock_user" => Some(Self::Lock),
            "logout" => Some(Self::Logout),
            "set_custom_attributes" => Some(Self::SetCustom),
            _ => None,
        }
    }

    pub fn permitted(self, scope: super::tokens::Scope) -> bool {
        match self {
            Self::SetState | Self::Lock => scope.manages_all(),
            Self::Logout => scope.logs_out(),
            Self::SetCustom => scope.writes_users(),
        }
    }
}

fn body(call: &Call) -> Result<Map<String, Value>, Answer> {
    let value = if call.body.is_empty() {
        Some(json!({}))
    } else {
        serde_json::from_slice(&call.body).ok()
    };
    match value {
        Some(Value::Object(map)) => Ok(map),
        _ => Err(errors::v1(400, "Invalid JSON")),
    }
}

/// Handles `GET /api/1/users/custom_attributes`: the shortnames, in a list of a list.
pub fn definitions(state: &State) -> Answer {
    let names: Vec<&str> =
        state.definitions.iter().map(|definition| definition.shortname.as_str()).collect();
    Answer::json(200, &json!({"status": errors::v1_success(), "data": [names]}))
}

/// Handles `PUT /api/1/users/{id}/{action}`.
pub fn act(state: &mut State, call: &Call, id: &str, action: Action, now: Timestamp) -> Answer {
    let Ok(id) = id.parse::<i64>() else {
        return errors::v1(400, json!({"attribute": "id", "description": "ID is incorrect"}));
    };
    let given = match body(call) {
        Ok(given) => given,
        Err(refused) => return refused,
    };
    let Some(mut user) = state.users.get(id).cloned() else {
        return errors::v1(404, "User does not exist");
    };
    let done = match action {
        Action::SetState => set_state(state, &mut user, &given),
        Action::Lock => lock(state, &mut user, &given, now),
        Action::Logout => Ok(()),
        Action::SetCustom => set_custom(state, &mut user, &given),
    };
    if let Err(refused) = done {
        return refused;
    }
    if action != Action::Logout {
        user.set(UPDATED, Some(Cell::Time(now)));
        state.users.put(user);
    }
    Answer::json(200, &json!({"status": errors::v1_success()}))
}

fn set_state(state: &State, user: &mut User, given: &Map<String, Value>) -> Result<(), Answer> {
    let wrong =
        || errors::v1(400, json!({"attribute": "state", "description": "state is incorrect"}));
    let wanted = given
        .get("state")
        .and_then(Value::as_i64)
        .filter(|state| (0..=3).contains(state))
        .ok_or_else(wrong)?;
    if user.int(STATE) == Some(wanted) {
        return Err(errors::v1(400, "user is already in this state"));
    }
    let full = state.quirks.licences.is_some_and(|licences| state.users.licensed() >= licences);
    if wanted == 1 && full {
        return Err(errors::v1(400, "no licence is available"));
    }
    user.set(STATE, Some(Cell::Int(wanted)));
    Ok(())
}

fn lock(
    state: &mut State,
    user: &mut User,
    given: &Map<String, Value>,
    now: Timestamp,
) -> Result<(), Answer> {
    let wrong = || {
        errors::v1(
            400,
            json!({"attribute": "locked_until", "description": "locked_until is incorrect"}),
        )
    };
    let minutes = given
        .get("locked_until")
        .and_then(Value::as_i64)
        .filter(|minutes| *minutes >= 0)
        .ok_or_else(wrong)?;
    if !user.is_licensed() {
        return Err(errors::v1(400, "user is not licensed"));
    }
    user.set(STATUS, Some(Cell::Int(3)));
    user.set(LOCKED_UNTIL, None);
    if minutes > 0 {
        // A lock far in the future counts as one without an end.
        let until = now
            .checked_add(SignedDuration::from_mins(minutes.min(5_256_000)))
            .unwrap_or(Timestamp::MAX);
        user.set(LOCKED_UNTIL, Some(Cell::Time(until)));
        state.locks.push((until, user.id));
    }
    Ok(())
}

/// Key by key; an empty text removes the value.
fn set_custom(state: &State, user: &mut User, given: &Map<String, Value>) -> Result<(), Answer> {
    let names: Vec<&str> =
        state.definitions.iter().map(|definition| definition.shortname.as_str()).collect();
    let wrong = || {
        errors::v1(
            400,
            format!("input custom_attributes is not valid. Valid custom_attributes -> {names:?}"),
        )
    };
    let custom = given.get("custom_attributes").and_then(Value::as_object).ok_or_else(wrong)?;
    if custom.iter().any(|(name, value)| !names.contains(&name.as_str()) || !value.is_string()) {
        return Err(wrong());
    }
    for (name, value) in custom {
        match value.as_str() {
            None | Some("") => user.custom.remove(name.as_str()),
            Some(text) => user.custom.insert(name.as_str().into(), text.into()),
        };
    }
    Ok(())
}
