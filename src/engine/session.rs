//! What every pass of one integration shares: its place in the cluster, its mailbox, what was refused before, and, once
//! a first listing of the provider is through, everything that a pass over single people needs to begin.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use futures::future::BoxFuture;
use jiff::{Timestamp, tz::TimeZone};
use kube::ResourceExt as _;
use tokio::{sync::watch, time::Instant};

use super::{
    approval,
    connection::{Connections, InitialPassword},
    dirty::{Causes, Waiting},
    execute::Failure,
    inbox::Mailbox,
    observe::LastRead,
    partial,
    pass::{Pass, Scope},
    report::Report,
    revocations,
    said::Said,
    signing::Signing,
    validate::Validated,
    worker::Shared,
};
use crate::{
    api::{
        ProvisioningIntegration,
        employee_sync::{Access, Trigger},
    },
    cluster::{roster::IntegrationKey, status::Writer},
    domain::{known::Revoked, priority::Class, safety::Suspicion},
};

/// Whether passes over single people may begin.
#[derive(Clone, Default)]
pub enum Door {
    /// Not yet: the provider has not been listed with these settings.
    #[default]
    Pending,
    /// Not before a person has changed something, and then a whole pass comes first.
    Closed,
    /// With these.
    Open(Arc<Opened>),
}

/// What a pass begins with.
pub struct Opened {
    /// The integration as it was validated.
    pub object: Arc<ProvisioningIntegration>,
    /// Its settings.
    pub validated: Validated,
    /// Its connections.
    pub connections: Arc<Connections>,
    /// Targets that were looked for when the provider was listed.
    pub targets: Vec<Box<str>>,
    /// Those of them that the provider does not have.
    pub unavailable: Vec<Box<str>>,
}

/// What every pass of one integration shares.
pub struct Session {
    /// The integration.
    pub key: IntegrationKey,
    /// What every worker shares.
    pub shared: Shared,
    /// What it receives.
    pub mailbox: Arc<Mailbox>,
    /// What is said of it.
    pub said: Arc<tokio::sync::Mutex<Said>>,
    /// The integration as the watch shows it.
    pub object: watch::Receiver<Arc<ProvisioningIntegration>>,
    /// Whether passes over single people may begin.
    pub door: watch::Sender<Door>,
    /// What was refused before.
    pub refusals: Refusals,
    /// Whether webhooks are accepted.
    pub signing: Signing,
    /// How many changes that are not urgent have had their turn.
    pub turns: AtomicU64,
}

/// One pass, as it is asked for.
pub struct Wanted<'a> {
    /// What woke it.
    pub trigger: Trigger,
    /// What woke it for single people.
    pub causes: &'a Causes,
    /// Those among them of whom something was announced that a pass over everybody may not see yet.
    pub announced: &'a Causes,
    /// Whom it is about; `None`: everybody, and the door opens once the provider is listed.
    pub scope: Option<Scope<'a>>,
    /// Whether what was refused before is tried at once.
    pub forgiving: bool,
    /// Bob's last answer, of passes over everybody.
    pub suspicion: Option<Suspicion>,
    /// Whether a person asked for a sync of everybody.
    pub asked: bool,
    /// How long changes that are not urgent may begin.
    pub within: Duration,
}

impl Session {
    /// Runs one pass.
    pub async fn pass(&self, opened: &Arc<Opened>, wanted: Wanted<'_>) -> Report {
        let Opened { object, connections, .. } = &**opened;
        let generation = object.metadata.generation.unwrap_or(0);
        let (spec, stopping) = (self.object.clone(), self.shared.stopping.clone());
        let halted =
            move || *stopping.borrow() || spec.has_changed().is_err() || spec.borrow().metadata.generation.unwrap_or(0) != generation;
        let skip = |employee: &str, fingerprint: u64| if wanted.forgiving { None } else { self.refusals.of(employee, fingerprint) };
        let failed_before = |employee: &str| self.refusals.failed(employee);
        let tried = |employee: &str, fingerprint: u64, failure: Option<&Failure>| self.refusals.remember(employee, fingerprint, failure);
        let tenant = opened.validated.target.tenant();
        let (counts, first_pass_at, released) = {
            let said = self.said.lock().await;
            if said.status.tenant.as_ref().is_some_and(|known| *known != tenant) {
                self.shared.roster.forget_accounts(&self.key);
            }
            revocations::remember(&self.shared.roster, &self.key, &said.status.revoked);
            (said.status.employees.clone(), said.status.first_pass_at.clone(), said.status.approved.clone())
        };
        let approved =
            object.spec.approved_plan.as_deref().filter(|digest| released.as_ref().is_none_or(|released| released.digest != *digest));
        let release = |digest: String| -> BoxFuture<'_, bool> { Box::pin(approval::release(self, object, digest)) };
        let created = object.metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0);
        let elders = self.shared.tenants.elders(&self.key, &tenant, created);
        let validated = self.with_pinned_targets(&opened.validated);
        let initial_password = InitialPassword::new(&self.shared.client, &self.key.namespace, validated.default_password.clone());
        let uid = object.uid().unwrap_or_default();
        let writer = Writer::new(&self.shared.client, &self.key.namespace);
        let listed = |unavailable: Vec<Box<str>>, unseen: &[Box<str>]| {
            let targets = validated.settings.mapping.rows.iter().map(|row| row.target.clone()).collect();
            let (object, connections) = (object.clone(), connections.clone());
            let opened = Opened { object, validated: opened.validated.clone(), connections, targets, unavailable };
            self.door.send_replace(Door::Open(Arc::new(opened)));
            // Not when the pass has ended: that may be in hours.
            partial::look_again(self, wanted.announced, unseen);
        };
        let looking = match wanted.scope {
            Some(_) => self.mailbox.claims.people(wanted.causes.keys().map(|employee| &**employee)),
            None => self.mailbox.claims.everybody(),
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
            leadership: &self.shared.leadership,
            scope: wanted.scope.unwrap_or(Scope::Everybody { listed: &listed }),
            looking: &looking,
            trigger: wanted.trigger,
            causes: wanted.causes,
            deadline: Instant::now() + wanted.within,
            turns: &self.turns,
            last_read: LastRead {
                believed: counts.as_ref().map_or(0, |counts| counts.in_bob),
                suspicion: wanted.suspicion,
                apart: validated.interval / 2,
                asked: wanted.asked,
            },
            // Statuses that are gone cannot tell whose account is only missing from a listing.
            forgotten: counts.as_ref().is_some_and(|counts| self.shared.roster.sums(&self.key, |sums| sums.managed) < counts.in_scope),
            first_pass: counts.is_none(),
            since: first_pass_at.as_ref().map(|at| at.0.to_zoned(TimeZone::UTC).date()),
            limitless: first_pass_at.is_none(),
            elders: &elders,
            approved,
            released: released.as_ref(),
            release: &release,
            initial_password: &initial_password,
            halted: &halted,
            skip: &skip,
            failed_before: &failed_before,
            tried: &tried,
        };
        Report { tenant: Some(tenant), ..pass.run().await }
    }

    /// Writes down which of these people Bob has revoked access from, and from which it has not any more: a pass over
    /// single people has seen them, and the next one over everybody may come too late.
    pub async fn note_revocations(&self, people: impl Iterator<Item = &str>, revoked: &BTreeMap<Box<str>, Revoked>) {
        let seen: HashSet<&str> = people.collect();
        let mut said = self.said.lock().await;
        let list = revocations::after(&said.status.revoked, |id| seen.contains(id), revoked, self.shared.clock.now());
        said.revoked(&self.shared.client, &self.key, list).await;
    }

    /// The settings, with a mapping row for every target that somebody's `EmployeeSync` pins.
    fn with_pinned_targets(&self, validated: &Validated) -> Validated {
        let mut validated = validated.clone();
        let compare = validated.target.catalog().compare;
        let reserved = validated.target.destination.reserved();
        self.shared.roster.sums(&self.key, |sums| {
            validated.settings.mapping.pin_also(sums.pinned().filter(|target| Some(*target) != reserved), compare);
        });
        validated
    }

    /// Whether somebody pins a target that nobody knows whether the provider has it.
    #[must_use]
    pub fn has_new_target(&self, opened: &Opened) -> bool {
        let rows = self.with_pinned_targets(&opened.validated).settings.mapping.rows;
        rows.iter().any(|row| !opened.targets.contains(&row.target))
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
                causes.insert(employee.into(), Waiting::new(Trigger::Transition, class_of_date(access), since));
            }
        });
        causes
    }

    /// How many people are better looked at one by one: as many as the provider's listing has pages, within reason.
    #[must_use]
    pub fn most_single(&self) -> usize {
        (self.shared.roster.count(&self.key) / 100).clamp(20, 500)
    }
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
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).contains_key(employee);
        refused || self.failed.lock().unwrap_or_else(PoisonError::into_inner).contains_key(employee)
    }

    /// A rejected write is tried again when something changed, otherwise ever more rarely.
    fn remember(&self, employee: &str, fingerprint: u64, failure: Option<&Failure>) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            None => {
                refused.remove(employee);
                self.settled(employee);
            }
            Some(Failure::Retrying(_)) => {}
            Some(failure) => {
                let same = refused.get(employee).filter(|known| known.fingerprint == fingerprint);
                if same.is_some_and(|known| Instant::now() < known.again) {
                    return;
                }
                let times = same.map_or(0, |known| known.times) + 1;
                let wait = Duration::from_mins(1 << times.min(9)).min(Duration::from_hours(6));
                refused.insert(employee.into(), Refusal { fingerprint, failure: failure.clone(), times, again: Instant::now() + wait });
            }
        }
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
