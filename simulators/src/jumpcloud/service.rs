//! Routes of the system users, and what every call is checked for.

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::state::{Rights, State};
use super::users::ORGANIZATION;
use super::{listing, writes};
use crate::clock::Clock;
use crate::front::{Answer, Call, Service};

/// The simulated JumpCloud organization.
pub struct JumpCloud {
    clock: Arc<Clock>,
    state: Mutex<State>,
}

impl JumpCloud {
    pub fn new(clock: Arc<Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("jumpcloud lock")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Users,
    Search,
    User(String),
    Expire(String),
    Activate(String),
    Unknown,
}

fn route(call: &Call) -> (Route, String) {
    let segments = call.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = call.method.as_str();
    let users = "/api/systemusers";
    let (route, template) = match (method, parts.as_slice()) {
        ("GET" | "POST", ["api", "systemusers"]) => (Route::Users, users.to_owned()),
        ("POST", ["api", "search", "systemusers"]) => {
            (Route::Search, "/api/search/systemusers".to_owned())
        }
        ("GET" | "PUT" | "DELETE", ["api", "systemusers", id]) => {
            (Route::User((*id).to_owned()), format!("{users}/{{id}}"))
        }
        ("POST", ["api", "systemusers", id, "expire"]) => {
            (Route::Expire((*id).to_owned()), format!("{users}/{{id}}/expire"))
        }
        ("POST", ["api", "systemusers", id, "state", "activate"]) => {
            (Route::Activate((*id).to_owned()), format!("{users}/{{id}}/state/activate"))
        }
        _ => (Route::Unknown, "(unknown)".to_owned()),
    };
    (route, format!("{method} {template}"))
}

impl Service for JumpCloud {
    fn answer(&self, call: &Call) -> Answer {
        let now = self.clock.now();
        let mut state = self.state();
        if state.blocked {
            return Answer::html(
                403,
                "<html><body>403 Forbidden: your IP has been blocked due to suspected abuse</body></html>",
            );
        }
        let (route, _) = route(call);
        if route == Route::Unknown {
            return Answer::html(404, "<!DOCTYPE html><html><title>404</title></html>");
        }
        if let Err(refused) = admit(&mut state, call, now) {
            return refused;
        }
        let reads = call.method == "GET" || route == Route::Search;
        if state.rights == Rights::Read && !reads {
            return state.refuse(403, "Forbidden");
        }
        match (route, call.method.as_str()) {
            (Route::Users, "GET") => listing::list(&state, call, now),
            (Route::Users, _) => writes::create(&mut state, call, now),
            (Route::Search, _) => listing::search(&state, call, now),
            (Route::User(id), "GET") => listing::get(&state, call, &id),
            (Route::User(id), "DELETE") => writes::delete(&mut state, call, &id),
            (Route::User(id), _) => writes::update(&mut state, call, &id),
            (Route::Expire(id), _) => writes::expire(&mut state, &id),
            (Route::Activate(id), _) => writes::activate(&mut state, call, &id),
            (Route::Unknown, _) => Answer::empty(404),
        }
    }

    fn route(&self, call: &Call) -> String {
        route(call).1
    }

    fn is_write(&self, call: &Call) -> bool {
        let (route, _) = route(call);
        !matches!(route, Route::Search | Route::Unknown)
            && !matches!(call.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    fn is_secret(&self, _: &Call) -> bool {
        false
    }

    fn error_body(&self, status: u16) -> Value {
        json!({"code": status, "message": "An injected error", "status": "ERROR"})
    }
}

/// Checks key, organization and limit.
fn admit(state: &mut State, call: &Call, now: Timestamp) -> Result<(), Answer> {
    if call.header("x-api-key") != Some(&*state.key) {
        return Err(state.refuse(401, "Unauthorized"));
    }
    match call.header("x-org-id") {
        None | Some("") if state.several => {
            return Err(state.refuse(401, "Unauthorized: x-org-id is required"));
        }
        None | Some("" | ORGANIZATION) => {}
        Some(other) if other.len() == 24 => {
            return Err(state.refuse(404, "Organization ID Not Found."));
        }
        Some(_) => return Err(state.refuse(400, "x-org-id and Organization path ID do not match.")),
    }
    if !state.window.take(now).granted {
        let answer = state.refuse(429, "Too Many Requests");
        return Err(match state.quirks.retry_after {
            Some(seconds) => answer.with("retry-after", seconds),
            None => answer,
        });
    }
    Ok(())
}
