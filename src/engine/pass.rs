//! One pass, as a sequence of steps:
//! `observe` → `decide` → (`domain::plan`) → `guard` → `execute` → `record`.
//!
//! - `answered`: what an answer of Bob says. `last_read`: what earlier reads left behind.
//! - `single`: reads single employees. `confirm`: reads by id the employees that an answer of Bob
//!   lacks.
//! - `outcome`: how a change ended. `verdict`: what the status of one employee says.
//! - `report`: what the status of the integration says. `initial_password`: the initial password of
//!   new accounts.

pub mod answered;
pub mod company;
pub mod confirm;
pub mod context;
pub mod decide;
mod early;
pub mod execute;
pub mod guard;
pub mod initial_password;
pub mod last_read;
mod lost;
pub mod observe;
pub mod outcome;
pub mod record;
pub mod refusals;
pub mod report;
mod scope;
pub mod single;
mod some;
pub mod verdict;
mod whom;

use std::{collections::HashSet, time::Duration};

use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use self::{
    context::{Cluster, Concurrent, Integration, Memory, Request, Requests, Retries, Services},
    decide::Deciding,
    execute::{Cut, Execution, Pace, Summary, execute, pause},
    guard::{Approvals, Guarding, OtherPasses, Released, Sort},
    outcome::{Failure, Outcome},
    record::{ApprovedParts, Basis, Recorder, held_by_suspicion},
    report::Report,
    verdict::Trouble,
};
pub use self::{
    scope::HeldScope,
    whom::{Listed, Rest, Scope},
};
use super::{
    intake::{claims::Writing, dirty::Waiting},
    stop::Stop,
};
use crate::{
    api::{employee_sync::Trigger, integration::PlanSummary, reasons::IntegrationReason},
    cluster::roster::Entry,
    domain::{
        account::Access,
        employee::Employee,
        lost::Moment,
        matching::{Matcher, Person, PersonIndex},
        plan::{Change, Fate, Kind, Planned, plan},
        priority::Class,
        settings::ExistingEmployees,
    },
    provider::{Initial, Listing},
};

/// How many statuses are written at the same time.
const RECORDED_AT_ONCE: usize = 32;

/// How long an employee waits for a change that is under way before the next look.
pub const SOON: Duration = Duration::from_millis(200);

/// Everything that a pass works with. The raw spec is not part of it.
pub struct Pass<'a> {
    /// The integration that the pass is about.
    pub integration: Integration<'a>,
    /// The cluster, and what this process is in it.
    pub cluster: Cluster<'a>,
    /// The services between which the pass moves data.
    pub services: Services<'a>,
    /// What the pass is to do, and why.
    pub request: Request<'a>,
    /// What earlier passes left behind.
    pub memory: Memory<'a>,
    /// What it shares with the passes that run at the same time.
    pub concurrent: Concurrent<'a>,
    /// Records that this plan is released, before any change of it goes out. The flag says whether
    /// the plan lets employees leave management. Returns whether that was recorded.
    pub release: &'a (dyn Fn(String, bool) -> BoxFuture<'a, bool> + Sync),
}

impl Pass<'_> {
    /// Runs the pass and returns its report.
    pub async fn run(&self) -> Report {
        let began = Instant::now();
        let first_must_be_whole =
            self.integration.settings().existing_employees == ExistingEmployees::OnChange;
        let provider_name = Some(self.integration.validated.target.catalog().name);
        let mut report = Report {
            dry_run: self.integration.validated.dry_run,
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
        self.concurrent.mailbox.plan_ended(self.concurrent.looking.epoch());
        self.concurrent.mailbox.ledger.lock().close(self.concurrent.looking.epoch());
        report.took = began.elapsed();
        if report.read_for.is_zero() {
            report.read_for = report.took;
        }
        report
    }

    /// Runs the steps: observe → decide → plan → guard → execute → record.
    async fn steps(&self, report: &mut Report) -> Result<(), Stop> {
        let settings = self.integration.settings();
        let requests = self.requests();

        match self.request.scope {
            Scope::Some { on_evidence: true, .. } => return self.on_evidence(report).await,
            Scope::Some { line, unavailable, on_evidence: false } => {
                return self.some(report, line, unavailable, &requests).await;
            }
            Scope::Everybody { .. } => {}
        }
        let (began, now) = (Instant::now(), self.cluster.clock.now());
        let reading = observe::employees(
            self.services.bob,
            settings,
            self.integration.roster,
            &self.memory.last_read,
            now,
        );
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
        self.concurrent.mailbox.company(source.company);

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
        if let Scope::Everybody { listed, .. } = self.request.scope {
            let unavailable =
                report.unavailable_targets.iter().map(|target| target.as_str().into());
            listed(unavailable.collect(), &self.unseen(&people));
        }
        let mut planned = Self::plan(matcher, &listing);

        let mut guarding = self.guarding(&requests, self.memory.approved_digest);
        if let Some(digest) = &released_now {
            guarding.approvals.released_before = digest;
        }
        let released = guard::release(&guarding, &mut planned, &listing);
        report.held.clone_from(&released.held.plan);
        report.planned = Some(released.planned);
        if let Some(digest) = &released.held.released_digest
            && !(self.release)(digest.clone(), false).await
        {
            report.cut = Some(Cut::Unrecorded);
            return Ok(());
        }

        let left_alone = [&listing.unavailable[..], &released.held.frozen[..]].concat();
        let basis = Basis {
            requests: &requests,
            deleted_now: &source.deleted_now,
            approved: self.approvals(&released),
            left_alone: &left_alone,
        };
        let recorder = self.recorder(&planned, basis);
        let summary = if self.integration.validated.dry_run {
            recorder.without_change(|change| Some(waiting(&recorder, change))).await;
            let scope = report.scope.as_ref().map(|scope| scope.because.clone());
            let both: Vec<String> = scope.into_iter().chain(released.would_hold.clone()).collect();
            report.would_hold = (!both.is_empty()).then(|| both.join("; "));
            report.plan = Some(summarise(&planned));
            Summary::default()
        } else {
            self.converge(&planned, &released, &recorder, &listing.unavailable).await
        };
        self.looked_at(&people);
        if report.zones.is_some() {
            self.concurrent
                .company
                .see_everybody(people.iter().map(|person| &person.employee), |id| {
                    self.concurrent.looking.is_outdated(id)
                });
        }
        self.concurrent.company.hide(&report.unseen_fields);
        if listing.whole {
            self.integration.roster.without_account(None);
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
            () = (self.concurrent.halting)() => None,
        }
    }

    /// Puts employees into the urgent line if they lose access and their account is on record as
    /// open. The urgent line looks up such an account by its id, so a failed listing does not leave
    /// access open.
    fn leavers_do_not_wait(&self, people: &[Person]) {
        if self.integration.validated.dry_run {
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
            self.concurrent.mailbox.dirty.add(
                person.employee.id(),
                Trigger::Retry,
                Class::Leaver,
                now,
            );
        }
    }

    /// Returns what every decision rests on, except the person.
    fn deciding(&self) -> Deciding<'_> {
        let capabilities = &self.integration.validated.target.catalog().capabilities;
        Deciding {
            integration: self.integration,
            past: self.memory.past,
            ends_sessions: capabilities.ends_sessions,
            change_at_first_login: self.integration.validated.change_password_on_first_login,
            now: self.cluster.clock.now(),
        }
    }

    /// Returns what the guard looks at, except the plan.
    fn guarding<'b>(
        &'b self,
        requests: &'b Requests,
        approved_digest: Option<&'b str>,
    ) -> Guarding<'b> {
        let Integration { roster, uid, validated, .. } = self.integration;
        let Memory { last_read, begins, last_approval, .. } = &self.memory;
        let noted = &self.concurrent.mailbox.noted;
        let is_partial = self.request.is_partial();
        Guarding {
            roster,
            validated,
            requests,
            begins: *begins,
            approvals: Approvals {
                approved_digest,
                last: *last_approval,
                released_before: last_approval.map_or(uid, |last| &last.digest),
            },
            others: OtherPasses {
                lost: &noted.lost,
                ledger: &self.concurrent.mailbox.ledger,
                pass: self.concurrent.looking.epoch(),
            },
            sort: Sort {
                is_partial,
                by_events: is_partial
                    || matches!(self.request.trigger, Trigger::Webhook | Trigger::Transition),
            },
            moment: Moment {
                now: self.cluster.clock.now(),
                interval: i64::try_from(validated.interval.as_secs()).unwrap_or(i64::MAX),
                apart: last_read.apart,
                asked: last_read.asked,
            },
        }
    }

    /// Returns the employees that an event announced and that Bob shows unchanged or does not show.
    fn unseen(&self, people: &[Person]) -> Vec<Box<str>> {
        if self.request.causes.is_empty() {
            return Vec::new();
        }
        let is_other = |employee: &Employee| {
            let known = self
                .integration
                .roster
                .with(employee.id(), |entry| entry.map_or(0, |entry| entry.row));
            known != answered::row(employee)
        };
        let employees = people
            .iter()
            .map(|person| &person.employee)
            .filter(|employee| self.request.causes.contains_key(employee.id()) && !employee.unread);
        let changed: HashSet<&str> =
            employees.filter(|employee| is_other(employee)).map(Employee::id).collect();
        self.request
            .causes
            .keys()
            .filter(|employee| !changed.contains(&***employee))
            .cloned()
            .collect()
    }

    /// Remembers what Bob said of these employees, so that a pass after the next event can tell
    /// whether Bob shows the change.
    fn looked_at(&self, people: &[Person]) {
        let rows: Vec<(&str, u64)> = people
            .iter()
            .map(|person| &person.employee)
            .filter(|employee| {
                !employee.is_without_a_row() && !self.concurrent.looking.is_outdated(employee.id())
            })
            .map(|employee| (employee.id(), answered::row(employee)))
            .collect();
        self.integration.roster.looked(rows.into_iter());
        // Employees who had no row when Bob was read before have one now.
        let employees =
            people.iter().map(|person| &person.employee).filter(|employee| !employee.expected);
        self.integration
            .roster
            .shown(employees.flat_map(|employee| answered::shown(std::slice::from_ref(employee))));
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
    ) -> Summary {
        let (told, outcomes) = mpsc::unbounded_channel::<Told<'_>>();
        let progress = self.request.progress();
        progress.iter().for_each(|progress| {
            progress.write(planned.plan.changes.iter().filter(|change| change.goes()).count())
        });
        let (over, end) = oneshot::channel::<()>();
        let Retries { refusals, at_once, .. } = self.concurrent.retries;
        let skip = |change: &Change| {
            if at_once { None } else { refusals.of(planned.id(change.person), fingerprint(change)) }
        };
        let failed_before = |change: &Change| refusals.failed(planned.id(change.person));
        // The password is read only when it is needed, and it is dropped at the end of this step.
        let creates = |change: &Change| change.goes() && change.kind == Kind::Create;
        let creates = planned.plan.changes.iter().any(creates);
        let password = if creates { self.services.initial_password.read().await } else { Ok(None) };
        let initial = password.as_ref().map(|password| Initial {
            password: password.as_ref(),
            change_at_first_login: self.integration.validated.change_password_on_first_login,
        });
        let now = self.cluster.clock.now();
        let waiting_since = |person: PersonIndex| self.waiting_since(planned.id(person), now);
        let Concurrent { mailbox, looking, turns, halted, .. } = self.concurrent;
        let waiting = |depths| {
            mailbox.plan_waits(looking.epoch(), depths, self.cluster.clock.now());
        };
        let settings = self.integration.settings();
        let execution = Execution {
            provider: self.services.provider,
            initial,
            planned,
            unavailable,
            released,
            adopt: settings.adopt,
            protected: &settings.protected,
            pace: Pace {
                looking,
                leadership: self.cluster.leadership,
                halted,
                deadline: self.request.deadline,
                waiting_since: &waiting_since,
                waiting: &waiting,
                turns,
                skip: &skip,
                failed_before: &failed_before,
                pause: &pause,
            },
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
                        Outcome::Done(_) => self.tried(id, 0, None),
                        Outcome::Failed { failure, .. } => {
                            self.tried(id, fingerprint(change), Some(failure))
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
        let without_change = recorder.without_change(|change| match change.ruling.fate {
            Fate::Goes | Fate::Deferred => None,
            Fate::Held => Some(Trouble::Held { planned: recorder.planned(change.person) }),
            Fate::Suspect => Some(held_by_suspicion()),
        });
        let still_waiting = early::still_waiting(recorder, end);
        let (summary, (), (), ()) =
            tokio::join!(executing, without_change, record_each(recorder, outcomes), still_waiting);
        self.wait_for_managers(recorder);
        recorder.sum_up();
        summary
    }

    /// Puts an employee back into the line because another pass is writing to the employee now.
    fn again_soon(&self, employee: &str) {
        let now = Instant::now();
        self.concurrent.mailbox.dirty.again(employee, self.cause(employee, now), now + SOON);
    }

    /// Notes how a change of this employee ended. A refused change is tried again, less and less
    /// often.
    fn tried(&self, employee: &str, fingerprint: u64, failure: Option<&Failure>) {
        let Retries { refusals, longest, .. } = self.concurrent.retries;
        if let Some(wait) = refusals.remember(employee, fingerprint, failure, longest) {
            let now = Instant::now();
            let cause = self.cause(employee, now);
            let waiting = Waiting { trigger: Trigger::Retry, looks: 0, ..cause };
            self.concurrent.mailbox.dirty.again(employee, waiting, now + wait);
        }
    }

    /// Returns the cause for which this pass looks at an employee.
    fn cause(&self, employee: &str, now: Instant) -> Waiting {
        let retry = || Waiting::new(Trigger::Retry, Class::Mover, now);
        self.request.causes.get(employee).copied().unwrap_or_else(retry)
    }

    /// Returns since when an employee waits, in seconds of the epoch. That is the earliest of three
    /// times: of the first event without an answer, of a date that came, and since when the status
    /// says that something is not as decided. Without any of them it is the present time.
    fn waiting_since(&self, employee: &str, now: Timestamp) -> i64 {
        let told = self
            .request
            .causes
            .get(employee)
            .map(|cause| i64::try_from(cause.since.elapsed().as_secs()).unwrap_or(0));
        let now = now.as_second();
        let known = self
            .integration
            .roster
            .with(employee, |entry| entry.and_then(|entry| entry.waiting_since(now)));
        told.map(|ago| now.saturating_sub(ago)).into_iter().chain(known).min().unwrap_or(now)
    }

    /// Returns the sync requests of single employees that existed before Bob was read.
    fn requests(&self) -> Requests {
        let mut requests = Requests::new();
        let mut look = |employee: &str, entry: &Entry| {
            if let Some(requested) = &entry.sync_requested {
                requests.insert(employee.into(), requested.clone());
            }
        };
        match self.request.scope {
            Scope::Everybody { .. } => self.integration.roster.for_each(look),
            Scope::Some { .. } => self.request.causes.keys().for_each(|employee| {
                self.integration.roster.with(employee, |entry| {
                    entry.into_iter().for_each(|entry| look(employee, entry))
                });
            }),
        }
        requests
    }

    /// Returns which changes of the plan go out because a person approved them.
    fn approvals<'b>(&'b self, released: &'b Released) -> ApprovedParts<'b> {
        ApprovedParts {
            now: released.held.released_digest.as_deref(),
            continued: self.memory.last_approval,
            parts: Some(&released.held.parts),
        }
    }

    /// Returns the recorder of this plan.
    fn recorder<'b>(&'b self, planned: &'b Planned<'b>, basis: Basis<'b>) -> Recorder<'b> {
        Recorder {
            integration: self.integration,
            cluster: self.cluster,
            request: self.request,
            looking: self.concurrent.looking,
            planned,
            basis,
            owes: self.integration.roster.owes(),
            results: Mutex::default(),
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
