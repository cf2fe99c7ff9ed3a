//! What integrations say while the CRDs in the cluster lack a field of this version: no work is
//! done. The status of an integration that is stored with something that is not shown cannot say
//! it, because the write would lose what is hidden. Then only an event and the log say it.

use std::{collections::HashSet, time::Duration};

use crate::{
    api::{ProvisioningIntegrationStatus, key::IntegrationKey},
    cluster::{
        crds::{self, Lacking, Shown},
        status::Writer,
        watch::{WatchScope, key_of},
    },
    telemetry::health::Beat,
};

use super::{
    counts,
    shared::Shared,
    unreadable::{about, news, stopped},
};

/// How often the integrations are looked at. One that is new has to say it too.
const AGAIN: Duration = Duration::from_secs(5);
/// The name of the remark in `/readyz`.
const REMARK: &str = "CRDs";

/// Says it of every integration while it is true and while this process leads, until it stops.
pub async fn tell(shared: Shared, scopes: Vec<WatchScope>, beat: Beat) {
    let mut stopping = shared.stopping.clone();
    loop {
        shared.parts.health().remark(REMARK, None);
        tokio::select! {
            () = beat.during(shared.crds.until_older()) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        // The integrations of which an event was published, or the metrics were told.
        let mut told = HashSet::new();
        while let Some(lacking) = shared.crds.lacking() {
            shared.parts.health().remark(REMARK, Some(lacking.says()));
            for scope in scopes.iter().filter(|_| shared.leadership.is_leader()) {
                match beat.during(crds::integrations(shared.client(), scope.as_deref())).await {
                    Ok(shown) => {
                        for one in shown {
                            beat.during(Box::pin(say(&shared, &lacking, one, &mut told))).await;
                        }
                    }
                    Err(error) => tracing::debug!(%error, "the integrations cannot be listed"),
                }
            }
            tokio::select! {
                () = beat.during(tokio::time::sleep(AGAIN)) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }
}

async fn say(
    shared: &Shared,
    lacking: &Lacking,
    Shown { object, hides }: Shown,
    told: &mut HashSet<IntegrationKey>,
) {
    let metadata = &object.metadata;
    let Some(key) = key_of(metadata).filter(|_| metadata.deletion_timestamp.is_none()) else {
        return;
    };
    let status = &object.data["status"];
    let before = ProvisioningIntegrationStatus {
        observed_generation: status["observedGeneration"].as_i64(),
        conditions: serde_json::from_value(status["conditions"].clone()).unwrap_or_default(),
        ..ProvisioningIntegrationStatus::default()
    };
    let (report, now) = (stopped(lacking.says()), shared.clock.now());
    let is_new = told.insert(key.clone());
    if is_new {
        shared.metrics.pass(&key, &report.figures(), now);
    }
    let Some(conditions) = news(metadata, &before, &report, now) else { return };
    if is_new {
        counts::announce(&shared.events, about(metadata), &before.conditions, &conditions);
    }
    if hides {
        if is_new {
            tracing::warn!(integration = %key, field = lacking.field,
                "no work is done on an integration under an older CRD, and its status cannot say \
                 it, because a write would lose a field that is not shown");
        }
        return;
    }
    // This writer also writes under older CRDs: nothing of this object is hidden.
    let writer = Writer::new(shared.client(), &key.namespace, &shared.leadership).once();
    let generation = metadata.generation.unwrap_or(0);
    if let Err(error) = writer.patch_unread(&key.name, metadata, generation, &conditions).await {
        tracing::warn!(integration = %key, %error, "the integration's status could not be written");
    }
}
