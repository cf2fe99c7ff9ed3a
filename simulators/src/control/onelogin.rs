//! `OneLogin`'s half of the control API.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::routing::{get, put};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::accounts::{self, HasAccounts, HasTokens};
use super::reply::{Refused, Reply, Shared, done, ok, parse};
use super::switches::{self, HasQuirks, HasRefusals};
use crate::onelogin::users::User;
use crate::onelogin::{Quirks, RefuseRule, state, tokens::Scope};
use crate::plant::Plant;

pub fn routes() -> Router<Arc<Plant>> {
    Router::new()
        .route("/onelogin/custom-attributes", put(define))
        .route("/onelogin/credentials", put(credentials))
        .route("/onelogin/limits", put(limits))
        .route("/onelogin/owner", put(owner))
        .route("/onelogin/journal", get(journal))
        .merge(accounts::routes("onelogin", |plant| plant.onelogin.state()))
        .merge(accounts::tokens("onelogin", |plant| plant.onelogin.state()))
        .merge(switches::quirks("onelogin", |plant| plant.onelogin.state()))
        .merge(switches::refusals("onelogin", |plant| plant.onelogin.state()))
}

impl HasQuirks for state::State {
    type Quirks = Quirks;

    fn quirks(&mut self) -> &mut Quirks {
        &mut self.quirks
    }

    fn check(quirks: &Quirks) -> Result<(), &'static str> {
        if [401, 403].contains(&quirks.missing_scope_status) {
            Ok(())
        } else {
            Err("missingScopeStatus is 401 or 403")
        }
    }
}

impl HasRefusals for state::State {
    type Rule = RefuseRule;

    fn refusals(&mut self) -> &mut Vec<RefuseRule> {
        &mut self.refuse
    }
}

impl HasAccounts for state::State {
    type Id = i64;
    type Account = User;

    fn id(text: &str) -> Option<i64> {
        text.parse().ok()
    }

    fn accounts(&self) -> impl Iterator<Item = &User> {
        self.users.rows().iter()
    }

    fn account(&self, id: &i64) -> Option<&User> {
        self.users.get(*id)
    }

    fn shown(&self, user: &User) -> Vec<u8> {
        self.stored(user)
    }

    fn change(
        &mut self,
        id: Option<&i64>,
        given: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<i64, String> {
        self.edit(id.copied(), given, now)
    }

    fn remove(&mut self, id: &i64, _: Timestamp) -> bool {
        self.users.remove(*id)
    }

    fn clear(&mut self) {
        self.users.clear();
    }
}

impl HasTokens for state::State {
    fn revoke_all(&mut self) {
        self.tokens.revoke_all();
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Define {
    shortnames: Vec<String>,
}

/// Defines exactly these custom attributes of the tenant.
async fn define(State(plant): Shared, body: Bytes) -> Reply {
    let Define { shortnames } = parse(&body)?;
    let mut state = plant.onelogin.state();
    state.definitions.retain(|definition| shortnames.contains(&definition.shortname));
    for shortname in &shortnames {
        state.define(shortname);
    }
    done()
}

fn default_scope() -> String {
    "Manage users".into()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Credentials {
    client_id: String,
    client_secret: String,
    #[serde(default = "default_scope")]
    scope: String,
}

async fn credentials(State(plant): Shared, body: Bytes) -> Reply {
    let Credentials { client_id, client_secret, scope } = parse(&body)?;
    let scope = Scope::parse(&scope).ok_or_else(|| Refused::bad("unknown scope"))?;
    plant.onelogin.state().tokens.set(&client_id, &client_secret, scope);
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    limit: u64,
    remaining: Option<u64>,
    seconds: Option<u32>,
}

/// Calls an hour, or in this many seconds.
async fn limits(State(plant): Shared, body: Bytes) -> Reply {
    let Limits { limit, remaining, seconds } = parse(&body)?;
    if seconds == Some(0) {
        return Err(Refused::bad("seconds must be at least 1"));
    }
    let mut state = plant.onelogin.state();
    if let Some(seconds) = seconds {
        state.window.last(i64::from(seconds));
    }
    state.window.set(limit, remaining);
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Owner {
    id: Option<i64>,
}

async fn owner(State(plant): Shared, body: Bytes) -> Reply {
    let Owner { id } = parse(&body)?;
    plant.onelogin.state().owner = id;
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    since: Option<u64>,
}

/// Returns what API calls changed.
async fn journal(State(plant): Shared, Query(query): Query<Since>) -> Reply {
    let since = query.since.unwrap_or(0);
    let state = plant.onelogin.state();
    let changes: Vec<_> = state.journal.iter().filter(|changed| changed.seq > since).collect();
    ok(&json!(changes))
}
