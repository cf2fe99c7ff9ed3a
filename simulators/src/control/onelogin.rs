//! `OneLogin`'s half of the control API.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse as _;
use axum::routing::{get, post, put};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::switches::{self, HasQuirks, HasRefusals};
use super::{Refused, Reply, Shared, array, done, ok, parse};
use crate::onelogin::{Quirks, RefuseRule, service, tokens::Scope};
use crate::world::Plant;

pub fn routes() -> Router<Arc<Plant>> {
    Router::new()
        .route("/onelogin/users", get(list).post(create).delete(clear))
        .route("/onelogin/users/{id}", get(one).patch(change).delete(remove))
        .route("/onelogin/custom-attributes", put(define))
        .route("/onelogin/credentials", put(credentials))
        .route("/onelogin/tokens/revoke", post(revoke))
        .route("/onelogin/limits", put(limits))
        .route("/onelogin/owner", put(owner))
        .route("/onelogin/journal", get(journal))
        .merge(switches::quirks("onelogin", |plant| plant.onelogin.state()))
        .merge(switches::refusals("onelogin", |plant| plant.onelogin.state()))
}

impl HasQuirks for service::State {
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

impl HasRefusals for service::State {
    type Rule = RefuseRule;

    fn refusals(&mut self) -> &mut Vec<RefuseRule> {
        &mut self.refuse
    }
}

async fn list(State(plant): Shared) -> Reply {
    let state = plant.onelogin.state();
    array(state.users.rows().iter().map(|user| state.stored(user)))
}

fn id(text: &str) -> Result<i64, Refused> {
    text.parse().map_err(|_| Refused::missing("user"))
}

fn shown(state: &service::State, id: i64) -> Reply {
    let user = state.users.get(id).ok_or_else(|| Refused::missing("user"))?;
    Ok(([("content-type", "application/json")], state.stored(user)).into_response())
}

async fn one(State(plant): Shared, Path(identifier): Path<String>) -> Reply {
    shown(&plant.onelogin.state(), id(&identifier)?)
}

/// One user, answered as a whole, or an array of them, answered as ids.
async fn create(State(plant): Shared, body: Bytes) -> Reply {
    let now = plant.clock.now();
    let mut state = plant.onelogin.state();
    let mut make = |given: &Value| {
        let given = given.as_object().ok_or_else(|| Refused::bad("a user is an object"))?;
        state.edit(None, given, now).map_err(Refused::bad)
    };
    match parse(&body)? {
        Value::Array(all) => {
            let ids: Vec<Value> = all
                .iter()
                .map(|given| Ok(json!({"id": make(given)?})))
                .collect::<Result<_, Refused>>()?;
            ok(&Value::Array(ids))
        }
        given => {
            let id = make(&given)?;
            shown(&state, id)
        }
    }
}

async fn change(State(plant): Shared, Path(identifier): Path<String>, body: Bytes) -> Reply {
    let given: Map<String, Value> = parse(&body)?;
    let id = id(&identifier)?;
    let now = plant.clock.now();
    let mut state = plant.onelogin.state();
    if state.users.get(id).is_none() {
        return Err(Refused::missing("user"));
    }
    state.edit(Some(id), &given, now).map_err(Refused::bad)?;
    shown(&state, id)
}

async fn remove(State(plant): Shared, Path(identifier): Path<String>) -> Reply {
    if plant.onelogin.state().users.remove(id(&identifier)?) {
        done()
    } else {
        Err(Refused::missing("user"))
    }
}

async fn clear(State(plant): Shared) -> Reply {
    plant.onelogin.state().users.clear();
    done()
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

async fn revoke(State(plant): Shared) -> Reply {
    plant.onelogin.state().tokens.revoke_all();
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
