//! Routes of the token endpoint and the users API, and what every call is checked for.

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::access::{Granted, Rights, Stranger};
use super::errors::Challenge;
use super::lifecycle::Step;
use super::limits::{Bucket, with_headers};
use super::state::State;
use super::writes::Update;
use super::{errors, lifecycle, listing, render, writes};
use crate::clock::Clock;
use crate::front::{Answer, Call, Service};

/// The simulated org.
pub struct Okta {
    clock: Arc<Clock>,
    state: Mutex<State>,
}

impl Okta {
    pub fn new(clock: Arc<Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    /// Returns the state of now: transitions whose time is over have ended.
    pub fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().expect("okta lock");
        state.users.settle(self.clock.now());
        state
    }
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    Token,
    Users,
    User(String),
    Step(String, Step),
    Sessions(String),
    Schema(String),
    Org,
    Unknown,
}

fn route(call: &Call) -> (Route, &'static str) {
    let segments = call.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["oauth2", "v1", "token"] => (Route::Token, "/oauth2/v1/token"),
        ["api", "v1", "users"] => (Route::Users, "/api/v1/users"),
        ["api", "v1", "users", key] => (Route::User((*key).to_owned()), "/api/v1/users/{id}"),
        ["api", "v1", "users", key, "lifecycle", step] => match Step::read(step) {
            None => (Route::Unknown, "(unknown)"),
            Some(step) => (
                Route::Step((*key).to_owned(), step),
                match step {
                    Step::Activate => "/api/v1/users/{id}/lifecycle/activate",
                    Step::Deactivate => "/api/v1/users/{id}/lifecycle/deactivate",
                    Step::Suspend => "/api/v1/users/{id}/lifecycle/suspend",
                    Step::Unsuspend => "/api/v1/users/{id}/lifecycle/unsuspend",
                    Step::Reactivate => "/api/v1/users/{id}/lifecycle/reactivate",
                    Step::ExpirePassword => "/api/v1/users/{id}/lifecycle/expire_password",
                    Step::Unlock => "/api/v1/users/{id}/lifecycle/unlock",
                },
            ),
        },
        ["api", "v1", "users", key, "sessions"] => {
            (Route::Sessions((*key).to_owned()), "/api/v1/users/{id}/sessions")
        }
        ["api", "v1", "meta", "schemas", "user", id] => {
            (Route::Schema((*id).to_owned()), "/api/v1/meta/schemas/user/{schemaId}")
        }
        ["api", "v1", "org"] => (Route::Org, "/api/v1/org"),
        _ => (Route::Unknown, "(unknown)"),
    }
}

/// Returns whether a route knows a method.
fn knows(route: &Route, method: &str) -> bool {
    match route {
        Route::Token | Route::Step(..) => method == "POST",
        Route::Users | Route::Schema(_) => matches!(method, "GET" | "POST"),
        // A login with a slash never reaches its route.
        Route::User(key) => {
            !key.contains('/') && matches!(method, "GET" | "POST" | "PUT" | "DELETE")
        }
        Route::Sessions(_) => method == "DELETE",
        Route::Org => method == "GET",
        Route::Unknown => false,
    }
}

/// Returns the scope that a call needs.
fn scope(route: &Route, method: &str) -> &'static str {
    match (route, method) {
        (Route::Schema(_), "GET") => "okta.schemas.read",
        (Route::Schema(_), _) => "okta.schemas.manage",
        (Route::Org, _) => "okta.orgs.read",
        (_, "GET") => "okta.users.read",
        _ => "okta.users.manage",
    }
}

/// Returns the addresses under which a caller may know this call's path: the org's, and this
/// server's.
fn addresses(call: &Call, domain: &str) -> Vec<String> {
    let mut addresses = vec![format!("https://{domain}{}", call.path)];
    addresses.extend(call.header("host").map(|host| format!("http://{host}{}", call.path)));
    addresses
}

impl Service for Okta {
    fn answer(&self, call: &Call) -> Answer {
        let now = self.clock.now();
        let mut state = self.state();
        let request = format!("req{}", state.access.rng.hex(10));
        let answer = answer(&mut state, call, now);
        // Callers compare the time of a refill with the time of the answer.
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        answer.with("x-okta-request-id", request).with("date", date)
    }

    fn route(&self, call: &Call) -> String {
        format!("{} {}", call.method, route(call).1)
    }

    fn is_write(&self, call: &Call) -> bool {
        route(call).0 != Route::Unknown
            && call.path.starts_with("/api/")
            && !matches!(call.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    fn is_secret(&self, call: &Call) -> bool {
        call.path == "/oauth2/v1/token"
    }

    fn error_body(&self, status: u16) -> Value {
        errors::for_status(status)
    }
}

/// Checks form, limits, token, scope, role and mode of the org, and then answers.
fn answer(state: &mut State, call: &Call, now: Timestamp) -> Answer {
    let (route, _) = route(call);
    let method = call.method.as_str();
    if route == Route::Unknown {
        return errors::known("E0000008");
    }
    if !knows(&route, method) {
        return errors::known("E0000022");
    }
    let has_length = call.headers.contains_key("content-length")
        || call.headers.contains_key("transfer-encoding");
    if matches!(method, "POST" | "PUT") && !has_length {
        return Answer::empty(411);
    }
    let accepted = call.header("accept").unwrap_or("*/*");
    if !["application/json", "*/*", "application/*"].iter().any(|kind| accepted.contains(kind)) {
        return errors::known("E0000122");
    }
    let addresses = addresses(call, &state.org.domain);
    let granted = if route == Route::Token {
        None
    } else {
        match state.access.granted(call, &addresses, now) {
            Ok(granted) => Some(granted),
            Err(Stranger::Answer(answer)) => return answer,
            Err(Stranger::Challenge(challenge)) => {
                return challenged(state, call, challenge, scope(&route, method));
            }
        }
    };
    let taken = match state.limits.take(Bucket::of(&route, call), call, now) {
        Ok(taken) => taken,
        Err(refused) => return refused,
    };
    let answer = match granted {
        None => state.access.issue(call, &addresses, now),
        Some(granted) => match permitted(state, call, &route, &granted) {
            Ok(()) => resource(state, call, route, now),
            Err(refused) => refused,
        },
    };
    with_headers(answer, taken, now)
}

fn challenged(state: &State, call: &Call, challenge: Challenge, scope: &str) -> Answer {
    challenge.answer(call, &state.org.domain, scope, state.quirks.bare_token_refusals)
}

/// Checks scope, role and mode of the org.
fn permitted(state: &State, call: &Call, route: &Route, granted: &Granted) -> Result<(), Answer> {
    let method = call.method.as_str();
    let scope = scope(route, method);
    if !granted.has(scope) {
        let challenge = Challenge {
            scheme: granted.scheme,
            status: 403,
            error: "insufficient_scope",
            description: "The access token provided does not contain the required scopes.",
        };
        return Err(challenged(state, call, challenge, scope));
    }
    if granted.rights == Rights::None || (granted.rights == Rights::Read && method != "GET") {
        return Err(errors::known("E0000006"));
    }
    if state.org.read_only && method != "GET" {
        return Err(errors::known("E0000010"));
    }
    Ok(())
}

fn resource(state: &mut State, call: &Call, route: Route, now: Timestamp) -> Answer {
    let host = call.header("host").unwrap_or(&state.org.domain);
    let base = format!("http://{host}");
    match (route, call.method.as_str()) {
        (Route::Users, "GET") => listing::list(state, call, &base, now),
        (Route::Users, _) => writes::create(state, call, &base, now),
        (Route::User(key), "GET") => listing::get(state, call, &key, &base),
        (Route::User(key), "DELETE") => writes::delete(state, call, &key, now),
        (Route::User(key), "PUT") => writes::update(state, call, &key, Update::Full, &base, now),
        (Route::User(key), _) => writes::update(state, call, &key, Update::Partial, &base, now),
        (Route::Step(key, step), _) => lifecycle::step(state, call, &key, step, &base, now),
        (Route::Sessions(key), _) => lifecycle::end_sessions(state, call, &key),
        (Route::Schema(id), method) => schema(state, call, &id, method, &base),
        (Route::Org, _) => Answer::json(200, &render::org(&state.org)),
        (Route::Token | Route::Unknown, _) => errors::known("E0000008"),
    }
}

/// Handles `GET` and `POST /api/v1/meta/schemas/user/{schemaId}`.
fn schema(state: &mut State, call: &Call, id: &str, method: &str, base: &str) -> Answer {
    if !matches!(id, "default" | render::SCHEMA) {
        return errors::missing(id, "UserSchema");
    }
    if method == "POST" {
        let given = match writes::body(call) {
            Ok(given) => given,
            Err(refused) => return refused,
        };
        let definitions = given.get("definitions").cloned().unwrap_or_else(|| json!({}));
        if let Err((name, why)) = state.schema.change(&definitions) {
            return errors::field(&name, &why);
        }
    }
    Answer::json(200, &render::schema(state, base))
}
