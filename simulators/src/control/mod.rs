//! The control API: tests use it to move the clock, edit the data of Bob and the providers, inject
//! faults and read the calls. It is not part of a vendor's API.
//!
//! - `bob`, `onelogin`, `google`, `entra`, `jumpcloud`, `okta`, `scim`: their data, credentials and
//!   switches
//! - `traffic`: faults, counts and the log; `switches`: quirks and refusals; both are the same for
//!   every service

mod bob;
mod entra;
mod google;
mod jumpcloud;
mod okta;
mod onelogin;
mod scim;
mod switches;
mod traffic;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::world::Plant;

type Shared = State<Arc<Plant>>;

/// An answer of the control API: a body, or a status with a sentence. Handlers that cannot fail
/// return one too.
type Reply = Result<Response, Refused>;

/// Why the control API refused.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

impl Refused {
    fn bad(why: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, why.into())
    }

    fn missing(what: &str) -> Self {
        Self(StatusCode::NOT_FOUND, format!("no such {what}"))
    }
}

/// Reads a JSON body of any content type; a mistake in a test gets a clear message.
fn parse<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused::bad(error.to_string()))
}

/// Merges the given keys into a settings object, and into the objects in it; unknown keys are
/// refused.
fn overlay<T: serde::Serialize + DeserializeOwned>(
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
fn ok(body: &Value) -> Reply {
    Ok(Json(body).into_response())
}

fn done() -> Reply {
    ok(&json!({}))
}

/// Returns a JSON array of rendered objects.
#[allow(clippy::unnecessary_wraps)]
fn array(objects: impl Iterator<Item = Vec<u8>>) -> Reply {
    let mut body = vec![b'['];
    for (position, object) in objects.enumerate() {
        if position > 0 {
            body.push(b',');
        }
        body.extend(object);
    }
    body.push(b']');
    Ok(([("content-type", "application/json")], body).into_response())
}

/// Returns all routes.
pub fn router(plant: Arc<Plant>) -> Router {
    let services = bob::routes().merge(onelogin::routes()).merge(google::routes());
    let services = services.merge(traffic::routes("bob", |plant| &plant.bob_gate));
    let services = services.merge(traffic::routes("onelogin", |plant| &plant.onelogin_gate));
    let services = services.merge(traffic::routes("google", |plant| &plant.google_gate));
    let services =
        services.merge(entra::routes()).merge(traffic::routes("entra", |plant| &plant.entra_gate));
    let services = services
        .merge(jumpcloud::routes())
        .merge(traffic::routes("jumpcloud", |plant| &plant.jumpcloud_gate));
    let services =
        services.merge(okta::routes()).merge(traffic::routes("okta", |plant| &plant.okta_gate));
    let services =
        services.merge(scim::routes()).merge(traffic::routes("scim", |plant| &plant.scim_gate));
    services
        .route("/healthz", get(|| async { "ok" }))
        .route("/clock", get(clock).put(set_clock))
        .fallback(|| async { Refused::missing("control route") })
        .layer(DefaultBodyLimit::max(512 * 1024 * 1024))
        .with_state(plant)
}

async fn clock(State(plant): Shared) -> Reply {
    ok(&json!({"now": plant.clock.now()}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetClock {
    now: Option<Timestamp>,
    advance_seconds: Option<i64>,
}

async fn set_clock(State(plant): Shared, body: Bytes) -> Reply {
    match parse(&body)? {
        SetClock { now: Some(now), advance_seconds: None } => plant.clock.set(now),
        SetClock { now: None, advance_seconds: Some(seconds) } => plant.clock.advance(seconds),
        SetClock { .. } => return Err(Refused::bad("give one of now and advanceSeconds")),
    }
    ok(&json!({"now": plant.clock.now()}))
}
