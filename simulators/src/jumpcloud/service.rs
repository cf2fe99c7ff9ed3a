//! Routes of the system users, their keys, and their limit.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::quirks::{Quirks, RefuseRule};
use super::users::{User, Users};
use super::{listing, rules, writes};
use crate::clock::Clock;
use crate::front::window::Window;
use crate::front::{Answer, Call, Service};

/// The id of the organization.
pub const ORGANIZATION: &str = "5f0c1b2c3d4e5f6071829304";

/// JumpCloud publishes no figure; this is far above the use of a careful client.
const CALLS_A_MINUTE: u64 = 6_000;

/// The rights of the administrator behind the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rights {
    Manage,
    Read,
}

/// The mutable half of the simulated JumpCloud organization.
pub struct State {
    pub users: Users,
    pub key: String,
    pub rights: Rights,
    /// Whether the administrator has several organizations, and must name one.
    pub several: bool,
    pub quirks: Quirks,
    pub window: Window,
    pub refuse: Vec<RefuseRule>,
    /// Users out of the administrator's reach.
    pub protected: HashSet<String>,
    /// Whether the caller's address is blocked.
    pub blocked: bool,
}

impl Default for State {
    fn default() -> Self {
        Self {
            users: Users::default(),
            key: "jumpcloud-key-1".into(),
            rights: Rights::Manage,
            several: false,
            quirks: Quirks::default(),
            window: Window::new(CALLS_A_MINUTE, 60),
            refuse: Vec::new(),
            protected: HashSet::new(),
            blocked: false,
        }
    }
}

impl State {
    /// Returns an error in the form of the users' routes.
    pub fn refuse(&self, status: u16, message: &str) -> Answer {
        Answer::json(status, &json!({"message": message}))
    }

    /// Applies an administrator's edit in the console. Creates the user when `id` is `None`.
    /// Members that only JumpCloud or another directory writes may be set here: `STAGED`, `admin`,
    /// `restrictedFields`, `account_locked`, `activated`.
    ///
    /// # Errors
    /// The rule that refuses it; then nothing is changed.
    pub fn edit(
        &mut self,
        id: Option<&str>,
        given: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<String, String> {
        let mut checked = given.clone();
        let own: Vec<(String, Value)> =
            ["admin", "restrictedFields", "activated", "password_expired"]
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), checked.remove(*name)?)))
                .collect();
        rules::check(self, &checked, true).map_err(|answer| match answer.content {
            crate::front::Content::Full(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            crate::front::Content::Pieces(_) => "refused".to_owned(),
        })?;
        let mut user = match id {
            Some(id) => self.users.get(id).cloned().ok_or("no such user")?,
            None => {
                let mut members = Users::defaults(now);
                members.insert("state".into(), json!("ACTIVATED"));
                members.insert("activated".into(), json!(true));
                User { id: self.users.next_id(), members, made: None }
            }
        };
        writes::apply(self, &mut user.members, checked);
        user.members.extend(own);
        let id = user.id.clone();
        self.users.put(user);
        Ok(id)
    }
}

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
