//! The SCIM server's half of the control API.

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
use crate::plant::Plant;
use crate::scim::auth::{Rights, Way};
use crate::scim::state;
use crate::scim::users::User;
use crate::scim::{Quirks, RefuseRule};

pub fn routes() -> Router<Arc<Plant>> {
    Router::new()
        .route("/scim/credentials", get(shown_credentials).put(credentials))
        .route("/scim/schemas", put(schemas))
        .route("/scim/directory", put(directory))
        .merge(accounts::routes("scim", |plant| plant.scim.state()))
        .merge(accounts::limits("scim", |plant| plant.scim.state()))
        .merge(accounts::tokens("scim", |plant| plant.scim.state()))
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

impl HasAccounts for state::State {
    type Id = String;
    type Account = User;

    fn id(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn accounts(&self) -> impl Iterator<Item = &User> {
        self.users.rows()
    }

    fn account(&self, id: &String) -> Option<&User> {
        self.users.get(id)
    }

    fn shown(&self, user: &User) -> Vec<u8> {
        json!(user.resource).to_string().into_bytes()
    }

    fn change(
        &mut self,
        id: Option<&String>,
        given: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<String, String> {
        self.edit(id.map(String::as_str), given, now)
    }

    fn remove(&mut self, id: &String, now: Timestamp) -> bool {
        self.users.remove(id, now)
    }

    fn clear(&mut self) {
        self.users.clear();
    }
}

impl HasLimit for state::State {
    fn limit(&mut self) -> &mut Window {
        &mut self.window
    }
}

impl HasTokens for state::State {
    fn revoke_all(&mut self) {
        self.access.revoke();
    }
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
