//! The secrets that webhooks are signed with. They are read next to the passes, so that a new
//! secret is valid within twenty seconds, even if a full pass takes long.

pub mod answer;

use std::sync::{Arc, atomic::Ordering};

use jiff::{SignedDuration, Timestamp};

use super::session::Session;
use crate::{
    api::ProvisioningIntegration,
    bob::webhook::SigningSecrets,
    cluster::secrets::{self, SecretError},
    telemetry::health::Beat,
};

/// How often the Secret is read.
const POLL: SignedDuration = SignedDuration::from_secs(20);

/// Reads the Secret. Returns whether the answer is another one now.
pub async fn read(session: &Session, object: &ProvisioningIntegration) -> bool {
    let signing = &session.signing;
    let _alone = signing.reading.lock().await;
    let Some(reference) = &object.spec.bob.webhook_secret_ref else {
        session.mailbox.sign_with(None);
        return signing.say(None);
    };
    let previous = format!("{}Previous", reference.key);
    let (required, optional) = ([&*reference.key], [&*previous]);
    match secrets::read_some(
        session.shared.client(),
        &session.key.namespace,
        &reference.name,
        &required,
        &optional,
    )
    .await
    {
        Ok(mut values) => {
            let current = values.take(&reference.key);
            let previous = values.take(&previous);
            session.mailbox.sign_with(current.map(|current| SigningSecrets { current, previous }));
            signing.say(Some(Ok(())))
        }
        // The secrets that were read before stay valid while the API server does not answer.
        Err(SecretError::Unavailable { .. }) if signing.said().is_some() => false,
        Err(error) => {
            session.mailbox.sign_with(None);
            signing.say(Some(Err(error.to_string())))
        }
    }
}

/// Reads the Secret at regular intervals, until the process stops.
pub async fn keep(session: Arc<Session>, beat: Beat) {
    let mut stopping = session.shared.stopping.clone();
    let clock = session.shared.clock.clone();
    loop {
        let next = clock.now().checked_add(POLL).unwrap_or(Timestamp::MAX);
        tokio::select! {
            () = beat.during(clock.sleep_until(next)) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let object = session.object.borrow().clone();
        if object.spec.suspend || !session.shared.leadership.is_leader() {
            continue;
        }
        if read(&session, &object).await {
            session.signing.news.store(true, Ordering::Release);
            session.mailbox.lines.nudge();
        }
    }
}
