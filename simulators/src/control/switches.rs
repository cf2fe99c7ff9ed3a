//! Quirks, and changes that are refused: switched the same way for every service.

use std::sync::{Arc, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, put};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Refused, Shared, done, ok, overlay, parse};
use crate::world::Plant;

/// Where the state of one service is.
pub type Pick<S> = for<'p> fn(&'p Plant) -> MutexGuard<'p, S>;

/// A state with quirks.
pub trait HasQuirks: 'static {
    /// The quirks of the service.
    type Quirks: Default + Serialize + DeserializeOwned;

    /// Where they are.
    fn quirks(&mut self) -> &mut Self::Quirks;

    /// Why these cannot be.
    fn check(_: &Self::Quirks) -> Result<(), &'static str> {
        Ok(())
    }
}

/// A state with rules of what is refused.
pub trait HasRefusals: 'static {
    /// One rule.
    type Rule: DeserializeOwned;

    /// Where they are.
    fn refusals(&mut self) -> &mut Vec<Self::Rule>;
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules<R> {
    rules: Vec<R>,
}

/// `/{service}/quirks`: a change names some, and the others stay.
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

/// `/{service}/refuse`: the rules are exactly these from now on.
pub fn refusals<S: HasRefusals>(service: &str, state: Pick<S>) -> Router<Arc<Plant>> {
    let refuse = move |State(plant): Shared, body: Bytes| async move {
        let Rules { rules } = parse(&body)?;
        *state(&plant).refusals() = rules;
        done()
    };
    Router::new().route(&format!("/{service}/refuse"), put(refuse))
}
