//! What every pass of one integration shares: its place in the cluster, its mailbox, what was refused before, and, once
//! a first listing of the provider is through, everything that a pass over single people needs to begin.

use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    num::NonZeroU64,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use kube::ResourceExt as _;
use tokio::{sync::watch, time::Instant};

use super::{
    approval,
    connection::Secrets,
    counts::Reckoning,
    partial,
    said::Saying,
    signing::Signing,
    state::{self, Place, Ready},
    worker::Shared,
};
use crate::{
    api::{
        ProvisioningIntegration, ProvisioningIntegrationSpec,
        employee_sync::{Access, Trigger},
        integration::{Mode, RevokedAccess},
        key::IntegrationKey,
        reasons::IntegrationReason,
    },
    cluster::roster::Entry,
    domain::{priority::Class, safety::Suspicion},
    engine::{
        intake::{
            claims::Looking,
            dirty::{Causes, Waiting},
            inbox::Mailbox,
            revocations,
        },
        pass::{
            Begins, Pass, Scope,
            initial_password::InitialPassword,
            observe::LastRead,
            outcome::Failure,
            report::{self, Report},
        },
        settings::{tenants::Tenant, validate::Validated},
        waits::Waits,
    },
};

/// The wait after the first refusal of a write.
const REFUSED: Duration = Duration::from_secs(5);
/// How far apart tries of refused writes are on average at least.
const REFUSED_APART: Duration = Duration::from_millis(200);

/// What every pass of one integration shares.
pub struct Session {
    /// The integration.
    pub key: IntegrationKey,
    /// What every worker shares.
    pub shared: Shared,
    /// What it receives.
    pub mailbox: Arc<Mailbox>,
    /// What is said of it.
    pub said: Arc<Saying>,
    /// The integration as the watch shows it.
    pub object: watch::Receiver<Arc<ProvisioningIntegration>>,
    /// Where it stands.
    pub place: Place,
    /// What was refused before.
    pub refusals: Refusals,
    /// Whether webhooks are accepted.
    pub signing: Signing,
    /// From whom access was to be taken by evidence alone, and when that was tried last.
    pub by_evidence: Mutex<HashMap<Box<str>, Instant>>,
    /// How many changes that are not urgent have had their turn.
    pub turns: AtomicU64,
    /// What calls wait for.
    pub waits: Arc<Waits>,
    /// Whether a Secret is another one than the pass that is under way works with: it ends, and begins again.
    pub rotated: watch::Sender<bool>,
    /// What its people amount to.
    pub reckoning: Arc<Reckoning>,
}

/// One pass, as it is asked for.
pub struct Wanted<'a> {
    /// What woke it.
    pub trigger: Trigger,
    /// What woke it for single people.
    pub causes: &'a Causes,
    /// Those among them with an announced change that a full pass may not see yet.
    pub announced: &'a Causes,
    /// Whom it is about; `None`: everybody, and single people are looked at once the provider is listed.
    pub scope: Option<Scope<'a>>,
    /// Whether what was refused before is tried at once.
    pub forgiving: bool,
    /// Bob's last answer, of full passes.
    pub suspicion: Option<Suspicion>,
    /// Whether a person asked for a sync of everybody.
    pub asked: bool,
    /// How long changes that are not urgent may begin.
    pub within: Duration,
}

impl Session {
    /// Runs one pass.
    pub async fn pass(
        &self,
        ready: &Arc<Ready>,
        wanted: Wanted<'_>,
        looking: &Looking<'_>,
    ) -> Report {
        let Ready { object, connections, .. } = &**ready;
        let generation = object.metadata.generation.unwrap_or(0);
        let halted = || self.is_halted(generation);
        let halting = || -> BoxFuture<'_, ()> { Box::pin(self.halt(generation)) };
        let skip = |employee: &str, fingerprint: u64| {
            if wanted.forgiving { None } else { self.refusals.of(employee, fingerprint) }
        };
        let failed_before = |employee: &str| self.refusals.failed(employee);
        let longest = state::longest(ready.validated.interval);
        let tried = |employee: &str, fingerprint: u64, failure: Option<&Failure>| {
            if let Some(wait) = self.refusals.remember(employee, fingerprint, failure, longest) {
                let now = Instant::now();
                let cause = wanted
                    .causes
                    .get(employee)
                    .copied()
                    .unwrap_or_else(|| Waiting::new(Trigger::Retry, Class::Mover, now));
                self.mailbox.dirty.again(
                    employee,
                    Waiting { trigger: Trigger::Retry, looks: 0, ..cause },
                    now + wait,
                );
            }
        };
        let shares = self.tenant(ready, true).await;
        let (counts, first_pass_at, released, lifecycles, restored) = self.said.read(|status| {
            if Tenant::on_record(status).is_some_and(|known| !known.is_same(&shares)) {
                self.shared.roster.forget_accounts(&self.key);
            }
            revocations::remember(&self.shared.roster, &self.key, &status.revoked);
            let restored = status.reactivations_held_since.is_some();
            (
                status.employees.clone(),
                status.first_pass_at.clone(),
                status.approved.clone(),
                status.lifecycles.clone(),
                restored,
            )
        });
        let approved =
            object.spec.approved_plan.as_deref().filter(|digest| {
                released.as_ref().is_none_or(|released| released.digest != *digest)
            });
        let release = |digest: String, leaving: bool| -> BoxFuture<'_, bool> {
            Box::pin(approval::release(self, object, digest, leaving))
        };
        let created =
            object.metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0);
        let others = self.shared.tenants.others(&self.key, &shares, created);
        let validated = self.with_pinned_targets(&ready.validated);
        let initial_password = InitialPassword::new(
            &self.shared.client,
            &self.key.namespace,
            validated.default_password.clone(),
        );
        let uid = object.uid().unwrap_or_default();
        let writer = self.shared.writer(&self.key);
        let listed = |unavailable: Vec<Box<str>>, unseen: &[Box<str>]| {
            let targets =
                validated.settings.mapping.rows.iter().map(|row| row.target.clone()).collect();
            let (object, connections) = (object.clone(), connections.clone());
            self.place.list(Arc::new(Ready {
                object,
                validated: ready.validated.clone(),
                connections,
                targets,
                unavailable,
            }));
            // Not when the pass has ended: that may be in hours.
            partial::look_again(self, wanted.announced, unseen);
        };
        let pass = Pass {
            key: &self.key,
            uid: &uid,
            validated: &validated,
            bob: &connections.bob,
            provider: &*connections.provider,
            roster: &self.shared.roster,
            writer: &writer,
            events: &self.shared.events,
            metrics: &self.shared.metrics,
            clock: &self.shared.clock,
            mailbox: &self.mailbox,
            company: &self.reckoning.company,
            leadership: &self.shared.leadership,
            scope: wanted.scope.unwrap_or(Scope::Everybody {
                listed: &listed,
                progress: &self.reckoning.progress,
            }),
            looking,
            trigger: wanted.trigger,
            causes: wanted.causes,
            deadline: Instant::now() + wanted.within,
            turns: &self.turns,
            last_read: LastRead {
                believed: counts.as_ref().map_or(0, |counts| counts.in_bob),
                suspicion: wanted.suspicion,
                memory: lifecycles.as_ref().map(report::memory),
                apart: validated.interval / 2,
                asked: wanted.asked,
            },
            // Statuses that are gone cannot tell whose account is only missing from a listing.
            forgotten: counts.as_ref().is_some_and(|counts| {
                self.shared.roster.sums(&self.key, |sums| sums.managed) < counts.in_scope
            }),
            first_pass: counts.is_none(),
            since: first_pass_at.as_ref().map(|at| at.0.to_zoned(TimeZone::UTC).date()),
            begins: Begins {
                limitless: first_pass_at.is_none(),
                restored: first_pass_at.is_none() || restored,
            },
            others: &others,
            approved,
            released: released.as_ref(),
            release: &release,
            initial_password: &initial_password,
            halted: &halted,
            halting: &halting,
            skip: &skip,
            failed_before: &failed_before,
            tried: &tried,
        };
        let mut report = pass.run().await;
        report.tenant = Some(self.tenant(ready, false).await);
        report.stop = report.stop.map(|stop| connections.name_secret(stop));
        if let Some(stop) = report
            .stop
            .as_mut()
            .filter(|stop| stop.reason == IntegrationReason::ProviderUnavailable)
        {
            stop.wait = stop.wait.or_else(|| connections.silence());
        }
        report
    }

    /// Notes what a pass over single people changed, and what it showed of Bob; it is written down with the next numbers.
    pub fn note_changes(&self, report: &Report) {
        let (Some(tally), now) = (&report.tally, self.shared.clock.now()) else { return };
        let shows = self
            .said
            .read(|status| !super::said::same(status, &report::after_some(status, report, now)));
        if shows {
            self.said.showed(report, now);
        }
        if tally.changed() {
            self.said.passed(report::last_pass(tally, report.took, now));
        }
        if shows || tally.changed() {
            self.reckoning.nudge();
        }
    }

    /// How many of these people have a part in a plan that is held or was approved, and which parts.
    #[must_use]
    pub fn parts<'a>(&self, employees: impl Iterator<Item = &'a str>) -> Vec<Option<NonZeroU64>> {
        let part = |employee: &str| {
            self.shared.roster.with(&self.key, employee, |entry| entry.and_then(|entry| entry.part))
        };
        employees.map(part).collect()
    }

    /// Forgets what is remembered of employees whom nothing else tells of any more.
    pub fn forget_unknown(&self) {
        let known =
            |employee: &str| self.shared.roster.with(&self.key, employee, |entry| entry.is_some());
        // What failed for all of them stands under no name.
        self.refusals.keep(|employee| employee.is_empty() || known(employee));
        self.by_evidence
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|employee, _| known(employee));
    }

    /// Returns which tenant this is, as far as is known. The service is asked only where `ask`, and where the name alone does not
    /// tell: another integration may have the same one, the accounts on record are of one that had another name, or customers of
    /// the service share the name.
    async fn tenant(&self, ready: &Ready, ask: bool) -> Tenant {
        let (tenants, target) = (&self.shared.tenants, &ready.validated.target);
        let has_name = |known: Tenant| {
            known.settings == target.tenant() && target.destination.shared_address().is_none()
        };
        let named = !ask || self.said.read(Tenant::on_record).is_none_or(has_name);
        let ask = ask && (tenants.has_others(&self.key) || !named);
        let learned = ready.connections.provider.tenant(ask).await;
        if let Some(learned) = &learned {
            tenants.learn(&self.key, learned);
        }
        Tenant {
            settings: ready.validated.target.tenant(),
            learned: learned.or_else(|| tenants.learned(&self.key)),
        }
    }

    /// Writes down from whom Bob has revoked access, and from whom it has not any more (`over`): a pass over single people has
    /// seen them, and the next one over everybody may come too late. Only the end of a revocation is waited for: the next pass
    /// takes up what the list has.
    pub async fn note_revocations(&self, over: &BTreeSet<Box<str>>) {
        if self.said.read(|status| self.revoked_after(&status.revoked, over) == status.revoked) {
            return;
        }
        if over.is_empty() {
            self.said.owe_revocations();
            self.reckoning.nudge();
            return;
        }
        let mut said = self.said.lock().await;
        let change = |list: &[_]| self.revoked_after(list, over);
        if let Err(error) =
            said.change_revoked(&self.shared.writer(&self.key), &self.key, change).await
        {
            tracing::debug!(integration = %self.key, %error, "the next full pass writes down which revocations are over");
        }
    }

    /// The list of immediate revocations after a pass that found these to be `over`.
    #[must_use]
    pub fn revoked_after(
        &self,
        list: &[RevokedAccess],
        over: &BTreeSet<Box<str>>,
    ) -> Vec<RevokedAccess> {
        revocations::after(
            list,
            over,
            &self.shared.roster.revoked(&self.key),
            self.shared.clock.now(),
        )
    }

    /// The settings, with a mapping row for every target that somebody's `EmployeeSync` pins.
    fn with_pinned_targets(&self, validated: &Validated) -> Validated {
        let mut validated = validated.clone();
        let compare = validated.target.catalog().compare;
        let reserved = validated.target.destination.reserved();
        self.shared.roster.sums(&self.key, |sums| {
            validated
                .settings
                .mapping
                .pin_also(sums.pinned().filter(|target| Some(*target) != reserved), compare);
        });
        validated
    }

    /// Whether a pass that began with this generation is to begin nothing more: there is a newer one, or the process stops.
    fn is_halted(&self, generation: i64) -> bool {
        *self.shared.stopping.borrow()
            || *self.rotated.borrow()
            || self.object.has_changed().is_err()
            || self.object.borrow().metadata.generation.unwrap_or(0) != generation
    }

    /// Completes once that is so.
    async fn halt(&self, generation: i64) {
        let (mut object, mut stopping, mut rotated) =
            (self.object.clone(), self.shared.stopping.clone(), self.rotated.subscribe());
        tokio::select! {
            _ = object.wait_for(|object| object.metadata.generation.unwrap_or(0) != generation) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
            _ = rotated.wait_for(|rotated| *rotated) => {}
        }
    }

    /// Looks at the Secrets again and again while a pass is under way, and says once that one of them is another one.
    pub async fn watch_secrets(&self, seen: Secrets, every: SignedDuration) -> Infallible {
        loop {
            self.shared
                .clock
                .sleep_until(self.shared.clock.now().checked_add(every).unwrap_or(Timestamp::MAX))
                .await;
            if seen.changed(&self.shared.client, &self.key.namespace).await {
                tracing::info!(integration = %self.key, "a Secret has changed while a pass was under way; it begins again");
                self.rotated.send_replace(true);
                return std::future::pending().await;
            }
        }
    }

    /// Targets, pinned ones among them, of which no listing has told whether the provider has them.
    #[must_use]
    pub fn new_targets(&self, ready: &Ready) -> Vec<Box<str>> {
        let rows = self.with_pinned_targets(&ready.validated).settings.mapping.rows;
        rows.into_iter()
            .map(|row| row.target)
            .filter(|target| !ready.targets.contains(target))
            .collect()
    }

    /// From how many people evidence on record is still to take access, where the settings take any.
    #[must_use]
    pub fn open_against_evidence(&self) -> u32 {
        if !takes_access(&self.object.borrow().spec) {
            return 0;
        }
        let mut open = 0;
        self.shared
            .roster
            .for_each(&self.key, |_, entry| open += u32::from(entry.is_open_against_evidence()));
        open
    }

    /// Puts those into the urgent line from which evidence on record takes access and whose account is open still: the
    /// process that was told of it may have ended before it could act.
    pub fn take_up_evidence(&self) {
        let mut open: Vec<Box<str>> = Vec::new();
        self.shared.roster.for_each(&self.key, |employee, entry| {
            if entry.is_open_against_evidence() {
                open.push(employee.into());
            }
        });
        for employee in open {
            self.mailbox.dirty.add(&employee, Trigger::Webhook, Class::Revocation, Instant::now());
        }
    }

    /// Whose date came and was not acted on, because no process ran or a pass could not be made: with everybody they are
    /// looked at as they would have been then.
    #[must_use]
    pub fn overdue(&self) -> Causes {
        let (now, began) = (self.shared.clock.now().as_second(), Instant::now());
        let mut causes = Causes::default();
        self.shared.roster.for_each(&self.key, |employee, entry| {
            if let Some((at, access)) = entry.next.filter(|(at, _)| *at <= now) {
                let late = Duration::from_secs(u64::try_from(now - at).unwrap_or(0));
                let since = began.checked_sub(late).unwrap_or(began);
                causes.insert(
                    employee.into(),
                    Waiting::new(Trigger::Transition, class_of_date(access), since),
                );
            }
        });
        causes
    }

    /// Whether evidence on record takes access from this person, and the account is open as far as is known.
    #[must_use]
    pub fn is_open_against_evidence(&self, employee: &str) -> bool {
        self.shared
            .roster
            .with(&self.key, employee, |entry| entry.is_some_and(Entry::is_open_against_evidence))
    }

    /// Whether that was tried since the last event about this person.
    #[must_use]
    pub fn tried_evidence(&self, employee: &str, waiting: &Waiting) -> bool {
        let tried = self.by_evidence.lock().unwrap_or_else(PoisonError::into_inner);
        tried.get(employee).is_some_and(|tried| *tried >= waiting.latest)
    }

    /// It is tried now.
    pub fn try_evidence(&self, employee: &str) {
        self.by_evidence
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(employee.into(), Instant::now());
    }

    /// The next time it is tried again.
    pub fn forget_evidence(&self, employee: &str) {
        self.by_evidence.lock().unwrap_or_else(PoisonError::into_inner).remove(employee);
    }

    /// How many people are better looked at one by one: as many as the provider's listing has pages, within reason.
    #[must_use]
    pub fn most_single(&self) -> usize {
        (self.shared.roster.count(&self.key) / 100).clamp(20, 500)
    }
}

/// Whether these settings take access from anybody.
#[must_use]
pub fn takes_access(spec: &ProvisioningIntegrationSpec) -> bool {
    spec.mode() == Mode::Enforce && spec.provisioning.disabling_trigger
}

/// What is at stake when a date comes that makes access this.
#[must_use]
pub fn class_of_date(access: Access) -> Class {
    if access == Access::Active { Class::Joiner } else { Class::Leaver }
}

/// What the provider refused, so that it is tried ever more rarely.
#[derive(Default)]
pub struct Refusals {
    refused: Mutex<HashMap<Box<str>, Refusal>>,
    /// How often in a row a change failed for now.
    failed: Mutex<HashMap<Box<str>, u32>>,
}

/// A change that the provider refused.
struct Refusal {
    fingerprint: u64,
    failure: Failure,
    times: u32,
    again: Instant,
}

impl Refusals {
    /// Forgets all: something changed that they rest on.
    pub fn clear(&self) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Why this change is not tried now.
    fn of(&self, employee: &str, fingerprint: u64) -> Option<Failure> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let refusal = refused.get(employee).filter(|refusal| refusal.fingerprint == fingerprint)?;
        (Instant::now() < refusal.again).then(|| refusal.failure.clone())
    }

    /// Whether the last try of this person's change failed, for whatever reason.
    fn failed(&self, employee: &str) -> bool {
        let refused =
            self.refused.lock().unwrap_or_else(PoisonError::into_inner).contains_key(employee);
        refused || self.failed.lock().unwrap_or_else(PoisonError::into_inner).contains_key(employee)
    }

    /// A rejected write is tried again at once when something changed, otherwise ever more rarely: after 5 s, 10 s, and so
    /// on, `longest` at most. Where many are refused the tries are further apart, so that they take no turns from others. Gives how long from now; `None` where nothing is to be tried again for it.
    fn remember(
        &self,
        employee: &str,
        fingerprint: u64,
        failure: Option<&Failure>,
        longest: Duration,
    ) -> Option<Duration> {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            None => {
                refused.remove(employee);
                self.settled(employee);
                None
            }
            Some(Failure::Retrying(_)) => None,
            Some(failure) => {
                let (same, now) = (
                    refused.get(employee).filter(|known| known.fingerprint == fingerprint),
                    Instant::now(),
                );
                if let Some(known) = same.filter(|known| now < known.again) {
                    return Some(known.again - now);
                }
                let times = same.map_or(0, |known| known.times) + 1;
                let many =
                    REFUSED_APART.saturating_mul(u32::try_from(refused.len()).unwrap_or(u32::MAX));
                let wait = REFUSED.saturating_mul(1 << (times - 1).min(16)).max(many).min(longest);
                refused.insert(
                    employee.into(),
                    Refusal { fingerprint, failure: failure.clone(), times, again: now + wait },
                );
                Some(wait)
            }
        }
    }

    /// Forgets all for whom this does not hold.
    pub fn keep(&self, holds: impl Fn(&str) -> bool) {
        self.refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|employee, _| holds(employee));
        self.failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|employee, _| holds(employee));
    }

    /// Somebody's change was brought to an end.
    pub fn settled(&self, employee: &str) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).remove(employee);
    }

    /// How long somebody waits whose change failed for now: `first`, doubled each time, up to `most`.
    pub fn back_off(&self, employee: &str, first: Duration, most: Duration) -> Duration {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let times = failed.entry(employee.into()).or_default();
        let wait = first.saturating_mul(1 << (*times).min(16)).min(most);
        *times += 1;
        wait
    }
}
