//! Writes the current waits and the numbers into the status, next to the passes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use kube::Resource as _;
use tokio::time::Instant;

use super::{
    counts::{APART, announce},
    session::Session,
};
use crate::{cluster::status::WRITE_WITHIN, engine::waits::StillOpen, telemetry::health::Beat};

/// Evidence that has not been carried out after this time is reported.
const OVERDUE: Duration = Duration::from_secs(5);
/// The pause before a status that could not be written is written again.
const AGAIN: Duration = Duration::from_secs(5);
/// Changes that follow each other within this time mostly belong to one pass.
const TOGETHER: Duration = Duration::from_millis(200);

/// Writes the current waits into the status, until the process stops.
pub async fn tell(session: Arc<Session>, beat: Beat) {
    let mut stopping = session.shared.stopping.clone();
    let mut open_since: Option<Instant> = None;
    loop {
        tokio::select! {
            () = beat.during(session.shared.leadership.wait_to_lead()) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let news = session.waits.news.notified();
        tokio::pin!(news);
        // The listener is enabled before the state is read, so that no change in between is missed.
        news.as_mut().enable();
        let events = session.mailbox.lines.changed();
        tokio::pin!(events);
        events.as_mut().enable();
        let open = session.open_against_evidence();
        let none = open.count == 0;
        open_since = (!none).then(|| open_since.unwrap_or_else(Instant::now));
        let overdue = open_since.is_some_and(|since| since.elapsed() >= OVERDUE);
        session.waits.note_open(if overdue { open } else { StillOpen::default() });
        let write = async {
            session
                .said
                .lock()
                .await
                .write_beside(&session.shared.writer(&session.key), &session.key)
                .await
        };
        let stands = beat.within(WRITE_WITHIN * 2, write).await;
        let again = if stands { session.waits.next_end() } else { Some(Instant::now() + AGAIN) };
        let again = again.into_iter().chain(open_since.map(|_| Instant::now() + OVERDUE)).min();
        tokio::select! {
            () = beat.during(news) => {}
            () = events, if none => {}
            () = beat.during(async {
                match again {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            }) => {}
            () = session.shared.leadership.lost() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// Writes the numbers when they change, until the process stops.
pub async fn numbers(session: Arc<Session>, beat: Beat) {
    let mut stopping = session.shared.stopping.clone();
    let (clock, news) = (session.shared.clock.clone(), session.roster().news());
    let mut next = Instant::now();
    loop {
        tokio::select! {
            () = beat.during(session.shared.leadership.wait_to_lead()) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let opens = session.said.lock().await.next_opening();
        tokio::select! {
            () = beat.during(news.notified()) => {}
            () = beat.during(session.reckoning.news.notified()) => {}
            () = beat.during(async {
                match opens {
                    Some(at) => clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            }) => {}
            () = session.shared.leadership.lost() => continue,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        tokio::select! {
            () = beat.during(tokio::time::sleep_until(next.max(Instant::now() + TOGETHER))) => {}
            () = session.shared.leadership.lost() => continue,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        next = Instant::now() + APART;
        let object = session.object.borrow().clone();
        let mut said = session.said.lock().await;
        let before = said.told().to_vec();
        let owed = session.said.take_owed_revocations();
        let (writer, key) = (session.shared.writer(&session.key), &session.key);
        let written = if owed {
            said.change_revoked(&writer, key, |list| session.revoked_after(list, &BTreeSet::new()))
                .await
                .is_ok()
        } else {
            said.write_beside(&writer, key).await
        };
        if !written {
            if owed {
                session.said.owe_revocations();
            }
            session.reckoning.nudge();
        }
        announce(&session.shared.events, object.object_ref(&()), &before, said.told());
    }
}
