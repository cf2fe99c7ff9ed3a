//! Integrations whose spec this version cannot read: no work is done on them, and their status says
//! so.

use std::time::Duration;

use k8s_openapi::{api::core::v1::ObjectReference, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource as _;

use super::{counts, shared::Shared};
use crate::{
    api::{ProvisioningIntegration, conditions, key::IntegrationKey, reasons::IntegrationReason},
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
    let stop = Stop::new(IntegrationReason::InvalidSettings, message);
    let report = Report::stopped(stop);
    shared.metrics.pass(&key, &report.figures(), shared.clock.now());
    let (generation, before) = (metadata.generation.unwrap_or(0), unreadable.integration_status());
    let mut is_told = false;
    loop {
        shared.leadership.wait_to_lead().await;
        let conditions =
            report::cannot_read(&before.conditions, &report, generation, shared.clock.now());
        if before.observed_generation == Some(generation)
            && before.mode.is_none()
            && conditions::same(&before.conditions, &conditions)
        {
            return;
        }
        // The write ends this task, because the watch brings the object anew.
        if !std::mem::replace(&mut is_told, true) {
            counts::announce(&shared.events, about(metadata), &before.conditions, &conditions);
        }
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

/// Returns a reference to an integration of which only the metadata can be read.
fn about(metadata: &ObjectMeta) -> ObjectReference {
    ObjectReference {
        api_version: Some(ProvisioningIntegration::api_version(&()).into_owned()),
        kind: Some(ProvisioningIntegration::kind(&()).into_owned()),
        name: metadata.name.clone(),
        namespace: metadata.namespace.clone(),
        uid: metadata.uid.clone(),
        ..ObjectReference::default()
    }
}
