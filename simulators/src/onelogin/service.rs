//! `OneLogin`'s routes, its limit of calls an hour, and what changes by itself over time.

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use serde_json::Value;

use super::attributes::{Cell, LOCKED_UNTIL, STATUS};
use super::auth::{self, Version};
use super::state::{Changed, State};
use super::tokens::Scope;
use super::users::Shown;
use super::{definitions, errors, listing, v1, writes};
use crate::clock::Clock;
use crate::front::window::Taken;
use crate::front::{Answer, Call, Service};

/// The simulated `OneLogin`.
pub struct OneLogin {
    clock: Arc<Clock>,
    state: Mutex<State>,
}

impl OneLogin {
    pub fn new(clock: Arc<Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Returns the state as of now.
    pub fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().expect("onelogin lock");
        state.tick(self.clock.now());
        state
    }
}

/// How many changes the journal keeps.
const JOURNAL: usize = 20_000;

/// A route of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Token(Version),
    Revoke,
    RateLimit,
    Users,
    User(String),
    Unlock(String),
    Definitions,
    Definition(String),
    V1(String, v1::Action),
    V1Definitions,
    Unknown,
}

fn route(call: &Call) -> (Route, String) {
    let segments = call.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = call.method.as_str();
    let (route, template) = match (method, parts.as_slice()) {
        ("POST", ["auth", "oauth2", "v2", "token"]) => {
            (Route::Token(Version::V2), call.path.clone())
        }
        ("POST", ["auth", "oauth2", "token"]) => (Route::Token(Version::V1), call.path.clone()),
        ("POST", ["auth", "oauth2", "revoke"]) => (Route::Revoke, call.path.clone()),
        ("GET", ["auth", "rate_limit"]) => (Route::RateLimit, call.path.clone()),
        ("GET" | "POST", ["api", "2", "users"]) => (Route::Users, call.path.clone()),
        ("GET" | "POST", ["api", "2", "users", "custom_attributes"]) => {
            (Route::Definitions, call.path.clone())
        }
        ("GET" | "PUT" | "DELETE", ["api", "2", "users", "custom_attributes", id]) => {
            (Route::Definition((*id).to_owned()), "/api/2/users/custom_attributes/{id}".into())
        }
        ("GET" | "PUT" | "DELETE", ["api", "2", "users", id]) => {
            (Route::User((*id).to_owned()), "/api/2/users/{id}".into())
        }
        ("POST", ["api", "2", "users", id, "unlock"]) => {
            (Route::Unlock((*id).to_owned()), "/api/2/users/{id}/unlock".into())
        }
        ("GET", ["api", "1", "users", "custom_attributes"]) => {
            (Route::V1Definitions, call.path.clone())
        }
        ("PUT", ["api", "1", "users", id, action]) => match v1::Action::parse(action) {
            Some(parsed) => {
                (Route::V1((*id).to_owned(), parsed), format!("/api/1/users/{{id}}/{action}"))
            }
            None => (Route::Unknown, "(unknown)".into()),
        },
        _ => (Route::Unknown, "(unknown)".into()),
    };
    (route, format!("{method} {template}"))
}

fn limit_headers(answer: Answer, taken: Taken, now: Timestamp) -> Answer {
    answer
        .with("x-ratelimit-limit", taken.limit)
        .with("x-ratelimit-remaining", taken.remaining)
        .with("x-ratelimit-reset", taken.seconds_left(now))
}

impl Service for OneLogin {
    fn answer(&self, call: &Call) -> Answer {
        let now = self.clock.now();
        let mut state = self.state();
        let request = state.tokens.request_id();
        let (route, _) = route(call);
        let answer = match route {
            Route::Token(version) => auth::token(&mut state, call, version, now),
            Route::Revoke => auth::revoke(&mut state, call),
            Route::RateLimit => auth::rate_limit(&mut state, call, now),
            route => resource(&mut state, call, &route, now),
        };
        answer.with("x-request-id", &request).with("x-correlation-id", &request)
    }

    fn route(&self, call: &Call) -> String {
        route(call).1
    }

    fn is_write(&self, call: &Call) -> bool {
        call.path.starts_with("/api/")
            && !matches!(call.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    fn is_secret(&self, call: &Call) -> bool {
        call.path.starts_with("/auth/")
    }

    fn error_body(&self, status: u16) -> Value {
        errors::v2_body(status, "An injected error")
    }
}

/// Handles a call under `/api`: token, limit, scope, then the route itself.
fn resource(state: &mut State, call: &Call, route: &Route, now: Timestamp) -> Answer {
    let old = call.path.starts_with("/api/1/");
    let Some(bearer) = auth::bearer(call) else {
        return if old {
            errors::v1(400, "Authorization Information is incorrect")
        } else {
            errors::unauthorized()
        };
    };
    if !state.tokens.accepts(bearer, now) {
        return if old {
            errors::v1(401, "Authentication Failure")
        } else {
            errors::unauthorized()
        };
    }
    let taken = state.window.take(now);
    if !taken.granted {
        let message = "Rate limit exceeded";
        let mut answer = if old { errors::v1(429, message) } else { errors::v2(429, message) };
        if state.quirks.retry_after {
            answer = answer.with("retry-after", taken.seconds_left(now));
        }
        return limit_headers(answer, taken, now);
    }
    let answer = if permitted(state.tokens.scope, call, route) {
        journalled(state, call, route, now)
    } else {
        let status = state.quirks.missing_scope_status;
        let message = "Insufficient permissions";
        if old { errors::v1(status, message) } else { errors::v2(status, message) }
    };
    limit_headers(answer, taken, now)
}

fn permitted(scope: Scope, call: &Call, route: &Route) -> bool {
    match route {
        Route::V1(_, action) => action.permitted(scope),
        Route::Unlock(_) => scope.manages_all(),
        Route::Unknown => true,
        _ if call.method == "GET" => scope.reads_users(),
        _ => scope.writes_users(),
    }
}

/// Answers the call, and records what it changed.
fn journalled(state: &mut State, call: &Call, route: &Route, now: Timestamp) -> Answer {
    let id = match (call.method.as_str(), route) {
        ("POST", Route::Users) => Some(state.users.next_id()),
        // A logout does not change the user.
        (_, Route::V1(_, v1::Action::Logout)) => None,
        ("PUT" | "DELETE" | "POST", Route::User(id) | Route::Unlock(id) | Route::V1(id, _)) => {
            id.parse().ok()
        }
        _ => None,
    };
    let stored = |state: &State| {
        let bytes = id.and_then(|id| state.users.get(id)).map(|user| state.stored(user));
        bytes.map_or(Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap_or_default())
    };
    let before = stored(state);
    let answer = dispatch(state, call, route, now);
    if let Some(id) = id.filter(|_| (200..300).contains(&answer.status)) {
        let after = stored(state);
        state.journalled += 1;
        if state.journal.len() == JOURNAL {
            state.journal.pop_front();
        }
        state.journal.push_back(Changed { seq: state.journalled, at: now, id, before, after });
    }
    answer
}

fn dispatch(state: &mut State, call: &Call, route: &Route, now: Timestamp) -> Answer {
    let method = call.method.as_str();
    match (route, method) {
        (Route::Users, "GET") => listing::list(state, call),
        (Route::Users, _) => writes::create(state, call, now),
        (Route::Definitions, "GET") => definitions::list(state, call),
        (Route::Definitions, _) => definitions::create(state, call),
        (Route::V1Definitions, _) => v1::definitions(state),
        (Route::V1(id, action), _) => v1::act(state, call, id, *action, now),
        (Route::User(id) | Route::Unlock(id) | Route::Definition(id), _) => {
            let Ok(id) = id.parse::<i64>() else { return errors::not_found() };
            match (route, method) {
                (Route::Definition(_), "GET") => definitions::get(state, id),
                (Route::Definition(_), "PUT") => definitions::update(state, call, id),
                (Route::Definition(_), _) => definitions::delete(state, id),
                (Route::Unlock(_), _) => unlock(state, id),
                (_, "GET") => match state.users.get(id) {
                    Some(user) => state.one(user, &Shown::full(), 200),
                    None => errors::not_found(),
                },
                (_, "PUT") => writes::update(state, call, id, now),
                (_, _) => writes::delete(state, id),
            }
        }
        _ if call.path.starts_with("/api/1/") => errors::v1(404, "No Route Exists"),
        // An undefined v2 route looks like a token problem.
        _ => errors::unauthorized(),
    }
}

/// Handles `POST /api/2/users/{id}/unlock`; the key of its success is misspelt by the vendor.
fn unlock(state: &mut State, id: i64) -> Answer {
    let Some(mut user) = state.users.get(id).cloned() else { return errors::not_found() };
    if user.status() != 3 {
        return Answer::json(422, &serde_json::json!({"message": "User cannot be unlocked"}));
    }
    user.set(STATUS, Some(Cell::Int(1)));
    user.set(LOCKED_UNTIL, None);
    state.users.put(user);
    Answer::json(200, &serde_json::json!({"messsage": "User unlocked"}))
}
