//! Clients for Bob and the provider, made from Secrets, and made again when a Secret changes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::{
    validate::{Stop, Target, Validated},
    worker::Shared,
};
use crate::{
    api::reasons::IntegrationReason,
    bob,
    cluster::secrets::{self, SecretError},
    provider::{Provider, http, limits::Pacer, onelogin},
};

/// One pacer for each tenant, whoever calls it: the provider's limit is the tenant's, not the integration's.
#[derive(Default)]
pub struct Pacers(Mutex<HashMap<String, Weak<Pacer>>>);

impl Pacers {
    fn of(&self, base: &str) -> Arc<Pacer> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, pacer| pacer.strong_count() > 0);
        if let Some(pacer) = known.get(base).and_then(Weak::upgrade) {
            return pacer;
        }
        let pacer = Arc::new(onelogin::pacer());
        known.insert(base.to_owned(), Arc::downgrade(&pacer));
        pacer
    }
}

/// Open connections, and what they were made from.
pub struct Connections {
    /// The source.
    pub bob: bob::Client,
    /// The target.
    pub provider: Box<dyn Provider>,
    made_from: MadeFrom,
    pacer: Arc<Pacer>,
}

#[derive(PartialEq, Eq)]
struct MadeFrom {
    bob: String,
    target: Target,
    bob_secret: (String, String),
    target_secret: (String, String),
}

impl Connections {
    /// Reads both Secrets and keeps the connections `before` if nothing changed. The flag says whether they are new.
    ///
    /// # Errors
    /// A [`Stop`] that names the Secret and the key.
    pub async fn open(shared: &Shared, namespace: &str, validated: &Validated, before: Option<Self>) -> Result<(Self, bool), Stop> {
        let read = async |name: &str, keys: &[&str]| secrets::read(&shared.client, namespace, name, keys).await.map_err(|error| secret_stop(&error));
        let mut bob_secret = read(&validated.bob_secret, &["serviceUserId", "serviceUserToken"]).await?;
        let Target::OneLogin { base, secret } = &validated.target;
        let mut target_secret = read(secret, &["clientId", "clientSecret"]).await?;
        let made_from = MadeFrom {
            bob: validated.bob.clone(),
            target: validated.target.clone(),
            bob_secret: (validated.bob_secret.clone(), bob_secret.resource_version.clone()),
            target_secret: (secret.clone(), target_secret.resource_version.clone()),
        };
        if let Some(before) = before {
            if before.made_from == made_from {
                return Ok((before, false));
            }
            // The pacer outlives its connection: a new credential does not open a new window.
            drop(before.provider);
            drop(before.bob);
            let pacer = if before.made_from.target == made_from.target { before.pacer } else { shared.pacers.of(base) };
            return Self::make(shared, validated, base, made_from, pacer, bob_secret, target_secret);
        }
        let pacer = shared.pacers.of(base);
        return Self::make(shared, validated, base, made_from, pacer, bob_secret, target_secret);
    }
}
