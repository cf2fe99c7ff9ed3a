//! One pacer for each tenant and one pace for each service user, for all integrations.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    bob::BobPace, engine::settings::targets::Target, http::secret::Secret, provider::limits::Pacer,
};

/// How long an unused pacer is kept. No provider's window is longer.
const KEPT: Duration = Duration::from_hours(2);

/// One pacer for each tenant, for all integrations that call it: the provider's limit is the
/// tenant's, not the integration's. The pacer outlives the connections, so that what is known of
/// the window is not lost with them.
#[derive(Default)]
pub struct Pacers(
    Mutex<HashMap<String, (Arc<Pacer>, Instant)>>,
    Mutex<HashMap<(String, String), Arc<BobPace>>>,
);

impl Pacers {
    /// Returns the pacer of the target's tenant. `owner`: the credential that tells customers
    /// apart, for providers where many customers share the address.
    pub(in crate::engine) fn of(&self, target: &Target, owner: Option<&Secret>) -> Arc<Pacer> {
        let tenant = format!("{} {}", target.tenant(), owner.map_or("", Secret::expose));
        let mut known = self.0.lock();
        let now = Instant::now();
        known.retain(|_, (pacer, used)| {
            if Arc::strong_count(pacer) > 1 {
                *used = now;
            }
            now.saturating_duration_since(*used) < KEPT
        });
        let (pacer, used) =
            known.entry(tenant).or_insert_with(|| (Arc::new((target.catalog().pacer)()), now));
        *used = now;
        pacer.clone()
    }

    /// Returns the pace for one service user of Bob at one address. It is never removed, because
    /// another token does not open a new window.
    pub(in crate::engine) fn of_bob(&self, base: &str, service_user: &str) -> Arc<BobPace> {
        let mut known = self.1.lock();
        known.entry((base.to_owned(), service_user.to_owned())).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::ProvisioningIntegrationSpec,
        engine::settings::{endpoints::AllowedEndpoints, validate::validate},
    };

    #[tokio::test(start_paused = true)]
    async fn what_is_known_of_a_tenants_window_outlives_its_connections() {
        let spec: ProvisioningIntegrationSpec = serde_json::from_value(serde_json::json!({
            "mode": "Enforce",
            "bob": {"credentialsSecretRef": {"name": "bob"}},
            "provider": {"oneLogin": {"subdomain": "acme",
            "credentialsSecretRef": {"name": "onelogin"}}},
        }))
        .unwrap();
        let target = validate(&spec, &AllowedEndpoints::parse(&[]).unwrap()).unwrap().target;
        let pacers = Pacers::default();
        let first = Arc::as_ptr(&pacers.of(&target, None));
        tokio::time::advance(Duration::from_mins(90)).await;
        assert_eq!(
            Arc::as_ptr(&pacers.of(&target, None)),
            first,
            "no session holds it, and it is the same"
        );
        let held = pacers.of(&target, None);
        tokio::time::advance(KEPT * 2).await;
        assert!(Arc::ptr_eq(&pacers.of(&target, None), &held), "it is in use");
    }
}
