//! What all passes of one integration share: its place in the cluster, its mailbox, the refusals so
//! far, and, after the first complete listing of the provider, everything that a partial pass needs
//! to begin.

use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    num::NonZeroU64,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use kube::ResourceExt as _;
use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

use super::{
    again, approval,
    connection::Secrets,
    counts::Reckoning,
    shared::Shared,
    signing::answer::Signing,
    state::{self, Ready, StateCell},
    status::{Saying, same_spec},
};
use crate::{
    api::{
        ProvisioningIntegration, ProvisioningIntegrationSpec,
        employee_sync::{Access, Trigger},
        integration::{Mode, RevokedAccess},
        key::IntegrationKey,
        reasons::IntegrationReason,
    },
    cluster::roster::{Employees, Entry, object_name},
    domain::{priority::Class, safety::Suspicion},
    engine::{
        intake::{
            claims::PassHandle,
            inbox::Mailbox,
            lines::{Causes, Waiting},
            revocations,
        },
        pass::{
            Pass, Scope,
            context::{
                Begins, Cluster, Concurrent, Integration, Memory, Neighbour, Past, Request,
                Retries, Services,
            },
            initial_password::InitialPassword,
            last_read::LastRead,
            refusals::Refusals,
            report::{self, Report},
        },
        settings::{tenants::Tenant, validate::Validated},
        waits::{IntegrationWaits, StillOpen},
    },
};

/// What all passes of one integration share.
pub struct Session {
    /// The key of the integration.
    pub key: IntegrationKey,
    /// What is known of the employees.
    pub employees: Arc<Employees>,
    /// What all workers share.
    pub shared: Shared,
    /// The mailbox with the events of the integration.
    pub mailbox: Arc<Mailbox>,
    /// The status of the integration.
    pub said: Arc<Saying>,
    /// The integration as the watch shows it.
    pub object: watch::Receiver<Arc<ProvisioningIntegration>>,
    /// The state of the integration.
    pub place: StateCell,
    /// What was tried before.
    pub attempts: Attempts,
    /// Whether webhooks are accepted.
    pub signing: Signing,
    /// The waits that calls have met.
    pub waits: Arc<IntegrationWaits>,
    /// Whether a Secret has changed since the present pass read it. If so, the pass ends and begins
    /// again.
    pub rotated: watch::Sender<bool>,
    /// The numbers of the employees.
    pub reckoning: Arc<Reckoning>,
}

/// What the passes of one integration tried before.
#[derive(Default)]
pub struct Attempts {
    /// What the provider refused before.
    pub refusals: Refusals,
    /// The employees who were to lose access by evidence alone, each with the time of the last try.
    by_evidence: Mutex<HashMap<Box<str>, Instant>>,
    /// How many changes that are not urgent have had their turn.
    turns: AtomicU64,
}

/// The request for one pass.
pub struct PassRequest<'a> {
    /// The trigger of the pass.
    pub trigger: Trigger,
    /// The triggers for single employees.
    pub causes: &'a Causes,
    /// Those among them with an announced change that a full pass may not see yet.
    pub announced: &'a Causes,
    /// The employees of the pass. `None`: all employees; the causes are then looked at once the
    /// provider is listed.
    pub scope: Option<Scope<'a>>,
    /// Whether what was refused before is tried at once.
    pub forgiving: bool,
    /// Bob's last answer; for full passes only.
    pub suspicion: Option<Suspicion>,
    /// Whether a person asked for a sync of all employees.
    pub asked: bool,
    /// How long the pass may begin changes that are not urgent.
    pub within: Duration,
}

impl Session {
    /// Returns what is known of the employees.
    pub fn roster(&self) -> &Employees {
        &self.employees
    }

    /// Runs one pass.
    pub async fn pass(
        &self,
        ready: &Arc<Ready>,
        wanted: PassRequest<'_>,
        handle: &PassHandle<'_>,
    ) -> Report {
        let Ready { object, connections, .. } = &**ready;
        let halted = || self.is_halted(object);
        let halting = || -> BoxFuture<'_, ()> { Box::pin(self.halt(object)) };
        let shares = self.tenant(ready, true).await;
        let (counts, first_pass_at, released, lifecycles, restored) = self.said.read(|status| {
            if Tenant::on_record(status).is_some_and(|known| !known.is_same(&shares)) {
                self.roster().forget_accounts();
            }
            revocations::remember(self.roster(), &status.revoked);
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
            Box::pin(approval::release(
                &self.said,
                &self.key,
                &self.shared,
                object,
                digest,
                leaving,
            ))
        };
        let created =
            object.metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0);
        let others = self.shared.tenants.others(&self.key, &shares, created);
        let others: Vec<Neighbour> = others
            .into_iter()
            .map(|other| Neighbour { employees: self.shared.roster.of(&other.key), other })
            .collect();
        let validated = self.with_pinned_targets(&ready.validated);
        let initial_password = InitialPassword::new(
            self.shared.client(),
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
            // This does not wait for the end of the pass, which may be hours away.
            again::look_again(&self.mailbox.lines, wanted.announced, unseen);
        };
        let pass = Pass {
            integration: Integration {
                roster: self.roster(),
                uid: &uid,
                validated: &validated,
                others: &others,
            },
            cluster: Cluster {
                writer: &writer,
                events: &self.shared.events,
                metrics: &self.shared.metrics,
                clock: &self.shared.clock,
                leadership: &self.shared.leadership,
            },
            services: Services {
                bob: &connections.bob,
                provider: &*connections.provider,
                initial_password: &initial_password,
            },
            request: Request {
                scope: wanted
                    .scope
                    .unwrap_or(Scope::Full { listed: &listed, progress: &self.reckoning.progress }),
                trigger: wanted.trigger,
                causes: wanted.causes,
                deadline: Instant::now() + wanted.within,
            },
            memory: Memory {
                last_read: LastRead {
                    believed: counts.as_ref().map_or(0, |counts| counts.in_bob),
                    suspicion: wanted.suspicion,
                    memory: lifecycles.as_ref().map(report::memory),
                    apart: validated.interval / 2,
                    asked: wanted.asked,
                },
                past: Past {
                    no_pass_yet: counts.is_none(),
                    // Statuses that are gone cannot show whose account is only missing from a
                    // listing.
                    statuses_lost: counts.as_ref().is_some_and(|counts| {
                        self.roster().sums(|sums| sums.counts.in_scope()) < counts.in_scope
                    }),
                    first_pass_day: first_pass_at
                        .as_ref()
                        .map(|at| at.0.to_zoned(TimeZone::UTC).date()),
                },
                begins: Begins {
                    no_writing_pass_yet: first_pass_at.is_none(),
                    restored: first_pass_at.is_none() || restored,
                },
                approved_digest: approved,
                last_approval: released.as_ref(),
            },
            concurrent: Concurrent {
                mailbox: &self.mailbox,
                company: &self.reckoning.company,
                handle,
                turns: &self.attempts.turns,
                retries: Retries {
                    refusals: &self.attempts.refusals,
                    at_once: wanted.forgiving,
                    longest: state::longest(ready.validated.interval),
                },
                halted: &halted,
                halting: &halting,
            },
            release: &release,
        };
        let mut report = pass.run().await;
        report.about.tenant = Some(self.tenant(ready, false).await);
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

    /// Notes what a partial pass changed, and what it showed of Bob. The next write of the numbers
    /// contains it.
    pub fn note_changes(&self, report: &Report) {
        let (Some(tally), now) = (&report.tally, self.shared.clock.now()) else { return };
        let shows = self
            .said
            .read(|status| !super::status::same(status, &report::after_some(status, report, now)));
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

    /// Returns for each of these employees its part in a plan that is held or was approved, if it
    /// has one.
    #[must_use]
    pub fn parts<'a>(&self, employees: impl Iterator<Item = &'a str>) -> Vec<Option<NonZeroU64>> {
        let part = |employee: &str| {
            self.roster().with(employee, |entry| entry.and_then(|entry| entry.part))
        };
        employees.map(part).collect()
    }

    /// Forgets what is remembered of employees that the roster no longer knows.
    pub fn forget_unknown(&self) {
        let known = |employee: &str| self.roster().with(employee, |entry| entry.is_some());
        // A failure of all of them is stored under an empty name.
        self.attempts.refusals.keep(|employee| employee.is_empty() || known(employee));
        self.attempts.by_evidence.lock().retain(|employee, _| known(employee));
    }

    /// Returns the tenant, as far as it is known. Calls the service only if `ask` is set and the
    /// name alone does not identify the tenant: another integration may have the same tenant, the
    /// recorded accounts belong to a tenant with another name, or several customers of the service
    /// share the name.
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

    /// Records the revocations that Bob has reported, and those that have ended (`over`). A partial
    /// pass has seen them, and the next full pass may come too late. Only the end of a revocation
    /// makes it wait for the write: the next pass reads new revocations from the list.
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
            tracing::debug!(integration = %self.key, %error,
                "the next full pass writes down which revocations are over");
        }
    }

    /// Returns the list of immediate revocations after a pass that found these to be `over`.
    #[must_use]
    pub fn revoked_after(
        &self,
        list: &[RevokedAccess],
        over: &BTreeSet<Box<str>>,
    ) -> Vec<RevokedAccess> {
        revocations::after(list, over, &self.roster().revoked(), self.shared.clock.now())
    }

    /// Returns the settings with a mapping row for every target that an `EmployeeSync` pins.
    fn with_pinned_targets(&self, validated: &Validated) -> Validated {
        let mut validated = validated.clone();
        let catalog = validated.target.catalog();
        let reserved = validated.target.destination.reserved();
        self.roster().sums(|sums| {
            let pinned = sums.pinned().filter(|target| Some(*target) != reserved);
            validated.settings.mapping.pin_also(pinned, |target| catalog.compare(target));
        });
        validated
    }

    /// Returns whether a pass that began with this integration may begin nothing more: its spec or
    /// a Secret has changed, or the process stops.
    fn is_halted(&self, began: &ProvisioningIntegration) -> bool {
        *self.shared.stopping.borrow()
            || *self.rotated.borrow()
            || self.object.has_changed().is_err()
            || !same_spec(&self.object.borrow(), began)
    }

    /// Completes once [`Self::is_halted`] holds.
    async fn halt(&self, began: &ProvisioningIntegration) {
        let (mut object, mut stopping, mut rotated) =
            (self.object.clone(), self.shared.stopping.clone(), self.rotated.subscribe());
        tokio::select! {
            _ = object.wait_for(|object| !same_spec(object, began)) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
            _ = rotated.wait_for(|rotated| *rotated) => {}
        }
    }

    /// Compares the Secrets at regular intervals while a pass is under way, and reports once that
    /// one of them has changed.
    pub async fn watch_secrets(&self, seen: Secrets, every: SignedDuration) -> Infallible {
        loop {
            self.shared
                .clock
                .sleep_until(self.shared.clock.now().checked_add(every).unwrap_or(Timestamp::MAX))
                .await;
            if seen.changed(self.shared.client(), &self.key.namespace).await {
                tracing::info!(integration = %self.key,
                    "a Secret has changed while a pass was under way; it begins again");
                self.rotated.send_replace(true);
                return std::future::pending().await;
            }
        }
    }

    /// Returns the targets, pinned ones included, for which no listing has shown whether the
    /// provider has them.
    #[must_use]
    pub fn new_targets(&self, ready: &Ready) -> Vec<Box<str>> {
        let rows = self.with_pinned_targets(&ready.validated).settings.mapping.rows;
        rows.into_iter()
            .map(|row| row.target)
            .filter(|target| !ready.targets.contains(target))
            .collect()
    }

    /// Returns the employees who still have access that evidence on record takes. There are none if
    /// the settings take no access.
    #[must_use]
    pub fn open_against_evidence(&self) -> StillOpen {
        if !takes_access(&self.object.borrow().spec) {
            return StillOpen::default();
        }
        let mut open = Vec::new();
        self.roster().for_each(|employee, entry| {
            if entry.is_open_against_evidence() {
                open.push(object_name(&self.key.name, employee));
            }
        });
        StillOpen::of(open)
    }

    /// Puts those employees into the urgent line whose access is taken by evidence on record and
    /// whose account is still open. The process that received the evidence may have ended before it
    /// could act.
    pub fn take_up_evidence(&self) {
        let mut open: Vec<Box<str>> = Vec::new();
        self.roster().for_each(|employee, entry| {
            if entry.is_open_against_evidence() {
                open.push(employee.into());
            }
        });
        for employee in open {
            self.mailbox.lines.add(&employee, Trigger::Webhook, Class::Revocation, Instant::now());
        }
    }

    /// Returns the employees with a date that came and was not acted on, because no process ran or
    /// no pass could be made. A full pass looks at them as it would have done at that date.
    #[must_use]
    pub fn overdue(&self) -> Causes {
        let (now, began) = (self.shared.clock.now().as_second(), Instant::now());
        let mut causes = Causes::default();
        self.roster().for_each(|employee, entry| {
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

    /// Returns whether evidence on record takes access from this employee, and the account is open
    /// as far as is known.
    #[must_use]
    pub fn is_open_against_evidence(&self, employee: &str) -> bool {
        self.roster().with(employee, |entry| entry.is_some_and(Entry::is_open_against_evidence))
    }

    /// Returns whether taking access by evidence was tried since the last event about this
    /// employee.
    #[must_use]
    pub fn tried_evidence(&self, employee: &str, waiting: &Waiting) -> bool {
        let tried = self.attempts.by_evidence.lock();
        tried.get(employee).is_some_and(|tried| *tried >= waiting.latest)
    }

    /// Notes that taking access by evidence is tried now.
    pub fn try_evidence(&self, employee: &str) {
        self.attempts.by_evidence.lock().insert(employee.into(), Instant::now());
    }

    /// Forgets the try, so that the next pass tries again.
    pub fn forget_evidence(&self, employee: &str) {
        self.attempts.by_evidence.lock().remove(employee);
    }

    /// Returns up to how many employees are better looked at singly: as many as the provider's
    /// listing has pages, within limits.
    #[must_use]
    pub fn most_single(&self) -> usize {
        (self.roster().count() / 100).clamp(20, 500)
    }
}

/// Returns whether these settings take access from employees.
#[must_use]
pub fn takes_access(spec: &ProvisioningIntegrationSpec) -> bool {
    spec.mode() == Mode::Enforce && spec.provisioning.disabling_trigger
}

/// Returns the class of a date that changes access to this.
#[must_use]
pub fn class_of_date(access: Access) -> Class {
    if access == Access::Active { Class::Joiner } else { Class::Leaver }
}
