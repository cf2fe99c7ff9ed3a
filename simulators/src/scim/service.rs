//! Routes.

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use serde_json::Value;

use super::auth::Rights;
use super::discovery::{self, About};
use super::errors::{Checked, Refused};
use super::quirks::{Method, Served};
use super::state::State;
use super::{listing, writes};
use crate::clock::Clock;
use crate::front::{Answer, Call, Service};

const PAGE: &str =
    "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>";

/// The simulated SCIM server.
pub struct Scim {
    clock: Arc<Clock>,
    state: Mutex<State>,
}

impl Scim {
    pub fn new(clock: Arc<Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("scim lock")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Token,
    About(About),
    Users,
    User(String),
    Search,
    /// Known to the standard, and not there: `/Bulk`, `/Me`.
    NotImplemented,
    Unknown,
}

fn route(call: &Call) -> (Route, String) {
    let segments = call.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let own = |text: &&str| (*text).to_owned();
    let (route, template) = match parts.as_slice() {
        ["oauth", "token"] => (Route::Token, "/oauth/token"),
        ["scim", "v2", rest @ ..] => match rest {
            ["ServiceProviderConfig"] => {
                (Route::About(About::Config), "/scim/v2/ServiceProviderConfig")
            }
            ["ResourceTypes"] => (Route::About(About::ResourceTypes), "/scim/v2/ResourceTypes"),
            ["ResourceTypes", id] => {
                (Route::About(About::ResourceType(own(id))), "/scim/v2/ResourceTypes/{id}")
            }
            ["Schemas"] => (Route::About(About::Schemas), "/scim/v2/Schemas"),
            ["Schemas", id] => (Route::About(About::Schema(own(id))), "/scim/v2/Schemas/{id}"),
            ["Users"] => (Route::Users, "/scim/v2/Users"),
            ["Users", ".search"] => (Route::Search, "/scim/v2/Users/.search"),
            [".search"] => (Route::Search, "/scim/v2/.search"),
            ["Users", id] if !id.is_empty() => (Route::User(own(id)), "/scim/v2/Users/{id}"),
            ["Bulk"] | ["Me", ..] => (Route::NotImplemented, "(not implemented)"),
            _ => (Route::Unknown, "(unknown)"),
        },
        _ => (Route::Unknown, "(unknown)"),
    };
    (route, format!("{} {template}", call.method))
}

/// Answers as a route that is not there, or not for the caller.
fn served(served: Served) -> Checked<Option<Answer>> {
    match served {
        Served::Yes => Ok(None),
        Served::Absent => Err(Refused::new(404, "There is no such route")),
        Served::Forbidden => Err(Refused::new(403, "This route is not for this client")),
        Served::Page => Ok(Some(Answer::html(200, PAGE))),
    }
}

fn has(method: Method, name: &str) -> Checked<()> {
    match method {
        Method::Supported => Ok(()),
        Method::NotImplemented => Err(Refused::new(501, format!("{name} is not implemented"))),
        Method::NotAllowed => Err(Refused::new(405, format!("{name} is not allowed"))),
    }
}

/// Checks credentials, limit and rights.
fn admit(state: &mut State, call: &Call, route: &Route, now: Timestamp) -> Checked<()> {
    // The ways of authentication can be read without one (RFC 7643, 5).
    let anonymous = call.header("authorization").is_none_or(str::is_empty);
    let open = *route == Route::About(About::Config) && anonymous;
    if !open && !state.access.admits(call, now) {
        return Err(Refused::new(401, "The credentials are missing or not valid"));
    }
    if !state.window.take(now).granted {
        return Err(Refused::new(429, "Too many requests"));
    }
    let reads = call.method == "GET" || *route == Route::Search;
    match state.access.rights {
        Rights::Manage => Ok(()),
        Rights::Read if reads => Ok(()),
        _ if open => Ok(()),
        _ => Err(Refused::new(403, "The client has no right to do this")),
    }
}

fn handled(state: &mut State, call: &Call, route: &Route, now: Timestamp) -> Checked<Answer> {
    admit(state, call, route, now)?;
    let routes = state.quirks.routes;
    let not_allowed = || Err(Refused::new(405, format!("{} is not allowed", call.method)));
    let replaced = match route {
        Route::Users | Route::User(_) | Route::Search => served(routes.users)?,
        Route::About(_) => served(routes.discovery)?,
        _ => None,
    };
    if let Some(page) = replaced {
        return Ok(page);
    }
    match (route, call.method.as_str()) {
        (Route::About(about), "GET") => discovery::answer(state, call, about),
        (Route::Users, "GET") => listing::list(state, call, now),
        (Route::Search, "POST") if !routes.search => Err(Refused::new(501, "There is no search")),
        (Route::Search, "POST") => listing::list(state, call, now),
        (Route::Users, "POST") => writes::create(state, call, now),
        (Route::User(id), "GET") => writes::get(state, call, id),
        (Route::User(id), "PUT") => {
            has(routes.put, "PUT")?;
            writes::replace(state, call, id, now)
        }
        (Route::User(id), "PATCH") => {
            has(routes.patch, "PATCH")?;
            writes::update(state, call, id, now)
        }
        (Route::User(id), "DELETE") => writes::delete(state, call, id, now),
        (Route::About(_) | Route::Users | Route::User(_) | Route::Search, _) => not_allowed(),
        (Route::NotImplemented, _) => Err(Refused::new(501, "This is not implemented")),
        (Route::Unknown | Route::Token, _) => Err(Refused::new(404, "There is no such route")),
    }
}

impl Service for Scim {
    fn answer(&self, call: &Call) -> Answer {
        let now = self.clock.now();
        let mut state = self.state();
        let (route, _) = route(call);
        if route == Route::Token && call.method == "POST" {
            return state.access.issue(call, now);
        }
        let done = handled(&mut state, call, &route, now);
        let form = state.quirks.errors;
        done.unwrap_or_else(|refused| {
            let answer = refused.answer(&form);
            match (refused.status, form.retry_after) {
                (401, _) => answer.with("www-authenticate", "Bearer realm=\"scim\""),
                (429, Some(seconds)) => answer.with("retry-after", seconds),
                _ => answer,
            }
        })
    }

    fn route(&self, call: &Call) -> String {
        route(call).1
    }

    fn is_write(&self, call: &Call) -> bool {
        let (route, _) = route(call);
        matches!(route, Route::Users | Route::User(_))
            && !matches!(call.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    fn is_secret(&self, call: &Call) -> bool {
        route(call).0 == Route::Token
    }

    fn error_body(&self, status: u16) -> Value {
        Refused::new(status, "An injected error").body(&self.state().quirks.errors)
    }
}
