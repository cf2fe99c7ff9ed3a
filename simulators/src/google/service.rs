//! Routes of the token service and the Directory API, and their limits.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::auth::{Rights, Tokens};
use super::quirks::{Quirks, RefuseRule, Throttle};
use super::users::{User, Users};
use super::writes::{apply, defaults};
use super::{errors, listing, rules, writes};
use crate::clock::Clock;
use crate::front::window::Window;
use crate::front::{Answer, Call, Service};

/// developers.google.com, "Directory API: Limits and Quotas": queries a minute for each user and
/// project.
const QUERIES_A_MINUTE: u64 = 2_400;

/// The same: new users a second for each domain.
const CREATIONS_A_SECOND: usize = 10;

/// New users in any second.
#[derive(Debug, Default)]
pub struct Creations(VecDeque<Timestamp>);

impl Creations {
    pub fn take(&mut self, now: Timestamp) -> bool {
        while self
            .0
            .front()
            .is_some_and(|at| now.duration_since(*at).abs() >= SignedDuration::from_secs(1))
        {
            self.0.pop_front();
        }
        let granted = self.0.len() < CREATIONS_A_SECOND;
        if granted {
            self.0.push_back(now);
        }
        granted
    }
}

/// The mutable half of the simulated Google Workspace.
pub struct State {
    pub users: Users,
    pub tokens: Tokens,
    pub quirks: Quirks,
    pub window: Window,
    pub creations: Creations,
    pub refuse: Vec<RefuseRule>,
    pub domains: Vec<String>,
    pub org_units: Vec<String>,
    /// Addresses of groups.
    pub groups: Vec<String>,
    /// Fields by schema, with their types.
    pub schemas: BTreeMap<String, BTreeMap<String, String>>,
    /// Users out of the administrator's reach.
    pub protected: HashSet<u128>,
    pub suspended_by_google: HashSet<u128>,
    /// When each user was changed last.
    pub changed: HashMap<u128, Timestamp>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            users: Users::default(),
            tokens: Tokens::default(),
            quirks: Quirks::default(),
            window: Window::new(QUERIES_A_MINUTE, 60),
            creations: Creations::default(),
            refuse: Vec::new(),
            domains: vec!["example.com".into(), "example.org".into(), "example.net".into()],
            org_units: vec!["/".into()],
            groups: Vec::new(),
            schemas: BTreeMap::new(),
            protected: HashSet::new(),
            suspended_by_google: HashSet::new(),
            changed: HashMap::new(),
        }
    }
}

impl State {
    /// Returns the refusal of a call beyond the limits.
    pub fn slow_down(&self) -> Answer {
        match self.quirks.throttle {
            Throttle::Forbidden => {
                errors::refused(403, "userRateLimitExceeded", "User Rate Limit Exceeded")
            }
            Throttle::TooMany => errors::refused(429, "rateLimitExceeded", "Rate Limit Exceeded"),
            Throttle::Unavailable => errors::refused(
                503,
                "backendError",
                "Quota exceeded for the current request. Please try again later.",
            ),
        }
    }

    /// Applies an administrator's edit in the console, old enough to be seen everywhere. Creates
    /// the user when `id` is `None`.
    ///
    /// # Errors
    /// The rule that refuses it; then nothing is changed.
    pub fn edit(
        &mut self,
        id: Option<u128>,
        given: &serde_json::Map<String, Value>,
        now: Timestamp,
    ) -> Result<u128, String> {
        let checked = rules::check(self, given).map_err(|answer| match answer.content {
            crate::front::Content::Full(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            crate::front::Content::Pieces(_) => "refused".to_owned(),
        })?;
        let mut user = match id {
            Some(id) => self.users.get(id).cloned().ok_or("no such user")?,
            None => {
                User { id: self.users.next_id(), members: defaults(now), made: None, indexed: None }
            }
        };
        apply(&mut user.members, checked, id.is_none());
        // Only the console gives rights.
        for name in ["isAdmin", "isDelegatedAdmin"] {
            if let Some(flag) = given.get(name).filter(|flag| flag.is_boolean()) {
                user.members.insert(name.into(), flag.clone());
            }
        }
        if self.users.is_taken(user.email(), Some(user.id)) {
            return Err("the address is in use".to_owned());
        }
        user.indexed = None;
        let id = user.id;
        self.users.put(user);
        Ok(id)
    }
}

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
