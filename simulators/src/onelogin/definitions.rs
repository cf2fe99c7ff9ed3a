//! Custom attribute definitions (developers.onelogin.com, "List Custom
//! Attributes", "Create Custom Attribute").

use serde_json::{Map, Value, json};

use super::errors;
use super::state::{Definition, State};
use super::writes::body;
use crate::front::{Answer, Call};

impl Definition {
    pub fn json(&self) -> Value {
        json!({"id": self.id, "name": self.name, "shortname": self.shortname, "position": self.position})
    }
}

/// Handles `GET /api/2/users/custom_attributes`: a bare array.
pub fn list(state: &State, call: &Call) -> Answer {
    for (key, _) in call.pairs() {
        match key.as_str() {
            "limit" | "page" | "cursor" | "fields" => {}
            "sort" => {
                return errors::field(422, "sort", "Validation failed: sort field is invalid");
            }
            _ => return errors::v2(400, &format!("query parameter(s) not allowed: {key}")),
        }
    }
    Answer::json(200, &state.definitions.iter().map(Definition::json).collect())
}

/// Handles `POST /api/2/users/custom_attributes`, the body wrapped in `user_field`.
pub fn create(state: &mut State, call: &Call) -> Answer {
    let wrapped = match body(call) {
        Ok(wrapped) => wrapped,
        Err(refused) => return refused,
    };
    let Some(given) = wrapped.get("user_field").and_then(Value::as_object) else {
        return errors::v2(400, "user_field is missing");
    };
    match check(state, given, None) {
        Ok((name, shortname, position)) => {
            let id =
                state.definitions.iter().map(|definition| definition.id).max().unwrap_or(88_000)
                    + 1;
            let definition = Definition { id, name, shortname, position };
            let answer = Answer::json(201, &definition.json());
            state.definitions.push(definition);
            answer
        }
        Err(refused) => refused,
    }
}

/// Handles `GET /api/2/users/custom_attributes/{id}`.
pub fn get(state: &State, id: i64) -> Answer {
    match state.definitions.iter().find(|definition| definition.id == id) {
        Some(definition) => Answer::json(200, &definition.json()),
        None => errors::not_found(),
    }
}

/// Handles `PUT /api/2/users/custom_attributes/{id}`, the body unwrapped, name and shortname both
/// required.
pub fn update(state: &mut State, call: &Call, id: i64) -> Answer {
    let Some(at) = state.definitions.iter().position(|definition| definition.id == id) else {
        return errors::not_found();
    };
    let checked = body(call).and_then(|given| check(state, &given, Some(id)));
    let (name, shortname, position) = match checked {
        Ok(checked) => checked,
        Err(refused) => return refused,
    };
    state.definitions[at] = Definition { id, name, shortname, position };
    Answer::json(200, &state.definitions[at].json())
}

/// Handles `DELETE /api/2/users/custom_attributes/{id}`.
pub fn delete(state: &mut State, id: i64) -> Answer {
    let before = state.definitions.len();
    state.definitions.retain(|definition| definition.id != id);
    if state.definitions.len() == before { errors::not_found() } else { Answer::empty(204) }
}

type Checked = (String, String, Option<i64>);

fn check(state: &State, given: &Map<String, Value>, own: Option<i64>) -> Result<Checked, Answer> {
    if let Some(key) =
        given.keys().find(|key| !["name", "shortname", "position"].contains(&key.as_str()))
    {
        return Err(errors::v2(400, &format!("unknown attribute: {key}")));
    }
    let text = |key: &str| given.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (Some(name), Some(shortname)) = (text("name"), text("shortname")) else {
        return Err(errors::v2(400, "name and shortname are required"));
    };
    if !shortname.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(errors::v2(400, "Shortname is invalid"));
    }
    if state.definitions.iter().any(|other| other.shortname == shortname && Some(other.id) != own) {
        return Err(errors::v2(400, "Shortname has already been taken"));
    }
    let position = match given.get("position") {
        None | Some(Value::Null) => None,
        Some(value) => Some(
            value
                .as_i64()
                .filter(|position| *position >= 1)
                .ok_or_else(|| errors::v2(400, "Position is invalid"))?,
        ),
    };
    Ok((name.to_owned(), shortname.to_owned(), position))
}
