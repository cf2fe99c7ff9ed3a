//! What is known of an object itself, and not of its employee: its name, its version, its owner,
//! and whether it is being deleted.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{Resource as _, ResourceExt as _};

use super::{Employees, Entry, Roster, reading::overrides};
use crate::api::{EmployeeSync, INTEGRATION_LABEL, ProvisioningIntegration, key::IntegrationKey};

/// Returns `metadata.resourceVersion` as a number, to tell older versions from newer ones.
#[must_use]
pub fn version(object: &EmployeeSync) -> u64 {
    object
        .metadata
        .resource_version
        .as_deref()
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

/// The owner of an object. It determines what the garbage collector does to the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owner {
    /// The object has no owner: a person or Git made it.
    #[default]
    Nobody,
    /// The object has no owner, and bobsync made it: it was a pin, or its integration was deleted
    /// without it.
    Loose,
    /// The object belongs to the integration with this uid, as a hash, and is deleted with it.
    Integration(u64),
}

/// The change that an object's owner needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tie {
    /// The object asks for something, and must outlive its integration.
    Untie,
    /// The object asks for nothing, and has to be deleted with its integration.
    Tie,
}

impl Owner {
    /// Reads the owner of this object.
    #[must_use]
    pub fn of(object: &EmployeeSync) -> Self {
        match object.owner_references().iter().find(|owner| is_integration(owner)) {
            Some(owner) => Self::Integration(hash(&owner.uid)),
            None if object.labels().contains_key(INTEGRATION_LABEL) => Self::Loose,
            None => Self::Nobody,
        }
    }

    /// Returns whether the garbage collector is about to delete the object, because it belongs to
    /// another integration than the one with this uid.
    #[must_use]
    pub fn is_collected(self, uid: &str) -> bool {
        matches!(self, Self::Integration(owner) if owner != hash(uid))
    }
}

impl Entry {
    /// Returns whether nothing is written to the object any more, because it is being deleted: it
    /// was deleted itself, or its integration was, and the one with this uid has taken its place.
    #[must_use]
    pub fn is_leaving(&self, uid: &str) -> bool {
        self.exists && (self.going || self.owner.is_collected(uid))
    }

    /// Returns the change that the object's owner needs.
    #[must_use]
    pub fn tie(&self) -> Option<Tie> {
        match (self.overrides.is_some(), self.owner) {
            _ if !self.exists || self.going => None,
            (true, Owner::Integration(_)) => Some(Tie::Untie),
            (false, Owner::Loose) => Some(Tie::Tie),
            (true, Owner::Nobody | Owner::Loose)
            | (false, Owner::Nobody | Owner::Integration(_)) => None,
        }
    }
}

/// Returns the reference to the integration that owns an object.
#[must_use]
pub fn owner_reference(key: &IntegrationKey, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: ProvisioningIntegration::api_version(&()).into_owned(),
        kind: ProvisioningIntegration::kind(&()).into_owned(),
        name: key.name.to_string(),
        uid: uid.to_owned(),
        // Blocking would need the right to set finalizers, and a deletion touches no account in any
        // case.
        block_owner_deletion: None,
        controller: Some(true),
    }
}

/// Returns the owners that this object should have, if they are not those that it has. `uid`: the
/// integration's, which a pin does not need.
#[must_use]
pub fn owners(
    object: &EmployeeSync,
    key: &IntegrationKey,
    uid: Option<&str>,
) -> Option<Vec<OwnerReference>> {
    let entry = Entry {
        exists: true,
        going: object.metadata.deletion_timestamp.is_some(),
        owner: Owner::of(object),
        overrides: overrides(&object.spec),
        ..Entry::default()
    };
    let others = object.owner_references().iter().filter(|owner| !is_integration(owner)).cloned();
    match (entry.tie()?, uid) {
        (Tie::Untie, _) => Some(others.collect()),
        (Tie::Tie, Some(uid)) => Some(others.chain([owner_reference(key, uid)]).collect()),
        (Tie::Tie, None) => None,
    }
}

fn is_integration(owner: &OwnerReference) -> bool {
    owner.kind == ProvisioningIntegration::kind(&())
        && owner.api_version.starts_with(crate::api::GROUP)
}

fn hash(uid: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    uid.hash(&mut hash);
    hash.finish()
}

/// Returns the name of an object: `<integration>-<employee id>`.
#[must_use]
pub fn object_name(integration: &str, employee: &str) -> String {
    format!("{integration}-{employee}")
}

pub(super) fn key_of(object: &EmployeeSync) -> Option<(IntegrationKey, Box<str>)> {
    let namespace = object.namespace()?;
    let key = IntegrationKey {
        namespace: namespace.into(),
        name: object.spec.integration_ref.name.as_str().into(),
    };
    Some((key, object.spec.employee_id.as_str().into()))
}

impl Roster {
    /// Returns whether exactly this version of an object is known, with this spec.
    #[must_use]
    pub fn knows(&self, object: &EmployeeSync) -> bool {
        let Some((key, employee)) = key_of(object) else { return false };
        self.of(&key).with(&employee, |entry| {
            entry.is_some_and(|entry| {
                entry.version == version(object) && entry.overrides == overrides(&object.spec)
            })
        })
    }

    /// Returns every pin that still has an integration as its owner, whether that integration can
    /// be read, is being deleted, or does not exist.
    #[must_use]
    pub fn owned_pins(&self) -> Vec<(IntegrationKey, Box<str>)> {
        let of = |employees: Arc<Employees>| {
            let pins = employees.to_tie(Tie::Untie).into_iter();
            pins.map(|employee| (employees.key.clone(), employee)).collect::<Vec<_>>()
        };
        self.within(None).into_iter().flat_map(of).collect()
    }

    /// Returns every integration that an object names, or of which something else is known.
    #[must_use]
    pub fn integrations(&self) -> Vec<IntegrationKey> {
        self.integrations.lock().keys().cloned().collect()
    }

    /// Completes when a pin with an owner was seen since the last call.
    pub async fn owned_pin(&self) {
        self.owned_pin.notified().await;
    }
}

impl Employees {
    /// Returns whether nothing is written to this employee's object any more. `uid`: the uid of the
    /// integration.
    #[must_use]
    pub fn is_leaving(&self, employee: &str, uid: &str) -> bool {
        self.with(employee, |entry| entry.is_some_and(|entry| entry.is_leaving(uid)))
    }

    /// Notes that the API server refuses the object of this employee, or its status, and what it
    /// said. What is on record is then not the present state.
    pub fn refused(&self, employee: &str, answer: &str) {
        let mut people = self.rows();
        people.refusal = Some((object_name(&self.key.name, employee).into(), answer.into()));
        if people.get(employee).is_none() {
            people.put(employee.into(), Entry { generation: 1, ..Entry::default() });
        }
        people.change(employee, |entry| entry.unrecorded = true);
    }

    /// Returns an object that the API server refused, and what it said, if that is known.
    #[must_use]
    pub fn refusal(&self) -> Option<(Box<str>, Box<str>)> {
        self.rows().refusal.clone()
    }

    /// Notes that there is nothing to write for this employee: what is on record is the present
    /// state.
    pub fn recorded(&self, employee: &str) {
        self.rows().change(employee, |entry| entry.unrecorded = false);
    }

    /// Keeps the note that an object is refused only for these employees. A full pass calls this
    /// with those that it looked at. It has removed the note of each of them whose status it could
    /// write, but a partial pass may have set it since.
    pub fn refused_among(&self, employees: &HashSet<&str>) {
        let mut people = self.rows();
        let others =
            |(employee, entry): &(&str, &Entry)| entry.unrecorded && !employees.contains(employee);
        let over: Vec<Box<str>> =
            people.iter().filter(others).map(|(employee, _)| employee.into()).collect();
        over.iter().for_each(|employee| people.change(employee, |entry| entry.unrecorded = false));
    }

    /// Returns the employees with an object that is not being deleted, with the version of each
    /// object. `owned`: those too that the garbage collector deletes with their integration.
    #[must_use]
    pub fn left(&self, owned: bool) -> Vec<(Box<str>, u64)> {
        let is_left = |(_, entry): &(&str, &Entry)| {
            let has_owner = matches!(entry.owner, Owner::Integration(_));
            entry.exists && !entry.going && (owned || !has_owner)
        };
        let people = self.rows();
        let left = people.iter().filter(is_left);
        left.map(|(employee, entry)| (employee.into(), entry.version)).collect()
    }

    /// Returns the employees of this integration whose objects need this change.
    #[must_use]
    pub fn to_tie(&self, wanted: Tie) -> Vec<Box<str>> {
        self.rows().to_tie(wanted)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(spec: serde_json::Value, owner: Option<&str>, labelled: bool) -> EmployeeSync {
        let reference = |uid: &str| owner_reference(&key(), uid);
        let labels =
            if labelled { json!({INTEGRATION_LABEL: "onelogin"}) } else { json!({"team": "x"}) };
        let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "x"});
        let owners: Vec<serde_json::Value> =
            owner.map(|uid| json!(reference(uid))).into_iter().chain([other]).collect();
        let mut whole = json!({"integrationRef": {"name": "onelogin"}, "employeeId": "7"});
        whole.as_object_mut().expect("a map").extend(spec.as_object().expect("a map").clone());
        let metadata = json!({"name": "onelogin-7", "namespace": "people", "labels": labels,
            "ownerReferences": owners});
        serde_json::from_value(json!({"metadata": metadata, "spec": whole})).expect("an object")
    }

    fn key() -> IntegrationKey {
        IntegrationKey { namespace: "people".into(), name: "onelogin".into() }
    }

    #[test]
    fn a_pin_has_no_owner_and_what_bobsync_made_goes_with_its_integration() {
        let default = || json!({});
        for pin in [
            json!({"suspend": true}),
            json!({"userStatus": "AlwaysActive"}),
            json!({"attributes": {"title": "x"}}),
        ] {
            for uid in ["now", "before"] {
                let owners =
                    owners(&object(pin.clone(), Some(uid), true), &key(), None).expect("a change");
                assert!(owners.len() == 1 && owners[0].kind == "ConfigMap", "{pin}: others stay");
            }
            assert_eq!(
                owners(&object(pin.clone(), None, true), &key(), Some("now")),
                None,
                "{pin}"
            );
            assert_eq!(
                owners(&object(pin.clone(), None, false), &key(), Some("now")),
                None,
                "{pin}"
            );
        }
        let tied = owners(&object(default(), None, true), &key(), Some("now")).expect("a change");
        assert_eq!(tied.last(), Some(&owner_reference(&key(), "now")));
        assert_eq!(
            owners(&object(default(), None, false), &key(), Some("now")),
            None,
            "a person's or Git's"
        );
        for uid in ["now", "before"] {
            assert_eq!(
                owners(&object(default(), Some(uid), true), &key(), Some("now")),
                None,
                "the collector takes what is another's"
            );
        }
        let mut going = object(json!({"suspend": true}), Some("now"), true);
        going.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        assert_eq!(owners(&going, &key(), Some("now")), None);
    }

    #[test]
    fn nothing_is_written_to_what_goes() {
        let roster = Roster::default();
        let leaving = |object: &EmployeeSync, uid: &str| {
            let mut object = object.clone();
            let next = roster.of(&key()).get("7").map_or(1, |entry| entry.version + 1);
            object.metadata.resource_version = Some(next.to_string());
            roster.see(&object);
            roster.of(&key()).is_leaving("7", uid)
        };
        let mut tied = object(json!({}), Some("now"), true);
        assert!(!leaving(&tied, "now") && leaving(&tied, "another"));
        assert!(!leaving(&object(json!({"suspend": true}), None, true), "another"));
        tied.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH));
        assert!(leaving(&tied, "now"));
        assert_eq!(roster.of(&key()).to_tie(Tie::Untie), []);
        assert!(!leaving(&object(json!({"suspend": true}), Some("now"), true), "now"));
        assert_eq!(roster.of(&key()).to_tie(Tie::Untie), ["7".into()]);
        assert_eq!(roster.of(&key()).to_tie(Tie::Tie), []);
        // The pin is still known when its integration is gone.
        roster.leave(&key());
        assert_eq!(roster.owned_pins(), [(key(), "7".into())]);
        roster.gone(&object(json!({}), Some("now"), true));
    }
}
