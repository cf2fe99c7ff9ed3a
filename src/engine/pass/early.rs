//! What a pass says before the outcome of a slow step is known: a service may ask for a pause of an
//! hour.

use std::{collections::HashSet, time::Duration};

use tokio::sync::oneshot;

use super::{
    Early, Pass,
    context::Requests,
    observe::full,
    record::{ApprovedParts, Basis, Recorder, unknown},
};
use crate::{
    api::reasons::IntegrationReason,
    domain::{
        matching::{Matcher, Person},
        plan::{Change, Planned},
    },
    engine::stop::Stop,
    provider::Listing,
};

/// How long a step may take before the statuses of the employees that wait for it say so.
const UNTOLD: Duration = Duration::from_secs(20);
/// The same for a step that carries out what a person approved. The numbers of an integration
/// follow within five seconds, and must not count as held what only waits.
const APPROVED: Duration = Duration::from_secs(2);

impl Pass<'_> {
    /// Lists the provider's accounts. If that takes long or is not possible now, the statuses of
    /// employees without one yet say that they wait.
    pub(super) async fn listed(
        &self,
        people: &[Person],
        matcher: &mut Matcher<'_>,
    ) -> Result<Result<Listing, Stop>, Early> {
        let read_one = || self.request.progress().iter().for_each(|progress| progress.read_one());
        let listing = self.unless_halted(full::accounts(
            self.services.provider,
            &self.integration.settings().mapping,
            matcher,
            &read_one,
        ));
        let mut listing = std::pin::pin!(listing);
        let listing = match tokio::time::timeout(UNTOLD, &mut listing).await {
            Ok(listing) => listing,
            Err(_) => tokio::join!(listing, self.unlisted(people)).0,
        };
        if matches!(&listing, Ok(Err(stop))
            if stop.reason == IntegrationReason::ProviderUnavailable)
        {
            self.unlisted(people).await;
        }
        listing
    }

    async fn unlisted(&self, people: &[Person]) {
        let mapping = &self.integration.settings().mapping;
        let planned = Planned { mapping, people, plan: unknown(people) };
        let basis = Basis {
            requests: &Requests::new(),
            deleted_now: &HashSet::new(),
            approved: ApprovedParts::default(),
            left_alone: &[],
        };
        self.recorder(&planned, basis).unlisted().await;
    }
}

/// Writes the statuses of changes that have waited for long and have not ended, unless `end` comes
/// first. The status of a change that a person has just approved still says that it is held, so it
/// is written sooner.
pub(super) async fn still_waiting(recorder: &Recorder<'_>, mut end: oneshot::Receiver<()>) {
    let approved = |change: &Change| change.goes() && change.ruling.approval.is_new();
    let mut left = UNTOLD;
    if recorder.planned.plan.changes.iter().any(approved) {
        if tokio::time::timeout(APPROVED, &mut end).await.is_ok() {
            return;
        }
        recorder.waiting(approved).await;
        left = UNTOLD.saturating_sub(APPROVED);
    }
    if tokio::time::timeout(left, end).await.is_err() {
        recorder.waiting(Change::goes).await;
    }
}
