//! Integrations whose spec this version cannot read: no work is done on them, and their status says
//! so.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::ObjectReference,
    apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta},
};
use kube::Resource as _;

use super::{counts, shared::Shared};
use crate::{
    api::{
        ProvisioningIntegration, ProvisioningIntegrationStatus, conditions, key::IntegrationKey,
        reasons::IntegrationReason,
    },
    cluster::lenient::Unreadable,
    engine::{
        pass::report::{self, Report},
        stop::Stop,
    },
};

/// The wait after a write that failed.
const AGAIN: Duration = Duration::from_secs(5);

/// Writes into the status of the integration that no work is done, and why. Ends when that is
/// written. It reads nothing of the spec.
pub async fn tell(shared: Shared, key: IntegrationKey, unreadable: Unreadable) {
    let metadata = &unreadable.metadata;
    let message = format!(
        "{}. Nothing is read and nothing is written until it is corrected, or until a version runs \
         that can read it",
        unreadable.says()
    );
    tracing::warn!(integration = %key, field = unreadable.field,
        "the spec of an integration cannot be read: no work is done on it");
    let report = stopped(message);
    shared.metrics.pass(&key, &report.figures(), shared.clock.now());
    let before = unreadable.integration_status();
    let mut is_told = false;
    loop {
        shared.leadership.wait_to_lead().await;
        let Some(conditions) = news(metadata, &before, &report, shared.clock.now()) else { return };
        // The write ends this task, because the watch brings the object anew.
        if !std::mem::replace(&mut is_told, true) {
            counts::announce(&shared.events, about(metadata), &before.conditions, &conditions);
        }
        let generation = metadata.generation.unwrap_or(0);
        match shared.writer(&key).patch_unread(&key.name, metadata, generation, &conditions).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(integration = %key, %error,
                    "the integration's status could not be written")
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Returns the report of an integration on which no work is done for this reason.
pub(super) fn stopped(message: String) -> Report {
    Report::stopped(Stop::new(IntegrationReason::InvalidSettings, message))
}

/// Returns the conditions that say so, or `None` if the status has them already.
pub(super) fn news(
    metadata: &ObjectMeta,
    before: &ProvisioningIntegrationStatus,
    report: &Report,
    now: Timestamp,
) -> Option<Vec<Condition>> {
    let generation = metadata.generation.unwrap_or(0);
    let conditions = report::cannot_read(&before.conditions, report, generation, now);
    let is_said = before.observed_generation == Some(generation)
        && before.mode.is_none()
        && conditions::same(&before.conditions, &conditions);
    (!is_said).then_some(conditions)
}

/// Returns a reference to an integration of which only the metadata can be read.
pub(super) fn about(metadata: &ObjectMeta) -> ObjectReference {
    ObjectReference {
        api_version: Some(ProvisioningIntegration::api_version(&()).into_owned()),
        kind: Some(ProvisioningIntegration::kind(&()).into_owned()),
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        ..ObjectReference::default()
    }
}
