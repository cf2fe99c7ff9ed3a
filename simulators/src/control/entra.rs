//! Entra ID's half of the control API.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{get, post, put};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::accounts::{self, HasAccounts, HasLimit, HasTokens};
use super::reply::{Refused, Reply, Shared, done, ok, parse};
use super::switches::{self, HasQuirks, HasRefusals};
use crate::entra::auth::{CLOUDS, Federated};
use crate::entra::state;
use crate::entra::users::User;
use crate::entra::{Quirks, RefuseRule};
use crate::front::window::Window;
use crate::plant::Plant;

pub fn routes() -> Router<Arc<Plant>> {
    Router::new()
        .route("/entra/users/{id}/restore", post(restore))
        .route("/entra/app", get(app).put(set_app))
        .route("/entra/directory", put(directory))
        .route("/entra/sessions", get(sessions))
        .merge(accounts::routes("entra", |plant| plant.entra.state()))
        .merge(accounts::limits("entra", |plant| plant.entra.state()))
        .merge(accounts::tokens("entra", |plant| plant.entra.state()))
        .merge(switches::quirks("entra", |plant| plant.entra.state()))
        .merge(switches::refusals("entra", |plant| plant.entra.state()))
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

    fn remove(&mut self, id: &String, now: Timestamp) -> bool {
        self.users.remove(id, now)
    }

    fn clear(&mut self) {
        self.users.clear();
    }
}

impl HasLimit for state::State {
    fn limit(&mut self) -> &mut Window {
        &mut self.writes
    }
}

impl HasTokens for state::State {
    fn revoke_all(&mut self) {
        self.tokens.revoke_all();
    }
}

async fn restore(State(plant): Shared, Path(id): Path<String>) -> Reply {
    let now = plant.clock.now();
    let mut state = plant.entra.state();
    state.users.restore(&id, now).map_err(Refused::bad)?;
    let user = state.users.get(&id).ok_or_else(|| Refused::missing("user"))?;
    ok(&json!(user.value()))
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
    /// Whose tokens the app trusts.
    federated: Option<Federated>,
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
    if let Some(federated) = given.federated {
        state.tokens.federated = Some(federated);
    }
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
