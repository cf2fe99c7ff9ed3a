//! What is said of an integration, as it was last read or written: one place that everybody locks who adds to it, so that
//! nobody writes over what another has just said.

use jiff::Timestamp;
use kube::Client;

use super::report;
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
    /// The status.
    pub status: ProvisioningIntegrationStatus,
    version: u64,
    generation: i64,
    /// What else is to be said of it, beside its passes.
    parts: Option<Parts>,
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
        Self { version: version(object), status: object.status.clone().unwrap_or_default(), generation: 0, parts: None }
    }

    /// The same, and every write also says what these parts say of the integration.
    #[must_use]
    pub fn with_parts(self, parts: &Parts) -> Self {
        Self { parts: Some(parts.clone()), ..self }
    }

    /// Writes what is said beside the passes, if that is something else than before.
    pub async fn write_parts(&mut self, client: &Client, key: &IntegrationKey) {
        if !self.status.conditions.is_empty() {
            self.write(client, key, self.status.clone(), 0).await;
        }
    }

    /// Takes in what the watch brought, if it is newer.
    pub fn see(&mut self, object: &ProvisioningIntegration) {
        let version = version(object);
        if version > self.version {
            self.version = version;
            self.status = object.status.clone().unwrap_or_default();
        }
    }

    /// The latest generation of which something was said.
    #[must_use]
    pub fn spoken_of(&self) -> i64 {
        self.generation.max(self.status.conditions.iter().filter_map(|c| c.observed_generation).max().unwrap_or(0))
    }

    /// Writes a status, unless it says the same. `generation`: the one it speaks of; 0 for none. Whether it stands.
    pub async fn write(&mut self, client: &Client, key: &IntegrationKey, status: ProvisioningIntegrationStatus, generation: i64) -> bool {
        self.generation = self.generation.max(generation);
        let mut status = status;
        if let Some(parts) = &self.parts {
            let said = parts.said(key);
            status.conditions = report::with_parts(&status.conditions, &self.status.conditions, said, self.spoken_of(), Timestamp::now());
        }
        if report::same(&self.status, &status) {
            return true;
        }
        match Writer::new(client, &key.namespace).patch_integration(&key.name, &status).await {
            Ok(written) => {
                self.version = version(&written);
                self.status = written.status.unwrap_or_default();
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

    /// Writes down which immediate revocations there are. Whether it stands.
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
