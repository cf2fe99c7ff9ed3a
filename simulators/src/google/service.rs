//! Routes of the token service and the Directory API, and their limits.

use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::auth::Rights;
use super::state::State;
use super::{errors, listing, writes};
use crate::clock::Clock;
use crate::front::{Answer, Call, Service};

/// The simulated Google Workspace.
pub struct Google {
    clock: Arc<Clock>,
    state: Mutex<State>,
}

impl Google {
    pub fn new(clock: Arc<Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("google lock")
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Token,
    Users,
    User(String),
    Undelete(String),
    SignOut(String),
    Schemas(String),
    Unknown,
}

fn route(call: &Call) -> (Route, String) {
    let segments = call.segments();
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = call.method.as_str();
    let users = "/admin/directory/v1/users";
    let (route, template) = match (method, parts.as_slice()) {
        ("POST", ["token"]) => (Route::Token, "/token".to_owned()),
        ("GET" | "POST", ["admin", "directory", "v1", "users"]) => (Route::Users, users.to_owned()),
        ("GET" | "PUT" | "PATCH" | "DELETE", ["admin", "directory", "v1", "users", key]) => {
            (Route::User((*key).to_owned()), format!("{users}/{{userKey}}"))
        }
        ("POST", ["admin", "directory", "v1", "users", key, "undelete"]) => {
            (Route::Undelete((*key).to_owned()), format!("{users}/{{userKey}}/undelete"))
        }
        ("POST", ["admin", "directory", "v1", "users", key, "signOut"]) => {
            (Route::SignOut((*key).to_owned()), format!("{users}/{{userKey}}/signOut"))
        }
        ("GET", ["admin", "directory", "v1", "customer", customer, "schemas"]) => (
            Route::Schemas((*customer).to_owned()),
            "/admin/directory/v1/customer/{customerId}/schemas".to_owned(),
        ),
        _ => (Route::Unknown, "(unknown)".to_owned()),
    };
    (route, format!("{method} {template}"))
}

impl Service for Google {
    fn answer(&self, call: &Call) -> Answer {
        let now = self.clock.now();
        let mut state = self.state();
        match route(call).0 {
            Route::Token => state.tokens.answer(call, now),
            Route::Unknown => Answer::html(
                404,
                "<!DOCTYPE html><html><title>Error 404 (Not Found)!!1</title></html>",
            ),
            route => resource(&mut state, call, &route, now),
        }
    }

    fn route(&self, call: &Call) -> String {
        route(call).1
    }

    fn is_write(&self, call: &Call) -> bool {
        call.path.starts_with("/admin/")
            && !matches!(call.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    fn is_secret(&self, call: &Call) -> bool {
        call.path == "/token"
    }

    fn error_body(&self, status: u16) -> Value {
        errors::body(
            status,
            if status >= 500 { "backendError" } else { "badRequest" },
            "An injected error",
        )
    }
}

/// Handles a call of the Directory API: token, limit, scope, the administrator's rights, then the
/// route itself.
fn resource(state: &mut State, call: &Call, route: &Route, now: Timestamp) -> Answer {
    let Some(granted) = state.tokens.granted(call, now) else { return errors::unauthorized() };
    if !state.window.take(now).granted {
        return state.slow_down();
    }
    let read = call.method == "GET";
    let scope = match route {
        Route::Schemas(_) => granted.schemas,
        _ if read => granted.users,
        _ => granted.users_write,
    };
    if !scope {
        let message = "Request had insufficient authentication scopes.";
        return errors::refused(403, "insufficientPermissions", message);
    }
    let rights = granted.rights;
    if rights == Rights::None || (rights == Rights::Read && !read) {
        return errors::forbidden();
    }
    match (route, call.method.as_str()) {
        (Route::Users, "GET") => listing::list(state, call, now),
        (Route::Users, _) => writes::insert(state, call, now),
        (Route::User(key), "GET") => listing::get(state, call, key, now),
        (Route::User(key), "DELETE") => writes::delete(state, key, rights, now),
        (Route::User(key), _) => writes::update(state, call, key, rights, now),
        (Route::Undelete(key), _) => writes::undelete(state, call, key, now),
        (Route::SignOut(key), _) => {
            if state.users.find(key).is_some() {
                Answer::empty(204)
            } else {
                errors::not_found("userKey")
            }
        }
        (Route::Schemas(customer), _) if customer == "my_customer" || customer == "C01234567" => {
            schemas(state)
        }
        _ => errors::not_found("customer"),
    }
}

/// Handles `GET /customer/{customerId}/schemas`.
fn schemas(state: &State) -> Answer {
    let field = |(name, kind): (&String, &String)| {
        let (kind, several) = kind.strip_suffix("[]").map_or((&**kind, false), |kind| (kind, true));
        json!({"kind": "admin#directory#schema#fieldspec", "fieldName": name, "fieldType": kind, "multiValued": several})
    };
    let schemas: Vec<Value> = state
        .schemas
        .iter()
        .map(|(name, fields)| {
            json!({"kind": "admin#directory#schema", "schemaId": format!("id-{name}"), "schemaName": name, "fields": fields.iter().map(field).collect::<Vec<_>>()})
        })
        .collect();
    let mut answer = json!({"kind": "admin#directory#schemas"});
    if !schemas.is_empty() {
        answer["schemas"] = json!(schemas);
    }
    Answer::json(200, &answer)
}
