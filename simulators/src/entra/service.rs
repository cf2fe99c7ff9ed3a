//! Routes of the sign-in service and of Microsoft Graph, and their limits.

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::state::State;
use super::{batch, errors, listing, writes};
use crate::clock::Clock;
use crate::front::{Answer, Call, Service};

/// The simulated tenant.
pub struct Entra {
    clock: Arc<Clock>,
    state: Mutex<State>,
}

impl Entra {
    pub fn new(clock: Arc<Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("entra lock")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Token(String),
    Batch,
    Users,
    User(String),
    Manager(String),
    ManagerReference(String),
    Sessions(String),
    Deleted,
    Restore(String),
    Unknown,
}

fn route(call: &Call) -> (Route, String) {
    let mut segments = call.segments();
    // `/users('name')` is `/users/name`.
    if let Some(name) = segments
        .get(1)
        .and_then(|part| part.strip_prefix("users('")?.strip_suffix("')"))
        .map(|name| name.replace("''", "'"))
    {
        segments.splice(1..2, ["users".to_owned(), name]);
    }
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = call.method.as_str();
    let of = |key: &str| key.to_owned();
    let (route, template) = match (method, parts.as_slice()) {
        ("POST", [tenant, "oauth2", "v2.0", "token"]) => {
            (Route::Token(of(tenant)), "/{tenant}/oauth2/v2.0/token")
        }
        ("POST", ["v1.0", "$batch"]) => (Route::Batch, "/v1.0/$batch"),
        ("GET" | "POST", ["v1.0", "users"]) => (Route::Users, "/v1.0/users"),
        // A name that begins with a dollar sign counts as an option here.
        (_, ["v1.0", "users", key, ..])
            if key.starts_with('$') && !call.path.contains("users('") =>
        {
            (Route::Unknown, "(unknown)")
        }
        ("GET" | "PATCH" | "DELETE", ["v1.0", "users", key]) if !key.is_empty() => {
            (Route::User(of(key)), "/v1.0/users/{id}")
        }
        ("GET", ["v1.0", "users", key, "manager"]) => {
            (Route::Manager(of(key)), "/v1.0/users/{id}/manager")
        }
        ("PUT" | "DELETE", ["v1.0", "users", key, "manager", "$ref"]) => {
            (Route::ManagerReference(of(key)), "/v1.0/users/{id}/manager/$ref")
        }
        ("POST", ["v1.0", "users", key, "revokeSignInSessions"]) => {
            (Route::Sessions(of(key)), "/v1.0/users/{id}/revokeSignInSessions")
        }
        ("GET", ["v1.0", "directory", "deletedItems", "microsoft.graph.user" | "graph.user"]) => {
            (Route::Deleted, "/v1.0/directory/deletedItems/microsoft.graph.user")
        }
        ("POST", ["v1.0", "directory", "deletedItems", id, "restore"]) => {
            (Route::Restore(of(id)), "/v1.0/directory/deletedItems/{id}/restore")
        }
        _ => (Route::Unknown, "(unknown)"),
    };
    (route, format!("{method} {template}"))
}

impl Service for Entra {
    fn answer(&self, call: &Call) -> Answer {
        let now = self.clock.now();
        // Microsoft's web servers require the length of a body, even of an empty one.
        let measured = ["content-length", "transfer-encoding"]
            .iter()
            .any(|name| call.headers.contains_key(*name));
        if matches!(call.method.as_str(), "POST" | "PUT" | "PATCH") && !measured {
            return Answer::html(411, "<!DOCTYPE html><html><title>Length Required</title></html>");
        }
        let mut state = self.state();
        match route(call).0 {
            Route::Token(tenant) => {
                let lag = SignedDuration::from_secs(state.quirks.secret_lag_seconds);
                state.tokens.answer(call, &tenant, lag, now)
            }
            Route::Batch if state.quirks.no_batch => {
                errors::refused(404, "BadRequest", "Resource not found for the segment '$batch'.")
            }
            Route::Batch => {
                if state.tokens.granted(call, now).is_none() {
                    return errors::unauthorized();
                }
                match batch::requests(call) {
                    Ok(calls) => {
                        batch::answer(calls, |one| resource(&mut state, one, &route(one).0, now))
                    }
                    Err(refused) => refused,
                }
            }
            route => resource(&mut state, call, &route, now),
        }
    }

    fn route(&self, call: &Call) -> String {
        route(call).1
    }

    fn is_write(&self, call: &Call) -> bool {
        // Only the requests in a batch change something.
        call.path.starts_with("/v1.0/")
            && call.path != "/v1.0/$batch"
            && !matches!(call.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    fn is_secret(&self, call: &Call) -> bool {
        call.path.ends_with("/token")
    }

    fn within(&self, call: &Call, answer: &Answer) -> Vec<(Call, u16)> {
        match route(call).0 {
            Route::Batch => batch::within(call, answer),
            _ => Vec::new(),
        }
    }

    fn error_body(&self, status: u16) -> Value {
        errors::body(
            if status >= 500 { "serviceNotAvailable" } else { "Request_BadRequest" },
            "An injected error",
            &Value::Null,
        )
    }
}

/// Handles a call of Microsoft Graph: token, permission, limits, then the route itself.
fn resource(state: &mut State, call: &Call, route: &Route, now: Timestamp) -> Answer {
    let read = call.method == "GET";
    let Some(carried) = state.tokens.granted(call, now) else { return errors::unauthorized() };
    let may_one_of =
        |permissions: &[&str]| carried.iter().any(|held| permissions.contains(&held.as_str()));
    let all = ["User.ReadWrite.All", "Directory.ReadWrite.All"];
    let may = match route {
        // The reference names no higher application permission for it.
        Route::Sessions(_) => may_one_of(&["User.RevokeSessions.All"]),
        _ => may_one_of(&all) || (read && may_one_of(&["User.Read.All", "Directory.Read.All"])),
    };
    if !may {
        return errors::forbidden();
    }
    for _ in 0..units(call, route) {
        let taken = state.units.take(now);
        if !taken.granted {
            return errors::throttled(taken.seconds_left(now));
        }
    }
    if !read {
        let taken = state.writes.take(now);
        if !taken.granted {
            return errors::throttled(taken.seconds_left(now));
        }
    }
    let answer = match (route, call.method.as_str()) {
        (Route::Users, "GET") => listing::list(state, call, now),
        (Route::Users, _) => writes::create(state, call, now),
        (Route::User(key), "GET") => listing::get(state, call, key, now),
        (Route::User(key), "DELETE") => writes::delete(state, key, now),
        (Route::User(key), _) => writes::update(state, call, key, now),
        (Route::Manager(key), _) => listing::manager(state, call, key),
        (Route::ManagerReference(key), "PUT") => writes::set_manager(state, call, key, now),
        (Route::ManagerReference(key), _) => writes::remove_manager(state, key, now),
        (Route::Sessions(key), _) => writes::end_sessions(state, key, now),
        (Route::Deleted, _) => listing::deleted(state, call),
        (Route::Restore(id), _) => writes::restore(state, id, now),
        (Route::Token(_) | Route::Batch | Route::Unknown, _) => {
            errors::refused(404, "BadRequest", "Resource not found for the segment.")
        }
    };
    answer
        .with("request-id", "7c8ad5ea-0000-4000-8000-000000000001")
        .with("x-ms-resource-unit", units(call, route))
}

/// Returns the cost of a call (the price list of the same page).
fn units(call: &Call, route: &Route) -> u32 {
    let asks = |name: &str| call.pairs().iter().any(|(known, _)| known == name);
    match (route, call.method.as_str()) {
        (Route::Users, "GET") => 2 + u32::from(asks("$expand")) - u32::from(asks("$select")),
        _ => 1,
    }
}
