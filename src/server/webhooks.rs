//! The address that Bob pushes to: `POST /webhooks/bob/{namespace}/{integration}`, on a listener of
//! its own. A body is read completely within the limits of `front`, its signature is checked before
//! anything in it is parsed, and the answer goes out as soon as the event is in line.
//!
//! | answer | when |
//! | --- | --- |
//! | 200 | in line, or nothing to do: a repeated delivery, another company, another kind of event |
//! | 200 | Bob's ping test, signed or not, for any integration: it has no effect |
//! | 408, 413 | the body took too long, or is too large: it is counted, and nothing else happens |
//! | 401 | no such integration, no secret, a wrong or missing signature: the same answer for each |
//! | 503 | another replica leads, the process just began, evidence was not recorded: Bob retries |

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
};
use tokio::{sync::watch, task::JoinHandle};

use super::front::{self, Limits};
use crate::{
    bob::webhook,
    engine::intake::inbox::{Inbox, Received},
    telemetry::{health::Beat, metrics::Metrics, parts::Parts},
};

/// What a delivery may use. Bob's deliveries are small, and Bob waits at most ten seconds.
pub const LIMITS: Limits = Limits {
    head: Duration::from_secs(5),
    idle: Duration::from_secs(75),
    body: Duration::from_secs(10),
    body_bytes: 1024 * 1024,
    head_bytes: 16 * 1024,
    connection: Duration::from_mins(1),
    connections: 200,
};

struct Door {
    inbox: Inbox,
    metrics: Arc<Metrics>,
}

/// Serves the address until `stopping` becomes true. Then deliveries that have begun end, and the
/// listener is closed.
///
/// # Errors
/// A sentence that names the address, if it cannot be listened on.
pub async fn listen(
    address: SocketAddr,
    inbox: Inbox,
    metrics: Arc<Metrics>,
    parts: Parts,
    stopping: watch::Receiver<bool>,
) -> Result<JoinHandle<()>, String> {
    let mut bound = Some(super::bind(address).await?);
    let counted = metrics.clone();
    let refused: front::OnRefused = Arc::new(move |status| counted.webhook(unread(status)));
    let router = router(inbox, metrics);
    Ok(tokio::spawn(async move {
        let until = stopping.clone();
        let serve = |beat: Beat| {
            let (listener, router, refused, mut until) =
                (bound.take(), router.clone(), refused.clone(), until.clone());
            async move {
                let Some(listener) = super::bound_again(listener, address).await else { return };
                let stop = async move {
                    let _ = until.wait_for(|stopping| *stopping).await;
                };
                beat.during(front::serve_telling(listener, router, LIMITS, refused, stop)).await;
            }
        };
        parts.keep("webhooks", None, stopping, serve).await;
    }))
}

/// Returns the router of the only path. A POST to any path below `/webhooks/bob/` may be a ping.
pub fn router(inbox: Inbox, metrics: Arc<Metrics>) -> Router {
    let door = Arc::new(Door { inbox, metrics });
    Router::new().route("/webhooks/bob/{*place}", post(deliver)).with_state(door)
}

/// The words for metrics of deliveries that were not read to their end.
pub const UNREAD: [&str; 3] = ["too_large", "too_slow", "broken_off"];

/// Returns the word for this status.
fn unread(status: StatusCode) -> &'static str {
    let [too_large, too_slow, broken_off] = UNREAD;
    match status {
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => too_large,
        StatusCode::REQUEST_TIMEOUT => too_slow,
        _ => broken_off,
    }
}

async fn deliver(
    State(door): State<Arc<Door>>,
    Path(place): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if webhook::is_ping(&body) {
        return door.answer(Received::Ping);
    }
    let mut signatures = headers.get_all("bob-signature").iter();
    let signature = match (signatures.next(), signatures.next()) {
        (Some(one), None) => Some(one.as_bytes()),
        _ => None,
    };
    // A path without both names is treated as an integration that does not exist.
    let (namespace, integration) = place.split_once('/').unwrap_or_default();
    let received = door.inbox.receive(namespace, integration, signature, &body).await;
    door.answer(received)
}

impl Door {
    fn answer(&self, received: Received) -> Response {
        self.metrics.webhook(received.word());
        match received {
            Received::Queued
            | Received::NotEvidence
            | Received::Duplicate
            | Received::Ignored
            | Received::OtherCompany
            | Received::Unreadable
            | Received::Ping => StatusCode::OK.into_response(),
            Received::Refused => StatusCode::UNAUTHORIZED.into_response(),
            Received::NotLeading | Received::Starting | Received::NotRecorded => {
                StatusCode::SERVICE_UNAVAILABLE.into_response()
            }
        }
    }
}

#[cfg(test)]
#[path = "webhooks_tests.rs"]
mod tests;
