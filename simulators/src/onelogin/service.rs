//! `OneLogin`'s routes, its limit of calls an hour, and what changes by itself over time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::attributes::{
    ATTEMPTS, ATTRIBUTES, CREATED, Cell, LOCKED_UNTIL, STATE, STATUS, UPDATED, number,
};
use super::auth::{self, Version};
use super::definitions::{self, Definition};
use super::listing;
use super::quirks::{Quirks, RefuseRule};
use super::tokens::{Scope, Tokens};
use super::users::{Shown, User, Users};
use super::{errors, v1, writes};
use crate::clock::Clock;
use crate::front::window::{Taken, Window};
use crate::front::{Answer, Call, Service};

/// developers.onelogin.com, "Get Rate Limits": calls an hour.
const CALLS_AN_HOUR: u64 = 5_000;

/// The mutable half of the simulated `OneLogin`.
pub struct State {
    pub users: Users,
    pub definitions: Vec<Definition>,
    pub tokens: Tokens,
    pub quirks: Quirks,
    pub window: Window,
    pub refuse: Vec<RefuseRule>,
    /// The account owner; the API does not change this user.
    pub owner: Option<i64>,
    /// Locks that end by themselves.
    pub locks: Vec<(Timestamp, i64)>,
    /// Users whose asynchronous mappings have yet to run.
    pub due: Vec<(Timestamp, i64)>,
    /// What API calls changed, oldest first, without edits of the control API.
    pub journal: VecDeque<Changed>,
    /// Changes written to the journal so far.
    pub journalled: u64,
}

/// One applied write of the API: the user as stored before and after it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Changed {
    /// Counts up from 1.
    pub seq: u64,
    /// The simulators' clock.
    pub at: Timestamp,
    pub id: i64,
    /// Null for a new user.
    pub before: Value,
    /// Null for a deleted one.
    pub after: Value,
}

/// How many changes the journal keeps.
const JOURNAL: usize = 20_000;

impl State {
    /// Answers one user.
    pub fn one(&self, user: &User, shown: &Shown, status: u16) -> Answer {
        Answer::new(status, "application/json; charset=utf-8", self.render(user, shown))
    }

    fn render(&self, user: &User, shown: &Shown) -> Vec<u8> {
        let defined: Vec<&str> =
            self.definitions.iter().map(|definition| definition.shortname.as_str()).collect();
        let mut body = Vec::with_capacity(1024);
        user.write(shown, &defined, &mut body);
        body
    }

    /// Returns the full stored user, for the control API.
    pub fn stored(&self, user: &User) -> Vec<u8> {
        self.render(user, &Shown::full())
    }

    /// Applies what is due by `now`: locks end, mappings run.
    pub fn tick(&mut self, now: Timestamp) {
        self.license();
        if self.locks.is_empty() && self.due.is_empty() {
            return;
        }
        let over = |list: &mut Vec<(Timestamp, i64)>| -> Vec<i64> {
            let ids = list.iter().filter(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
            list.retain(|(at, _)| *at > now);
            ids
        };
        for id in over(&mut self.locks) {
            let Some(mut user) = self.users.get(id).cloned() else { continue };
            if user.status() == 3 && user.time(LOCKED_UNTIL).is_some_and(|until| until <= now) {
                user.set(STATUS, Some(Cell::Int(1)));
                user.set(LOCKED_UNTIL, None);
                self.users.put(user);
            }
        }
        for id in over(&mut self.due) {
            let Some(mut user) = self.users.get(id).cloned() else { continue };
            writes::map(self, &mut user);
            user.set(UPDATED, Some(Cell::Time(now)));
            self.users.put(user);
        }
    }

    /// Gives free licences to the users who wait for one.
    fn license(&mut self) {
        if !self.quirks.licenses_waiting {
            return;
        }
        let free = self.quirks.licences.map_or(usize::MAX, |all| {
            usize::try_from(all.saturating_sub(self.users.licensed())).unwrap_or(usize::MAX)
        });
        let waiting: Vec<i64> = self
            .users
            .rows()
            .iter()
            .filter(|user| user.int(STATE) == Some(3))
            .map(|user| user.id)
            .take(free)
            .collect();
        for id in waiting {
            let Some(mut user) = self.users.get(id).cloned() else { continue };
            user.set(STATE, Some(Cell::Int(1)));
            self.users.put(user);
        }
    }

    /// Defines custom attributes by their shortnames; existing ones stay.
    pub fn define(&mut self, shortname: &str) {
        if !self.definitions.iter().any(|definition| definition.shortname == shortname) {
            let id =
                self.definitions.iter().map(|definition| definition.id).max().unwrap_or(88_000) + 1;
            let name = super::attributes::human(shortname);
            self.definitions.push(Definition {
                id,
                name,
                shortname: shortname.to_owned(),
                position: None,
            });
        }
    }

    /// Applies an administrator's edit. Only types are checked. Creates the user when `id` is
    /// `None`.
    ///
    /// # Errors
    /// Unknown attributes or values of a wrong type; then nothing is changed.
    pub fn edit(
        &mut self,
        id: Option<i64>,
        given: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<i64, String> {
        let mut user = if let Some(id) = id {
            self.users.get(id).cloned().ok_or("no such user")?
        } else {
            let id = match given.get("id") {
                None => self.users.next_id(),
                Some(id) => id.as_i64().ok_or("id takes an integer")?,
            };
            if self.users.get(id).is_some() {
                return Err(format!("user {id} exists"));
            }
            let mut user = User::new(id);
            user.set(STATUS, Some(Cell::Int(1)));
            user.set(STATE, Some(Cell::Int(1)));
            user.set(ATTEMPTS, Some(Cell::Int(0)));
            user.set(CREATED, Some(Cell::Time(now)));
            user
        };
        user.set(UPDATED, Some(Cell::Time(now)));
        let mut shortnames = Vec::new();
        for (name, value) in given {
            if name == "custom_attributes" {
                let custom = value.as_object().ok_or("custom_attributes takes an object")?;
                for (shortname, value) in custom {
                    shortnames.push(shortname.clone());
                    match value {
                        Value::Null => user.custom.remove(shortname.as_str()),
                        Value::String(text) => {
                            user.custom.insert(shortname.as_str().into(), text.as_str().into())
                        }
                        _ => {
                            return Err(format!(
                                "custom_attributes.{shortname} takes a string or null"
                            ));
                        }
                    };
                }
            } else if name != "id" {
                let number = number(name).ok_or_else(|| format!("unknown attribute {name}"))?;
                let cell = Cell::read(ATTRIBUTES[number].kind, value)
                    .map_err(|wanted| format!("{name} takes {wanted}"))?;
                user.set(number, cell);
            }
        }
        for shortname in shortnames {
            self.define(&shortname);
        }
        if let Some(until) = user.time(LOCKED_UNTIL) {
            self.locks.push((until, user.id));
        }
        let id = user.id;
        self.users.put(user);
        Ok(id)
    }
}

/// The simulated `OneLogin`.
pub struct OneLogin {
    clock: Arc<Clock>,
    state: Mutex<State>,
}

impl OneLogin {
    pub fn new(clock: Arc<Clock>) -> Self {
        let state = State {
            users: Users::default(),
            definitions: Vec::new(),
            tokens: Tokens::default(),
            quirks: Quirks::default(),
            window: Window::new(CALLS_AN_HOUR, 3600),
            refuse: Vec::new(),
            owner: None,
            locks: Vec::new(),
            due: Vec::new(),
            journal: VecDeque::new(),
            journalled: 0,
        };
        Self { clock, state: Mutex::new(state) }
    }

    /// Returns the state as of now.
    pub fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().expect("onelogin lock");
        state.tick(self.clock.now());
        state
    }
}

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
