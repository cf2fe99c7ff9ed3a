//! Which objects the garbage collector deletes with their integration. An EmployeeSync whose spec
//! is the default one is deleted with it. A pin has no owner that lets the garbage collector delete
//! it: it holds for the integration that comes back.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use kube::ResourceExt as _;
use tokio::time::Instant;

use super::{session::Session, shared::Shared};
use crate::{
    api::key::IntegrationKey,
    cluster::{roster::Tie, status::WriteError},
    telemetry::health::Beat,
};

/// How often the objects are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// The wait after a write that failed.
const AGAIN: Duration = Duration::from_secs(10);
/// How many pins are written at the same time.
const TOGETHER: usize = 8;
/// How long the first pass waits until no pin of its integration has an owner.
const FIRST: Duration = Duration::from_secs(5);
const GLANCE: Duration = Duration::from_millis(20);

/// Removes the owners of all pins while this process leads, until it stops. No worker is needed:
/// the integration may be unreadable, on its way out, or gone.
pub async fn loosen(shared: Shared, beat: Beat) {
    let mut stopping = shared.stopping.clone();
    loop {
        tokio::select! {
            () = beat.during(shared.leadership.wait_to_lead()) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let mut writes = futures::stream::iter(shared.roster.owned_pins())
            .map(|(key, employee)| {
                let writer = shared.writer(&key).once();
                async move { (writer.untie(&key, &employee).await, key) }
            })
            .buffer_unordered(TOGETHER);
        let mut wait = LOOK;
        // One that is refused does not keep the others waiting.
        while let Some((written, key)) = beat.during(writes.next()).await {
            if failed(&key, written) {
                wait = AGAIN;
            }
        }
        tokio::select! {
            () = beat.during(shared.roster.owned_pin()) => {}
            () = beat.during(tokio::time::sleep(wait)) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// Waits until no pin of this integration has an owner. A pin whose owner cannot be removed delays
/// the work only for a few seconds.
pub async fn loosened(session: &Session, beat: &Beat) {
    let until = Instant::now() + FIRST;
    while Instant::now() < until
        && session.shared.leadership.is_leader()
        && !*session.shared.stopping.borrow()
        && !session.roster().to_tie(Tie::Untie).is_empty()
    {
        beat.during(tokio::time::sleep(GLANCE)).await;
    }
}

/// Gives objects that are no pins any more back to their integration, while this process leads,
/// until it stops.
pub async fn keep(session: Arc<Session>, beat: Beat) {
    let mut stopping = session.shared.stopping.clone();
    let mut wait = LOOK;
    loop {
        tokio::select! {
            () = beat.during(tokio::time::sleep(wait)) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        wait = LOOK;
        if !session.shared.leadership.is_leader() {
            continue;
        }
        let (key, uid) = (&session.key, session.object.borrow().uid().unwrap_or_default());
        let writer = session.shared.writer(key);
        for employee in session.roster().to_tie(Tie::Tie) {
            if failed(key, beat.during(writer.tie(key, &uid, &employee)).await) {
                wait = AGAIN;
                break;
            }
        }
    }
}

/// Logs a write that failed, and returns whether it did.
fn failed(key: &IntegrationKey, written: Result<(), WriteError>) -> bool {
    match written {
        Err(error) if error.is_outdated() || error.is_gone() || error.is_followers() => false,
        Err(error) => {
            tracing::warn!(integration = %key, %error,
                "the owner of an EmployeeSync could not be changed; trying again");
            true
        }
        Ok(()) => false,
    }
}
