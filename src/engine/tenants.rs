//! Which integrations work on the same tenant of a provider. Two that manage the same person there would undo each
//! other's work, so the one that was there first keeps the person, and the other says so.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;

use super::validate::{AllowedEndpoints, validate};
use crate::{
    api::{ProvisioningIntegration, integration::Mode},
    cluster::roster::IntegrationKey,
};

/// Every integration that writes to a tenant.
#[derive(Default)]
pub struct Tenants(Mutex<HashMap<IntegrationKey, Tenancy>>);

struct Tenancy {
    /// Provider and tenant.
    tenant: String,
    created: Timestamp,
}

impl Tenants {
    /// Takes in an integration, or a newer version of it. One that is suspended, only plans, or cannot run claims nobody.
    pub fn see(&self, key: &IntegrationKey, object: &ProvisioningIntegration, allowed: &AllowedEndpoints) {
        let works = !object.spec.suspend && object.spec.mode() == Mode::Enforce;
        let validated = works.then(|| validate(&object.spec, allowed).ok()).flatten();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match validated {
            Some(validated) => {
                let created = object.metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0);
                known.insert(key.clone(), Tenancy { tenant: validated.target.tenant(), created });
            }
            None => {
                known.remove(key);
            }
        }
    }

    /// Forgets an integration that is gone.
    pub fn forget(&self, key: &IntegrationKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Integrations of this tenant that were there before this one, the oldest first. `created`: this one's creation.
    #[must_use]
    pub fn elders(&self, key: &IntegrationKey, tenant: &str, created: Timestamp) -> Vec<IntegrationKey> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut elders: Vec<_> = known
            .iter()
            .filter(|(other, tenancy)| *other != key && tenancy.tenant == tenant && (tenancy.created, *other) < (created, key))
            .map(|(other, tenancy)| (tenancy.created, other.clone()))
            .collect();
        elders.sort();
        elders.into_iter().map(|(_, key)| key).collect()
    }

    /// All other integrations of this tenant.
    #[must_use]
    pub fn peers(&self, key: &IntegrationKey, tenant: &str) -> Vec<IntegrationKey> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut peers: Vec<_> =
            known.iter().filter(|(other, tenancy)| *other != key && tenancy.tenant == tenant).map(|(other, _)| other.clone()).collect();
        peers.sort();
        peers
    }
}
