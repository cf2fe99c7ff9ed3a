//! The control API: tests use it to move the clock, edit the data of Bob and the providers, inject
//! faults and read the calls. It is not part of a vendor's API.
//!
//! - `bob`, `onelogin`, `google`, `entra`, `jumpcloud`, `okta`, `scim`: their data, credentials and
//!   switches
//! - `traffic`: faults, counts and the log; `switches`: quirks and refusals; `accounts`: accounts,
//!   limits and tokens; all are the same for every service
//! - `reply`: answers

mod accounts;
mod bob;
mod entra;
mod google;
mod jumpcloud;
mod okta;
mod onelogin;
mod reply;
mod scim;
mod switches;
mod traffic;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::get;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use self::reply::{Refused, Reply, Shared, ok, parse};
use crate::plant::Plant;

/// Returns all routes.
pub fn router(plant: Arc<Plant>) -> Router {
    let services = bob::routes().merge(onelogin::routes()).merge(google::routes());
    let services = services.merge(traffic::routes("bob", |plant| &plant.bob_gate));
    let services = services.merge(traffic::routes("onelogin", |plant| &plant.onelogin_gate));
    let services = services.merge(traffic::routes("google", |plant| &plant.google_gate));
    let services =
        services.merge(entra::routes()).merge(traffic::routes("entra", |plant| &plant.entra_gate));
    let services = services
        .merge(jumpcloud::routes())
        .merge(traffic::routes("jumpcloud", |plant| &plant.jumpcloud_gate));
    let services =
        services.merge(okta::routes()).merge(traffic::routes("okta", |plant| &plant.okta_gate));
    let services =
        services.merge(scim::routes()).merge(traffic::routes("scim", |plant| &plant.scim_gate));
    services
        .route("/healthz", get(|| async { "ok" }))
        .route("/clock", get(clock).put(set_clock))
        .fallback(|| async { Refused::missing("control route") })
        .layer(DefaultBodyLimit::max(512 * 1024 * 1024))
        .with_state(plant)
}

async fn clock(State(plant): Shared) -> Reply {
    ok(&json!({"now": plant.clock.now()}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SetClock {
    now: Option<Timestamp>,
    advance_seconds: Option<i64>,
}

async fn set_clock(State(plant): Shared, body: Bytes) -> Reply {
    match parse(&body)? {
        SetClock { now: Some(now), advance_seconds: None } => plant.clock.set(now),
        SetClock { now: None, advance_seconds: Some(seconds) } => plant.clock.advance(seconds),
        SetClock { .. } => return Err(Refused::bad("give one of now and advanceSeconds")),
    }
    ok(&json!({"now": plant.clock.now()}))
}
