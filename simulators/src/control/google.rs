//! Google Workspace's half of the control API.

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
use crate::google::auth::Rights;
use crate::google::{Quirks, RefuseRule, service};
use crate::world::Plant;

pub fn routes() -> Router<Arc<Plant>> {
    Router::new()
        .route("/google/users", get(list).post(create).delete(clear))
        .route("/google/users/{id}", get(one).patch(change).delete(remove))
        .route("/google/service-account", get(key_file))
        .route("/google/delegation", put(delegation))
        .route("/google/tokens/revoke", post(revoke))
        .route("/google/limits", put(limits))
        .route("/google/schemas", put(schemas))
        .route("/google/directory", put(directory))
        .merge(switches::quirks("google", |plant| plant.google.state()))
        .merge(switches::refusals("google", |plant| plant.google.state()))
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
    let state = plant.google.state();
    ok(&state.users.rows().map(|user| Value::Object(user.value())).collect())
}

fn id(text: &str) -> Result<u128, Refused> {
    text.parse().map_err(|_| Refused::missing("user"))
}

fn shown(state: &service::State, id: u128) -> Reply {
    let user = state.users.get(id).ok_or_else(|| Refused::missing("user"))?;
    ok(&Value::Object(user.value()))
}

async fn one(State(plant): Shared, Path(identifier): Path<String>) -> Reply {
    shown(&plant.google.state(), id(&identifier)?)
}

/// One user, answered as a whole, or an array of them, answered as ids.
async fn create(State(plant): Shared, body: Bytes) -> Reply {
    let now = plant.clock.now();
    let mut state = plant.google.state();
    let mut make = |given: &Value| {
        let given = given.as_object().ok_or_else(|| Refused::bad("a user is an object"))?;
        state.edit(None, given, now).map_err(Refused::bad)
    };
    match parse(&body)? {
        Value::Array(all) => {
            let ids: Vec<Value> = all
                .iter()
                .map(|given| Ok(json!({"id": make(given)?.to_string()})))
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
    let mut state = plant.google.state();
    if state.users.get(id).is_none() {
        return Err(Refused::missing("user"));
    }
    state.edit(Some(id), &given, now).map_err(Refused::bad)?;
    shown(&state, id)
}

async fn remove(State(plant): Shared, Path(identifier): Path<String>) -> Reply {
    let now = plant.clock.now();
    if plant.google.state().users.remove(id(&identifier)?, now) {
        done()
    } else {
        Err(Refused::missing("user"))
    }
}

async fn clear(State(plant): Shared) -> Reply {
    plant.google.state().users.clear();
    done()
}

/// Returns the service account's key file, as downloaded.
async fn key_file(State(plant): Shared) -> Reply {
    ok(&plant.google.state().tokens.key_file())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delegation {
    /// Delegated scopes, without their prefix.
    scopes: Option<Vec<String>>,
    /// Administrators and their rights; null: an unknown user.
    #[serde(default)]
    admins: BTreeMap<String, Option<Rights>>,
}

async fn delegation(State(plant): Shared, body: Bytes) -> Reply {
    let Delegation { scopes, admins } = parse(&body)?;
    let mut state = plant.google.state();
    if let Some(scopes) = scopes {
        state.tokens.delegated = scopes;
    }
    for (admin, rights) in admins {
        state.tokens.set_rights(&admin, rights);
    }
    done()
}

async fn revoke(State(plant): Shared) -> Reply {
    plant.google.state().tokens.revoke_all();
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    limit: u64,
    remaining: Option<u64>,
}

/// Queries a minute.
async fn limits(State(plant): Shared, body: Bytes) -> Reply {
    let Limits { limit, remaining } = parse(&body)?;
    plant.google.state().window.set(limit, remaining);
    done()
}

/// Defines exactly these custom schemas: fields and their types by schema; a type with `[]` has
/// several values.
async fn schemas(State(plant): Shared, body: Bytes) -> Reply {
    plant.google.state().schemas = parse(&body)?;
    done()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Directory {
    domains: Option<Vec<String>>,
    org_units: Option<Vec<String>>,
    groups: Option<Vec<String>>,
    protected: Option<Vec<String>>,
    suspended_by_google: Option<Vec<String>>,
}

/// The other settings: domains, organizational units, groups, users out of reach. A member that is
/// not named stays.
async fn directory(State(plant): Shared, body: Bytes) -> Reply {
    let given: Directory = parse(&body)?;
    let ids = |ids: Vec<String>| ids.iter().map(|text| id(text)).collect::<Result<_, Refused>>();
    let mut state = plant.google.state();
    if let Some(domains) = given.domains {
        state.domains = domains;
    }
    if let Some(units) = given.org_units {
        state.org_units = units;
    }
    if let Some(groups) = given.groups {
        state.groups = groups;
    }
    if let Some(protected) = given.protected {
        state.protected = ids(protected)?;
    }
    if let Some(suspended) = given.suspended_by_google {
        state.suspended_by_google = ids(suspended)?;
    }
    done()
}
