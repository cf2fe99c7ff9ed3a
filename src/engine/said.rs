//! What is said of an integration, as it was last read or written: one place that everybody locks who adds to it, so that
//! nobody writes over what another has just said.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Client;
use tokio::sync::{MutexGuard, watch};

use super::{counts::Reckoning, report, waits::Waits};
use crate::{
    api::{ProvisioningIntegration, ProvisioningIntegrationStatus, integration::RevokedAccess},
    cluster::{
        roster::IntegrationKey,
        status::{WriteError, Writer},
    },
    server::parts::Parts,
};

/// The status of an integration as it was last read or written, and which generation the last write spoke of.
#[derive(Default)]
pub struct Said {
    /// The status, as passes said it.
    pub status: ProvisioningIntegrationStatus,
    /// The same with what is said next to them: as the API server has it.
    shown: ProvisioningIntegrationStatus,
    version: u64,
    generation: i64,
    /// What else is to be said of it, beside its passes.
    parts: Option<Parts>,
    /// What its calls wait for.
    waits: Option<Arc<Waits>>,
    /// What its people amount to.
    reckoning: Option<Arc<Reckoning>>,
    /// `Ready` as it was told last, waits aside.
    told: Option<Condition>,
}

/// What is said of an integration, for all who add to it. Who holds the lock knows what the watch brought before.
#[derive(Default)]
pub struct Saying {
    said: tokio::sync::Mutex<Said>,
    /// Nothing is watched where there is none.
    object: Option<watch::Receiver<Arc<ProvisioningIntegration>>>,
}

impl Saying {
    /// What was said so far, and the integration as the watch shows it.
    #[must_use]
    pub fn new(said: Said, object: watch::Receiver<Arc<ProvisioningIntegration>>) -> Self {
        Self { said: tokio::sync::Mutex::new(said), object: Some(object) }
    }

    /// Waits for the others who write, which may take as long as the API server does.
    pub async fn lock(&self) -> MutexGuard<'_, Said> {
        let mut said = self.said.lock().await;
        if let Some(object) = self.object.as_ref().map(|object| object.borrow().clone()) {
            said.see(&object);
        }
        said
    }
}

/// `metadata.resourceVersion` as a number; 0 without one.
#[must_use]
pub fn version(object: &ProvisioningIntegration) -> u64 {
    object.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

impl Said {
    /// What this integration's status says.
    #[must_use]
    pub fn of(object: &ProvisioningIntegration) -> Self {
        let status = object.status.clone().unwrap_or_default();
        let told = status.conditions.first().cloned();
        Self { version: version(object), shown: status.clone(), status, told, ..Self::default() }
    }

    /// The same, and every write also says what these parts say of the integration.
    #[must_use]
    pub fn with_parts(self, parts: &Parts) -> Self {
        Self { parts: Some(parts.clone()), ..self }
    }

    /// The same, and every write also says what calls wait for.
    #[must_use]
    pub fn with_waits(self, waits: &Arc<Waits>) -> Self {
        Self { waits: Some(waits.clone()), ..self }
    }

    /// The same, and every write also says what the people amount to.
    #[must_use]
    pub fn with_reckoning(self, reckoning: &Arc<Reckoning>) -> Self {
        Self { reckoning: Some(reckoning.clone()), ..self }
    }

    /// Returns `Ready` as it was told last, waits aside.
    #[must_use]
    pub const fn told(&self) -> Option<&Condition> {
        self.told.as_ref()
    }

    /// Returns when the next budget has room again.
    #[must_use]
    pub fn next_opening(&self) -> Option<Timestamp> {
        let budgets = self.shown.budgets.as_ref()?;
        let all = [&budgets.disables, &budgets.reactivations, &budgets.creates, &budgets.updates];
        all.into_iter().flatten().filter_map(|state| state.opens_at.as_ref()).map(|at| at.0).min()
    }

    /// Returns when the next budget has room again of which something is held.
    #[must_use]
    pub fn next_release(&self) -> Option<Timestamp> {
        let budgets = self.shown.budgets.as_ref()?;
        let all = [&budgets.disables, &budgets.reactivations, &budgets.creates, &budgets.updates];
        all.into_iter().flatten().filter(|state| state.planned > 0).filter_map(|state| state.opens_at.as_ref()).map(|at| at.0).min()
    }

    /// Writes what is said next to the passes, if that is something else than before. Returns whether it was written.
    pub async fn write_beside(&mut self, client: &Client, key: &IntegrationKey) -> bool {
        self.status.conditions.is_empty() || self.write(client, key, self.status.clone(), 0).await
    }

    /// Takes in what the watch brought, if it is newer.
    fn see(&mut self, object: &ProvisioningIntegration) {
        let version = version(object);
        if version > self.version {
            self.version = version;
            let status = object.status.clone().unwrap_or_default();
            // What is said next to the passes is not taken for what they said.
            if !report::same(&self.shown, &status) {
                self.status = status.clone();
            }
            self.shown = status;
        }
    }

    /// The latest generation of which something was said.
    #[must_use]
    pub fn spoken_of(&self) -> i64 {
        self.generation.max(self.status.conditions.iter().filter_map(|c| c.observed_generation).max().unwrap_or(0))
    }

    /// Writes a status, unless it says the same. `generation`: the one it speaks of; 0 for none. Returns whether it was written.
    pub async fn write(&mut self, client: &Client, key: &IntegrationKey, status: ProvisioningIntegrationStatus, generation: i64) -> bool {
        self.generation = self.generation.max(generation);
        let counted = self.with_counts(&status);
        self.told = counted.conditions.first().cloned();
        let shown = self.with_all(key, counted);
        if let Some(reckoning) = &self.reckoning {
            reckoning.said(&shown);
        }
        if report::same(&self.shown, &shown) {
            self.status = status;
            return true;
        }
        match Writer::new(client, &key.namespace).patch_integration(&key.name, &shown).await {
            Ok(written) => {
                self.version = version(&written);
                self.shown = written.status.unwrap_or_default();
                self.status = ProvisioningIntegrationStatus { conditions: status.conditions, ..self.shown.clone() };
                true
            }
            Err(error) => {
                if !error.gone {
                    self.generation = 0;
                    tracing::warn!(integration = %key, %error, "the integration's status could not be written");
                }
                error.gone
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.waits.as_ref().map_or_else(Timestamp::now, |waits| waits.now())
    }

    /// This status with what its people amount to.
    fn with_counts(&self, status: &ProvisioningIntegrationStatus) -> ProvisioningIntegrationStatus {
        let Some(reckoning) = &self.reckoning else { return status.clone() };
        report::with_counts(status, &reckoning.reckon(status), self.spoken_of(), self.now())
    }

    /// This status with what is said next to the passes.
    fn with_all(&self, key: &IntegrationKey, status: ProvisioningIntegrationStatus) -> ProvisioningIntegrationStatus {
        let (generation, now) = (self.spoken_of(), self.now());
        let parts = self.parts.as_ref().and_then(|parts| parts.said(key));
        let waits = self.waits.as_ref().map(|waits| waits.told()).unwrap_or_default();
        let pause = self.waits.as_ref().map(|waits| waits.longest()).unwrap_or_default();
        let progress = self.reckoning.as_ref().and_then(|reckoning| reckoning.progress.told(pause));
        let conditions = report::with_progress(report::with_parts(&status.conditions, parts, generation, now), progress.as_ref());
        let conditions = report::with_waits(conditions, &waits, generation, now);
        let open = self.waits.as_ref().map_or(0, |waits| waits.open());
        let conditions = report::with_open(conditions, open, generation, now);
        ProvisioningIntegrationStatus { conditions: report::timed(conditions, &self.shown.conditions, now), progress, ..status }
    }

    /// Writes down which immediate revocations there are. Returns whether it was written.
    pub async fn revoked(&mut self, client: &Client, key: &IntegrationKey, list: Vec<RevokedAccess>) -> bool {
        let status = ProvisioningIntegrationStatus { revoked: list, ..self.status.clone() };
        self.write(client, key, status, 0).await
    }

    /// Changes the list of immediate revocations.
    ///
    /// # Errors
    /// When the API server does not take it.
    pub async fn change_revoked(
        &mut self,
        client: &Client,
        key: &IntegrationKey,
        change: impl FnOnce(&[RevokedAccess]) -> Vec<RevokedAccess>,
    ) -> Result<(), WriteError> {
        let list = change(&self.status.revoked);
        let stands = self.revoked(client, key, list).await;
        if stands { Ok(()) } else { Err(WriteError::for_now("writing the integration's status", "the API server did not take it")) }
    }
}
