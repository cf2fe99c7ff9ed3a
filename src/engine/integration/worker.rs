//! The worker of one integration: it runs the full passes, one after another. The state (`state`)
//! determines when the next one is due and why: the interval, a changed spec, a sync request, a
//! rotated Secret, a deleted or changed `EmployeeSync`, or a retry. There is always a next one,
//! unless the spec says `suspend`.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use jiff::SignedDuration;
use kube::{Resource as _, ResourceExt as _};
use tokio::{sync::watch, task::JoinSet, time::Instant};

use super::{
    connection::{Connections, Secrets},
    counts::{self, Reckoning},
    owners, partial,
    session::{Attempts, PassRequest, Session, takes_access},
    signing::{self, answer::Signing},
    state::{self, Ready, StateCell, Times, Unseen, Wake},
    status::{self, IntegrationStatus, Saying, same_spec},
    telling,
};
use crate::{
    api::{
        ProvisioningIntegration, ProvisioningIntegrationStatus, SYNC_REQUESTED, conditions,
        employee_sync::Trigger,
        integration::Mode,
        key::IntegrationKey,
        reasons::{EmployeeReason, IntegrationReason},
    },
    cluster::{
        roster::{Employees, Entry},
        status::WRITE_WITHIN,
    },
    domain::{
        priority::{Class, Urgency},
        safety::Suspicion,
        settings::go_duration,
    },
    engine::{
        intake::{inbox::Mailbox, lines::Causes, revocations},
        pass::{
            execute::Cut,
            report::{self, Report},
        },
        settings::validate::{Validated, for_evidence, validate},
        stop::Stop,
        waits::IntegrationWaits,
    },
    telemetry::health::Beat,
};

pub use super::shared::Shared;

/// How often the Secrets are compared with what was read. A rotation is noticed within a minute.
const SECRET_POLL: SignedDuration = SignedDuration::from_secs(20);
/// How often they are compared while a Secret is missing.
const MISSING_SECRET_POLL: SignedDuration = SignedDuration::from_secs(5);
/// A full pass that takes this much longer than an interval is stuck: a service asks for an hour at
/// most.
const LONGER: Duration = Duration::from_hours(2);

/// The supervisor's handle of a worker.
#[derive(Clone)]
pub struct Handle {
    employees: Arc<Employees>,
    object: watch::Sender<Arc<ProvisioningIntegration>>,
    mailbox: Arc<Mailbox>,
    said: Arc<Saying>,
    waits: Arc<IntegrationWaits>,
    reckoning: Arc<Reckoning>,
}

impl Handle {
    /// Returns the uid of the object.
    pub fn uid(&self) -> Option<String> {
        self.object.borrow().uid()
    }

    /// Writes what has to be said next to the passes.
    pub async fn tell_parts(&self, shared: &Shared, key: &IntegrationKey) {
        if shared.leadership.is_leader() {
            self.said.lock().await.write_beside(&shared.writer(key), key).await;
        }
    }

    /// Takes in a newer version of the integration, or the same version with another spec: after a
    /// change of the CRD, the API server may show other fields. The status takes it in at the next
    /// lock, so that a write under way delays no caller.
    pub fn see(&self, object: ProvisioningIntegration) {
        let version = status::version(&object);
        self.object.send_if_modified(|known| {
            let before = status::version(known);
            let news = version > before || version == before && !same_spec(known, &object);
            if news {
                if known.status != object.status {
                    // It may be another writer's. Then the next write of the numbers replaces it.
                    self.reckoning.nudge();
                }
                *known = Arc::new(object);
            }
            news
        });
    }

    /// Wakes the worker after a change of one employee: a sync request, or another spec, status or
    /// object.
    pub fn wake(&self, employee: &str) {
        // The change may be that the employee is no longer hands-off.
        let (requested, revoked) = self.employees.with(employee, |entry| {
            let requested = entry.is_some_and(|entry| entry.sync_requested.is_some());
            (requested, entry.is_some_and(Entry::is_open_against_evidence))
        });
        let trigger = if requested { Trigger::Manual } else { Trigger::Spec };
        if requested {
            self.mailbox.ask();
        }
        let class = if revoked { Class::Revocation } else { Class::Mover };
        self.mailbox.lines.add(employee, trigger, class, Instant::now());
    }

    /// Wakes the worker after a change of employees who are not known singly.
    pub fn wake_everybody(&self) {
        self.mailbox.lines.add_everybody(Trigger::Spec, Instant::now());
    }

    /// Marks a generation as in progress, unless the status has said something about it already.
    /// This must follow a change within a second: kstatus takes a resource without a status for
    /// current, and a GitOps tool would continue too early.
    pub async fn mark_progressing(&self, shared: &Shared, key: &IntegrationKey) {
        let object = self.object.borrow().clone();
        let generation = object.metadata.generation.unwrap_or(0);
        let mut said = self.said.lock().await;
        if said.spoken_of() >= generation || !shared.leadership.is_leader() {
            return;
        }
        let (now, mode) = (shared.clock.now(), Some(object.spec.mode()));
        said.write(&shared.writer(key), key, generation, |before| {
            let status = report::progressing(before, generation, now);
            Some(ProvisioningIntegrationStatus { mode, ..status })
        })
        .await;
    }
}

/// The worker of one integration.
pub struct Worker {
    shared: Shared,
    object: watch::Receiver<Arc<ProvisioningIntegration>>,
    handle: Handle,
    session: Arc<Session>,
    /// The integration with the spec that the last pass worked with; `None` before the first pass.
    worked_with: Option<Arc<ProvisioningIntegration>>,
    /// The sync request that the last pass answered.
    answered: Option<String>,
    /// Whether this turn answers a new request.
    asked: bool,
    /// Bob's last answer, if it is too short to be accepted yet. It is not kept over a restart, so
    /// one more answer is needed then.
    suspicion: Option<Suspicion>,
    connections: Option<Arc<Connections>>,
    /// The Secrets as the last pass read them.
    secrets: Secrets,
    failures: u32,
    times: Times,
}

impl Worker {
    /// Returns a worker for this integration, and its handle.
    #[must_use]
    pub fn new(
        employees: Arc<Employees>,
        object: ProvisioningIntegration,
        shared: Shared,
    ) -> (Self, Handle) {
        let key = employees.key.clone();
        let waits = Arc::new(IntegrationWaits::new(key.clone(), shared.clock.clone()));
        let reckoning = Arc::new(Reckoning::new(employees.clone(), &shared));
        let ready = object
            .status
            .as_ref()
            .and_then(|status| conditions::find(&status.conditions, conditions::Type::Ready));
        let since =
            ready.filter(|ready| ready.status == "False").map(|ready| ready.last_transition_time.0);
        shared.metrics.begin(&key, since, shared.clock.now());
        object.status.iter().for_each(|status| reckoning.said(status));
        let said = IntegrationStatus::of(&object)
            .with_parts(&shared.parts)
            .with_waits(&waits)
            .with_reckoning(&reckoning)
            .with_leadership(&shared.leadership);
        let sender = watch::Sender::new(Arc::new(object));
        revocations::remember(&employees, &said.status.revoked);
        let answered = said.status.last_handled_sync_at.clone();
        let said = Arc::new(Saying::new(said, sender.subscribe()));
        let mailbox =
            shared.inbox.open(&key, sender.borrow().uid().unwrap_or_default(), said.clone());
        let handle = Handle { employees, object: sender, mailbox, said, waits, reckoning };
        (Self::with(&handle, answered, shared), handle)
    }

    /// Returns a worker in place of one that ended. It has the same lines, and keeps nothing else
    /// of the ended one.
    pub async fn again(handle: &Handle, shared: Shared) -> Self {
        let answered = handle.said.lock().await.status.last_handled_sync_at.clone();
        Self::with(handle, answered, shared)
    }

    fn with(handle: &Handle, answered: Option<String>, shared: Shared) -> Self {
        let object = handle.object.subscribe();
        let session = Session {
            key: handle.employees.key.clone(),
            employees: handle.employees.clone(),
            shared: shared.clone(),
            mailbox: handle.mailbox.clone(),
            said: handle.said.clone(),
            object: object.clone(),
            place: StateCell::default(),
            attempts: Attempts::default(),
            signing: Signing::default(),
            waits: handle.waits.clone(),
            rotated: watch::Sender::new(false),
            reckoning: handle.reckoning.clone(),
        };
        Self {
            session: Arc::new(session),
            shared,
            object,
            handle: handle.clone(),
            worked_with: None,
            answered,
            asked: false,
            suspicion: None,
            connections: None,
            secrets: Secrets::default(),
            failures: 0,
            times: Times::default(),
        }
    }

    /// Runs until the process stops, or until the task is dropped with its integration.
    pub async fn run(mut self) {
        // These tasks end with this task. At a stop they end after the work that they began. A task
        // that ends earlier is started again.
        let mut beside = JoinSet::new();
        let (parts, key, stopping) =
            (self.shared.parts.clone(), self.session.key.clone(), self.shared.stopping.clone());
        let aside = |part: &'static str, make: fn(Arc<Session>, Beat) -> BoxFuture<'static, ()>| {
            let (parts, key, stopping, session) =
                (parts.clone(), key.clone(), stopping.clone(), self.session.clone());
            async move {
                parts.keep(part, Some(&key), stopping, |beat| make(session.clone(), beat)).await
            }
        };
        beside.spawn(aside("urgent", |session, beat| {
            Box::pin(partial::serve(session, Urgency::Urgent, beat))
        }));
        beside.spawn(aside("normal", |session, beat| {
            Box::pin(partial::serve(session, Urgency::Normal, beat))
        }));
        beside.spawn(aside("evidence", |session, beat| {
            Box::pin(partial::serve_evidence(session, beat))
        }));
        beside.spawn(aside("dates", |session, beat| Box::pin(partial::transitions(session, beat))));
        beside.spawn(aside("counts", |session, beat| Box::pin(telling::numbers(session, beat))));
        beside.spawn(aside("waits", |session, beat| Box::pin(telling::tell(session, beat))));
        beside.spawn(aside("owners", |session, beat| Box::pin(owners::keep(session, beat))));
        beside.spawn(aside("signing", |session, beat| Box::pin(signing::keep(session, beat))));
        let beat = parts.beat("passes", Some(&key));
        Box::pin(self.work(&beat)).await;
        while beside.join_next().await.is_some() {}
    }

    /// Runs the full passes.
    async fn work(&mut self, beat: &Beat) {
        let mut led = false;
        loop {
            let mut stopping = self.shared.stopping.clone();
            let leadership = self.shared.leadership.clone();
            tokio::select! {
                () = beat.during(leadership.wait_to_lead()) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
            if !std::mem::replace(&mut led, true) {
                self.begin_to_lead(beat).await;
            }
            let trigger = tokio::select! {
                trigger = self.due(beat) => trigger,
                () = leadership.lost() => {
                    led = false;
                    continue;
                }
                _ = stopping.wait_for(|stopping| *stopping) => return,
            };
            let interval = go_duration(&self.object.borrow().spec.interval).unwrap_or_default();
            beat.within(interval + LONGER, Box::pin(self.turn(trigger))).await;
        }
    }

    /// Prepares the worker for the lead. Another process may have led until now, so what this
    /// process remembers of its own passes is no longer valid. All employees are looked at, however
    /// much time the other process had left.
    async fn begin_to_lead(&mut self, beat: &Beat) {
        self.session.mailbox.lines.keep_events();
        self.worked_with = None;
        self.suspicion = None;
        // The other process may have answered a request that came in the meantime.
        let mut said = beat.within(WRITE_WITHIN * 2, self.handle.said.lock()).await;
        let writer = self.shared.writer(&self.session.key);
        let taken = said.take_over(&writer, &self.session.key, self.handle.uid());
        beat.within(WRITE_WITHIN, taken).await;
        self.answered.clone_from(&said.status.last_handled_sync_at);
        drop(said);
        self.session.take_up_evidence();
        // The garbage collector may be about to delete a pin, and its employee would be taken as
        // new.
        owners::loosened(&self.session, beat).await;
    }

    /// Waits until a pass is due, and returns its trigger.
    async fn due(&mut self, beat: &Beat) -> Trigger {
        let session = self.session.clone();
        let mut place = session.place.watch();
        loop {
            beat.beat();
            let changed = session.mailbox.lines.changed();
            tokio::pin!(changed);
            // The listener is enabled before the state is read, so that no change in between is
            // missed.
            changed.as_mut().enable();
            place.mark_unchanged();
            let object = self.object.borrow_and_update().clone();
            let (news, now) = (self.news(&object), self.shared.clock.now());
            let until = match session.place.next(&self.times, &news, now) {
                Wake::Pass(trigger) => return trigger,
                Wake::Secrets => {
                    if self.secrets_changed().await {
                        return Trigger::Spec;
                    }
                    continue;
                }
                Wake::At(at) => Some(at),
                Wake::Never => None,
            };
            let everybody =
                session.mailbox.lines.everybody_due().filter(|due| *due > Instant::now());
            let clock = self.shared.clock.clone();
            tokio::select! {
                changed = self.object.changed() => if changed.is_err() {
                    // The supervisor gave up this integration. The task will be dropped soon.
                    std::future::pending::<()>().await;
                },
                () = changed => {}
                // The session holds the sender.
                _ = place.changed() => {}
                () = async {
                    match everybody {
                        Some(due) => tokio::time::sleep_until(due).await,
                        None => std::future::pending().await,
                    }
                } => {}
                () = beat.during(async {
                    match until {
                        Some(at) => clock.sleep_until(at).await,
                        None => std::future::pending().await,
                    }
                }) => {}
            }
        }
    }

    /// Returns whether the last pass worked with this spec.
    fn has_worked_with(&self, object: &ProvisioningIntegration) -> bool {
        self.worked_with.as_ref().is_some_and(|known| same_spec(known, object))
    }

    /// Returns the changes that no pass has looked at.
    fn news(&self, object: &ProvisioningIntegration) -> Unseen {
        let generation = object.metadata.generation.unwrap_or(0);
        let requested = object.annotations().get(SYNC_REQUESTED);
        let asked = requested.is_some() && requested != self.answered.as_ref();
        let spec = if self.has_worked_with(object) {
            None
        } else {
            // The start of a process is no change of the spec. The process takes up a request that
            // another process left.
            let known = self.worked_with.is_none()
                && self.handle.said.read(|status| status.observed_generation == Some(generation));
            Some(match (known, asked) {
                (true, true) => Trigger::Manual,
                (true, false) => Trigger::Interval,
                (false, _) => Trigger::Spec,
            })
        };
        let mailbox = &self.session.mailbox;
        Unseen {
            spec,
            asked,
            asked_for_one: mailbox.is_asked(),
            webhooks: self.session.signing.has_news(),
            everybody: mailbox.lines.wants_everybody(Instant::now()),
        }
    }

    /// Runs one turn: mark, validate, connect, pass, report.
    async fn turn(&mut self, trigger: Trigger) {
        let object = self.object.borrow().clone();
        let generation = object.metadata.generation.unwrap_or(0);
        let new_spec = !self.has_worked_with(&object);
        let before = self.session.place.ready();
        if self.worked_with.is_none() {
            let mut said = self.handle.said.lock().await;
            said.status = report::begun_anew(&said.status);
            said.write_beside(&self.shared.writer(&self.session.key), &self.session.key).await;
        }
        if new_spec {
            self.handle.mark_progressing(&self.shared, &self.session.key).await;
            self.session.attempts.refusals.clear();
            self.failures = 0;
        }
        self.worked_with = Some(object.clone());
        self.times.tried = Some(self.shared.clock.now());
        self.session.mailbox.take_access(takes_access(&object.spec));
        signing::read(&self.session, &object).await;
        let requested = object.annotations().get(SYNC_REQUESTED).cloned();
        self.asked = requested.is_some() && requested != self.answered;
        if object.spec.suspend {
            self.answered.clone_from(&requested);
            self.times = Times::default();
            self.session.place.suspend();
            self.session.waits.clear();
            let mut said = self.handle.said.lock().await;
            let now = self.shared.clock.now();
            let suspended = |before: &_| Some(report::suspended(before, generation, now));
            said.write(
                &self.shared.writer(&self.session.key),
                &self.session.key,
                generation,
                suspended,
            )
            .await;
            return;
        }
        if new_spec {
            let keep = before
                .as_ref()
                .filter(|ready| still_serves(ready, &object))
                .map(|ready| Arc::new(Ready::of(ready, object.clone())));
            self.session.place.begin(keep);
        }
        self.session.mailbox.answer();
        let asked_for = self.session.mailbox.lines.take_everybody();
        let people = asked_for.map(|everybody| everybody.people).unwrap_or_default();
        let (mut report, interval) = match validate(&object.spec, &self.shared.granted.endpoints) {
            Ok(validated) => {
                self.session.reckoning.settings(&validated);
                let report = Box::pin(self.connected_pass(
                    &object,
                    &validated,
                    before.as_ref(),
                    trigger,
                    new_spec,
                    &people,
                ))
                .await;
                (report, validated.interval)
            }
            Err(stop) => {
                self.secrets = Secrets::default();
                self.serve_evidence_alone(&object).await;
                (Report::stopped(stop), Duration::from_mins(10))
            }
        };
        if report.tally.is_none() {
            partial::look_later(&self.session, &people);
        }
        report.about.sync_handled.clone_from(&requested);
        report.about.webhooks = self.session.signing.said();
        if !matches!(report.cut, Some(Cut::Deadline | Cut::Halted)) {
            // Otherwise the next pass answers it. A pass that is tried again answers it then.
            self.answered = requested;
        }
        if report.bob.in_bob.is_some() {
            self.suspicion = report.bob.suspicion;
        }
        self.finish(&object, &mut report, interval).await;
    }

    /// Connects if the Secrets changed, and runs the pass. If a credential was refused that has
    /// been rotated in the meantime, it runs the pass once more at once.
    async fn connected_pass(
        &mut self,
        object: &Arc<ProvisioningIntegration>,
        validated: &Validated,
        before: Option<&Arc<Ready>>,
        trigger: Trigger,
        new_spec: bool,
        people: &Causes,
    ) -> Report {
        let mut attempt = 0;
        while attempt < 2 {
            let opened = Connections::open(
                &self.shared,
                &self.session.waits,
                validated,
                self.connections.clone(),
            )
            .await;
            let (connections, fresh) = match opened {
                Ok(opened) => opened,
                Err(report) => {
                    self.secrets =
                        Secrets::see(self.shared.client(), &self.session.key.namespace, validated)
                            .await;
                    if report.bob.answered == Some(false) {
                        self.serve_evidence_alone(object).await;
                    }
                    return *report;
                }
            };
            if fresh {
                // The next call finds out which waits still apply.
                self.session.waits.clear();
            }
            self.secrets = connections.made_from();
            self.connections = Some(connections.clone());
            if attempt > 0 && !fresh {
                break;
            }
            // The last listing of the same tenant stays valid until the next one.
            let known = before.filter(|before| before.connections.go_to(validated));
            let ready = Arc::new(Ready {
                object: object.clone(),
                validated: validated.clone(),
                connections,
                targets: known.map(|known| known.targets.clone()).unwrap_or_default(),
                unavailable: known.map(|known| known.unavailable.clone()).unwrap_or_default(),
            });
            self.session.place.open(ready.clone());
            let report = Box::pin(self.pass(&ready, trigger, new_spec, people)).await;
            if self.session.rotated.send_replace(false) {
                continue;
            }
            let refused = report.stop.as_ref().is_some_and(|stop| state::refuses(stop.reason));
            if report
                .stop
                .as_ref()
                .is_some_and(|stop| stop.reason == IntegrationReason::SecretNotFound)
            {
                self.secrets =
                    Secrets::see(self.shared.client(), &self.session.key.namespace, validated)
                        .await;
            }
            if !refused || attempt > 0 || !self.secrets_changed().await {
                return report;
            }
            attempt += 1;
        }
        Report::stopped(Stop::new(
            IntegrationReason::ClusterUnavailable,
            "the Secret changed while it was read; trying again",
        ))
    }

    /// Opens the provider for access that evidence takes, when nothing else can be used. The next
    /// pass reports what it cannot open.
    async fn serve_evidence_alone(&self, object: &Arc<ProvisioningIntegration>) {
        let Ok(validated) = validate(&for_evidence(&object.spec), &self.shared.granted.endpoints)
        else {
            return;
        };
        let opened =
            Connections::open_provider(&self.shared, &self.session.waits, &validated).await;
        if let Ok(connections) = opened {
            let (targets, unavailable) = (Vec::new(), Vec::new());
            let ready =
                Ready { object: object.clone(), validated, connections, targets, unavailable };
            self.session.place.open_provider(Arc::new(ready));
        }
    }

    /// Runs the full pass.
    async fn pass(
        &mut self,
        ready: &Arc<Ready>,
        trigger: Trigger,
        new_spec: bool,
        people: &Causes,
    ) -> Report {
        let mut causes = self.session.overdue();
        causes.extend(people.iter().map(|(employee, waiting)| (employee.clone(), *waiting)));
        let wanted = PassRequest {
            trigger,
            causes: &causes,
            announced: people,
            scope: None,
            forgiving: matches!(trigger, Trigger::Manual) || new_spec,
            suspicion: self.suspicion,
            asked: self.asked,
            within: ready.validated.interval,
        };
        self.session.mailbox.everybody_begins();
        let handle = self.session.mailbox.claims.begin_full();
        let under_way = self.session.reckoning.progress.begin();
        let report = tokio::select! {
            biased;
            report = self.session.pass(ready, wanted, &handle) => report,
            never = self.session.watch_secrets(self.secrets.clone(), SECRET_POLL) => match never {},
            never = counts::tell_progress(&self.session.reckoning) => match never {},
        };
        drop((handle, under_way));
        self.session.mailbox.everybody_ended(report.read_for);
        tracing::info!(
            integration = %self.session.key,
            ?trigger,
            took_ms = u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
            in_bob = report.bob.in_bob,
            created = report.tally.as_ref().map(|t| t.changes.created),
            updated = report.tally.as_ref().map(|t| t.changes.updated),
            reactivated = report.tally.as_ref().map(|t| t.changes.reactivated),
            suspended = report.tally.as_ref().map(|t| t.changes.disabled),
            failed = report.tally.as_ref().map(|t| t.changes.failed),
            stop = report.stop.as_ref().map(|stop| stop.reason.as_str()),
            "pass"
        );
        report
    }

    /// Returns whether a Secret differs from the one that was read.
    async fn secrets_changed(&mut self) -> bool {
        let changed = self.secrets.changed(self.shared.client(), &self.session.key.namespace).await;
        self.times.secrets = self.shared.clock.now().checked_add(SECRET_POLL).ok();
        changed
    }

    /// Re-queues the employees with a change that failed for now, if they are few. Each of them has
    /// a growing wait of its own, and no other employee is looked at. Returns whether that was
    /// done.
    fn retried_singly(&self, report: &Report, interval: Duration) -> bool {
        let failed: u32 = report.rest.unsettled.iter().map(|(_, failed)| u32::from(*failed)).sum();
        let all = report
            .tally
            .as_ref()
            .and_then(|tally| tally.reasons.get(&EmployeeReason::Retrying).copied());
        let singly =
            report.stop.is_none() && report.cut.is_none() && report.unwritten.people.is_empty();
        let singly = singly
            && failed > 0
            && all == Some(failed)
            && report.rest.unsettled.len() <= self.session.most_single();
        if singly {
            partial::retry(&self.session, report, state::longest(interval), |_| None);
        }
        singly
    }

    /// Writes the status and sets when the next pass is due.
    async fn finish(
        &mut self,
        object: &ProvisioningIntegration,
        report: &mut Report,
        interval: Duration,
    ) {
        let now = self.shared.clock.now();
        let singly = self.retried_singly(report, interval);
        if report.unwritten.people.is_empty() {
            self.session.attempts.refusals.settled(partial::RECORDS);
        }
        let interval = SignedDuration::try_from(interval).unwrap_or(SignedDuration::from_mins(10));
        let stop = report.stop.as_ref();
        let left = !report.unwritten.people.is_empty()
            || report.tally.as_ref().is_some_and(|tally| tally.retry);
        let troubled = stop.is_some() || report.cut.is_some() || left && !singly;
        let again = troubled.then(|| state::again(stop, report.cut, self.failures, interval));
        self.failures = again.map_or(0, |(failures, _)| failures);
        let missing = stop.is_some_and(|stop| stop.reason == IntegrationReason::SecretNotFound);
        self.times = Times {
            // The interval is shorter if employees who are missing from Bob's answer wait for
            // confirmation.
            interval: now
                .checked_add(jittered(interval, &self.session.key))
                .ok()
                .into_iter()
                .chain(report.bob.absent.again)
                .min(),
            retry: again.and_then(|(_, wait)| now.checked_add(wait).ok()),
            secrets: now.checked_add(if missing { MISSING_SECRET_POLL } else { SECRET_POLL }).ok(),
            tried: self.times.tried,
        };
        report.again = self.times.retry;
        // If both services answered, single employees can be served.
        let looked = report.tally.is_some() || stop.is_some_and(|stop| stop.answered);
        self.session.place.end(stop.map(|stop| stop.reason), looked);
        self.shared.tenants.idle(&self.session.key, stop.is_some() && report.tally.is_none());
        self.shared.metrics.pass(&self.session.key, &report.figures(), now);
        if report.stop.is_none() && !report.is_unfinished() {
            self.shared.parts.settled(&self.session.key, Instant::now() - report.took);
        }
        if !same_spec(&self.object.borrow(), object) {
            // There is a newer spec: the results for the old one are not written for it.
            return;
        }
        let mut said = self.handle.said.lock().await;
        let before = said.told().to_vec();
        if report.bob.in_bob.is_some() && report.tally.is_some() && !report.is_unfinished() {
            self.session.reckoning.complete();
            self.session.forget_unknown();
        }
        // Only the roster knows what came while the pass was under way.
        let revoked = self.session.roster().revoked();
        let generation = object.metadata.generation.unwrap_or(0);
        let mode = Some(object.spec.mode());
        let after = |before: &_| {
            let status = report::after(before, report, &revoked, generation, now);
            Some(ProvisioningIntegrationStatus { mode, ..status })
        };
        said.write(&self.shared.writer(&self.session.key), &self.session.key, generation, after)
            .await;
        counts::announce(&self.shared.events, object.object_ref(&()), &before, said.told());
        if report.guards.held.is_some() {
            self.times.interval = self.times.interval.into_iter().chain(said.next_release()).min();
        }
    }
}

/// Returns whether what was made for an earlier spec may serve this one until it is validated. This
/// needs the same tenant, the same credential, and a spec that takes access by evidence.
fn still_serves(ready: &Ready, object: &ProvisioningIntegration) -> bool {
    let (before, now) = (&ready.object.spec, &object.spec);
    before.provider == now.provider
        && now.mode() == Mode::Enforce
        && before.mode() == now.mode()
        && now.provisioning.disabling_trigger
}

/// Returns the interval, shortened by up to 5 %, so that integrations that start together drift
/// apart. The share depends on the name and the moment, and not on a source of randomness.
fn jittered(interval: SignedDuration, key: &IntegrationKey) -> SignedDuration {
    use std::hash::{BuildHasher as _, RandomState};
    let share = i32::try_from(RandomState::new().hash_one(key) % 1000).unwrap_or(0);
    interval - interval * share / 20_000
}
