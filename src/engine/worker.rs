//! One worker for one integration: when a pass runs, and why. What wakes it: the interval, a changed spec, a sync
//! request, a rotated Secret, a deleted or changed `EmployeeSync`, a date that arrives, a retry. After a refused
//! credential it keeps quiet until a person has changed something, for Bob blocks addresses that keep knocking.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt as _;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    clock::Clock,
    connection::{Connections, InitialPassword, Pacers},
    dirty::Line,
    execute::Failure,
    inbox::{Inbox, Mailbox},
    observe::LastRead,
    pass::Pass,
    report::{self, Report},
    tenants::Tenants,
    validate::{AllowedEndpoints, Stop, Validated, validate},
};
use crate::{
    api::{
        APPROVE_MANAGER, ProvisioningIntegration, ProvisioningIntegrationStatus, SYNC_REQUESTED, employee_sync::Trigger,
        reasons::IntegrationReason,
    },
    bob::webhook::SigningSecrets,
    cluster::{
        events::Events,
        leadership::Leadership,
        roster::{IntegrationKey, Roster},
        secrets::{self, SecretError},
        status::Writer,
    },
    domain::safety::Suspicion,
    server::metrics::Metrics,
};

/// How often Secrets are compared with what was read: a rotation is seen within a minute.
const SECRET_POLL: SignedDuration = SignedDuration::from_secs(20);
/// The same while a Secret is missing.
const MISSING_SECRET_POLL: SignedDuration = SignedDuration::from_secs(5);
/// The first wait after a failed pass; doubled each time, up to the interval.
const RETRY: SignedDuration = SignedDuration::from_secs(10);
/// How long news about people collect before a pass.
const COLLECT: Duration = Duration::from_millis(500);

/// What every worker shares.
#[derive(Clone)]
pub struct Shared {
    /// The API server.
    pub client: kube::Client,
    /// What is known of every `EmployeeSync`.
    pub roster: Roster,
    /// Tells people.
    pub events: Events,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Clock,
    /// Whether this process may write.
    pub leadership: Leadership,
    /// Base addresses allowed in place of the vendors'.
    pub allowed: Arc<AllowedEndpoints>,
    /// Windows of provider limits, shared by integrations of one tenant.
    pub pacers: Arc<Pacers>,
    /// What Bob pushes.
    pub inbox: Inbox,
    /// Who works on which tenant.
    pub tenants: Arc<Tenants>,
    /// True when the process stops.
    pub stopping: watch::Receiver<bool>,
}

/// The status of an integration as it was last read or written, and which generation the last write spoke of.
#[derive(Default)]
pub struct Said {
    status: ProvisioningIntegrationStatus,
    version: u64,
    generation: i64,
}

/// What the supervisor holds of a worker.
#[derive(Clone)]
pub struct Handle {
    object: watch::Sender<Arc<ProvisioningIntegration>>,
    people: Arc<Notify>,
    said: Arc<tokio::sync::Mutex<Said>>,
}

impl Handle {
    /// A newer version of the integration.
    pub async fn see(&self, object: ProvisioningIntegration) {
        let version = version(&object);
        {
            let mut said = self.said.lock().await;
            if version > said.version {
                said.version = version;
                said.status = object.status.clone().unwrap_or_default();
            }
        }
        self.object.send_if_modified(|known| {
            let newer = version > self::version(known);
            if newer {
                *known = Arc::new(object);
            }
            newer
        });
    }

    /// Something about its people changed.
    pub fn wake(&self) {
        self.people.notify_one();
    }

    /// Says that a generation is in progress, unless something was said of it already. Must follow a change within a
    /// second: kstatus takes a resource without a status for current, and a GitOps tool would go on too early.
    pub async fn mark_progressing(&self, shared: &Shared, key: &IntegrationKey) {
        let object = self.object.borrow().clone();
        let generation = object.metadata.generation.unwrap_or(0);
        let mut said = self.said.lock().await;
        let spoken = said.generation.max(said.status.conditions.iter().filter_map(|c| c.observed_generation).max().unwrap_or(0));
        if spoken >= generation || !shared.leadership.is_leader() {
            return;
        }
        let status = report::progressing(&said.status, generation, shared.clock.now());
        write(shared, key, &mut said, status, generation).await;
    }
}

fn version(object: &ProvisioningIntegration) -> u64 {
    object.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or(0)
}

async fn write(shared: &Shared, key: &IntegrationKey, said: &mut Said, status: ProvisioningIntegrationStatus, generation: i64) {
    said.generation = said.generation.max(generation);
    if report::same(&said.status, &status) {
        return;
    }
    match Writer::new(&shared.client, &key.namespace).patch_integration(&key.name, &status).await {
        Ok(written) => {
            said.version = version(&written);
            said.status = written.status.unwrap_or_default();
        }
        Err(error) if error.gone => {}
        Err(error) => {
            said.generation = 0;
            tracing::warn!(integration = %key, %error, "the integration's status could not be written");
        }
    }
}

/// The worker itself.
pub struct Worker {
    key: IntegrationKey,
    shared: Shared,
    object: watch::Receiver<Arc<ProvisioningIntegration>>,
    handle: Handle,
    mailbox: Arc<Mailbox>,
    /// Whether webhooks are accepted, and if not, why; `None` where none are asked for.
    webhooks: Option<Result<(), String>>,
    /// Generation of the spec that the last pass worked with; 0 before the first.
    generation: i64,
    /// The sync request that the last pass answered.
    answered: Option<String>,
    /// Whether this turn answers a new one.
    asked: bool,
    /// Bob's last answer, if it is too short to be believed yet. After a restart it takes another answer.
    suspicion: Option<Suspicion>,
    connections: Option<Connections>,
    refusals: Mutex<HashMap<Box<str>, Refusal>>,
    /// Set after a refused credential or an impossible setting: only a change by a person helps.
    quiet: bool,
    failures: u32,
    next: Next,
}

/// A change that the provider refused.
struct Refusal {
    fingerprint: u64,
    failure: Failure,
    times: u32,
    again: Instant,
}

/// When the next pass is due, by cause.
#[derive(Clone, Copy, Debug, Default)]
struct Next {
    interval: Option<Timestamp>,
    transition: Option<Timestamp>,
    retry: Option<Timestamp>,
    secrets: Option<Timestamp>,
}

impl Worker {
    /// A worker for this integration, and the handle to it.
    #[must_use]
    pub fn new(key: IntegrationKey, object: ProvisioningIntegration, shared: Shared) -> (Self, Handle) {
        let said = Said { version: version(&object), status: object.status.clone().unwrap_or_default(), generation: 0 };
        let answered = said.status.last_handled_sync_at.clone();
        let (sender, receiver) = watch::channel(Arc::new(object));
        let handle = Handle { object: sender, people: Arc::default(), said: Arc::new(tokio::sync::Mutex::new(said)) };
        let mailbox = shared.inbox.open(&key, receiver.borrow().uid().unwrap_or_default());
        let worker = Self {
            key,
            mailbox,
            webhooks: None,
            shared,
            object: receiver,
            handle: handle.clone(),
            generation: 0,
            answered,
            asked: false,
            suspicion: None,
            connections: None,
            refusals: Mutex::default(),
            quiet: false,
            failures: 0,
            next: Next::default(),
        };
        (worker, handle)
    }

    /// Works until the process stops or the task is dropped with its integration.
    pub async fn run(mut self) {
        loop {
            let mut stopping = self.shared.stopping.clone();
            let leadership = self.shared.leadership.clone();
            tokio::select! {
                () = leadership.wait_to_lead() => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
            let trigger = tokio::select! {
                trigger = self.due() => trigger,
                () = leadership.lost() => continue,
                _ = stopping.wait_for(|stopping| *stopping) => return,
            };
            self.turn(trigger).await;
        }
    }

    /// Waits until a pass is due, and says why.
    async fn due(&mut self) -> Trigger {
        loop {
            let object = self.object.borrow_and_update().clone();
            if object.metadata.generation.unwrap_or(0) != self.generation {
                return Trigger::Spec;
            }
            let requested = object.annotations().get(SYNC_REQUESTED);
            if requested.is_some() && requested != self.answered.as_ref() {
                return Trigger::Manual;
            }
            let idle = object.spec.suspend;
            let now = self.shared.clock.now();
            if !idle && self.next.secrets.is_some_and(|at| at <= now) && self.secrets_changed().await {
                return Trigger::Spec;
            }
            if !idle && !self.quiet {
                for (at, trigger) in [
                    (self.next.transition, Trigger::Transition),
                    (self.next.retry, Trigger::Retry),
                    (self.next.interval, Trigger::Interval),
                ] {
                    if at.is_some_and(|at| at <= now) {
                        return trigger;
                    }
                }
            }
            let dates = [self.next.transition, self.next.retry, self.next.interval].into_iter().filter(|_| !self.quiet);
            let dirty = &self.mailbox.dirty;
            let until = dates.chain([self.next.secrets]).flatten().filter(|_| !idle).min();
            let clock = self.shared.clock.clone();
            tokio::select! {
                changed = self.object.changed() => if changed.is_err() {
                    // The supervisor let go of this integration; the task is about to be dropped.
                    std::future::pending::<()>().await;
                },
                () = async { tokio::select! { () = dirty.wait(Line::Urgent) => {}, () = dirty.wait(Line::Normal) => {} } } => {
                    let _ = (dirty.take(Line::Urgent, Instant::now()), dirty.take(Line::Normal, Instant::now()));
                    if !idle && !self.quiet {
                        return Trigger::Webhook;
                    }
                }
                () = self.handle.people.notified() => {
                    if !idle && !self.quiet {
                        tokio::time::sleep(COLLECT).await;
                        return self.people_trigger();
                    }
                }
                () = async { match until { Some(at) => clock.sleep_until(at).await, None => std::future::pending().await } } => {}
            }
        }
    }

    fn people_trigger(&self) -> Trigger {
        let mut requested = false;
        self.shared.roster.for_each(&self.key, |_, entry| requested |= entry.sync_requested.is_some());
        if requested { Trigger::Manual } else { Trigger::Spec }
    }

    /// One turn: mark, validate, connect, pass, report.
    async fn turn(&mut self, trigger: Trigger) {
        let object = self.object.borrow().clone();
        let generation = object.metadata.generation.unwrap_or(0);
        let new_spec = generation != self.generation;
        if new_spec {
            self.handle.mark_progressing(&self.shared, &self.key).await;
            self.refusals.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        }
        self.generation = generation;
        self.read_webhook_secret(&object).await;
        let requested = object.annotations().get(SYNC_REQUESTED).cloned();
        self.asked = requested.is_some() && requested != self.answered;
        if object.spec.suspend {
            self.answered.clone_from(&requested);
            self.next = Next::default();
            let mut said = self.handle.said.lock().await;
            let status = report::suspended(&said.status, generation, self.shared.clock.now());
            return write(&self.shared, &self.key, &mut said, status, generation).await;
        }
        let (mut report, interval) = match validate(&object.spec, &self.shared.allowed) {
            Ok(validated) => {
                let report = self.connected_pass(&object, &validated, trigger, new_spec).await;
                (report, validated.interval)
            }
            Err(stop) => (Report { stop: Some(stop), ..Report::default() }, Duration::from_mins(10)),
        };
        report.sync_handled.clone_from(&requested);
        report.webhooks.clone_from(&self.webhooks);
        self.answered = requested;
        if report.in_bob.is_some() {
            self.suspicion = report.suspicion;
        }
        self.finish(&object, &report, interval).await;
    }

    /// Connects if the Secrets changed, and runs the pass; once more at once if a credential was refused that has
    /// been rotated meanwhile.
    async fn connected_pass(
        &mut self,
        object: &ProvisioningIntegration,
        validated: &Validated,
        trigger: Trigger,
        new_spec: bool,
    ) -> Report {
        for attempt in 0..2 {
            match Connections::open(&self.shared, &self.key.namespace, validated, self.connections.take()).await {
                Ok((connections, fresh)) => {
                    self.connections = Some(connections);
                    if attempt > 0 && !fresh {
                        break;
                    }
                }
                Err(stop) => {
                    return Report { stop: Some(stop), ..Report::default() };
                }
            }
            let report = self.pass(object, validated, trigger, new_spec).await;
            let refused = report
                .stop
                .as_ref()
                .is_some_and(|stop| matches!(stop.reason, IntegrationReason::BobUnauthorized | IntegrationReason::ProviderUnauthorized));
            if !refused || attempt > 0 || !self.secrets_changed().await {
                return report;
            }
        }
        Report {
            stop: Some(Stop::new(IntegrationReason::BobUnavailable, "the Secret changed while it was read; trying again")),
            ..Report::default()
        }
    }

    async fn pass(&self, object: &ProvisioningIntegration, validated: &Validated, trigger: Trigger, new_spec: bool) -> Report {
        let Some(connections) = &self.connections else { return Report::default() };
        let generation = self.generation;
        let (spec, stopping) = (self.object.clone(), self.shared.stopping.clone());
        let halted =
            move || *stopping.borrow() || spec.has_changed().is_err() || spec.borrow().metadata.generation.unwrap_or(0) != generation;
        let forgiving = matches!(trigger, Trigger::Manual) || new_spec;
        let skip = |employee: &str, fingerprint: u64| {
            let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            let refusal = refusals.get(employee).filter(|refusal| refusal.fingerprint == fingerprint)?;
            (!forgiving && Instant::now() < refusal.again).then(|| refusal.failure.clone())
        };
        let tried = |employee: &str, fingerprint: u64, failure: Option<&Failure>| self.remember(employee, fingerprint, failure);
        let (counts, released) = {
            let said = self.handle.said.lock().await;
            (said.status.employees.clone(), said.status.approved.as_ref().map(|approved| approved.digest.clone()))
        };
        let approved = object.spec.approved_plan.as_deref().filter(|digest| Some(*digest) != released.as_deref());
        let created = object.metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0);
        let elders = self.shared.tenants.elders(&self.key, validated.target.tenant(), created);
        let validated = self.with_pinned_targets(validated);
        let initial_password = InitialPassword::new(&self.shared.client, &self.key.namespace, validated.default_password.clone());
        let uid = object.uid().unwrap_or_default();
        let writer = Writer::new(&self.shared.client, &self.key.namespace);
        let mut report = Pass {
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
            trigger,
            last_read: LastRead {
                believed: counts.as_ref().map_or(0, |counts| counts.in_bob),
                suspicion: self.suspicion,
                apart: validated.interval / 2,
                asked: self.asked,
            },
            first_pass: counts.is_none(),
            elders: &elders,
            approved,
            released_before: released.as_deref(),
            initial_password: &initial_password,
            halted: &halted,
            skip: &skip,
            tried: &tried,
        }
        .run()
        .await;
        if let Some(digest) = &report.released {
            report.approved_by = approver(object);
            let by = report.approved_by.as_deref().unwrap_or("somebody whom the API server did not record");
            tracing::info!(integration = %self.key, digest, by, "a held plan was approved");
            let note = format!("{by} approved the held plan {digest}, and it was released.");
            self.shared.events.publish(kube::Resource::object_ref(object, &()), false, "PlanApproved", "Approve", note);
        }
        tracing::info!(
            integration = %self.key,
            ?trigger,
            took_ms = u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
            in_bob = report.in_bob,
            created = report.tally.as_ref().map(|t| t.created),
            updated = report.tally.as_ref().map(|t| t.updated),
            reactivated = report.tally.as_ref().map(|t| t.reactivated),
            suspended = report.tally.as_ref().map(|t| t.disabled),
            failed = report.tally.as_ref().map(|t| t.failed),
            stop = report.stop.as_ref().map(|stop| stop.reason.as_str()),
            "pass"
        );
        report
    }

    /// The settings, with a mapping row for every target that somebody's `EmployeeSync` pins.
    fn with_pinned_targets(&self, validated: &Validated) -> Validated {
        let mut validated = validated.clone();
        let mut targets = std::collections::BTreeSet::new();
        self.shared.roster.for_each(&self.key, |_, entry| {
            let overrides = entry.overrides.iter();
            targets.extend(overrides.flat_map(|overrides| &overrides.attributes).map(|(target, _)| target.clone()));
        });
        validated.settings.mapping.pin_also(targets.iter().map(|target| &**target), validated.target.catalog().compare);
        validated
    }

    /// A rejected write is tried again when something changed, otherwise ever more rarely.
    fn remember(&self, employee: &str, fingerprint: u64, failure: Option<&Failure>) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            None => {
                refusals.remove(employee);
            }
            Some(Failure::Retrying(_)) => {}
            Some(failure) => {
                let same = refusals.get(employee).filter(|known| known.fingerprint == fingerprint);
                if same.is_some_and(|known| Instant::now() < known.again) {
                    return;
                }
                let times = same.map_or(0, |known| known.times) + 1;
                let wait = Duration::from_mins(1 << times.min(9)).min(Duration::from_hours(6));
                refusals.insert(employee.into(), Refusal { fingerprint, failure: failure.clone(), times, again: Instant::now() + wait });
            }
        }
    }

    /// Reads what webhooks are signed with. Whether that changes what is said of it.
    async fn read_webhook_secret(&mut self, object: &ProvisioningIntegration) -> bool {
        let before = self.webhooks.clone();
        match &object.spec.bob.webhook_secret_ref {
            None => {
                self.mailbox.sign_with(None);
                self.webhooks = None;
            }
            Some(reference) => {
                let previous = format!("{}Previous", reference.key);
                let (required, optional) = ([&*reference.key], [&*previous]);
                match secrets::read_also(&self.shared.client, &self.key.namespace, &reference.name, &required, &optional).await {
                    Ok(mut values) => {
                        let current = values.take(&reference.key);
                        let previous = values.take(&previous);
                        self.mailbox.sign_with(current.map(|current| SigningSecrets { current, previous }));
                        self.webhooks = Some(Ok(()));
                    }
                    // What was read before stays valid while the API server does not answer.
                    Err(SecretError::Unavailable { .. }) if before.is_some() => {}
                    Err(error) => {
                        self.mailbox.sign_with(None);
                        self.webhooks = Some(Err(error.to_string()));
                    }
                }
            }
        }
        self.webhooks != before
    }

    /// Whether a Secret is not the one that was read, or could not be read before.
    async fn secrets_changed(&mut self) -> bool {
        let object = self.object.borrow().clone();
        if self.read_webhook_secret(&object).await {
            return true;
        }
        let Some(connections) = &self.connections else { return true };
        let changed = connections.secrets_changed(&self.shared.client, &self.key.namespace).await;
        self.next.secrets = self.shared.clock.now().checked_add(SECRET_POLL).ok();
        changed
    }

    /// Writes the status and says when the next pass is due.
    async fn finish(&mut self, object: &ProvisioningIntegration, report: &Report, interval: Duration) {
        let now = self.shared.clock.now();
        let interval = SignedDuration::try_from(interval).unwrap_or(SignedDuration::from_mins(10));
        self.quiet = report.stop.as_ref().is_some_and(|stop| stop.reason.is_stalled());
        let troubled = report.stop.is_some() || report.unfinished || report.tally.as_ref().is_some_and(|tally| tally.retry);
        self.failures = if troubled { self.failures.saturating_add(1) } else { 0 };
        let poll = if self.connections.is_some() { SECRET_POLL } else { MISSING_SECRET_POLL };
        self.next = Next {
            interval: now.checked_add(jittered(interval, &self.key)).ok(),
            transition: report.tally.as_ref().and_then(|tally| tally.next_transition),
            retry: troubled.then(|| now.checked_add((RETRY * (1 << (self.failures - 1).min(10))).min(interval)).ok()).flatten(),
            secrets: now.checked_add(poll).ok(),
        };
        self.shared.metrics.pass(&self.key, report, now);
        if self.object.borrow().metadata.generation != object.metadata.generation {
            // A newer spec: what was found for the old one is not said of it.
            return;
        }
        let mut said = self.handle.said.lock().await;
        let before_reason = said.status.conditions.first().map(|ready| ready.reason.clone());
        let status = report::after(&said.status, report, self.generation, now);
        let ready = status.conditions.first().cloned();
        write(&self.shared, &self.key, &mut said, status, self.generation).await;
        if let Some(ready) = ready.filter(|ready| Some(&ready.reason) != before_reason.as_ref()) {
            let reason = IntegrationReason::ALL.iter().find(|reason| reason.as_str() == ready.reason);
            if let Some(reason) = reason.filter(|reason| **reason != IntegrationReason::Progressing) {
                self.shared.events.publish(
                    kube::Resource::object_ref(object, &()),
                    !reason.is_ready(),
                    reason.as_str(),
                    "Sync",
                    ready.message,
                );
            }
        }
    }
}

/// Who wrote `spec.approvedPlan`: the field manager, as the API server recorded it; of one of `bobsync approve`, the user
/// whom it names. Where several wrote the same digest, the first of them.
fn approver(object: &ProvisioningIntegration) -> Option<String> {
    let managers = object.metadata.managed_fields.iter().flatten();
    let wrote = |fields: &serde_json::Value| fields.pointer("/f:spec/f:approvedPlan").is_some();
    let first = managers
        .filter(|entry| entry.fields_v1.as_ref().is_some_and(|fields| wrote(&fields.0)))
        .min_by_key(|entry| entry.time.as_ref().map(|time| time.0))?;
    let manager = first.manager.as_deref()?;
    Some(manager.strip_prefix(APPROVE_MANAGER).unwrap_or(manager).to_owned())
}

/// The interval, up to 5 % shorter: integrations that start together drift apart. Depends on the name and the moment,
/// not on a source of randomness.
fn jittered(interval: SignedDuration, key: &IntegrationKey) -> SignedDuration {
    use std::hash::{BuildHasher as _, RandomState};
    let share = i32::try_from(RandomState::new().hash_one(key) % 1000).unwrap_or(0);
    interval - interval * share / 20_000
}
