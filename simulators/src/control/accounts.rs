//! The accounts of a provider: the same routes for every service.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::routing::{get, post, put};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::reply::{Refused, Reply, Shared, array, done, json_bytes, ok, parse};
use super::switches::Pick;
use crate::front::window::Window;
use crate::plant::Plant;

/// A state with accounts.
pub trait HasAccounts: 'static {
    /// The id of an account.
    type Id: Serialize + 'static;
    /// An account.
    type Account: 'static;

    /// Reads an id from a path.
    fn id(text: &str) -> Option<Self::Id>;

    /// Returns all accounts.
    fn accounts(&self) -> impl Iterator<Item = &Self::Account>;

    /// Returns one account.
    fn account(&self, id: &Self::Id) -> Option<&Self::Account>;

    /// Returns the JSON of an account.
    fn shown(&self, account: &Self::Account) -> Vec<u8>;

    /// Applies an administrator's edit. Creates the account when `id` is `None`.
    ///
    /// # Errors
    /// What refuses it; then nothing is changed.
    fn change(
        &mut self,
        id: Option<&Self::Id>,
        given: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Self::Id, String>;

    /// Removes an account, and returns whether it was there.
    fn remove(&mut self, id: &Self::Id, now: Timestamp) -> bool;

    /// Removes all accounts.
    fn clear(&mut self);

    /// Returns the answer for one of several accounts that were made at once.
    fn named(id: &Self::Id) -> Value {
        json!({"id": id})
    }
}

/// A state with a limit of calls in a window.
pub trait HasLimit: 'static {
    /// Returns the window.
    fn limit(&mut self) -> &mut Window;
}

/// A state with access tokens.
pub trait HasTokens: 'static {
    /// Ends every token.
    fn revoke_all(&mut self);
}

fn one<S: HasAccounts>(state: &S, id: &S::Id) -> Reply {
    let account = state.account(id).ok_or_else(|| Refused::missing("user"))?;
    json_bytes(state.shown(account))
}

fn id<S: HasAccounts>(text: &str) -> Result<S::Id, Refused> {
    S::id(text).ok_or_else(|| Refused::missing("user"))
}

/// Makes one account, answered as a whole, or an array of them, answered as ids.
fn create<S: HasAccounts>(state: &mut S, body: &Bytes, now: Timestamp) -> Reply {
    let make = |state: &mut S, given: &Value| {
        let given = given.as_object().ok_or_else(|| Refused::bad("a user is an object"))?;
        state.change(None, given, now).map_err(Refused::bad)
    };
    match parse(body)? {
        Value::Array(all) => {
            let ids: Vec<Value> = all
                .iter()
                .map(|given| Ok(S::named(&make(state, given)?)))
                .collect::<Result<_, Refused>>()?;
            ok(&Value::Array(ids))
        }
        given => {
            let id = make(state, &given)?;
            one(state, &id)
        }
    }
}

fn change<S: HasAccounts>(state: &mut S, text: &str, body: &Bytes, now: Timestamp) -> Reply {
    let given: Map<String, Value> = parse(body)?;
    let id = id::<S>(text)?;
    if state.account(&id).is_none() {
        return Err(Refused::missing("user"));
    }
    state.change(Some(&id), &given, now).map_err(Refused::bad)?;
    one(state, &id)
}

/// Makes `/{service}/users` and `/{service}/users/{id}`.
pub fn routes<S: HasAccounts>(service: &str, state: Pick<S>) -> Router<Arc<Plant>> {
    let list = move |State(plant): Shared| async move {
        let state = state(&plant);
        array(state.accounts().map(|account| state.shown(account)))
    };
    let make = move |State(plant): Shared, body: Bytes| async move {
        let now = plant.clock.now();
        create(&mut *state(&plant), &body, now)
    };
    let clear = move |State(plant): Shared| async move {
        state(&plant).clear();
        done()
    };
    let get_one = move |State(plant): Shared, Path(text): Path<String>| async move {
        one(&*state(&plant), &id::<S>(&text)?)
    };
    let edit = move |State(plant): Shared, Path(text): Path<String>, body: Bytes| async move {
        let now = plant.clock.now();
        change(&mut *state(&plant), &text, &body, now)
    };
    let remove = move |State(plant): Shared, Path(text): Path<String>| async move {
        let now = plant.clock.now();
        if state(&plant).remove(&id::<S>(&text)?, now) {
            done()
        } else {
            Err(Refused::missing("user"))
        }
    };
    Router::new()
        .route(&format!("/{service}/users"), get(list).post(make).delete(clear))
        .route(&format!("/{service}/users/{{id}}"), get(get_one).patch(edit).delete(remove))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    limit: u64,
    remaining: Option<u64>,
}

/// Makes `/{service}/limits`: calls in the service's own window.
pub fn limits<S: HasLimit>(service: &str, state: Pick<S>) -> Router<Arc<Plant>> {
    let set = move |State(plant): Shared, body: Bytes| async move {
        let Limits { limit, remaining } = parse(&body)?;
        state(&plant).limit().set(limit, remaining);
        done()
    };
    Router::new().route(&format!("/{service}/limits"), put(set))
}

/// Makes `/{service}/tokens/revoke`.
pub fn tokens<S: HasTokens>(service: &str, state: Pick<S>) -> Router<Arc<Plant>> {
    let revoke = move |State(plant): Shared| async move {
        state(&plant).revoke_all();
        done()
    };
    Router::new().route(&format!("/{service}/tokens/revoke"), post(revoke))
}
