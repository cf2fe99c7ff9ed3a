//! Steps 5 and 6 together: the changes go out one after another, and each outcome is written down
//! as soon as it is known.

use std::time::Duration;

use futures::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    Pass,
    context::{Concurrent, Retries},
    early,
    execute::{Execution, Pace, Summary, execute, pause},
    guard::Released,
    outcome::{Failure, Outcome},
    record::{Recorder, held_by_suspicion},
    report::Report,
    verdict::Trouble,
};
use crate::{
    api::employee_sync::Trigger,
    cluster::roster::Entry,
    domain::{
        mapping::Desired,
        matching::PersonIndex,
        plan::{Change, ChangeKind, Fate, Planned},
        priority::Class,
    },
    engine::intake::{claims::WriteClaim, lines::Waiting},
    provider::{Initial, Listing},
};

/// How many statuses are written at the same time.
const RECORDED_AT_ONCE: usize = 32;

/// How long an employee waits for a change that is under way before the next look.
pub const SOON: Duration = Duration::from_millis(200);

impl Pass<'_> {
    /// Executes the released changes and records every outcome. A dry run records what would be
    /// done.
    pub(super) async fn carry_out(
        &self,
        released: &Released,
        recorder: &Recorder<'_>,
        listing: &Listing,
        report: &mut Report,
    ) -> Summary {
        if self.integration.validated.dry_run {
            recorder.without_change(|change| Some(waiting(recorder, change))).await;
            report.would_do(recorder.planned, released);
            Summary::default()
        } else {
            self.converge(released, recorder, &listing.unavailable).await
        }
    }

    /// Executes the released changes and records each outcome as it comes.
    async fn converge(
        &self,
        released: &Released,
        recorder: &Recorder<'_>,
        unavailable: &[usize],
    ) -> Summary {
        let planned = recorder.planned;
        let (told, outcomes) = mpsc::unbounded_channel::<Executed<'_>>();
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
        let creates = |change: &Change| change.goes() && change.kind == ChangeKind::Create;
        let creates = planned.plan.changes.iter().any(creates);
        let password = if creates { self.services.initial_password.read().await } else { Ok(None) };
        let initial = password.as_ref().map(|password| Initial {
            password: password.as_ref(),
            change_at_first_login: self.integration.validated.change_password_on_first_login,
        });
        let now = self.cluster.clock.now();
        let waiting_since = |person: PersonIndex| self.waiting_since(planned.id(person), now);
        let Concurrent { mailbox, handle, turns, halted, .. } = self.concurrent;
        let waiting = |depths| {
            mailbox.plan_waits(handle.epoch(), depths, self.cluster.clock.now());
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
                handle,
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
        self.concurrent.mailbox.lines.again(employee, self.cause(employee, now), now + SOON);
    }

    /// Notes how a change of this employee ended. A refused change is tried again, less and less
    /// often.
    fn tried(&self, employee: &str, fingerprint: u64, failure: Option<&Failure>) {
        let Retries { refusals, longest, .. } = self.concurrent.retries;
        if let Some(wait) = refusals.remember(employee, fingerprint, failure, longest) {
            let now = Instant::now();
            let cause = self.cause(employee, now);
            let waiting = Waiting { trigger: Trigger::Retry, looks: 0, ..cause };
            self.concurrent.mailbox.lines.again(employee, waiting, now + wait);
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

    /// Notes the employees with a manager who has no account yet, so that they are looked at when
    /// the manager gets one.
    fn wait_for_managers(&self, recorder: &Recorder<'_>) {
        let Planned { mapping, people, .. } = recorder.planned;
        let awaiting_manager = recorder.take_awaiting_manager();
        let pairs = awaiting_manager.into_iter().filter_map(|index| {
            let employee = &people[index as usize].employee;
            match mapping.desired(mapping.manager?, employee) {
                Desired::Person(manager) => Some((Box::from(employee.id()), Box::from(manager))),
                _ => None,
            }
        });
        let some = self
            .request
            .is_partial()
            .then(|| people.iter().map(|person| person.employee.id()).collect());
        self.concurrent.mailbox.wait_for_managers(some, pairs.collect());
        self.concurrent.mailbox.have_accounts(|id| {
            self.integration.roster.with(id, |entry| entry.is_some_and(Entry::has_managed_account))
        });
    }
}

/// What the execution sends for each employee.
type Executed<'a> = (PersonIndex, Outcome, Option<WriteClaim<'a>>);

/// Records outcomes as they come, several at the same time.
async fn record_each(recorder: &Recorder<'_>, mut outcomes: mpsc::UnboundedReceiver<Executed<'_>>) {
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
