//! JumpCloud's half of the control API.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::put;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::accounts::{self, HasAccounts, HasLimit};
use super::reply::{Reply, Shared, done, parse};
use super::switches::{self, HasQuirks, HasRefusals};
use crate::front::window::Window;
use crate::jumpcloud::state::Rights;
use crate::jumpcloud::users::User;
use crate::jumpcloud::{Quirks, RefuseRule, state};
use crate::plant::Plant;

pub fn routes() -> Router<Arc<Plant>> {
    Router::new()
        .route("/jumpcloud/credentials", put(credentials))
        .route("/jumpcloud/organization", put(organization))
        .merge(accounts::routes("jumpcloud", |plant| plant.jumpcloud.state()))
        .merge(accounts::limits("jumpcloud", |plant| plant.jumpcloud.state()))
        .merge(switches::quirks("jumpcloud", |plant| plant.jumpcloud.state()))
        .merge(switches::refusals("jumpcloud", |plant| plant.jumpcloud.state()))
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
        json!(user.value()).to_string().into_bytes()
    }

    fn change(
        &mut self,
        id: Option<&String>,
        given: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<String, String> {
        self.edit(id.map(String::as_str), given, now)
    }

    fn remove(&mut self, id: &String, _: Timestamp) -> bool {
        self.users.remove(id).is_some()
    }

    fn clear(&mut self) {
        self.users.clear();
    }

    fn named(id: &String) -> Value {
        json!({"_id": id})
    }
}

impl HasLimit for state::State {
    fn limit(&mut self) -> &mut Window {
        &mut self.window
    }
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
