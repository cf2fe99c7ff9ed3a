//! Whose the objects are. What asks for nothing goes with its integration. What a person or Git has put down has no owner that
//! lets the collector take it: it holds for the integration that comes back.

use std::{sync::Arc, time::Duration};

use kube::ResourceExt as _;

use super::session::Session;
use crate::telemetry::health::Beat;

/// How often the objects are looked at: a pin must not go with an integration that is replaced right after.
const LOOK: Duration = Duration::from_secs(1);
/// The wait after a write that failed.
const AGAIN: Duration = Duration::from_secs(10);

/// Sees to it, while this process leads, until it stops.
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
        for employee in session.shared.roster.to_tie(key) {
            if let Err(error) = beat.during(writer.tie(key, &uid, &employee)).await
                && !error.is_gone()
            {
                tracing::warn!(integration = %key, %error, "the owner of an EmployeeSync could not be changed; trying again");
                wait = AGAIN;
                break;
            }
        }
    }
}
