//! Answers of the control API.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::plant::Plant;

pub(super) type Shared = State<Arc<Plant>>;

/// An answer of the control API: a body, or a status with a sentence. Handlers that cannot fail
/// return one too.
pub(super) type Reply = Result<Response, Refused>;

/// Why the control API refused.
pub(super) struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

impl Refused {
    pub(super) fn bad(why: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, why.into())
    }

    pub(super) fn missing(what: &str) -> Self {
        Self(StatusCode::NOT_FOUND, format!("no such {what}"))
    }
}

/// Reads a JSON body of any content type; a mistake in a test gets a clear message.
pub(super) fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused::bad(error.to_string()))
}

/// Merges the given keys into a settings object, and into the objects in it; unknown keys are
/// refused.
pub(super) fn overlay<T: serde::Serialize + DeserializeOwned>(
    current: &T,
    body: &Bytes,
) -> Result<T, Refused> {
    let given: serde_json::Map<String, Value> = parse(body)?;
    let mut all = serde_json::to_value(current).map_err(|error| Refused::bad(error.to_string()))?;
    lay(&mut all, Value::Object(given));
    serde_json::from_value(all).map_err(|error| Refused::bad(error.to_string()))
}

fn lay(over: &mut Value, given: Value) {
    match (over, given) {
        (Value::Object(all), Value::Object(given)) => {
            for (name, value) in given {
                lay(all.entry(name).or_insert(Value::Null), value);
            }
        }
        (over, given) => *over = given,
    }
}

#[allow(clippy::unnecessary_wraps)]
pub(super) fn ok(body: &Value) -> Reply {
    Ok(Json(body).into_response())
}

pub(super) fn done() -> Reply {
    ok(&json!({}))
}

/// Returns a JSON array of rendered objects.
pub(super) fn array(objects: impl Iterator<Item = Vec<u8>>) -> Reply {
    let mut body = vec![b'['];
    for (position, object) in objects.enumerate() {
        if position > 0 {
            body.push(b',');
        }
        body.extend(object);
    }
    body.push(b']');
    json_bytes(body)
}

/// Answers a JSON text.
#[allow(clippy::unnecessary_wraps)]
pub(super) fn json_bytes(body: Vec<u8>) -> Reply {
    Ok(([("content-type", "application/json")], body).into_response())
}
