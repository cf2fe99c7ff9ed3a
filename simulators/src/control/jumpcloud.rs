//! JumpCloud's half of the control API.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{get, put};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::switches::{self, HasQuirks, HasRefusals};
use super::{Refused, Reply, Shared, done, ok, parse};
use crate::jumpcloud::service::Rights;
use crate::jumpcloud::{Quirks, RefuseRule, service};
use crate::world::Plant;

pub fn routes() -> Router<Arc<Plant>> {
    Router::new()
        .route("/jumpcloud/users", get(list).post(create).delete(clear))
        .route("/jumpcloud/users/{id}", get(one).patch(change).delete(remove))
        .route("/jumpcloud/credentials", put(credentials))
        .route("/jumpcloud/limits", put(limits))
        .route("/jumpcloud/organization", put(organization))
        .merge(switches::quirks("jumpcloud", |plant| plant.jumpcloud.state()))
        .merge(switches::refusals("jumpcloud", |plant| plant.jumpcloud.state()))
}

impl HasQuirks for service::State {
    type Quirks = Quirks;

    fn quirks(&mut self) -> &mut Quirks {
        &mut self.quirks
    }
}

impl HasRefusals for service::State {
    type Rule = RefuseRule;

    fn refusals(&mut self) -> &mut Vec<RefuseRule> {
        &mut self.refuse
    }
}

async fn list(State(plant): Shared) -> Reply {
    let state = plant.jumpcloud.state();
    ok(&state.users.rows().map(|user| Value::Object(user.value())).collect())
}

fn shown(state: &service::State, id: &str) -> Reply {
    let user = state.users.get(id).ok_or_else(|| Refused::missing("user"))?;
    ok(&Value::Object(user.value()))
}

async fn one(State(plant): Shared, Path(id): Path<String>) -> Reply {
    shown(&plant.jumpcloud.state(), &id)
}

/// One user, answered as a whole, or an array of them, answered as ids.
async fn create(State(plant): Shared, body: Bytes) -> Reply {
    let now = plant.clock.now();
    let mut state = plant.jumpcloud.state();
    let mut make = |given: &Value| {
        let given = given.as_object().ok_or_else(|| Refused::bad("a user is an object"))?;
        state.edit(None, given, now).map_err(Refused::bad)
    };
    match parse(&body)? {
        Value::Array(all) => {
            let ids: Vec<Value> = all
                .iter()
                .map(|given| Ok(json!({"_id": make(given)?})))
                .collect::<Result<_, Refused>>()?;
            ok(&Value::Array(ids))
        }
        given => {
            let id = make(&given)?;
            shown(&state, &id)
        }
    }
}

async fn change(State(plant): Shared, Path(id): Path<String>, body: Bytes) -> Reply {
    let given: Map<String, Value> = parse(&body)?;
    let now = plant.clock.now();
    let mut state = plant.jumpcloud.state();
    if state.users.get(&id).is_none() {
        return Err(Refused::missing("user"));
    }
    state.edit(Some(&id), &given, now).map_err(Refused::bad)?;
    shown(&state, &id)
}

async fn remove(State(plant): Shared, Path(id): Path<String>) -> Reply {
    if plant.jumpcloud.state().users.remove(&id).is_some() {
        done()
    } else {
        Err(Refused::missing("user"))
    }
}

async fn clear(State(plant): Shared) -> Reply {
    plant.jumpcloud.state().users.clear();
    done()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Credentials {
    api_key: Option<String>,
    rights: Option<Rights>,
    /// Whether the administrator has several organizations.
    several: Option<bool>,
}

async fn credentials(State(plant): Shared, body: Bytes) -> Reply {
    let given: Credentials = parse(&body)?;
    let mut state = plant.jumpcloud.state();
    if let Some(key) = given.api_key {
        state.key = key;
    }
    state.rights = given.rights.unwrap_or(state.rights);
    state.several = given.several.unwrap_or(state.several);
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    limit: u64,
    remaining: Option<u64>,
}

/// Calls a minute.
async fn limits(State(plant): Shared, body: Bytes) -> Reply {
    let Limits { limit, remaining } = parse(&body)?;
    plant.jumpcloud.state().window.set(limit, remaining);
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Organization {
    /// Users out of the administrator's reach.
    protected: Option<Vec<String>>,
    /// Whether the caller's address is blocked.
    blocked: Option<bool>,
}

async fn organization(State(plant): Shared, body: Bytes) -> Reply {
    let given: Organization = parse(&body)?;
    let mut state = plant.jumpcloud.state();
    if let Some(protected) = given.protected {
        state.protected = protected.into_iter().collect();
    }
    state.blocked = given.blocked.unwrap_or(state.blocked);
    done()
}
