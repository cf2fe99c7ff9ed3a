//! Partial passes: at once, and at the same time as a full pass. Each line of the mailbox is served
//! separately, so that a suspension waits for no update. Work that could not be finished goes into
//! the line again: after 5, 15 and 30 seconds if Bob does not show a change yet, and after growing
//! waits if a change failed. Each employee has a wait of its own.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use tokio::time::Instant;

use super::{
    again::{look_again, rests_on_bob},
    session::{PassRequest, Session, class_of_date},
    state::{self, Ready, Serves},
};
use crate::{
    api::employee_sync::Trigger,
    domain::priority::{Class, Urgency},
    engine::{
        intake::lines::{Causes, Waiting},
        pass::{SOON, Scope, report::Report},
    },
    telemetry::health::Beat,
};

/// How long a pass may begin changes that are not urgent. After it, employees who came in the
/// meantime get their turn.
const TURN: Duration = Duration::from_secs(15);
/// A partial pass that takes longer than this is stuck: a service asks for an hour at most.
const LONGEST: Duration = Duration::from_mins(90);
/// The wait after a pass without an answer, and the first one after a failed change.
pub const RETRY: Duration = Duration::from_secs(10);
/// The average time between full passes that events ask for. A multiple of the time that the last
/// one took to read is added.
const APART: Duration = Duration::from_secs(5);
/// How many employees at most are looked at singly at once while a full pass is under way.
const AT_ONCE: usize = 100;

/// The name under which the wait grows while the records of employees cannot be written.
pub const RECORDS: &str = "records";

/// Serves one line until the process stops. Takes no employee out of the line who cannot be served
/// now.
pub async fn serve(session: Arc<Session>, line: Urgency, beat: Beat) {
    let mut stopping = session.shared.stopping.clone();
    let mut place = session.place.watch();
    loop {
        tokio::select! {
            () = beat.during(session.shared.leadership.wait_to_lead()) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let serves = place.borrow_and_update().serves(line);
        let lines = &session.mailbox.lines;
        let may =
            |employee: &str, waiting: &Waiting| may_be_served(&session, &serves, employee, waiting);
        let next = async {
            match serves {
                Serves::NoOne | Serves::Evidence(_) => std::future::pending().await,
                Serves::Everyone(_) | Serves::Known(_) | Serves::Suspended => {
                    lines.wait_of(line, may).await
                }
            }
        };
        tokio::select! {
            () = beat.during(next) => {}
            () = session.shared.leadership.lost() => continue,
            // The session holds the sender.
            _ = place.changed() => continue,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        match &serves {
            Serves::NoOne | Serves::Evidence(_) => {}
            // An integration that goes on again begins with a full pass. Events that come from now
            // on are served after that pass.
            Serves::Suspended if session.object.borrow().spec.suspend => lines.clear(),
            // The integration is about to go on, and begins with a full pass.
            Serves::Suspended => tokio::select! {
                _ = beat.during(place.changed()) => {}
                () = session.shared.leadership.lost() => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            },
            Serves::Everyone(ready) | Serves::Known(ready) => {
                let taken = lines.take_of(line, Instant::now(), may);
                taken.iter().for_each(|(employee, _)| session.forget_evidence(employee));
                beat.within(LONGEST, Box::pin(turn(&session, ready, line, taken))).await;
            }
        }
    }
}

/// Takes access that evidence on record takes, until the process stops. It uses neither Bob nor a
/// listing, so that a call without an answer delays no suspension. The urgent line does the rest of
/// the work for these employees afterwards.
pub async fn serve_evidence(session: Arc<Session>, beat: Beat) {
    let mut stopping = session.shared.stopping.clone();
    let mut place = session.place.watch();
    // The settings and connections with which evidence was last served.
    let mut with: Option<Arc<Ready>> = None;
    loop {
        tokio::select! {
            () = beat.during(session.shared.leadership.wait_to_lead()) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let serves = place.borrow_and_update().serves(Urgency::Urgent);
        let lines = &session.mailbox.lines;
        let ready = match &serves {
            Serves::Everyone(ready) | Serves::Known(ready) | Serves::Evidence(ready) => {
                Some(ready).filter(|ready| takes_by_evidence(ready))
            }
            Serves::NoOne | Serves::Suspended => None,
        };
        if ready
            .is_some_and(|ready| with.as_deref().is_none_or(|before| !before.serves_like(ready)))
        {
            // Employees who could not be served before, or not with these settings, are in no line
            // any more.
            session.take_up_evidence();
        }
        with = ready.cloned();
        let may = |employee: &str, waiting: &Waiting| {
            session.is_open_against_evidence(employee) && !session.tried_evidence(employee, waiting)
        };
        let next = async {
            match ready {
                Some(_) => lines.wait_of(Urgency::Urgent, may).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = beat.during(next) => {}
            () = session.shared.leadership.lost() => continue,
            // The session holds the sender.
            _ = place.changed() => continue,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let Some(ready) = ready else { continue };
        let taken = lines.take_of(Urgency::Urgent, Instant::now(), may);
        beat.within(
            LONGEST,
            Box::pin(look(&session, ready, Urgency::Urgent, &[], true, taken.clone())),
        )
        .await;
        // If Bob may be asked, the urgent line comes next, whatever the result here was.
        let bob_is_asked = matches!(
            session.place.watch().borrow().serves(Urgency::Urgent),
            Serves::Everyone(_) | Serves::Known(_)
        );
        let longest = state::longest(ready.validated.interval);
        for (employee, waiting) in taken {
            if bob_is_asked || !session.is_open_against_evidence(&employee) {
                session.try_evidence(&employee);
                lines.put_back(&employee, waiting);
            } else {
                let wait = session.attempts.refusals.back_off(&employee, RETRY / 10, longest);
                lines.again(&employee, waiting, Instant::now() + wait);
            }
        }
    }
}

/// Returns whether these settings take access by evidence.
fn takes_by_evidence(ready: &Ready) -> bool {
    !ready.validated.dry_run && ready.validated.settings.disabling_trigger
}

/// Returns whether this employee in a line may be served now.
fn may_be_served(
    session: &Session,
    serves: &Serves<Arc<Ready>>,
    employee: &str,
    waiting: &Waiting,
) -> bool {
    let evidence_comes_first = |ready: &Ready| {
        let open = waiting.class.urgency() == Urgency::Urgent
            && takes_by_evidence(ready)
            && session.is_open_against_evidence(employee);
        open && !session.tried_evidence(employee, waiting)
    };
    match serves {
        Serves::Everyone(ready) => !evidence_comes_first(ready),
        Serves::Known(ready) => {
            let account = session.roster().with(employee, |entry| {
                entry.is_some_and(|entry| entry.account.is_some() || entry.several)
            });
            !ready.validated.dry_run && account && !evidence_comes_first(ready)
        }
        Serves::Suspended => true,
        Serves::NoOne | Serves::Evidence(_) => false,
    }
}

async fn turn(
    session: &Session,
    ready: &Arc<Ready>,
    line: Urgency,
    mut taken: Vec<(Box<str>, Waiting)>,
) {
    let (lines, now) = (&session.mailbox.lines, Instant::now());
    let most = session.most_single();
    // Neither a date nor the request of a person waits until the load is lower.
    let awaited = taken
        .iter()
        .any(|(_, waiting)| matches!(waiting.trigger, Trigger::Transition | Trigger::Manual));
    let due = match line {
        Urgency::Normal if !awaited => session.mailbox.next_everybody(APART).max(now),
        Urgency::Urgent | Urgency::Normal => now,
    };
    if ready.validated.dry_run {
        // A listing shows which employee has an address that is already in use. Without a listing,
        // only a write shows it.
        return lines.join_everybody(taken, due);
    }
    let new_targets = session.new_targets(ready);
    if !new_targets.is_empty() && line == Urgency::Normal {
        // Only a listing shows which targets the provider has.
        return lines.join_everybody(taken, now);
    }
    let (on_everybody, running) = (session.mailbox.is_on_everybody(), session.place.is_running());
    if !running && !on_everybody {
        taken = join_many(session, taken, due, only_waits_for_access);
    }
    if on_everybody || !running {
        taken = join_many(session, taken, due, is_a_further_look_at_a_date);
    }
    if taken.len() > most {
        if on_everybody || !running {
            // The end of the full pass may be hours away, so these employees do not wait for it.
            for (employee, waiting) in taken.drain(AT_ONCE.max(most).min(taken.len())..) {
                lines.again(&employee, waiting, now);
            }
        } else {
            // One read of all employees is cheaper, and the full pass begins with the employees who
            // have to lose access. Employees who have not been looked at yet do not wait until the
            // full pass may begin.
            let fresh = taken.iter().filter(|(_, waiting)| waiting.looks == 0).count();
            let (first, rest): (Vec<_>, Vec<_>) = taken
                .into_iter()
                .partition(|(_, waiting)| waiting.looks == 0 && fresh <= most && due > now);
            lines.join_everybody(rest, due);
            taken = first;
        }
    }
    // An employee who has to lose access does not wait until the targets are known. A target that
    // is not known is not written.
    let unavailable = [&ready.unavailable[..], &new_targets].concat();
    look(session, ready, line, &unavailable, false, taken).await;
}

/// Lets the employees that `which` accepts wait for the next full pass if they are many, because
/// that pass reads once for all of them. Returns the others, or all employees if they are few.
fn join_many(
    session: &Session,
    taken: Vec<(Box<str>, Waiting)>,
    due: Instant,
    which: impl Fn(&Waiting) -> bool,
) -> Vec<(Box<str>, Waiting)> {
    let (many, others): (Vec<_>, Vec<_>) =
        taken.into_iter().partition(|(_, waiting)| which(waiting));
    if many.len() > session.most_single() {
        session.mailbox.lines.join_everybody(many, due);
        return others;
    }
    many.into_iter().chain(others).collect()
}

/// Returns whether no access of this employee can end. While no full pass completes, such employees
/// wait for one that does.
fn only_waits_for_access(waiting: &Waiting) -> bool {
    waiting.class == Class::Joiner
}

/// Returns whether the date was acted on already, and only a change that Bob may have made at that
/// moment is still to be seen.
fn is_a_further_look_at_a_date(waiting: &Waiting) -> bool {
    waiting.trigger == Trigger::Transition
        && waiting.looks > 0
        && waiting.class.urgency() == Urgency::Normal
}

/// Runs a partial pass with these employees.
async fn look(
    session: &Session,
    ready: &Arc<Ready>,
    line: Urgency,
    unavailable: &[Box<str>],
    on_evidence: bool,
    taken: Vec<(Box<str>, Waiting)>,
) {
    let mut causes: Causes = taken.into_iter().collect();
    // The earlier pass begins no new write for these employees. A change that it has begun ends
    // first.
    let (handle, busy) = session
        .mailbox
        .claims
        .begin_partial(causes.keys().map(|employee| &**employee).collect::<Vec<_>>().into_iter());
    for employee in busy {
        if let Some(waiting) = causes.remove(&employee) {
            session.mailbox.lines.again(&employee, waiting, Instant::now() + SOON);
        }
    }
    // The trigger for employees without a cause of their own; here every employee has a cause.
    let Some(trigger) = causes.values().map(|waiting| waiting.trigger).next() else { return };
    let wanted = PassRequest {
        trigger,
        causes: &causes,
        announced: &causes,
        scope: Some(Scope::Partial { line, unavailable, on_evidence }),
        forgiving: causes
            .values()
            .any(|waiting| matches!(waiting.trigger, Trigger::Manual | Trigger::Spec)),
        suspicion: None,
        asked: false,
        within: TURN,
    };
    let parts = session.parts(causes.keys().map(|employee| &**employee));
    let report = session.pass(ready, wanted, &handle).await;
    drop(handle);
    session.note_changes(&report);
    tracing::info!(
        integration = %session.key,
        people = causes.len(),
        ?trigger,
        on_evidence,
        took_ms = u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
        unseen = report.rest.unseen.len(),
        stop = report.stop.as_ref().map(|stop| stop.reason.as_str()),
        "partial pass"
    );
    if on_evidence {
        refused(session, &report);
        if report.guards.held.is_some() {
            session.mailbox.lines.add_everybody(Trigger::Webhook, Instant::now());
        }
    } else {
        settle(session, ready, line, &causes, &report).await;
    }
    if parts.iter().any(Option::is_some)
        && parts != session.parts(causes.keys().map(|employee| &**employee))
    {
        // The plan that is held is another one now, and is reported as a whole.
        session.mailbox.lines.add_everybody(
            Trigger::Webhook,
            session.mailbox.next_everybody(APART).max(Instant::now()),
        );
    }
    session.shared.metrics.partial_pass(report.stop.as_ref().map(|stop| stop.reason));
}

/// Handles a refused credential: it is not tried again and again. A full pass finds out whether
/// there is another credential by now, and otherwise reports what is wrong.
fn refused(session: &Session, report: &Report) {
    if let Some(stop) = report.stop.as_ref().filter(|stop| state::refuses(stop.reason)) {
        session.place.refuse(stop.reason);
        session.mailbox.lines.nudge();
    }
}

/// Re-queues the employees with work that was not finished.
async fn settle(session: &Session, ready: &Ready, line: Urgency, causes: &Causes, report: &Report) {
    let (lines, now) = (&session.mailbox.lines, Instant::now());
    refused(session, report);
    let longest = state::longest(ready.validated.interval);
    if let Some(stop) = report.stop.as_ref().filter(|_| report.tally.is_none()) {
        // No employee was dealt with. All of them are queued again, each time with a longer wait,
        // or when the service said.
        let most = if stop.reason.is_stalled() { longest } else { longest.min(RETRY * 6) };
        let wait =
            stop.wait.unwrap_or_else(|| session.attempts.refusals.back_off("", RETRY / 10, most));
        causes.iter().for_each(|(employee, waiting)| lines.again(employee, *waiting, now + wait));
        return;
    }
    session.attempts.refusals.settled("");
    if let Some(tally) = &report.tally {
        session.note_revocations(&tally.over).await;
    }
    // This comes first: an employee who is in the line already is not queued again, and a known
    // change does not wait for a further look.
    for (employee, class) in &report.rest.deferred {
        let Some(waiting) = causes.get(employee) else { continue };
        lines.again(employee, Waiting { class: *class, looks: 0, ..*waiting }, now);
    }
    for employee in &report.rest.unread {
        let Some(waiting) = causes.get(employee) else { continue };
        lines.again(
            employee,
            *waiting,
            now + session.attempts.refusals.back_off(employee, RETRY / 10, RETRY * 6),
        );
    }
    if !report.unwritten.people.is_empty() {
        // A listing shows what happened to these accounts. A look at one employee alone would
        // create the account a second time.
        let wait = session.attempts.refusals.back_off(RECORDS, RETRY, longest);
        lines.add_everybody(Trigger::Retry, now + wait);
    }
    retry(session, report, longest, |employee| causes.get(employee).copied());
    if report.tally.is_some() {
        look_again(lines, causes, &report.rest.unseen);
    }
    if report.rest.renamed || report.rest.in_doubt {
        // Only a full pass knows who reports to them, and who else is in Bob.
        lines.add_everybody(Trigger::Webhook, session.mailbox.next_everybody(APART).max(now));
    }
    if report.guards.held.is_some() && line == Urgency::Normal {
        // A held plan is reported for the integration as a whole, and approved as a whole.
        lines.add_everybody(Trigger::Webhook, session.mailbox.next_everybody(APART).max(now));
    } else if report.guards.held.is_some() {
        lines.add_everybody(Trigger::Webhook, now);
    }
}

/// Re-queues the employees with a change that failed for now, or that did not have its turn. Each
/// employee has a growing wait of its own.
pub fn retry(
    session: &Session,
    report: &Report,
    longest: Duration,
    cause: impl Fn(&str) -> Option<Waiting>,
) {
    let now = Instant::now();
    // The pass was stopped before the turn of these employees came. They would meet the same
    // problem again if they came at once.
    let stopped = report.stop.is_some();
    for (employee, failed) in &report.rest.unsettled {
        let known = cause(employee);
        let waiting = known.unwrap_or_else(|| Waiting::new(Trigger::Retry, Class::Mover, now));
        let (waiting, wait) = if *failed || stopped {
            let wait = session.attempts.refusals.back_off(employee, RETRY, longest);
            (Waiting { trigger: Trigger::Retry, looks: 0, ..waiting }, wait)
        } else {
            (Waiting { looks: 0, ..waiting }, Duration::from_secs(1))
        };
        session.mailbox.lines.again(employee, waiting, now + wait);
    }
}

/// Does the same after a full pass without a result: all employees with an event of their own are
/// queued as if the pass had not been made. The exception are employees who only wait for access,
/// if they are many.
pub fn look_later(session: &Session, causes: &Causes) {
    let (lines, at) = (&session.mailbox.lines, Instant::now() + RETRY);
    let people = causes.iter().map(|(employee, waiting)| (employee.clone(), *waiting)).collect();
    for (employee, waiting) in join_many(session, people, at, only_waits_for_access) {
        if rests_on_bob(waiting.trigger) {
            lines.look_again(&employee, waiting, at);
        } else {
            lines.again(&employee, waiting, at);
        }
    }
}

/// Queues every employee with a date at the instant of that date, until the process stops. Dates
/// that came while no process ran are found by the first pass, with which a process begins.
pub async fn transitions(session: Arc<Session>, beat: Beat) {
    let mut stopping = session.shared.stopping.clone();
    let clock = session.shared.clock.clone();
    let mut since = clock.now();
    loop {
        // A clock that was set back makes the dates come again.
        since = since.min(clock.now());
        let next = session.roster().next_transition(since.as_second());
        let at = next.and_then(|at| jiff::Timestamp::from_second(at).ok());
        let looked =
            clock.now().checked_add(SignedDuration::from_secs(30)).unwrap_or(jiff::Timestamp::MAX);
        tokio::select! {
            // Statuses are written all the time. A date that comes within the half minute is found
            // by the next look in time.
            () = beat.during(clock.sleep_until(at.map_or(looked, |at| at.min(looked)))) => {}
            () = session.mailbox.dates_changed() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let now = clock.now();
        let mut due = Vec::new();
        session.roster().for_each(|employee, entry| {
            if let Some((_, access)) =
                entry.next.filter(|(at, _)| *at > since.as_second() && *at <= now.as_second())
            {
                due.push((Box::<str>::from(employee), class_of_date(access)));
            }
        });
        since = now.max(since);
        if !session.shared.leadership.is_leader() {
            continue;
        }
        let began = Instant::now();
        for (employee, class) in due {
            session.mailbox.lines.add(&employee, Trigger::Transition, class, began);
        }
    }
}
