//! Quirks, and refused changes: the same switches for every service.

use std::sync::{Arc, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, put};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::reply::{Refused, Shared, done, ok, overlay, parse};
use crate::plant::Plant;

/// The state of one service.
pub type Pick<S> = for<'p> fn(&'p Plant) -> MutexGuard<'p, S>;

/// A state with quirks.
pub trait HasQuirks: 'static {
    /// The quirks of the service.
    type Quirks: Default + Serialize + DeserializeOwned;

    /// Returns them.
    fn quirks(&mut self) -> &mut Self::Quirks;

    /// Says why these are not possible.
    fn check(_: &Self::Quirks) -> Result<(), &'static str> {
        Ok(())
    }
}

/// A state with rules of refusal.
pub trait HasRefusals: 'static {
    /// One rule.
    type Rule: DeserializeOwned;

    /// Returns them.
    fn refusals(&mut self) -> &mut Vec<Self::Rule>;
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules<R> {
    rules: Vec<R>,
}

/// Makes `/{service}/quirks`: a change names some, and the others stay.
pub fn quirks<S: HasQuirks>(service: &str, state: Pick<S>) -> Router<Arc<Plant>> {
    let shown = move |State(plant): Shared| async move { ok(&json!(state(&plant).quirks())) };
    let set = move |State(plant): Shared, body: Bytes| async move {
        let mut state = state(&plant);
        let quirks: S::Quirks = overlay(state.quirks(), &body)?;
        S::check(&quirks).map_err(Refused::bad)?;
        *state.quirks() = quirks;
        ok(&json!(state.quirks()))
    };
    let reset = move |State(plant): Shared| async move {
        *state(&plant).quirks() = S::Quirks::default();
        done()
    };
    Router::new().route(&format!("/{service}/quirks"), get(shown).put(set).delete(reset))
}

/// Makes `/{service}/refuse`: exactly these rules apply from then on.
pub fn refusals<S: HasRefusals>(service: &str, state: Pick<S>) -> Router<Arc<Plant>> {
    let refuse = move |State(plant): Shared, body: Bytes| async move {
        let Rules { rules } = parse(&body)?;
        *state(&plant).refusals() = rules;
        done()
    };
    Router::new().route(&format!("/{service}/refuse"), put(refuse))
}
