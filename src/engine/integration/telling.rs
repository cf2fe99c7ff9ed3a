//! Writes the current waits into the status.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::session::Session;
use crate::{cluster::status::WRITE_WITHIN, engine::waits::StillOpen, telemetry::health::Beat};

/// Evidence that has not been carried out after this time is reported.
const OVERDUE: Duration = Duration::from_secs(5);
/// The pause before a status that could not be written is written again.
const AGAIN: Duration = Duration::from_secs(5);

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
        let events = session.mailbox.dirty.changed();
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
            () = beat.during(async { match again { Some(at) => tokio::time::sleep_until(at).await, None => std::future::pending().await } }) => {}
            () = session.shared.leadership.lost() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}
