//! Okta's half of the control API.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post, put};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::accounts::{self, HasAccounts, HasTokens};
use super::reply::{Refused, Reply, Shared, done, ok, parse};
use super::switches::{self, HasQuirks, HasRefusals};
use crate::okta::access::{Rights, shown as secret};
use crate::okta::limits::Bucket;
use crate::okta::users::User;
use crate::okta::{Quirks, RefuseRule, render, state};
use crate::plant::Plant;

pub fn routes() -> Router<Arc<Plant>> {
    Router::new()
        .route("/okta/app", get(app).put(set_app))
        .route("/okta/token", put(token))
        .route("/okta/nonce", post(nonce))
        .route("/okta/limits", put(limits))
        .route("/okta/org", put(org))
        .route("/okta/schema", get(schema).put(set_schema))
        .route("/okta/mails", get(mails).delete(forget_mails))
        .route("/okta/sessions", get(sessions))
        .merge(accounts::routes("okta", |plant| plant.okta.state()))
        .merge(accounts::tokens("okta", |plant| plant.okta.state()))
        .merge(switches::quirks("okta", |plant| plant.okta.state()))
        .merge(switches::refusals("okta", |plant| plant.okta.state()))
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
        json!(render::bare(user)).to_string().into_bytes()
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
        self.users.forget(id).is_some()
    }

    fn clear(&mut self) {
        self.users.clear();
    }
}

impl HasTokens for state::State {
    fn revoke_all(&mut self) {
        self.access.revoke_all();
    }
}

/// Returns what an administrator puts into a Secret: `apiToken`, or `clientId` and one of `keys`.
async fn app(State(plant): Shared) -> Reply {
    ok(&secret(&plant.okta.state().access))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct App {
    client_id: Option<String>,
    scopes: Option<Vec<String>>,
    rights: Option<Rights>,
    /// Whether the app requires proofs of possession.
    dpop: Option<bool>,
    /// Key ids by the name of a sample key; the others are not registered.
    keys: Option<HashMap<String, String>>,
}

/// A member that is not named stays. A token has the scopes of the moment when it was issued.
async fn set_app(State(plant): Shared, body: Bytes) -> Reply {
    let given: App = parse(&body)?;
    let mut state = plant.okta.state();
    if let Some(keys) = given.keys {
        state.access.register(&keys).map_err(Refused::bad)?;
    }
    let app = &mut state.access.app;
    if let Some(id) = given.client_id {
        app.client_id = id;
    }
    if let Some(scopes) = given.scopes {
        app.scopes = scopes;
    }
    app.rights = given.rights.unwrap_or(app.rights);
    app.dpop = given.dpop.unwrap_or(app.dpop);
    done()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Token {
    value: Option<String>,
    rights: Option<Rights>,
    /// Whether the token dies after 30 days without use.
    expires: Option<bool>,
}

/// A member that is not named stays.
async fn token(State(plant): Shared, body: Bytes) -> Reply {
    let given: Token = parse(&body)?;
    let mut state = plant.okta.state();
    let token = &mut state.access.api_token;
    if let Some(value) = given.value {
        token.value = value;
        token.used = None;
    }
    token.rights = given.rights.unwrap_or(token.rights);
    token.expires = given.expires.unwrap_or(token.expires);
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nonce {
    /// Whether older nonces are refused from now on.
    forget: bool,
}

/// Makes a new nonce.
async fn nonce(State(plant): Shared, body: Bytes) -> Reply {
    let Nonce { forget } = parse(&body)?;
    let now = plant.clock.now();
    let mut state = plant.okta.state();
    let access = &mut state.access;
    if forget {
        access.nonces.forget();
    }
    access.nonces.rotate(now, &mut access.rng);
    done()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Limits {
    bucket: Option<Bucket>,
    limit: Option<u64>,
    remaining: Option<u64>,
    at_once: Option<usize>,
}

/// Calls a minute of one bucket, or calls at once.
async fn limits(State(plant): Shared, body: Bytes) -> Reply {
    let given: Limits = parse(&body)?;
    let mut state = plant.okta.state();
    match (given.bucket, given.limit, given.at_once) {
        (Some(bucket), Some(limit), None) => {
            state.limits.window(bucket).set(limit, given.remaining);
        }
        (None, None, Some(at_once)) => state.limits.at_once = at_once,
        _ => return Err(Refused::bad("give a bucket and its limit, or atOnce")),
    }
    done()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Org {
    domain: Option<String>,
    read_only: Option<bool>,
    protected: Option<Vec<String>>,
    ignored: Option<Vec<String>>,
}

/// The settings of the org. A member that is not named stays.
async fn org(State(plant): Shared, body: Bytes) -> Reply {
    let given: Org = parse(&body)?;
    let mut state = plant.okta.state();
    let org = &mut state.org;
    if let Some(domain) = given.domain {
        org.domain = domain;
    }
    org.read_only = given.read_only.unwrap_or(org.read_only);
    if let Some(protected) = given.protected {
        org.protected = protected.into_iter().collect();
    }
    if let Some(ignored) = given.ignored {
        org.ignored = ignored.into_iter().collect();
    }
    done()
}

async fn schema(State(plant): Shared) -> Reply {
    let state = plant.okta.state();
    ok(&json!({"base": state.schema.base, "custom": state.schema.custom}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Properties {
    #[serde(default)]
    base: Map<String, Value>,
    #[serde(default)]
    custom: Map<String, Value>,
}

/// Changes properties as the schemas API does; null removes a custom one.
async fn set_schema(State(plant): Shared, body: Bytes) -> Reply {
    let Properties { base, custom } = parse(&body)?;
    let definitions = json!({"base": {"properties": base}, "custom": {"properties": custom}});
    let mut state = plant.okta.state();
    let refused = |(name, why)| Refused::bad(format!("{name}: {why}"));
    state.schema.change(&definitions).map_err(refused)?;
    done()
}

/// Returns the mails that Okta sent, oldest first.
async fn mails(State(plant): Shared) -> Reply {
    ok(&json!(plant.okta.state().mails))
}

async fn forget_mails(State(plant): Shared) -> Reply {
    plant.okta.state().mails.clear();
    done()
}

/// Returns the users with ended sessions, oldest first.
async fn sessions(State(plant): Shared) -> Reply {
    ok(&json!(plant.okta.state().ended))
}
