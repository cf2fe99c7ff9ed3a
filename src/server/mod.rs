//! What the process shows of itself over HTTP (`/metrics`, `/healthz`, `/readyz`), and what it
//! receives.
//!
//! - `front`: accepts connections and ends those that are too slow.
//! - `webhooks`: the address that Bob pushes to, on a listener of its own.

pub mod front;
pub mod webhooks;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    routing::get,
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::telemetry::{
    health::{Beat, Health},
    metrics::{self, Metrics},
    parts::Parts,
};

/// Serves the three paths on this address until the task is aborted.
///
/// # Errors
/// A sentence that names the address, if it cannot be listened on.
pub async fn listen(
    address: SocketAddr,
    metrics: Arc<Metrics>,
    parts: Parts,
    stopping: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, String> {
    let mut bound = Some(bind(address).await?);
    let router = router(metrics, parts.health().clone());
    Ok(tokio::spawn(async move {
        let serve = |beat: Beat| {
            let (listener, router) = (bound.take(), router.clone());
            async move {
                let Some(listener) = bound_again(listener, address).await else { return };
                beat.during(front::serve(
                    listener,
                    router,
                    front::Limits::default(),
                    std::future::pending(),
                ))
                .await;
            }
        };
        parts.keep("http", None, stopping, serve).await;
    }))
}

/// Binds the address.
async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))
}

/// Returns this listener, or a new one after an earlier one has ended.
async fn bound_again(listener: Option<TcpListener>, address: SocketAddr) -> Option<TcpListener> {
    match listener {
        Some(listener) => Some(listener),
        None => bind(address)
            .await
            .inspect_err(|error| tracing::error!(%error, "listening again failed"))
            .ok(),
    }
}

/// Returns the router of the three paths. Any other path is a 404.
pub fn router(metrics: Arc<Metrics>, health: Health) -> Router {
    let ready = health.clone();
    Router::new()
        .route(
            "/metrics",
            get(async move |headers: HeaderMap| {
                let asks = headers
                    .get(ACCEPT)
                    .and_then(|accept| accept.to_str().ok())
                    .is_some_and(|accept| accept.contains("openmetrics"));
                let page = metrics.render();
                if asks {
                    ([(CONTENT_TYPE, metrics::OPEN_METRICS)], page)
                } else {
                    ([(CONTENT_TYPE, metrics::CLASSIC)], metrics::classic(&page))
                }
            }),
        )
        .route(
            "/healthz",
            get(async move || verdict(health.alive(), StatusCode::INTERNAL_SERVER_ERROR, &[])),
        )
        .route(
            "/readyz",
            get(async move || {
                verdict(ready.is_ready(), StatusCode::SERVICE_UNAVAILABLE, &ready.remarks())
            }),
        )
}

fn verdict(found: Result<(), String>, bad: StatusCode, remarks: &[String]) -> (StatusCode, String) {
    let (status, text) = match found {
        Ok(()) => (StatusCode::OK, "ok".to_owned()),
        Err(why) => (bad, why),
    };
    (
        status,
        std::iter::once(text.as_str())
            .chain(remarks.iter().map(String::as_str))
            .fold(String::new(), |text, line| text + line + "\n"),
    )
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
