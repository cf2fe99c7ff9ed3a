//! What webhooks are signed with. It is read beside the passes, so that a new secret is valid within twenty seconds, however
//! long a pass over everybody takes.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

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

/// Whether webhooks of one integration are accepted.
#[derive(Default)]
pub struct Signing {
    /// And if not, why; `None` where none are asked for.
    said: Mutex<Option<Result<(), String>>>,
    /// Whether that is another answer than the one before, and nobody has said so yet.
    news: AtomicBool,
    /// Held while the Secret is read: what was read later counts.
    reading: tokio::sync::Mutex<()>,
}

impl Signing {
    /// Whether webhooks are accepted, and if not, why; `None` where none are asked for.
    #[must_use]
    pub fn said(&self) -> Option<Result<(), String>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether that has changed beside the passes, once.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.news.swap(false, Ordering::AcqRel)
    }

    /// Takes what is said now. Whether it is something else than before.
    fn say(&self, now: Option<Result<(), String>>) -> bool {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let other = *said != now;
        *said = now;
        other
    }
}

/// Reads the Secret. Whether something else is to be said now.
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
        &session.shared.client,
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
        // What was read before stays valid while the API server does not answer.
        Err(SecretError::Unavailable { .. }) if signing.said().is_some() => false,
        Err(error) => {
            session.mailbox.sign_with(None);
            signing.say(Some(Err(error.to_string())))
        }
    }
}

/// Reads it again and again, until the process stops.
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
            session.mailbox.dirty.nudge();
        }
    }
}
