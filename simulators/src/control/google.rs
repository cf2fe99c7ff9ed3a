//! Google Workspace's half of the control API.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, put};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::accounts::{self, HasAccounts, HasLimit, HasTokens};
use super::reply::{Refused, Reply, Shared, done, ok, parse};
use super::switches::{self, HasQuirks, HasRefusals};
use crate::front::window::Window;
use crate::google::auth::Rights;
use crate::google::users::User;
use crate::google::{Quirks, RefuseRule, state};
use crate::plant::Plant;

pub fn routes() -> Router<Arc<Plant>> {
    Router::new()
        .route("/google/service-account", get(key_file))
        .route("/google/delegation", put(delegation))
        .route("/google/schemas", put(schemas))
        .route("/google/directory", put(directory))
        .merge(accounts::routes("google", |plant| plant.google.state()))
        .merge(accounts::limits("google", |plant| plant.google.state()))
        .merge(accounts::tokens("google", |plant| plant.google.state()))
        .merge(switches::quirks("google", |plant| plant.google.state()))
        .merge(switches::refusals("google", |plant| plant.google.state()))
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

impl HasAccounts for state::State {
    type Id = u128;
    type Account = User;

    fn id(text: &str) -> Option<u128> {
        text.parse().ok()
    }

    fn accounts(&self) -> impl Iterator<Item = &User> {
        self.users.rows()
    }

    fn account(&self, id: &u128) -> Option<&User> {
        self.users.get(*id)
    }

    fn shown(&self, user: &User) -> Vec<u8> {
        json!(user.value()).to_string().into_bytes()
    }

    fn change(
        &mut self,
        id: Option<&u128>,
        given: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<u128, String> {
        self.edit(id.copied(), given, now)
    }

    fn remove(&mut self, id: &u128, now: Timestamp) -> bool {
        self.users.remove(*id, now)
    }

    fn clear(&mut self) {
        self.users.clear();
    }

    fn named(id: &u128) -> Value {
        json!({"id": id.to_string()})
    }
}

impl HasLimit for state::State {
    fn limit(&mut self) -> &mut Window {
        &mut self.window
    }
}

impl HasTokens for state::State {
    fn revoke_all(&mut self) {
        self.tokens.revoke_all();
    }
}

fn id(text: &str) -> Result<u128, Refused> {
    text.parse().map_err(|_| Refused::missing("user"))
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
