//! EmployeeSyncs whose integration does not exist: it was deleted, it was never made, or its name
//! is another one. No worker looks at them, so their status says that nothing is done for them. The
//! first pass of an integration with this name replaces that.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource as _;
use tokio::{sync::watch, time::Instant};

use super::shared::Shared;
use crate::{
    api::{
        EmployeeSync, EmployeeSyncStatus,
        conditions::{self, ConditionUpdate, Type, merge},
        key::IntegrationKey,
        reasons::{DetailReason, EmployeeReason},
    },
    cluster::{
        events::Events,
        roster::{Owner, met, same},
        status::WriteError,
    },
    domain::known::Met,
    engine::pass::record::is_news,
    telemetry::health::Beat,
};

/// How often the objects are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long an integration has to be absent. One that is replaced is back sooner.
const GRACE: Duration = Duration::from_secs(2);
/// How long it has to be absent for an object that it owns. The garbage collector deletes such an
/// object sooner, unless the integration is kept: by a finalizer, for example.
const COLLECTED_WITHIN: Duration = Duration::from_secs(20);
/// The wait after a write that failed.
const AGAIN: Duration = Duration::from_secs(10);

/// The integrations that objects name and that do not exist. Objects of a namespace that is not
/// listed are not among them.
pub type AbsentIntegrations = watch::Receiver<HashSet<IntegrationKey>>;

/// Writes into the status of the objects of these integrations that nothing is done for them, while
/// this process leads, until it stops.
pub async fn tell(shared: Shared, absent: AbsentIntegrations, beat: Beat) {
    let mut stopping = shared.stopping.clone();
    let mut since: HashMap<IntegrationKey, Instant> = HashMap::new();
    let mut told: HashMap<(IntegrationKey, Box<str>), WrittenStatus> = HashMap::new();
    let mut wait = LOOK;
    loop {
        tokio::select! {
            () = beat.during(tokio::time::sleep(wait)) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        wait = LOOK;
        let now = Instant::now();
        let all = absent.borrow().clone();
        since.retain(|key, _| all.contains(key));
        told.retain(|(key, _), _| all.contains(key));
        for key in all {
            let begun = *since.entry(key.clone()).or_insert(now);
            if now < begun + GRACE || !shared.leadership.is_leader() {
                continue;
            }
            let owned = now >= begun + COLLECTED_WITHIN;
            for (employee, version) in shared.roster.of(&key).left(owned) {
                let place = (key.clone(), employee);
                let known = told.get(&place);
                if known.is_some_and(|known| known.version == version) {
                    continue;
                }
                let last = known.map(|known| &known.status);
                match beat.during(say(&shared, &absent, &place.0, &place.1, owned, last)).await {
                    Err(error)
                        if !error.is_outdated() && !error.is_gone() && !error.is_followers() =>
                    {
                        tracing::warn!(integration = %key, employee = &*place.1, %error,
                            "that there is no integration could not be written; trying again");
                        wait = AGAIN;
                    }
                    Err(_) => {}
                    Ok(None) => {}
                    Ok(Some(status)) => drop(told.insert(place, WrittenStatus { version, status })),
                }
            }
        }
    }
}

/// What was said of an object.
struct WrittenStatus {
    /// The version of the object that was looked at.
    version: u64,
    /// The status that it has since. What another writer makes of it is put right.
    status: EmployeeSyncStatus,
}

/// Writes the status of one object, unless it says so already. Returns the status, or `None` if the
/// object is being deleted or its integration has come. `owned`: also if the integration owns it.
/// `last`: what was said of it before.
async fn say(
    shared: &Shared,
    absent: &AbsentIntegrations,
    key: &IntegrationKey,
    employee: &str,
    owned: bool,
    last: Option<&EmployeeSyncStatus>,
) -> Result<Option<EmployeeSyncStatus>, WriteError> {
    let writer = shared.writer(key).once();
    let object = writer.read_person(key, employee).await?;
    let is_left = object.metadata.deletion_timestamp.is_none()
        && (owned || !matches!(Owner::of(&object), Owner::Integration(_)));
    let before = last.or(object.status.as_ref()).cloned().unwrap_or_default();
    let status = without_integration(&object, before, &key.name, shared.clock.now());
    if !is_left || !absent.borrow().contains(key) {
        return Ok(None);
    }
    if !object.status.as_ref().is_some_and(|shown| same(shown, &status)) {
        writer.apply_person(&object, &status).await?;
        announce(&shared.events, &object, last.or(object.status.as_ref()), &status.conditions);
    }
    Ok(Some(status))
}

/// Warns once when an object begins to have no integration.
fn announce(
    events: &Events,
    object: &EmployeeSync,
    before: Option<&EmployeeSyncStatus>,
    now: &[Condition],
) {
    let reason = EmployeeReason::NoIntegration;
    let is_new = before.is_none_or(|before| is_news(reason, before));
    if let (true, Some(ready)) = (is_new, conditions::find(now, Type::Ready)) {
        let note = ready.message.clone();
        events.publish(object.object_ref(&()), true, reason.as_str(), "Sync", note);
    }
}

/// Returns the status of an object without an integration. What the controller remembers of the
/// employee stays in it. The account is as it was last seen. Nothing is to come: neither a date nor
/// a change that a guard holds.
fn without_integration(
    object: &EmployeeSync,
    before: EmployeeSyncStatus,
    name: &str,
    now: Timestamp,
) -> EmployeeSyncStatus {
    let generation = object.metadata.generation.unwrap_or(0);
    let reason = EmployeeReason::NoIntegration.as_str();
    let message = format!(
        "There is no ProvisioningIntegration {name} in this namespace, or it is being deleted: \
         nothing is read and nothing is written for this employee. Create it. If \
         spec.integrationRef is wrong, or the integration is not to come back, delete this \
         EmployeeSync"
    );
    let left_alone = DetailReason::NotManaged;
    let wanted = |kind, status, reason, message: &str| ConditionUpdate {
        kind,
        status,
        reason,
        message: message.to_owned(),
    };
    let mut all = vec![wanted(Type::Ready, false, reason, &message)];
    if met(&before) == Some(Met::Unmanaged) {
        // The next pass has to know that the settings left the account alone.
        all.push(wanted(Type::AttributesSynced, false, left_alone.as_str(), left_alone.meaning()));
    }
    all.push(wanted(Type::Stalled, true, reason, &message));
    let mut conditions = merge(&before.conditions, &all, generation, now);
    // It says how the account was found.
    let provisioned = conditions::find(&before.conditions, Type::Provisioned).cloned();
    provisioned.into_iter().for_each(|known| conditions.insert(1, known));
    EmployeeSyncStatus {
        observed_generation: Some(generation),
        reason: Some(reason.to_owned()),
        conditions,
        next_transition: None,
        held_part: None,
        ..before
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(status: Value) -> EmployeeSync {
        let spec = json!({"integrationRef": {"name": "onelogin"}, "employeeId": "7"});
        let metadata = json!({"name": "onelogin-7", "namespace": "people", "generation": 3});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec, "status": status}))
            .expect("an object")
    }

    #[test]
    fn nothing_is_claimed_and_nothing_is_forgotten_without_an_integration() {
        let condition = |kind: &str, status: &str, reason: &str| {
            json!({"type": kind, "status": status, "reason": reason, "message": "",
                "lastTransitionTime": "2026-11-20T10:00:00Z"})
        };
        let statuses = [
            json!({"access": "Active", "conditions": [condition("Ready", "True", "HandsOff"),
                condition("Provisioned", "True", "Matched"),
                condition("AccessSynced", "True", "AsDecided")]}),
            json!({"access": "Active", "conditions": [condition("Ready", "True", "InSync"),
                condition("Provisioned", "True", "WouldAdopt"),
                condition("AttributesSynced", "True", "Equal"),
                condition("AccessSynced", "True", "AsDecided")]}),
            json!({"access": "Suspended", "conditions": [condition("Ready", "True", "InSync"),
                condition("AttributesSynced", "True", "NotManaged")]}),
            json!({"access": "Unmanaged", "conditions": [condition("Ready", "True",
                "OutOfScope")]}),
            Value::Null,
        ];
        for status in statuses {
            let mut object = object(status);
            let before = object.status.clone().unwrap_or_default();
            let account = json!({"id": "31", "matchedBy": "Mark"});
            let mut last = EmployeeSyncStatus {
                account: serde_json::from_value(account).expect("an account"),
                held_part: Some("ff".to_owned()),
                ..before.clone()
            };
            for now in ["2026-11-24T10:00:00Z", "2026-11-25T10:00:00Z"] {
                object.status = Some(last.clone());
                let now = now.parse().expect("a time");
                let said = without_integration(&object, last.clone(), "onelogin", now);
                let find = |kind: Type| conditions::find(&said.conditions, kind);
                let ready = find(Type::Ready).expect("Ready");
                assert_eq!((&*ready.status, &*ready.reason), ("False", "NoIntegration"));
                assert_eq!(ready.observed_generation, Some(3));
                assert_eq!(find(Type::Stalled).map(|stalled| &*stalled.status), Some("True"));
                assert_eq!(find(Type::AccessSynced), None);
                assert!(find(Type::AttributesSynced).is_none_or(|one| one.status == "False"));
                assert_eq!(met(&said), met(&before));
                assert_eq!(
                    find(Type::Provisioned).map(|known| &known.reason),
                    conditions::find(&before.conditions, Type::Provisioned)
                        .map(|known| &known.reason)
                );
                assert_eq!(said.account, last.account);
                assert_eq!((&said.held_part, &said.next_transition), (&None, &None));
                assert_eq!((said.observed_generation, said.access), (Some(3), before.access));
                assert_eq!(same(&last, &said), last.reason.as_deref() == Some("NoIntegration"));
                last = said;
            }
        }
    }
}
