//! Determines whether this process may write. One Lease shows which process leads. A process that
//! cannot prove that it still holds the Lease begins no write that could outlive it.
//!
//! The calculation, with the durations of [`Terms::default`]: The holder counts a lease of 60 s by
//! its monotonic clock from the moment *before* it sent the renewing request. Another process can
//! take the Lease only after it has seen the same record unchanged for a whole 60 s by *its*
//! monotonic clock, which starts after that request was carried out. So the holder's term ends
//! first, whatever the wall clocks show. A margin of a fiftieth (1.2 s) covers clocks that run at
//! different speeds. The holder renews every 10 s with requests of at most 10 s, the default time
//! limit of an admission webhook. While the API server answers, at least 58.8 − 10 − 10 = 38.8 s
//! are left, so a write of 30 s may always begin. From 28.8 s after the last successful renewal on,
//! no such write may begin. At the end of the lease all writes that began have ended.
//!
//! Every claim names the version that it replaces, so one of two claims fails. A deleted Lease does
//! not make two leaders either: the holder makes it again, and any other process waits as long as a
//! holder that has not noticed may still lead. Only if no integration has a status yet has no
//! process ever led ([`BeforeStart`]), and the first claim is made at once.

mod contender;

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures::FutureExt as _;
use kube::{Api, Client, api::ListParams};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinError,
    time::Instant,
};

use super::connect::bounded;
use crate::{
    api::{ProvisioningIntegration, said},
    telemetry::metrics::Metrics,
};
use contender::Contender;

/// Name of the Lease.
pub const LEASE: &str = "bobsync";

/// How long a busy API server is asked for the integrations again before the election. A server
/// that has just received its definitions is busy for some seconds.
const BUSY_FOR: Duration = Duration::from_secs(30);
/// The wait between two of these requests, unless the server names another one.
const BUSY_WAIT: Duration = Duration::from_secs(1);
/// How long a process that stops waits until the Lease is given back.
const RELEASE_WITHIN: Duration = Duration::from_secs(15);
/// The variable with the identity of the pod in Kubernetes. Two processes of one pod never run at
/// the same time.
const POD_UID: &str = "BOBSYNC_POD_UID";

/// The longest sleep of a task that waits for the end of a lease. A suspended machine is noticed
/// within this time.
const LOOK: Duration = Duration::from_secs(5);

/// The durations of the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long a claim is valid. The record has whole seconds: a fraction is rounded up there.
    pub lease: Duration,
    /// The time between two renewals.
    pub renew: Duration,
    /// The time between two looks of a process that does not lead, and between two tries after an
    /// error.
    pub retry: Duration,
    /// How long one request may take.
    pub request: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            lease: Duration::from_mins(1),
            renew: Duration::from_secs(10),
            retry: Duration::from_secs(2),
            request: Duration::from_secs(10),
        }
    }
}

impl Terms {
    /// Returns how long the holder itself relies on a claim.
    fn believed(&self) -> Duration {
        self.lease - self.lease / 50
    }
}

/// What is known of the time before this process. A Lease that was deleted by hand does not show
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BeforeStart {
    /// There is no sign that a process has ever led: a Lease that is missing never existed.
    Untouched,
    /// A process has led, or this could not be found out: a Lease that is missing may have a
    /// holder.
    Unknown,
}

/// Looks for a sign that outlives the Lease: the status of any integration in these namespaces (an
/// empty list: all namespaces).
pub async fn past(client: &Client, namespaces: &[String]) -> BeforeStart {
    let apis: Vec<Api<ProvisioningIntegration>> = if namespaces.is_empty() {
        vec![Api::all(client.clone())]
    } else {
        namespaces.iter().map(|namespace| Api::namespaced(client.clone(), namespace)).collect()
    };
    let began = Instant::now();
    for api in apis {
        let found = loop {
            match bounded(Terms::default().request, api.list(&ListParams::default())).await {
                Err(error) if error.is_busy() && began.elapsed() < BUSY_FOR => {
                    tracing::info!(%error, "the integrations could not be listed before the \
                        election; trying again");
                    let wait = error
                        .retry_after()
                        .unwrap_or(BUSY_WAIT)
                        .clamp(BUSY_WAIT, BUSY_FOR.saturating_sub(began.elapsed()).max(BUSY_WAIT));
                    tokio::time::sleep(wait).await;
                }
                found => break found,
            }
        };
        match found {
            Ok(list)
                if list
                    .items
                    .iter()
                    .all(|integration| said(integration.status.clone()).is_none()) => {}
            Ok(_) => return BeforeStart::Unknown,
            // Without the CRD there is no integration.
            Err(error) if error.is_not_found() => {}
            Err(error) => {
                tracing::warn!(%error, "the integrations could not be listed; if there is no \
                    lease, this process waits before it leads");
                return BeforeStart::Unknown;
            }
        }
    }
    BeforeStart::Untouched
}

/// The identity of a process in the election.
#[derive(Clone, Debug)]
pub struct ProcessIdentity {
    /// The holder in the Lease while this process leads. No other process has this name.
    name: String,
    /// The beginning of the names of all processes of this pod, if the pod is known.
    pod: Option<String>,
}

impl ProcessIdentity {
    /// Returns the identity of this process: the name of its host, which is the name of the pod,
    /// and the identity of the pod if the chart passes it.
    fn of_this_process() -> Self {
        let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::of(&given("HOSTNAME").unwrap_or_else(|| LEASE.to_owned()), given(POD_UID).as_deref())
    }

    /// Returns the identity of a process on this host. The host name is for people. The rest makes
    /// two processes with the same host name two contenders.
    fn of(host: &str, pod: Option<&str>) -> Self {
        let pod = pod.map(|uid| format!("{host}_{uid}_"));
        let start = pod.clone().unwrap_or_else(|| format!("{host}_"));
        Self { name: format!("{start}{:016x}", contender::random()), pod }
    }

    /// Returns whether this holder was a process of the same pod, and so is dead.
    fn has_succeeded(&self, holder: &str) -> bool {
        self.pod.as_deref().is_some_and(|pod| holder.starts_with(pod)) && holder != self.name
    }
}

impl From<String> for ProcessIdentity {
    fn from(name: String) -> Self {
        Self { name, pod: None }
    }
}

/// Tells whether this process leads. Clones are the same membership. When the last one is dropped,
/// the process no longer renews. It does not release, because it is not known that its writes have
/// ended.
#[derive(Clone)]
pub struct Leadership(Arc<Inner>);

struct Inner {
    terms: Terms,
    state: Arc<LeaseShared>,
    /// Asks the election for a release; `None` if there is no election.
    release: Option<mpsc::Sender<oneshot::Sender<()>>>,
}

struct LeaseShared {
    standing: watch::Sender<LeaseState>,
    /// Set when a release begins. No later claim counts.
    released: AtomicBool,
    on_turn: OnceLock<Box<dyn Fn() + Send + Sync>>,
    on_end: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeaseState {
    Always,
    Follows { term: u64 },
    Leads { term: u64, claimed: ClaimMoment },
}

/// The moment at which a claim was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ClaimMoment {
    at: Instant,
    /// The wall clock goes on while a machine is suspended; the monotonic clock does not.
    wall: SystemTime,
}

impl ClaimMoment {
    fn now() -> Self {
        Self { at: Instant::now(), wall: SystemTime::now() }
    }

    /// Returns what is left of `whole` since then, by the clock that shows less.
    fn left_of(&self, whole: Duration) -> Duration {
        let by_wall = SystemTime::now().duration_since(self.wall).unwrap_or_default();
        whole.saturating_sub(self.at.elapsed().max(by_wall))
    }
}

impl LeaseState {
    const fn term(self) -> u64 {
        match self {
            Self::Always => 0,
            Self::Follows { term } | Self::Leads { term, .. } => term,
        }
    }

    /// Returns how much longer this process leads without another answer. Zero: it does not lead.
    fn left(self, terms: &Terms) -> Duration {
        match self {
            Self::Always => Duration::MAX,
            Self::Follows { .. } => Duration::ZERO,
            Self::Leads { claimed, .. } => claimed.left_of(terms.believed()),
        }
    }
}

impl std::fmt::Debug for Leadership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Leadership").field(&*self.0.state.standing.borrow()).finish()
    }
}

impl Leadership {
    /// Returns the leadership of a process that runs alone: it leads until
    /// [`release`](Self::release).
    #[must_use]
    pub fn always() -> Self {
        Self(Arc::new(Inner {
            terms: Terms::default(),
            state: Arc::new(LeaseShared::new(LeaseState::Always)),
            release: None,
        }))
    }

    /// Takes part in the election in this namespace, and shows the result in `metrics`.
    #[must_use]
    pub fn start(
        client: Client,
        namespace: &str,
        past: BeforeStart,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let metrics = metrics.clone();
        Self::run(
            client,
            namespace,
            ProcessIdentity::of_this_process(),
            Terms::default(),
            past,
            move |leads| metrics.leader(leads),
        )
    }

    /// Takes part as `identity`, which no other process may use, and calls `told` whenever the
    /// result changes.
    #[must_use]
    pub fn run(
        client: Client,
        namespace: &str,
        identity: impl Into<ProcessIdentity>,
        terms: Terms,
        past: BeforeStart,
        told: impl Fn(bool) + Send + Sync + 'static,
    ) -> Self {
        let state = Arc::new(LeaseShared::new(LeaseState::Follows { term: 0 }));
        let (release, mut commands) = mpsc::channel(1);
        let (told, shared, namespace): (Arc<contender::OnChange>, _, _) =
            (Arc::new(told), state.clone(), namespace.to_owned());
        let identity = identity.into();
        tokio::spawn(async move {
            let mut past = past;
            loop {
                let contender = Contender::new(
                    client.clone(),
                    &namespace,
                    identity.clone(),
                    terms,
                    past,
                    shared.clone(),
                    told.clone(),
                );
                if AssertUnwindSafe(contender.run(&mut commands)).catch_unwind().await.is_ok() {
                    return;
                }
                // What the ended contender saw and sent is not known any more. Its claim runs out
                // by itself.
                past = BeforeStart::Unknown;
                if let Some(ended) = shared.on_end.get() {
                    ended();
                }
                tokio::time::sleep(terms.retry).await;
            }
        });
        Self(Arc::new(Inner { terms, state, release: Some(release) }))
    }

    /// Returns whether this process leads at this moment.
    pub fn is_leader(&self) -> bool {
        !self.left().is_zero()
    }

    /// Returns the present term while this process leads. Another process may have led between two
    /// terms.
    #[must_use]
    pub fn term(&self) -> Option<u64> {
        let term = self.0.state.standing.borrow().term();
        self.is_leader().then_some(term)
    }

    /// Returns whether work that takes at most `timeout` would end while this process leads. Every
    /// write must ask this right before it begins.
    pub fn may_start(&self, timeout: Duration) -> bool {
        self.left() > timeout
    }

    /// Completes while this process leads; never completes after a release.
    pub async fn wait_to_lead(&self) {
        let mut standing = self.0.state.standing.subscribe();
        loop {
            standing.mark_unchanged();
            if self.is_leader() {
                return;
            }
            if standing.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Completes once this process does not lead, or did not lead at some time since this call.
    /// Writes that began under [`may_start`](Self::may_start) may still be under way.
    pub async fn lost(&self) {
        let mut standing = self.0.state.standing.subscribe();
        let term = standing.borrow_and_update().term();
        loop {
            let now = *standing.borrow_and_update();
            let left = self.left();
            if now.term() != term || left.is_zero() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(LOOK)) => {}
                _ = standing.changed() => {}
            }
        }
    }

    /// Stops leading and gives the Lease back, so that another process leads at once. Call this
    /// when every write has ended. If that is not certain, drop the handle instead and let the
    /// Lease run out.
    pub async fn release(&self) {
        self.retire();
        let Some(commands) = &self.0.release else { return };
        let (done, released) = oneshot::channel();
        let all = async {
            if commands.send(done).await.is_ok() {
                let _ = released.await;
            }
        };
        // A turn that is under way ends first.
        let _ = tokio::time::timeout(RELEASE_WITHIN, all).await;
    }

    /// Stops leading and leaves the Lease to run out by itself.
    pub fn retire(&self) {
        self.0.state.released.store(true, Ordering::SeqCst);
        self.0
            .state
            .standing
            .send_modify(|standing| *standing = LeaseState::Follows { term: standing.term() + 1 });
    }

    /// Waits until this work has ended, at most this long, and gives the Lease back if it has. Work
    /// that has not ended, or that failed and was cut off, may have a write under way. No other
    /// process may lead then before the Lease has run out. Returns how the work ended, if it did.
    pub async fn release_after<T>(
        &self,
        work: impl Future<Output = Result<T, JoinError>>,
        within: Duration,
    ) -> Option<Result<T, JoinError>> {
        let ended = tokio::time::timeout(within, work).await.ok();
        if let Some(Ok(_)) = &ended {
            self.release().await;
        } else {
            tracing::warn!(
                "some work did not end in time, and a write may still run; the lease is not \
                 released and expires by itself"
            );
            self.retire();
        }
        ended
    }

    /// Makes the election call `beat` at every turn, so that a dead loop is noticed. Only the first
    /// call of this method counts.
    pub fn on_turn(&self, beat: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.state.on_turn.set(Box::new(beat));
    }

    /// Makes the election call `ended` whenever it failed and is begun again. Only the first call
    /// of this method counts.
    pub fn on_end(&self, ended: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.state.on_end.set(Box::new(ended));
    }

    fn left(&self) -> Duration {
        if self.0.state.released.load(Ordering::SeqCst) {
            return Duration::ZERO;
        }
        self.0.state.standing.borrow().left(&self.0.terms)
    }
}

impl LeaseShared {
    fn new(standing: LeaseState) -> Self {
        Self {
            standing: watch::Sender::new(standing),
            released: AtomicBool::new(false),
            on_turn: OnceLock::new(),
            on_end: OnceLock::new(),
        }
    }
}

#[cfg(test)]
#[path = "leadership_tests.rs"]
mod tests;
