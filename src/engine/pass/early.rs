//! What a pass says before it knows more, where a step takes long: a service may ask for a pause of an hour.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    Pass,
    guard::Released,
    observe,
    record::{Approved, Recorder, unknown},
};
use crate::{
    api::reasons::IntegrationReason,
    domain::matching::{Matcher, Person},
    engine::stop::Stop,
    provider::Listing,
};

/// For so long a step may take before what waits for it is told.
const UNTOLD: Duration = Duration::from_secs(20);

impl Pass<'_> {
    /// Lists the provider's accounts. Where that takes long, or cannot be done now, employees without a status yet are told
    /// of as those who wait. `None`: the pass ends early.
    pub(super) async fn listed(
        &self,
        people: &[Person],
        matcher: &mut Matcher<'_>,
    ) -> Option<Result<Listing, Stop>> {
        let read_one = || self.progress().iter().for_each(|progress| progress.read_one());
        let listing = self.unless_halted(observe::accounts(
            self.provider,
            &self.validated.settings.mapping,
            matcher,
            &read_one,
        ));
        let mut listing = std::pin::pin!(listing);
        let listing = match tokio::time::timeout(UNTOLD, &mut listing).await {
            Ok(listing) => listing,
            Err(_) => tokio::join!(listing, self.unlisted(people)).0,
        };
        if matches!(&listing, Some(Err(stop)) if stop.reason == IntegrationReason::ProviderUnavailable)
        {
            self.unlisted(people).await;
        }
        listing
    }

    async fn unlisted(&self, people: &[Person]) {
        let (plan, requests, deleted_now) = (unknown(people), HashMap::new(), HashSet::new());
        self.recorder(people, &plan, &requests, &deleted_now, Approved::default(), &[])
            .unlisted()
            .await;
    }
}

/// Tells of changes that have waited for long and have not ended, unless the end comes before.
pub(super) async fn still_waiting(
    recorder: &Recorder<'_>,
    released: &Released,
    end: oneshot::Receiver<()>,
) {
    if tokio::time::timeout(UNTOLD, end).await.is_err() {
        recorder.waiting(|change| released.go[change]).await;
    }
}
