//! The integrations that work on the same tenant of a provider. Two integrations that manage the
//! same employee there would undo each other's work. So one of them keeps the employee, and the
//! other reports this (`decide`).

use std::collections::HashMap;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};

use super::{endpoints::AllowedEndpoints, validate::validate};
use crate::api::{
    ProvisioningIntegration, ProvisioningIntegrationStatus, integration::Mode, key::IntegrationKey,
};

/// The integrations that write to each tenant.
#[derive(Default)]
pub struct Tenants(Mutex<HashMap<IntegrationKey, Tenancy>>);

struct Tenancy {
    tenant: Tenant,
    created: Timestamp,
    /// Whether its last full pass had no result, or no pass can begin.
    idle: bool,
}

/// What identifies a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Provider and address from the settings. One account may have several addresses, and several
    /// accounts may share one.
    pub settings: String,
    /// The id that the service itself returns, once it has been called.
    pub learned: Option<String>,
}

impl Tenant {
    /// Returns the tenant that the recorded accounts belong to, if it is known.
    #[must_use]
    pub fn on_record(status: &ProvisioningIntegrationStatus) -> Option<Self> {
        let tenant = status.tenant.clone()?;
        Some(match &status.tenant_named {
            Some(settings) if *settings != tenant => {
                Self { settings: settings.clone(), learned: Some(tenant) }
            }
            // The service did not return an id, or an older version of bobsync wrote this.
            _ => Self { settings: tenant, learned: None },
        })
    }

    /// Returns the text that is shown for the tenant: the id that the service returned, or else the
    /// settings.
    #[must_use]
    pub fn told(&self) -> &str {
        self.learned.as_deref().unwrap_or(&self.settings)
    }

    /// Returns whether both are one tenant. The ids of the service are compared, or the settings if
    /// one of them has no id yet.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.learned, &other.learned) {
            (Some(one), Some(other)) => one == other,
            (None, _) | (_, None) => self.settings == other.settings,
        }
    }
}

/// Another integration of the same tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// The key of the other integration.
    pub key: IntegrationKey,
    /// Whether the other integration is older.
    pub elder: bool,
    /// Whether the other integration can do nothing now.
    pub idle: bool,
}

impl Tenants {
    /// Takes in an integration, or a newer version of it. An integration that is suspended or only
    /// plans claims no employee. An integration that cannot run keeps its claims, and is idle.
    pub fn see(
        &self,
        key: &IntegrationKey,
        object: &ProvisioningIntegration,
        allowed: &AllowedEndpoints,
    ) {
        let works = !object.spec.suspend && object.spec.mode() == Mode::Enforce;
        let mut known = self.lock();
        if !works {
            known.remove(key);
            return;
        }
        let created =
            object.metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0);
        let before = known.remove(key).map(|tenancy| (tenancy.tenant, tenancy.idle));
        let (tenant, idle) = match validate(&object.spec, allowed) {
            Ok(validated) => {
                let settings = validated.target.tenant();
                let same = before.filter(|(tenant, _)| tenant.settings == settings);
                same.unwrap_or((Tenant { settings, learned: None }, false))
            }
            Err(_) => {
                let on_record = object.status.as_ref().and_then(Tenant::on_record);
                let tenant = before.map(|(tenant, _)| tenant).or(on_record);
                let Some(tenant) = tenant else { return };
                (tenant, true)
            }
        };
        known.insert(key.clone(), Tenancy { tenant, created, idle });
    }

    /// Stores the id that the service returned for the tenant of this integration.
    pub fn learn(&self, key: &IntegrationKey, learned: &str) {
        if let Some(tenancy) = self.lock().get_mut(key) {
            tenancy.tenant.learned = Some(learned.to_owned());
        }
    }

    /// Stores whether the full pass had no result, so that no employee's access would be taken.
    pub fn idle(&self, key: &IntegrationKey, idle: bool) {
        if let Some(tenancy) = self.lock().get_mut(key) {
            tenancy.idle = idle;
        }
    }

    /// Forgets an integration that is gone.
    pub fn forget(&self, key: &IntegrationKey) {
        self.lock().remove(key);
    }

    /// Returns whether there is another integration, which may have the same tenant.
    #[must_use]
    pub fn has_others(&self, key: &IntegrationKey) -> bool {
        self.lock().keys().any(|other| other != key)
    }

    /// Returns the id that the service returned for the tenant of this integration.
    #[must_use]
    pub fn learned(&self, key: &IntegrationKey) -> Option<String> {
        self.lock().get(key).and_then(|tenancy| tenancy.tenant.learned.clone())
    }

    /// Returns all other integrations of this tenant, the oldest first. `created`: the creation
    /// time of this one.
    #[must_use]
    pub fn others(&self, key: &IntegrationKey, tenant: &Tenant, created: Timestamp) -> Vec<Other> {
        let known = self.lock();
        let mut others: Vec<_> = known
            .iter()
            .filter(|(other, tenancy)| *other != key && tenancy.tenant.is_same(tenant))
            .collect();
        others.sort_by_key(|(other, tenancy)| (tenancy.created, *other));
        let other = |(other, tenancy): (&IntegrationKey, &Tenancy)| Other {
            key: other.clone(),
            elder: (tenancy.created, other) < (created, key),
            idle: tenancy.idle,
        };
        others.into_iter().map(other).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IntegrationKey, Tenancy>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn integration(
        name: &str,
        created: &str,
        provider: &serde_json::Value,
        more: &serde_json::Value,
    ) -> ProvisioningIntegration {
        let mut spec = json!({"mode": "Enforce", "bob": {"credentialsSecretRef": {"name": "bob"}},
            "provider": {"oneLogin": provider}});
        if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
            spec.extend(more.clone());
        }
        let metadata = json!({"name": name, "namespace": "people", "creationTimestamp": created});
        let object = json!({"apiVersion": "bobsync.dev/v1alpha1",
            "kind": "ProvisioningIntegration", "metadata": metadata, "spec": spec});
        serde_json::from_value(object).expect("an integration")
    }

    fn key(name: &str) -> IntegrationKey {
        IntegrationKey { namespace: "people".into(), name: name.into() }
    }

    const REGION: &str = "onelogin https://api.us.onelogin.com";

    #[test]
    fn a_tenant_is_what_the_service_says_and_only_before_that_what_the_settings_say() {
        let tenant = |settings: &str, learned: Option<&str>| Tenant {
            settings: settings.into(),
            learned: learned.map(str::to_owned),
        };
        let (production, sandbox) =
            (tenant(REGION, Some("account 1")), tenant(REGION, Some("account 2")));
        assert!(!production.is_same(&sandbox), "two customers of one region");
        let named = tenant("onelogin https://acme.onelogin.com", Some("account 1"));
        assert!(production.is_same(&named), "two names of one account");
        assert!(production.is_same(&tenant(REGION, None)) && !named.is_same(&tenant(REGION, None)));
    }

    #[test]
    fn what_is_on_record_tells_the_tenant_under_another_name_and_another_tenant_under_the_same() {
        let tenant = |settings: &str, learned: Option<&str>| Tenant {
            settings: settings.into(),
            learned: learned.map(str::to_owned),
        };
        let status = |told: &str, named: Option<&str>| {
            let (tenant, tenant_named) = (Some(told.to_owned()), named.map(str::to_owned));
            Tenant::on_record(&ProvisioningIntegrationStatus {
                tenant,
                tenant_named,
                ..ProvisioningIntegrationStatus::default()
            })
            .unwrap()
        };
        let known = status("account 1", Some(REGION));
        assert_eq!((known.told(), &*known.settings), ("account 1", REGION));
        assert!(
            known.is_same(&tenant(REGION, None)),
            "the service has not been asked, and the name is the same"
        );
        assert!(known.is_same(&tenant("onelogin https://acme.onelogin.com", Some("account 1"))));
        assert!(
            !known.is_same(&tenant("onelogin https://acme.onelogin.com", None)),
            "nothing tells that it is the same"
        );
        assert!(
            !known.is_same(&tenant(REGION, Some("account 2"))),
            "the credential of another customer of the region"
        );
        for unlearned in [status(REGION, Some(REGION)), status(REGION, None)] {
            assert_eq!((unlearned.told(), &unlearned.learned), (REGION, &None));
            assert!(unlearned.is_same(&tenant(REGION, Some("account 1"))));
        }
        assert_eq!(Tenant::on_record(&ProvisioningIntegrationStatus::default()), None);
    }

    #[test]
    fn an_integration_that_cannot_run_keeps_its_tenant_and_is_idle() {
        let (tenants, allowed) = (Tenants::default(), AllowedEndpoints::default());
        let region = json!({"region": "US", "credentialsSecretRef": {"name": "onelogin"}});
        let (first, second) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
        tenants.see(&key("first"), &integration("first", first, &region, &json!({})), &allowed);
        let tenant = Tenant {
            settings: validate(&integration("x", first, &region, &json!({})).spec, &allowed)
                .unwrap()
                .target
                .tenant(),
            learned: None,
        };
        let others = || tenants.others(&key("second"), &tenant, second.parse().unwrap());
        assert_eq!(others(), [Other { key: key("first"), elder: true, idle: false }]);
        let broken = json!({"provisioning": {"scope": "1 +"}});
        tenants.see(&key("first"), &integration("first", first, &region, &broken), &allowed);
        assert_eq!(others(), [Other { key: key("first"), elder: true, idle: true }]);
        tenants.see(&key("first"), &integration("first", first, &region, &json!({})), &allowed);
        tenants.idle(&key("first"), true);
        assert!(others()[0].idle);
        tenants.learn(&key("first"), "account 2");
        assert_eq!(
            tenants.others(
                &key("second"),
                &Tenant { learned: Some("account 1".into()), ..tenant.clone() },
                second.parse().unwrap()
            ),
            []
        );
        tenants.see(
            &key("first"),
            &integration("first", first, &region, &json!({"suspend": true})),
            &allowed,
        );
        assert_eq!(others(), [], "one that is suspended claims no employee");
    }
}
