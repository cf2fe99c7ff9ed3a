//! One process in the election: it reads the Lease, claims it, renews it, steps down, and gives it
//! back. It starts no other write. It only determines which process leads.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{BeforeStart, ClaimMoment, LEASE, LeaseShared, LeaseState, ProcessIdentity, Terms};
use crate::{
    api::FIELD_MANAGER,
    cluster::connect::{CallError, bounded},
};

/// How often one turn tries to claim. A write of another process between look and claim uses up one
/// try.
const TRIES: u32 = 3;
/// How often the wait for the Lease is logged.
const TELL: Duration = Duration::from_secs(10);

/// Returns a number that no other process draws. (The keys of the standard library's hasher come
/// from the system's randomness.)
pub(super) fn random() -> u64 {
    RandomState::new().hash_one(LEASE)
}

/// A function that is called whenever the result changes.
pub(super) type OnChange = dyn Fn(bool) + Send + Sync;

pub(super) struct Contender {
    leases: Api<Lease>,
    identity: ProcessIdentity,
    terms: Terms,
    past: BeforeStart,
    state: Arc<LeaseShared>,
    told: Arc<OnChange>,
    /// The result that was last reported.
    said: bool,
    /// What was last logged about the wait for the Lease.
    waits: LoggedWait,
    /// The Lease as the last claim of this process left it.
    mine: Option<Lease>,
    /// Another process that may lead, and since when it has given no sign of life.
    rival: Option<Rival>,
    /// When a look was last answered.
    looked: Instant,
    /// A Lease that this process makes after one was deleted does not show that the last holder has
    /// noticed. It has to exist for a whole term before this process leads.
    proof: LeaseProof,
}

/// How long a Lease that this process made still has to exist before it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeaseProof {
    /// The Lease counts.
    None,
    /// A create was sent, and it is not known whether the Lease exists.
    Sent,
    /// The Lease exists, and counts from this time on.
    Until(Instant),
}

/// What was logged about the wait for the Lease.
#[derive(Default)]
struct LoggedWait {
    /// The holder that this process follows.
    holder: String,
    last: Option<Instant>,
}

/// What is known of another holder.
struct Rival {
    sign: Sign,
    /// The time by the clock of this process. It is later than the sign itself.
    since: Instant,
    /// How long a holder may rely on its last claim.
    lease: Duration,
}

/// The last sign of life of another holder. The same sign a second time does not count.
#[derive(Debug, PartialEq, Eq)]
enum Sign {
    /// This process lost contact, so any process may have claimed.
    Unknown,
    /// The Lease does not exist. Its last holder may not have noticed yet.
    Missing,
    Record {
        uid: Option<String>,
        version: Option<String>,
        holder: String,
        renewed: Option<Timestamp>,
    },
}

/// The result of a look: what to do next.
enum LeaseLook {
    /// The Lease has to be created or replaced with this one.
    Claim(Box<Lease>),
    /// Another process holds the Lease, or may hold it.
    Rival,
}

/// The end of a turn.
enum TurnEnd {
    Claimed,
    Rival,
    /// Every claim met a write of another process, and none of these writes changed the holder.
    Contested,
}

impl Contender {
    pub(super) fn new(
        client: Client,
        namespace: &str,
        identity: ProcessIdentity,
        terms: Terms,
        past: BeforeStart,
        state: Arc<LeaseShared>,
        told: Arc<OnChange>,
    ) -> Self {
        let leases = Api::namespaced(client, namespace);
        Self {
            leases,
            identity,
            terms,
            past,
            state,
            told,
            said: false,
            waits: LoggedWait::default(),
            mine: None,
            rival: None,
            looked: Instant::now(),
            proof: LeaseProof::None,
        }
    }

    /// Runs until a release, or until the last handle is dropped.
    pub(super) async fn run(mut self, commands: &mut mpsc::Receiver<oneshot::Sender<()>>) {
        (self.told)(false);
        loop {
            crate::telemetry::health::fault("election").await;
            let turn = self.turn().await;
            if let Some(beat) = self.state.on_turn.get() {
                beat();
            }
            self.tell_wait();
            match &turn {
                Ok(TurnEnd::Claimed) => {}
                // This must not come earlier, because an unanswered claim of this process may still
                // be valid.
                Ok(TurnEnd::Rival) => self.step_down("another process holds the lease"),
                Ok(TurnEnd::Contested) => {
                    tracing::warn!(
                        "other processes write to the lease between every read and \
                        claim"
                    )
                }
                Err(error) => {
                    tracing::warn!(%error, "the election's call to the API server failed")
                }
            }
            let left = self.standing().left(&self.terms);
            if left.is_zero() {
                self.step_down("the lease could not be renewed in time");
            }
            let mut wait = match turn {
                Ok(TurnEnd::Claimed) => self.until_proven().map_or(self.terms.renew, |left| {
                    left.clamp(Duration::from_millis(10), self.terms.renew)
                }),
                _ => jittered(self.terms.retry),
            };
            if !left.is_zero() {
                wait = wait.min(left);
            } else if let Some(rival) =
                self.rival.as_ref().filter(|rival| rival.sign != Sign::Missing)
            {
                wait = wait
                    .min(rival.lease.saturating_sub(rival.since.elapsed()))
                    .max(Duration::from_millis(10));
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                command = commands.recv() => {
                    if let Some(done) = command {
                        self.release().await;
                        let _ = done.send(());
                    }
                    return;
                }
            }
        }
    }

    /// Looks if a look is needed, and claims if a claim is allowed.
    async fn turn(&mut self) -> Result<TurnEnd, CallError> {
        for _ in 0..TRIES {
            if let Some(beat) = self.state.on_turn.get() {
                beat();
            }
            let claim = match self.mine.take() {
                Some(lease) => Box::new(self.claim(lease)),
                None => match self.look().await? {
                    LeaseLook::Claim(claim) => claim,
                    LeaseLook::Rival => return Ok(TurnEnd::Rival),
                },
            };
            let leads = !self.standing().left(&self.terms).is_zero();
            if leads {
                self.proof = LeaseProof::None;
            } else if claim.metadata.resource_version.is_none() && !self.is_first_of_all() {
                self.proof = LeaseProof::Sent;
            }
            let sent = ClaimMoment::now();
            match self.send(&claim).await {
                Ok(lease) => {
                    self.mine = Some(lease);
                    if self.proof == LeaseProof::Sent {
                        self.proof = LeaseProof::Until(Instant::now() + self.terms.lease);
                    }
                    if !matches!(self.proof, LeaseProof::Until(end) if sent.at < end) {
                        self.proof = LeaseProof::None;
                        self.rival = None;
                        self.lead_from(sent);
                    }
                    return Ok(TurnEnd::Claimed);
                }
                // Another process was faster, or the Lease was deleted. The next look shows which
                // process holds it.
                Err(error) if error.is_conflict() || error.is_not_found() => {}
                Err(error) => {
                    if error.is_busy() && claim.metadata.resource_version.is_some() {
                        // The claim was refused, so the Lease that it would have replaced still
                        // exists.
                        self.mine = Some(*claim);
                    }
                    return Err(error);
                }
            }
        }
        Ok(TurnEnd::Contested)
    }

    /// Reads the Lease once, and returns what the result means.
    async fn look(&mut self) -> Result<LeaseLook, CallError> {
        let found = bounded(self.terms.request, self.leases.get_opt(LEASE)).await;
        let leads = !self.standing().left(&self.terms).is_zero();
        if !leads {
            // This comes before any conclusion: since the end of its own term, any other process
            // may have led.
            self.step_down("the lease could not be renewed in time");
        }
        // A look that failed shows nothing, and the next one may come soon enough.
        if self.looked.elapsed() > self.terms.renew {
            self.lose_sight();
        }
        let found = found?;
        self.looked = Instant::now();
        let Some(lease) = found else {
            // The Lease of this process was deleted. Until its term ends, this process may make it
            // again. Any other process first gives the holder the time to do so, and then has to
            // prove its own Lease.
            return Ok(if leads || self.is_first_of_all() || self.is_left_alone() {
                LeaseLook::Claim(Box::new(self.claim(Lease::default())))
            } else {
                LeaseLook::Rival
            });
        };
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        if holder.is_empty() || holder == self.identity.name {
            return Ok(LeaseLook::Claim(Box::new(self.claim(lease))));
        }
        if self.identity.has_succeeded(holder) {
            tracing::info!(
                holder,
                "the lease is held by an earlier process of this pod, which is dead"
            );
            return Ok(LeaseLook::Claim(Box::new(self.claim(lease))));
        }
        let sign = Sign::Record {
            uid: lease.metadata.uid.clone(),
            version: lease.metadata.resource_version.clone(),
            holder: holder.to_owned(),
            renewed: spec.and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0),
        };
        let promised = spec
            .and_then(|spec| spec.lease_duration_seconds)
            .and_then(|seconds| u64::try_from(seconds).ok());
        self.proof = LeaseProof::None;
        if self.rival_is_gone(sign, promised.map(Duration::from_secs)) {
            tracing::info!(holder, "the holder of the lease has not renewed it");
            return Ok(LeaseLook::Claim(Box::new(self.claim(lease))));
        }
        Ok(LeaseLook::Rival)
    }

    /// Logs what this process waits for. It logs the holder that it follows once. If that holder
    /// gives no sign of life, or the Lease does not count yet, it logs every ten seconds how long
    /// the wait takes at most.
    fn tell_wait(&mut self) {
        if self.said || self.state.released.load(Ordering::SeqCst) {
            return;
        }
        if self.waits.last.is_some_and(|last| last.elapsed() < TELL) {
            return;
        }
        let now = Instant::now();
        if let Some(left) = self.until_proven() {
            tracing::info!(
                at_most_s = left.as_secs(),
                "the lease was created again, and the holder of the former one may not have \
                 noticed; waiting"
            );
            self.waits.last = Some(now);
            return;
        }
        let Some(rival) = &self.rival else { return };
        let left = rival.lease.saturating_sub(rival.since.elapsed()).as_secs();
        match &rival.sign {
            Sign::Record { holder, .. } if *holder != self.waits.holder => {
                tracing::info!(
                    holder,
                    at_most_s = left,
                    "another process holds the lease; waiting until it releases the lease or does \
                     not renew it for so long"
                );
                self.waits.holder.clone_from(holder);
            }
            Sign::Record { holder, .. }
                if rival.since.elapsed() > self.terms.renew + self.terms.retry * 2 =>
            {
                tracing::info!(
                    holder,
                    at_most_s = left,
                    "the holder of the lease has not renewed it; waiting for its end"
                );
            }
            Sign::Record { .. } => return,
            Sign::Missing | Sign::Unknown => {
                tracing::info!(
                    "the lease does not exist, and its last holder may not have noticed; waiting"
                );
            }
        }
        self.waits.last = Some(now);
    }

    /// Handles a time without contact. A Lease that is missing before and after it may have existed
    /// in between, so the wait for its holder begins again. A record that has not changed during it
    /// stays as it was.
    fn lose_sight(&mut self) {
        if let Some(rival) = self.rival.as_mut().filter(|rival| rival.sign == Sign::Missing) {
            rival.sign = Sign::Unknown;
        }
    }

    /// Returns whether no process has ever led: a Lease that is missing from the first look on
    /// never existed.
    fn is_first_of_all(&self) -> bool {
        self.rival.is_none() && self.past == BeforeStart::Untouched
    }

    /// Returns whether the Lease has been missing for longer than a live holder needs to make it
    /// again.
    fn is_left_alone(&mut self) -> bool {
        match &self.rival {
            Some(rival) if rival.sign == Sign::Missing => {
                rival.since.elapsed() >= self.terms.renew * 2
            }
            _ => {
                self.rival = Some(Rival {
                    sign: Sign::Missing,
                    since: Instant::now(),
                    lease: self.terms.lease,
                });
                false
            }
        }
    }

    /// Returns how long a Lease of this process has to exist until it counts.
    fn until_proven(&self) -> Option<Duration> {
        match self.proof {
            LeaseProof::Until(end) => Some(end.saturating_duration_since(Instant::now())),
            LeaseProof::None | LeaseProof::Sent => None,
        }
    }

    /// Returns whether a holder that gave this sign can no longer assume that it leads.
    fn rival_is_gone(&mut self, sign: Sign, promised: Option<Duration>) -> bool {
        match &self.rival {
            Some(rival) if rival.sign == sign => rival.since.elapsed() >= rival.lease,
            before => {
                let lease = promised
                    .or(before.as_ref().map(|rival| rival.lease))
                    .map_or(self.terms.lease, |lease| lease.max(self.terms.lease));
                self.rival = Some(Rival { sign, since: Instant::now(), lease });
                false
            }
        }
    }

    /// Returns the Lease with this process as holder, made from the Lease that it replaces (or from
    /// an empty one).
    fn claim(&self, mut lease: Lease) -> Lease {
        let now = MicroTime(Timestamp::now());
        let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
        if spec.holder_identity.as_deref() != Some(&self.identity.name) {
            let first = spec.acquire_time.is_none();
            spec.holder_identity = Some(self.identity.name.clone());
            spec.acquire_time = Some(now.clone());
            spec.lease_transitions =
                Some(spec.lease_transitions.unwrap_or(0).saturating_add(i32::from(!first)));
        }
        let seconds = self.terms.lease.as_millis().div_ceil(1000).max(1);
        spec.lease_duration_seconds = Some(i32::try_from(seconds).unwrap_or(i32::MAX));
        spec.renew_time = Some(now);
        lease.metadata.managed_fields = None;
        lease.metadata.name = Some(LEASE.to_owned());
        lease
    }

    /// Creates the Lease, or replaces exactly the version that was read.
    async fn send(&self, lease: &Lease) -> Result<Lease, CallError> {
        let params =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        if lease.metadata.resource_version.is_some() {
            bounded(self.terms.request, self.leases.replace(LEASE, &params, lease)).await
        } else {
            let metadata = ObjectMeta { name: Some(LEASE.to_owned()), ..ObjectMeta::default() };
            let lease = Lease { metadata, ..lease.clone() };
            bounded(self.terms.request, self.leases.create(&params, &lease)).await
        }
    }

    fn standing(&self) -> LeaseState {
        *self.state.standing.borrow()
    }

    fn lead_from(&mut self, claimed: ClaimMoment) {
        if self.state.released.load(Ordering::SeqCst) {
            return;
        }
        let before = self.standing();
        // A claim after the end of the one before is a new term, even if no process led in between:
        // the end was reported to others.
        let term = before.term() + u64::from(before.left(&self.terms).is_zero());
        self.state.standing.send_replace(LeaseState::Leads { term, claimed });
        if !claimed.left_of(self.terms.believed()).is_zero() {
            self.say(true);
        }
    }

    fn step_down(&mut self, why: &'static str) {
        if let LeaseState::Leads { term, .. } = self.standing() {
            self.state.standing.send_replace(LeaseState::Follows { term: term + 1 });
            if self.rival.is_none() {
                self.rival = Some(Rival {
                    sign: Sign::Unknown,
                    since: Instant::now(),
                    lease: self.terms.lease,
                });
            }
            tracing::warn!(why, "stepped down");
        }
        self.say(false);
    }

    fn say(&mut self, leads: bool) {
        if self.said != leads {
            self.said = leads;
            if leads {
                tracing::info!(identity = self.identity.name, "leading");
            }
            (self.told)(leads);
        }
    }

    /// Gives the Lease back if this process holds it.
    async fn release(&mut self) {
        self.say(false);
        for _ in 0..TRIES {
            let lease = match self.mine.take() {
                Some(lease) => lease,
                None => match bounded(self.terms.request, self.leases.get_opt(LEASE)).await {
                    Ok(Some(lease)) => lease,
                    _ => return,
                },
            };
            if lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref())
                != Some(&self.identity.name)
            {
                return;
            }
            let mut free = self.claim(lease);
            if let Some(spec) = &mut free.spec {
                spec.holder_identity = Some(String::new());
                spec.lease_duration_seconds = Some(1);
            }
            match self.send(&free).await {
                Err(error) if error.is_conflict() => {}
                Ok(_) => {
                    tracing::info!("released the lease");
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "the lease could not be released and expires by itself");
                    return;
                }
            }
        }
    }
}

/// Returns a wait that is up to a fifth longer, so that contenders do not act at the same moments.
fn jittered(wait: Duration) -> Duration {
    wait + wait / 5 * u32::try_from(random() % 1000).unwrap_or(0) / 1000
}
