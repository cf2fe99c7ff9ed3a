//! What a person approved. The approval and the name of the approver are recorded before any change
//! of the plan goes out. The changes go on after an interruption only because of that record: each
//! employee's status holds that employee's part of the plan.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use super::{shared::Shared, status::Saying};
use crate::{
    api::{
        APPROVE_MANAGER, ProvisioningIntegration, ProvisioningIntegrationStatus,
        integration::Approved, key::IntegrationKey, time::to_the_second,
    },
    engine::pass::report,
};

/// Records that the plan with this digest is released, and who approved it. `leaving`: the plan
/// lets employees leave management. Returns whether the record was stored.
pub async fn release(
    said: &Saying,
    key: &IntegrationKey,
    shared: &Shared,
    object: &ProvisioningIntegration,
    digest: String,
    leaving: bool,
) -> bool {
    let by = approver(object);
    let now: Timestamp = shared.clock.now();
    let mut said = said.lock().await;
    let at = Time(to_the_second(now));
    let released = |before: &ProvisioningIntegrationStatus| {
        let known = before.approved.as_ref();
        match known.filter(|known| known.digest == digest) {
            // This release is on record: only the answer to its write was lost.
            Some(known) if known.at == at => Some(before.clone()),
            // Another process has released the plan. It was approved to go out once.
            Some(_) => None,
            None => {
                let after = known.map(|before| before.digest.clone()).or_else(|| object.uid());
                let earlier = known.map(Approved::and_earlier).unwrap_or_default();
                let (digest, by, at) = (digest.clone(), by.clone(), at.clone());
                let approved = Approved { digest, by, at, after, leaving, earlier };
                // A scope that shrinks is approved by itself, and the rest stays held.
                let before = if leaving { before.clone() } else { report::released(before, now) };
                Some(ProvisioningIntegrationStatus { approved: Some(approved), ..before })
            }
        }
    };
    if !said.write(&shared.writer(key), key, 0, released).await {
        return false;
    }
    drop(said);
    let who = by.as_deref().unwrap_or("a caller that the API server did not record");
    tracing::info!(integration = %key, digest, by = who, "a held plan was approved");
    let note = format!("{who} approved the held plan {digest}, and it was released.");
    shared.events.publish(
        kube::Resource::object_ref(object, &()),
        false,
        "PlanApproved",
        "Approve",
        note,
    );
    true
}

/// Returns who wrote `spec.approvedPlan`: the field manager that the API server recorded. For a
/// field manager of `bobsync approve` it is the user that the manager names. If several wrote the
/// same digest, the first one counts.
fn approver(object: &ProvisioningIntegration) -> Option<String> {
    let managers = object.metadata.managed_fields.iter().flatten();
    let wrote = |fields: &serde_json::Value| fields.pointer("/f:spec/f:approvedPlan").is_some();
    let first = managers
        .filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| wrote(&fields.0)))
        .min_by_key(|entry| entry.time.as_ref().map(|time| time.0))?;
    let manager = first.manager.as_deref()?;
    Some(manager.strip_prefix(APPROVE_MANAGER).unwrap_or(manager).to_owned())
}
