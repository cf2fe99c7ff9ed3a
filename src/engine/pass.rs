//! One pass, as a sequence of steps:
//! `observe` → `decide` → (`domain::plan`) → `guard` → `execute` → `record`.
//!
//! - `single`: reads single employees. `confirm`: reads by id the employees that an answer of Bob
//!   lacks.
//! - `outcome`: how a change ended. `verdict`: what the status of one employee says.
//! - `report`: what the status of the integration says. `initial_password`: the initial password of
//!   new accounts.

mod begins;
pub mod company;
pub mod confirm;
pub mod decide;
mod early;
pub mod execute;
pub mod guard;
pub mod initial_password;
mod lost;
pub mod observe;
pub mod outcome;
pub mod record;
pub mod report;
mod scope;
pub mod single;
mod some;
pub mod verdict;
mod whom;

use std::{
    collections::{HashMap, HashSet},
    sync::atomic::AtomicU64,
    time::Duration,
};

use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use jiff::{Timestamp, civil::Date};
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

pub use self::{
    begins::Begins,
    scope::HeldScope,
    whom::{Listed, Rest, Scope},
};
use self::{
    company::Company,
    decide::Deciding,
    execute::{Cut, Execution, Summary, execute, pause},
    guard::{Guarding, Released},
    initial_password::InitialPassword,
    outcome::{Failure, Outcome},
    record::{Recorder, Tally, held_by_suspicion},
    report::Report,
    verdict::Trouble,
};
use super::{
    clock::Clock,
    intake::{
        claims::{Looking, Writing},
        dirty::{Causes, Waiting},
        inbox::Mailbox,
    },
    settings::{tenants::Other, validate::Validated},
    stop::Stop,
};
use crate::{
    api::{
        employee_sync::Trigger,
        integration::{Approved, PlanSummary},
        reasons::IntegrationReason,
    },
    bob,
    cluster::{
        events::Events,
        leadership::Leadership,
        roster::{Employees, Entry},
        status::Writer,
    },
    domain::{
        account::Access,
        employee::Employee,
        lost::Moment,
        matching::{Matcher, Person, PersonIndex},
        plan::{Change, Kind, Planned, plan},
        priority::Class,
        settings::ExistingEmployees,
    },
    provider::{Initial, Listing, Provider},
    telemetry::metrics::Metrics,
};

/// How many statuses are written at the same time.
const RECORDED_AT_ONCE: usize = 32;

/// How long an employee waits for a change that is under way before the next look.
pub const SOON: Duration = Duration::from_millis(200);

/// Everything that a pass works with. The raw spec is not part of it.
pub struct Pass<'a> {
    /// The uid of the integration.
    pub uid: &'a str,
    /// The validated settings of the integration.
    pub validated: &'a Validated,
    /// The client of Bob, the source.
    pub bob: &'a bob::Client,
    /// The provider, the target.
    pub provider: &'a dyn Provider,
    /// What is known of the employees.
    pub roster: Employees<'a>,
    /// Writes objects and statuses.
    pub writer: &'a Writer,
    /// Publishes the events.
    pub events: &'a Events,
    /// Counts for the metrics.
    pub metrics: &'a Metrics,
    /// Tells the time.
    pub clock: &'a Clock,
    /// Receives the events about the employees of this integration.
    pub mailbox: &'a Mailbox,
    /// What the answers of Bob showed of all employees together.
    pub company: &'a Company,
    /// Says whether this process may write.
    pub leadership: &'a Leadership,
    /// The employees that the pass is about.
    pub scope: Scope<'a>,
    /// Since when this pass looks at the employees.
    pub looking: &'a Looking<'a>,
    /// What woke the pass.
    pub trigger: Trigger,
    /// The causes for single employees. A pass over some employees is about exactly these.
    pub causes: &'a Causes,
    /// The time after which changes that are not urgent no longer begin.
    pub deadline: Instant,
    /// How many changes that are not urgent have had their turn, in all passes of this integration.
    pub turns: &'a AtomicU64,
    /// What is known of earlier reads of Bob.
    pub last_read: observe::LastRead,
    /// Whether this integration has never completed a pass.
    pub first_pass: bool,
    /// Whether statuses are gone that existed at the last pass.
    pub forgotten: bool,
    /// The day on which the first pass was completed (UTC).
    pub since: Option<Date>,
    /// What follows from the beginning of the integration.
    pub begins: Begins,
    /// All other integrations of the same tenant, the oldest first.
    pub others: &'a [Other],
    /// The digest that a person approved and that has not been released yet.
    pub approved: Option<&'a str>,
    /// The plan that was released last.
    pub released: Option<&'a Approved>,
    /// Records that this plan is released, before any change of it goes out. The flag says whether
    /// the plan lets employees leave management. Returns whether that was recorded.
    pub release: &'a (dyn Fn(String, bool) -> BoxFuture<'a, bool> + Sync),
    /// Reads the initial password of new accounts, if the settings name one.
    pub initial_password: &'a InitialPassword,
    /// Returns whether the pass has to end early.
    pub halted: &'a (dyn Fn() -> bool + Sync),
    /// Completes when the pass has to end early.
    pub halting: &'a (dyn Fn() -> BoxFuture<'a, ()> + Sync),
    /// Returns the refusal of a change that the provider refused before and that is not due again.
    pub skip: &'a (dyn Fn(&str, u64) -> Option<Failure> + Sync),
    /// Returns whether an employee's change failed when it was tried before.
    pub failed_before: &'a (dyn Fn(&str) -> bool + Sync),
    /// Notes every refusal and every success, so that a refused change is tried less and less
    /// often.
    pub tried: &'a (dyn Fn(&str, u64, Option<&Failure>) + Sync),
}

impl Pass<'_> {
    /// Runs the pass and returns its report.
    pub async fn run(&self) -> Report {
        let began = Instant::now();
        let first_must_be_whole =
            self.validated.settings.existing_employees == ExistingEmployees::OnChange;
        let provider_name = Some(self.validated.target.catalog().name);
        let mut report = Report {
            dry_run: self.validated.dry_run,
            first_must_be_whole,
            provider_name,
            ..Report::default()
        };
        if let Err(stop) = self.steps(&mut report).await {
            match stop.reason {
                IntegrationReason::BobUnauthorized
                | IntegrationReason::BobForbidden
                | IntegrationReason::BobUnavailable => report.bob = Some(false),
                _ if stop.answered => report.provider = Some(true),
                _ => report.provider = Some(false),
            }
            report.stop = Some(stop);
        }
        self.mailbox.plan_ended(self.looking.epoch());
        self.mailbox.ledger.lock().close(self.looking.epoch());
        report.took = began.elapsed();
        if report.read_for.is_zero() {
            report.read_for = report.took;
        }
        report
    }

    /// Runs the steps: observe → decide → plan → guard → execute → record.
    async fn steps(&self, report: &mut Report) -> Result<(), Stop> {
        let settings = &self.validated.settings;
        let requests = self.requests();

        match self.scope {
            Scope::Some { on_evidence: true, .. } => return self.on_evidence(report).await,
            Scope::Some { line, unavailable, on_evidence: false } => {
                return self.some(report, line, unavailable, &requests).await;
            }
            Scope::Everybody { .. } => {}
        }
        let (began, now) = (Instant::now(), self.clock.now());
        let reading = observe::employees(self.bob, settings, self.roster, &self.last_read, now);
        let Some(source) = self.unless_halted(reading).await else {
            report.cut = Some(Cut::Halted);
            return Ok(());
        };
        let source = source?;
        report.bob = Some(true);
        report.in_bob = Some(source.in_bob);
        report.suspicion = source.suspicion;
        report.unseen_fields = source.unseen_fields;
        report.absent = source.absent;
        report.zones = source.zones;
        self.mailbox.company(source.company);

        let mut people = decide::everybody(&self.deciding(), source.employees);
        let Ok(released_now) = self.keep_in(&mut people, report).await else {
            report.cut = Some(Cut::Unrecorded);
            return Ok(());
        };

        let mut matcher = Matcher::new(&settings.mapping, &people, settings.adopt)
            .protecting(&settings.protected);
        let Some(listing) = self.listed(&people, &mut matcher).await else {
            report.cut = Some(Cut::Halted);
            return Ok(());
        };
        let listing = listing.inspect_err(|_| self.leavers_do_not_wait(&people))?;
        self.look_up_unlisted(&people, &mut matcher).await?;
        report.provider = Some(true);
        report.read_for = began.elapsed();
        report.unavailable_targets = listing
            .unavailable
            .iter()
            .map(|row| settings.mapping.rows[*row].target.to_string())
            .collect();
        if let Scope::Everybody { listed, .. } = self.scope {
            let unavailable =
                report.unavailable_targets.iter().map(|target| target.as_str().into());
            listed(unavailable.collect(), &self.unseen(&people));
        }
        let mut planned = Self::plan(matcher, &listing);

        let mut guarding = self.guarding(&requests, self.approved);
        if let Some(digest) = &released_now {
            guarding.released_before = digest;
        }
        let released = guard::release(&guarding, &mut planned, &listing);
        report.held.clone_from(&released.held.plan);
        report.planned = Some(released.planned);
        if let Some(digest) = &released.held.released
            && !(self.release)(digest.clone(), false).await
        {
            report.cut = Some(Cut::Unrecorded);
            return Ok(());
        }

        let left_alone = [&listing.unavailable[..], &released.held.frozen[..]].concat();
        let recorder = self.recorder(
            &planned,
            &requests,
            &source.deleted_now,
            self.approvals(&released),
            &left_alone,
        );
        let summary = if self.validated.dry_run {
            recorder
                .without_change(|change| Some(waiting(&recorder, &planned.plan.changes[change])))
                .await;
            let scope = report.scope.as_ref().map(|scope| scope.because.clone());
            let both: Vec<String> = scope.into_iter().chain(released.would_hold.clone()).collect();
            report.would_hold = (!both.is_empty()).then(|| both.join("; "));
            report.plan = Some(summarise(&planned));
            Summary::default()
        } else {
            self.converge(&planned, &released, &recorder, &listing.unavailable, &[]).await
        };
        self.looked_at(&people);
        if report.zones.is_some() {
            self.company.see_everybody(people.iter().map(|person| &person.employee), |id| {
                self.looking.is_outdated(id)
            });
        }
        self.company.hide(&report.unseen_fields);
        if listing.whole {
            self.roster.without_account(None);
        }
        recorder.end(report);
        report.cut = summary.cut;
        if let Some(stop) = summary.stop {
            report.provider = Some(stop.answered);
            report.stop = Some(stop);
        } else if let Some(message) = source.suspect {
            report.stop = Some(Stop::new(IntegrationReason::SourceSuspect, message));
        } else if let Some(message) = released.target_suspect {
            report.stop = Some(Stop::new(IntegrationReason::TargetSuspect, message));
        }
        Ok(())
    }

    /// Awaits a read, unless the pass has to end early: a newer spec has no use for that read.
    async fn unless_halted<T>(&self, reading: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            read = reading => Some(read),
            () = (self.halting)() => None,
        }
    }

    /// Puts employees into the urgent line if they lose access and their account is on record as
    /// open. The urgent line looks up such an account by its id, so a failed listing does not leave
    /// access open.
    fn leavers_do_not_wait(&self, people: &[Person]) {
        if self.validated.dry_run {
            return;
        }
        let now = Instant::now();
        let known = |person: &Person| {
            person.known_account.is_some() && (person.known_active || person.sessions_open)
        };
        let open = |person: &&Person| person.several || known(person);
        for person in people
            .iter()
            .filter(open)
            .filter(|person| person.decision.existing == Some(Access::Suspended))
        {
            self.mailbox.dirty.add(person.employee.id(), Trigger::Retry, Class::Leaver, now);
        }
    }

    /// Returns what every decision rests on, except the person.
    fn deciding(&self) -> Deciding<'_> {
        Deciding {
            settings: &self.validated.settings,
            roster: self.roster,
            ends_sessions: self.validated.target.catalog().capabilities.ends_sessions,
            others: self.others,
            first_pass: self.first_pass,
            forgotten: self.forgotten,
            since: self.since,
            now: self.clock.now(),
        }
    }

    /// Returns what the guard looks at, except the plan.
    fn guarding<'b>(
        &'b self,
        requests: &'b HashMap<Box<str>, Box<str>>,
        approved: Option<&'b str>,
    ) -> Guarding<'b> {
        let some = matches!(self.scope, Scope::Some { .. });
        Guarding {
            settings: &self.validated.settings,
            roster: self.roster,
            requests,
            dry_run: self.validated.dry_run,
            first_pass: self.begins.limitless,
            restored: self.begins.restored,
            approved,
            released: self.released,
            released_before: self.released.map_or(self.uid, |released| &released.digest),
            some,
            ledger: &self.mailbox.ledger,
            lost: &self.mailbox.noted.lost,
            moment: Moment {
                now: self.clock.now(),
                interval: i64::try_from(self.validated.interval.as_secs()).unwrap_or(i64::MAX),
                apart: self.last_read.apart,
                asked: self.last_read.asked,
            },
            pass: self.looking.epoch(),
            events: some || matches!(self.trigger, Trigger::Webhook | Trigger::Transition),
            interval: self.validated.interval,
            now: self.clock.now(),
        }
    }

    /// Returns the employees that an event announced and that Bob shows unchanged or does not show.
    fn unseen(&self, people: &[Person]) -> Vec<Box<str>> {
        if self.causes.is_empty() {
            return Vec::new();
        }
        let is_other = |employee: &Employee| {
            let known = self.roster.with(employee.id(), |entry| entry.map_or(0, |entry| entry.row));
            known != single::row(employee)
        };
        let employees = people
            .iter()
            .map(|person| &person.employee)
            .filter(|employee| self.causes.contains_key(employee.id()) && !employee.unread);
        let changed: HashSet<&str> =
            employees.filter(|employee| is_other(employee)).map(Employee::id).collect();
        self.causes.keys().filter(|employee| !changed.contains(&***employee)).cloned().collect()
    }

    /// Remembers what Bob said of these employees, so that a pass after the next event can tell
    /// whether Bob shows the change.
    fn looked_at(&self, people: &[Person]) {
        let rows: Vec<(&str, u64)> = people
            .iter()
            .map(|person| &person.employee)
            .filter(|employee| {
                !employee.is_without_a_row() && !self.looking.is_outdated(employee.id())
            })
            .map(|employee| (employee.id(), single::row(employee)))
            .collect();
        self.roster.looked(rows.into_iter());
        // Employees who had no row when Bob was read before have one now.
        let employees =
            people.iter().map(|person| &person.employee).filter(|employee| !employee.expected);
        self.roster
            .shown(employees.flat_map(|employee| observe::shown(std::slice::from_ref(employee))));
    }

    /// Returns the plan, without rows whose target the provider does not have.
    fn plan<'b>(matcher: Matcher<'b>, listing: &Listing) -> Planned<'b> {
        let mut planned = plan(matcher, listing.whole);
        planned.plan.without_rows(&listing.unavailable);
        planned.name_pins_without(&listing.unavailable);
        planned
    }

    /// Executes the released changes and records each outcome as it comes.
    async fn converge(
        &self,
        planned: &Planned<'_>,
        released: &Released,
        recorder: &Recorder<'_>,
        unavailable: &[usize],
        deferred: &[bool],
    ) -> Summary {
        let (told, outcomes) = mpsc::unbounded_channel::<Told<'_>>();
        let progress = self.progress();
        progress
            .iter()
            .for_each(|progress| progress.write(released.go.iter().filter(|go| **go).count()));
        let (over, end) = oneshot::channel::<()>();
        let skip = |change: &Change| (self.skip)(planned.id(change.person), fingerprint(change));
        let failed_before = |change: &Change| (self.failed_before)(planned.id(change.person));
        // The password is read only when it is needed, and it is dropped at the end of this step.
        let creates = planned
            .plan
            .changes
            .iter()
            .zip(&released.go)
            .any(|(change, go)| *go && change.kind == Kind::Create);
        let password = if creates { self.initial_password.read().await } else { Ok(None) };
        let initial = password.as_ref().map(|password| Initial {
            password: password.as_ref(),
            change_at_first_login: self.validated.change_password_on_first_login,
        });
        let now = self.clock.now();
        let since = |person: PersonIndex| self.waiting_since(planned.id(person), now);
        let waiting =
            |depths| self.mailbox.plan_waits(self.looking.epoch(), depths, self.clock.now());
        let execution = Execution {
            provider: self.provider,
            initial,
            unavailable,
            planned,
            looking: self.looking,
            released,
            leadership: self.leadership,
            halted: self.halted,
            deadline: self.deadline,
            since: &since,
            waiting: &waiting,
            turns: self.turns,
            adopt: self.validated.settings.adopt,
            protected: &self.validated.settings.protected,
            skip: &skip,
            failed_before: &failed_before,
            pause: &pause,
        };
        // The future is boxed: without that, the compiler cannot prove that both closures can move
        // between threads.
        let executing: BoxFuture<'_, Summary> = Box::pin(async move {
            let summary = execute(&execution, |person, outcome, claim| {
                let id = planned.id(person);
                if matches!(outcome, Outcome::Busy) {
                    self.again_soon(id);
                }
                if let Some(change) = planned.change(person) {
                    match &outcome {
                        Outcome::Done(_) => (self.tried)(id, 0, None),
                        Outcome::Failed { failure, .. } => {
                            (self.tried)(id, fingerprint(change), Some(failure))
                        }
                        Outcome::Seen(_) | Outcome::Waiting | Outcome::Outdated | Outcome::Busy => {
                        }
                    }
                }
                if let Some(progress) = progress.filter(|_| !matches!(outcome, Outcome::Waiting)) {
                    progress.wrote_one();
                }
                // The receiver lives until the end of this step closes the channel.
                let _ = told.send((person, outcome, claim));
            })
            .await;
            drop((told, over));
            summary
        });
        let without_change = recorder.without_change(|change| {
            let planned = || recorder.planned(planned.plan.changes[change].person);
            match (released.go[change], released.held.changes[change]) {
                (true, _) => None,
                _ if deferred.get(change) == Some(&true) => None,
                (false, true) => Some(Trouble::Held { planned: planned() }),
                (false, false) => Some(held_by_suspicion()),
            }
        });
        let still_waiting = early::still_waiting(recorder, released, end);
        let (summary, (), (), ()) =
            tokio::join!(executing, without_change, record_each(recorder, outcomes), still_waiting);
        self.wait_for_managers(recorder);
        recorder.sum_up();
        summary
    }

    /// Puts an employee back into the line because another pass is writing to the employee now.
    fn again_soon(&self, employee: &str) {
        let now = Instant::now();
        let waiting = self
            .causes
            .get(employee)
            .copied()
            .unwrap_or_else(|| Waiting::new(Trigger::Retry, Class::Mover, now));
        self.mailbox.dirty.again(employee, waiting, now + SOON);
    }

    /// Returns since when an employee waits, in seconds of the epoch. That is the earliest of three
    /// times: of the first event without an answer, of a date that came, and since when the status
    /// says that something is not as decided. Without any of them it is the present time.
    fn waiting_since(&self, employee: &str, now: Timestamp) -> i64 {
        let told = self
            .causes
            .get(employee)
            .map(|cause| i64::try_from(cause.since.elapsed().as_secs()).unwrap_or(0));
        let now = now.as_second();
        let known =
            self.roster.with(employee, |entry| entry.and_then(|entry| entry.waiting_since(now)));
        told.map(|ago| now.saturating_sub(ago)).into_iter().chain(known).min().unwrap_or(now)
    }

    /// Returns the sync requests of single employees that existed before Bob was read.
    fn requests(&self) -> HashMap<Box<str>, Box<str>> {
        let mut requests = HashMap::new();
        let mut look = |employee: &str, entry: &Entry| {
            if let Some(requested) = &entry.sync_requested {
                requests.insert(employee.into(), requested.clone());
            }
        };
        match self.scope {
            Scope::Everybody { .. } => self.roster.for_each(look),
            Scope::Some { .. } => self.causes.keys().for_each(|employee| {
                self.roster.with(employee, |entry| {
                    entry.into_iter().for_each(|entry| look(employee, entry))
                });
            }),
        }
        requests
    }

    /// Returns which changes of the plan go out because a person approved them.
    fn approvals<'b>(&'b self, released: &'b Released) -> record::Approved<'b> {
        let held = &released.held;
        record::Approved {
            released: held.released.as_deref().map(|digest| (digest, &held.approved[..])),
            continued: self.released.map(|released| (released, &held.continued[..])),
            parts: Some(&held.parts),
            kinds: Some(&released.kinds),
        }
    }

    fn recorder<'b>(
        &'b self,
        planned: &'b Planned<'b>,
        requests: &'b HashMap<Box<str>, Box<str>>,
        deleted_now: &'b HashSet<Box<str>>,
        approved: record::Approved<'b>,
        left_alone: &'b [usize],
    ) -> Recorder<'b> {
        Recorder {
            uid: self.uid,
            validated: self.validated,
            roster: self.roster,
            writer: self.writer,
            events: self.events,
            metrics: self.metrics,
            clock: self.clock,
            claims: &self.mailbox.claims,
            looking: self.looking,
            causes: self.causes,
            unsettled: Mutex::default(),
            ended: Mutex::default(),
            leaderless: Mutex::default(),
            progress: self.progress(),
            trigger: self.trigger,
            requests,
            deleted_now,
            approved,
            planned,
            left_alone,
            tally: Mutex::new(Tally::default()),
            unwritten: Mutex::default(),
            owes: self.roster.owes(),
            told: Mutex::default(),
        }
    }
}

/// What the execution sends for each employee.
type Told<'a> = (PersonIndex, Outcome, Option<Writing<'a>>);

/// Records outcomes as they come, several at the same time.
async fn record_each(recorder: &Recorder<'_>, mut outcomes: mpsc::UnboundedReceiver<Told<'_>>) {
    let mut writing = FuturesUnordered::new();
    loop {
        tokio::select! {
            next = outcomes.recv(), if writing.len() < RECORDED_AT_ONCE => match next {
                Some((person, outcome, claim)) => writing.push(async move {
                    recorder.outcome(person, outcome).await;
                    // Another pass may write to this person only from here on.
                    drop(claim);
                }),
                None => break,
            },
            Some(()) = writing.next(), if !writing.is_empty() => {}
        }
    }
    while writing.next().await.is_some() {}
}

fn waiting(recorder: &Recorder<'_>, change: &Change) -> Trouble {
    Trouble::Waiting { planned: recorder.planned(change.person), dry_run: true }
}

fn summarise(planned: &Planned<'_>) -> PlanSummary {
    let counts = planned.plan.counts();
    PlanSummary {
        digest: planned.digest(),
        creates: counts.creates,
        reactivations: counts.reactivations,
        updates: counts.updates,
        disables: counts.disables,
        leaving: 0,
        held_because: None,
    }
}

/// Returns a number that is equal for equal changes of one person and never 0.
fn fingerprint(change: &Change) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hash = DefaultHasher::new();
    (
        change.kind,
        &change.account,
        &change.also,
        &change.write.attributes,
        &change.write.mark,
        change.write.access,
    )
        .hash(&mut hash);
    hash.finish().max(1)
}
