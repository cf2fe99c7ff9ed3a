//! Faults, counts and the log of one service.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;

use super::reply::{Refused, Shared, done, ok, parse};
use crate::front::faults::Fault;
use crate::front::gate::Gate;
use crate::plant::Plant;

type Pick = fn(&Plant) -> &Arc<Gate>;

#[derive(Deserialize)]
struct Since {
    since: Option<u64>,
}

/// Makes `/{service}/faults`, `/{service}/calls` and `/{service}/log`.
pub fn routes(service: &str, gate: Pick) -> Router<Arc<Plant>> {
    let add = move |State(plant): Shared, body: Bytes| async move {
        let fault: Fault = parse(&body)?;
        fault.check().map_err(Refused::bad)?;
        gate(&plant).faults.add(fault);
        done()
    };
    let clear = move |State(plant): Shared| async move {
        gate(&plant).faults.clear();
        done()
    };
    let calls = move |State(plant): Shared| async move { ok(&json!(gate(&plant).record().calls)) };
    let reset = move |State(plant): Shared| async move {
        gate(&plant).record().reset();
        done()
    };
    let log = move |State(plant): Shared, Query(query): Query<Since>| async move {
        let entries = gate(&plant).record().since(query.since.unwrap_or(0));
        ok(&json!(entries))
    };
    Router::new()
        .route(&format!("/{service}/faults"), post(add).delete(clear))
        .route(&format!("/{service}/calls"), get(calls).delete(reset))
        .route(&format!("/{service}/log"), get(log))
}
