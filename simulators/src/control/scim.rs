//! The SCIM server's half of the control API.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{get, post, put};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::switches::{self, HasQuirks, HasRefusals};
use super::{Refused, Reply, Shared, done, ok, parse};
use crate::scim::auth::{Rights, Way};
use crate::scim::state;
use crate::scim::{Quirks, RefuseRule};
use crate::world::Plant;

pub fn routes() -> Router<Arc<Plant>> {
    Router::new()
        .route("/scim/users", get(list).post(create).delete(clear))
        .route("/scim/users/{id}", get(one).patch(change).delete(remove))
        .route("/scim/credentials", get(shown_credentials).put(credentials))
        .route("/scim/tokens/revoke", post(revoke))
        .route("/scim/limits", put(limits))
        .route("/scim/schemas", put(schemas))
        .route("/scim/directory", put(directory))
        .merge(switches::quirks("scim", |plant| plant.scim.state()))
        .merge(switches::refusals("scim", |plant| plant.scim.state()))
}

impl HasQuirks for state::State {
    type Quirks = Quirks;

    fn quirks(&mut self) -> &mut Quirks {
        &mut self.quirks
    }
}

impl HasRefusals for state::State {
    type Rule = RefuseRule;

    fn refusals(&mut self) -> &mut Vec<RefuseRule> {
        &mut self.refuse
    }
}

async fn list(State(plant): Shared) -> Reply {
    let state = plant.scim.state();
    ok(&state.users.rows().map(|user| Value::Object(user.resource.clone())).collect())
}

fn shown(state: &state::State, id: &str) -> Reply {
    let user = state.users.get(id).ok_or_else(|| Refused::missing("user"))?;
    ok(&Value::Object(user.resource.clone()))
}

async fn one(State(plant): Shared, Path(id): Path<String>) -> Reply {
    shown(&plant.scim.state(), &id)
}

/// One user, answered as a whole, or an array of them, answered as ids.
async fn create(State(plant): Shared, body: Bytes) -> Reply {
    let now = plant.clock.now();
    let mut state = plant.scim.state();
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
            shown(&state, &id)
        }
    }
}

async fn change(State(plant): Shared, Path(id): Path<String>, body: Bytes) -> Reply {
    let given: Map<String, Value> = parse(&body)?;
    let now = plant.clock.now();
    let mut state = plant.scim.state();
    if state.users.get(&id).is_none() {
        return Err(Refused::missing("user"));
    }
    state.edit(Some(&id), &given, now).map_err(Refused::bad)?;
    shown(&state, &id)
}

async fn remove(State(plant): Shared, Path(id): Path<String>) -> Reply {
    let now = plant.clock.now();
    if plant.scim.state().users.remove(&id, now) { done() } else { Err(Refused::missing("user")) }
}

async fn clear(State(plant): Shared) -> Reply {
    plant.scim.state().users.clear();
    done()
}

async fn shown_credentials(State(plant): Shared) -> Reply {
    ok(&plant.scim.state().access.shown())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Credentials {
    ways: Option<Vec<Way>>,
    token: Option<String>,
    username: Option<String>,
    password: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    scope: Option<String>,
    scope_required: Option<bool>,
    rights: Option<Rights>,
}

/// A member that is not named stays.
async fn credentials(State(plant): Shared, body: Bytes) -> Reply {
    let given: Credentials = parse(&body)?;
    let mut state = plant.scim.state();
    let access = &mut state.access;
    let texts = [
        (&mut access.token, given.token),
        (&mut access.username, given.username),
        (&mut access.password, given.password),
        (&mut access.client_id, given.client_id),
        (&mut access.client_secret, given.client_secret),
        (&mut access.scope, given.scope),
    ];
    for (own, given) in texts {
        if let Some(given) = given {
            *own = given;
        }
    }
    if let Some(ways) = given.ways {
        access.ways = ways;
    }
    access.scope_required = given.scope_required.unwrap_or(access.scope_required);
    access.rights = given.rights.unwrap_or(access.rights);
    done()
}

async fn revoke(State(plant): Shared) -> Reply {
    plant.scim.state().access.revoke();
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
    plant.scim.state().window.set(limit, remaining);
    done()
}

/// Extensions: URNs to names and types; without attributes an extension is removed.
async fn schemas(State(plant): Shared, body: Bytes) -> Reply {
    let given: BTreeMap<String, BTreeMap<String, String>> = parse(&body)?;
    let mut state = plant.scim.state();
    for (urn, attributes) in given {
        let attributes: Vec<(String, String)> = attributes.into_iter().collect();
        state.schemas.set(&urn, &attributes).map_err(Refused::bad)?;
    }
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Directory {
    /// Users that the caller may not change.
    protected: Vec<String>,
}

async fn directory(State(plant): Shared, body: Bytes) -> Reply {
    let Directory { protected } = parse(&body)?;
    plant.scim.state().protected = protected.into_iter().collect();
    done()
}
