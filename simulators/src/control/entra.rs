//! Entra ID's half of the control API.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{get, post, put};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::switches::{self, HasQuirks, HasRefusals};
use super::{Refused, Reply, Shared, done, ok, parse};
use crate::entra::auth::CLOUDS;
use crate::entra::service::{self, shown};
use crate::entra::{Quirks, RefuseRule};
use crate::world::Plant;

pub fn routes() -> Router<Arc<Plant>> {
    Router::new()
        .route("/entra/users", get(list).post(create).delete(clear))
        .route("/entra/users/{id}", get(one).patch(change).delete(remove))
        .route("/entra/users/{id}/restore", post(restore))
        .route("/entra/app", get(app).put(set_app))
        .route("/entra/tokens/revoke", post(revoke))
        .route("/entra/limits", put(limits))
        .route("/entra/directory", put(directory))
        .route("/entra/sessions", get(sessions))
        .merge(switches::quirks("entra", |plant| plant.entra.state()))
        .merge(switches::refusals("entra", |plant| plant.entra.state()))
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
    let state = plant.entra.state();
    ok(&state.users.rows().map(shown).collect())
}

fn of(state: &service::State, id: &str) -> Reply {
    ok(&shown(state.users.get(id).ok_or_else(|| Refused::missing("user"))?))
}

async fn one(State(plant): Shared, Path(id): Path<String>) -> Reply {
    of(&plant.entra.state(), &id)
}

/// One user, answered as a whole, or an array of them, answered as ids.
async fn create(State(plant): Shared, body: Bytes) -> Reply {
    let now = plant.clock.now();
    let mut state = plant.entra.state();
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
            of(&state, &id)
        }
    }
}

async fn change(State(plant): Shared, Path(id): Path<String>, body: Bytes) -> Reply {
    let given: Map<String, Value> = parse(&body)?;
    let now = plant.clock.now();
    let mut state = plant.entra.state();
    if state.users.get(&id).is_none() {
        return Err(Refused::missing("user"));
    }
    state.edit(Some(&id), &given, now).map_err(Refused::bad)?;
    of(&state, &id)
}

async fn remove(State(plant): Shared, Path(id): Path<String>) -> Reply {
    let now = plant.clock.now();
    if plant.entra.state().users.remove(&id, now) { done() } else { Err(Refused::missing("user")) }
}

async fn restore(State(plant): Shared, Path(id): Path<String>) -> Reply {
    let now = plant.clock.now();
    let mut state = plant.entra.state();
    state.users.restore(&id, now).map_err(Refused::bad)?;
    of(&state, &id)
}

async fn clear(State(plant): Shared) -> Reply {
    plant.entra.state().users.clear();
    done()
}

/// Returns what an administrator puts into a Secret: `tenantId`, `clientId`, `clientSecret`,
/// `clientCertificate`, `clientKey`.
async fn app(State(plant): Shared) -> Reply {
    ok(&plant.entra.state().tokens.app())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct App {
    client_id: Option<String>,
    client_secret: Option<String>,
    permissions: Option<Vec<String>>,
    /// Host of the cloud's Microsoft Graph, such as `graph.microsoft.us`.
    graph: Option<String>,
}

/// A member that is not named stays.
async fn set_app(State(plant): Shared, body: Bytes) -> Reply {
    let given: App = parse(&body)?;
    let mut state = plant.entra.state();
    if let Some(graph) = given.graph {
        let known =
            CLOUDS.iter().position(|(_, root)| root.strip_prefix("https://") == Some(&graph));
        state.tokens.cloud = known.ok_or_else(|| Refused::missing("cloud"))?;
    }
    if let Some(id) = given.client_id {
        state.tokens.client_id = id;
    }
    if let Some(secret) = given.client_secret {
        state.tokens.client_secret = secret;
        state.tokens.secret_since = Some(plant.clock.now());
    }
    if let Some(permissions) = given.permissions {
        state.tokens.permissions = permissions;
    }
    done()
}

async fn revoke(State(plant): Shared) -> Reply {
    plant.entra.state().tokens.revoke_all();
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    limit: u64,
    remaining: Option<u64>,
}

/// Writes in 150 seconds.
async fn limits(State(plant): Shared, body: Bytes) -> Reply {
    let Limits { limit, remaining } = parse(&body)?;
    plant.entra.state().writes.set(limit, remaining);
    done()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Directory {
    domains: Option<Vec<String>>,
    extensions: Option<Vec<String>>,
    administrators: Option<Vec<String>>,
    restricted: Option<Vec<String>>,
    /// Objects at most.
    quota: Option<u64>,
}

/// The other settings: verified domains, directory extensions, administrators, users that no app
/// may change. A member that is not named stays.
async fn directory(State(plant): Shared, body: Bytes) -> Reply {
    let given: Directory = parse(&body)?;
    let mut state = plant.entra.state();
    if let Some(domains) = given.domains {
        state.domains = domains;
    }
    if let Some(extensions) = given.extensions {
        state.extensions = extensions;
    }
    if let Some(administrators) = given.administrators {
        state.administrators = administrators.into_iter().collect();
    }
    if let Some(restricted) = given.restricted {
        state.restricted = restricted.into_iter().collect();
    }
    state.quota = given.quota.or(state.quota);
    done()
}

/// Returns the users with ended sessions, oldest first.
async fn sessions(State(plant): Shared) -> Reply {
    ok(&json!(plant.entra.state().ended))
}
