//! What the process shows of itself over HTTP, `/metrics`, `/healthz`, `/readyz`, and what it takes in.
//!
//! - `front`: accepts connections and ends those that dawdle.
//! - `health`: whether the loops beat, and whether there is anything to wait for before work can begin.
//! - `webhooks`: the address that Bob pushes to, on a listener of its own.
//! - `metrics`: what is counted. The table in it is the documentation.

pub mod front;
pub mod health;
pub mod metrics;
pub mod webhooks;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use tokio::{net::TcpListener, task::JoinHandle};

pub use health::Health;
use metrics::Metrics;

/// Serves the three paths on this address until the task is aborted.
///
/// # Errors
/// A sentence that names the address, when it cannot be listened on.
pub async fn listen(address: SocketAddr, metrics: Arc<Metrics>, health: Health) -> Result<JoinHandle<()>, String> {
    let listener = TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    Ok(tokio::spawn(front::serve(listener, router(metrics, health), front::Limits::default(), std::future::pending())))
}

/// The three paths; any other is 404.
pub fn router(metrics: Arc<Metrics>, health: Health) -> Router {
    let ready = health.clone();
    Router::new()
        .route("/metrics", get(async move || ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.render())))
        .route("/healthz", get(async move || verdict(health.alive())))
        .route("/readyz", get(async move || verdict(ready.is_ready())))
}

fn verdict(found: Result<(), String>) -> (StatusCode, String) {
    match found {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
