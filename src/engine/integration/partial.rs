//! Passes over single people: at once, and beside the full pass. Each line of the mailbox is served by itself,
//! so that a suspension waits for no update. What cannot be brought to an end stands in line again: what Bob does not
//! show yet after 5, 15 and 30 seconds, what failed ever more rarely, each person on their own.

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::SignedDuration;
use tokio::time::Instant;

use super::{
    session::{Session, Wanted, class_of_date},
    state::{self, Ready, Serves},
};
use crate::{
    api::employee_sync::Trigger,
    domain::priority::Class,
    engine::{
        intake::dirty::{Causes, Line, Waiting},
        pass::{SOON, Scope, report::Report},
    },
    telemetry::health::Beat,
};

/// When Bob is looked at again after an event whose change it does not show: its reads may be 20 s behind.
const LOOK_AGAIN: [Duration; 3] =
    [Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(30)];
/// How long changes that are not urgent may begin, so that those who come meanwhile get their turn.
const TURN: Duration = Duration::from_secs(15);
/// A pass over single people that lasts for longer than this is stuck: a service asks for an hour at most.
const LONGEST: Duration = Duration::from_mins(90);
/// The wait after a pass without an answer, and the first one after a failed change.
pub const RETRY: Duration = Duration::from_secs(10);
/// How far apart full passes are on average that events ask for, beside a multiple of what reading for the last one took.
const APART: Duration = Duration::from_secs(5);
/// So many people at most are looked at singly at once while a full pass is under way.
const AT_ONCE: usize = 100;

/// What backs off where the records of employees cannot be written.
pub const RECORDS: &str = "records";

/// Serves one line until the process stops. Nobody is taken out of it who cannot be served now.
pub async fn serve(session: Arc<Session>, line: Line, beat: Beat) {
    let mut stopping = session.shared.stopping.clone();
    let mut place = session.place.watch();
    loop {
        tokio::select! {
            () = beat.during(session.shared.leadership.wait_to_lead()) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let serves = place.borrow_and_update().serves(line);
        let dirty = &session.mailbox.dirty;
        let may =
            |employee: &str, waiting: &Waiting| may_be_served(&session, &serves, employee, waiting);
        let next = async {
            match serves {
                Serves::NoOne | Serves::Evidence(_) => std::future::pending().await,
                Serves::Everyone(_) | Serves::Known(_) | Serves::Suspended => {
                    dirty.wait_of(line, may).await
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
            // One that goes on again begins with a full pass, and what comes from now on is served after it.
            Serves::Suspended if session.object.borrow().spec.suspend => dirty.clear(),
            // It is about to go on, and a full pass begins with that.
            Serves::Suspended => tokio::select! {
                _ = beat.during(place.changed()) => {}
                () = session.shared.leadership.lost() => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            },
            Serves::Everyone(ready) | Serves::Known(ready) => {
                let taken = dirty.take_of(line, Instant::now(), may);
                taken.iter().for_each(|(employee, _)| session.forget_evidence(employee));
                beat.within(LONGEST, Box::pin(turn(&session, ready, line, taken))).await;
            }
        }
    }
}

/// Takes access from which evidence on record takes it, until the process stops: without Bob and without a listing, so that a
/// call that is not answered keeps nobody waiting. Whatever else these people need the urgent line does after it.
pub async fn serve_evidence(session: Arc<Session>, beat: Beat) {
    let mut stopping = session.shared.stopping.clone();
    let mut place = session.place.watch();
    // What evidence was last served with.
    let mut with: Option<Arc<Ready>> = None;
    loop {
        tokio::select! {
            () = beat.during(session.shared.leadership.wait_to_lead()) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let serves = place.borrow_and_update().serves(Line::Urgent);
        let dirty = &session.mailbox.dirty;
        let ready = match &serves {
            Serves::Everyone(ready) | Serves::Known(ready) | Serves::Evidence(ready) => {
                Some(ready).filter(|ready| takes_by_evidence(ready))
            }
            Serves::NoOne | Serves::Suspended => None,
        };
        if ready
            .is_some_and(|ready| with.as_deref().is_none_or(|before| !before.serves_like(ready)))
        {
            // Employees who could not be served before, or not so, are in no line any more.
            session.take_up_evidence();
        }
        with = ready.cloned();
        let may = |employee: &str, waiting: &Waiting| {
            session.is_open_against_evidence(employee) && !session.tried_evidence(employee, waiting)
        };
        let next = async {
            match ready {
                Some(_) => dirty.wait_of(Line::Urgent, may).await,
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
        let taken = dirty.take_of(Line::Urgent, Instant::now(), may);
        beat.within(
            LONGEST,
            Box::pin(look(&session, ready, (Line::Urgent, &[], true), taken.clone())),
        )
        .await;
        // Where Bob may be asked, its row comes next, whatever became of this.
        let bob_is_asked = matches!(
            session.place.watch().borrow().serves(Line::Urgent),
            Serves::Everyone(_) | Serves::Known(_)
        );
        let longest = state::longest(ready.validated.interval);
        for (employee, waiting) in taken {
            if bob_is_asked || !session.is_open_against_evidence(&employee) {
                session.try_evidence(&employee);
                dirty.put_back(&employee, waiting);
            } else {
                let wait = session.refusals.back_off(&employee, RETRY / 10, longest);
                dirty.again(&employee, waiting, Instant::now() + wait);
            }
        }
    }
}

/// Whether these settings take access by evidence.
fn takes_by_evidence(ready: &Ready) -> bool {
    !ready.validated.dry_run && ready.validated.settings.disabling_trigger
}

/// Whether somebody in a line may be served now.
fn may_be_served(
    session: &Session,
    serves: &Serves<Arc<Ready>>,
    employee: &str,
    waiting: &Waiting,
) -> bool {
    let evidence_comes_first = |ready: &Ready| {
        let open = waiting.class.line() == Line::Urgent
            && takes_by_evidence(ready)
            && session.is_open_against_evidence(employee);
        open && !session.tried_evidence(employee, waiting)
    };
    match serves {
        Serves::Everyone(ready) => !evidence_comes_first(ready),
        Serves::Known(ready) => {
            let account = session.shared.roster.with(&session.key, employee, |entry| {
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
    line: Line,
    mut taken: Vec<(Box<str>, Waiting)>,
) {
    let (dirty, now) = (&session.mailbox.dirty, Instant::now());
    let most = session.most_single();
    // Neither a date nor a person's wish waits for calmer times.
    let awaited = taken
        .iter()
        .any(|(_, waiting)| matches!(waiting.trigger, Trigger::Transition | Trigger::Manual));
    let due = match line {
        Line::Normal if !awaited => session.mailbox.next_everybody(APART).max(now),
        Line::Urgent | Line::Normal => now,
    };
    if ready.validated.dry_run {
        // Whose address is taken shows in a listing, and otherwise only by trying.
        return dirty.join_everybody(taken, due);
    }
    let new_targets = session.new_targets(ready);
    if !new_targets.is_empty() && line == Line::Normal {
        // Only a listing tells what the provider has.
        return dirty.join_everybody(taken, now);
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
            // Its end may be hours away, and nobody waits for it.
            for (employee, waiting) in taken.drain(AT_ONCE.max(most).min(taken.len())..) {
                dirty.again(&employee, waiting, now);
            }
        } else {
            // One read of everybody is cheaper, and the pass begins with who has to lose access. Whom nobody has looked at yet does
            // not wait until it may begin.
            let fresh = taken.iter().filter(|(_, waiting)| waiting.looks == 0).count();
            let (first, rest): (Vec<_>, Vec<_>) = taken
                .into_iter()
                .partition(|(_, waiting)| waiting.looks == 0 && fresh <= most && due > now);
            dirty.join_everybody(rest, due);
            taken = first;
        }
    }
    // Who has to lose access does not wait to be told which targets there are: of what is not known nothing is written.
    let unavailable = [&ready.unavailable[..], &new_targets].concat();
    look(session, ready, (line, &unavailable, false), taken).await;
}

/// Where they are many, those for whom `which` holds wait for the next full pass, which reads once for all of them. Gives all
/// others, or all of them.
fn join_many(
    session: &Session,
    taken: Vec<(Box<str>, Waiting)>,
    due: Instant,
    which: impl Fn(&Waiting) -> bool,
) -> Vec<(Box<str>, Waiting)> {
    let (many, others): (Vec<_>, Vec<_>) =
        taken.into_iter().partition(|(_, waiting)| which(waiting));
    if many.len() > session.most_single() {
        session.mailbox.dirty.join_everybody(many, due);
        return others;
    }
    many.into_iter().chain(others).collect()
}

/// Whether no access of theirs can end: while no full pass comes through, they wait for one that does.
fn only_waits_for_access(waiting: &Waiting) -> bool {
    waiting.class == Class::Joiner
}

/// Whether the date was acted on, and only what Bob may have changed at that moment is still to be seen.
fn is_a_further_look_at_a_date(waiting: &Waiting) -> bool {
    waiting.trigger == Trigger::Transition
        && waiting.looks > 0
        && waiting.class.line() == Line::Normal
}

/// One pass over these people.
async fn look(
    session: &Session,
    ready: &Arc<Ready>,
    (line, unavailable, on_evidence): (Line, &[Box<str>], bool),
    taken: Vec<(Box<str>, Waiting)>,
) {
    let mut causes: Causes = taken.into_iter().collect();
    // The earlier pass gives up whoever it is writing to, and its change ends first.
    let (looking, busy) = session
        .mailbox
        .claims
        .people(causes.keys().map(|employee| &**employee).collect::<Vec<_>>().into_iter());
    for employee in busy {
        if let Some(waiting) = causes.remove(&employee) {
            session.mailbox.dirty.again(&employee, waiting, Instant::now() + SOON);
        }
    }
    // The trigger of those who have no cause of their own; there are none.
    let Some(trigger) = causes.values().map(|waiting| waiting.trigger).next() else { return };
    let wanted = Wanted {
        trigger,
        causes: &causes,
        announced: &causes,
        scope: Some(Scope::Some { line, unavailable, on_evidence }),
        forgiving: causes
            .values()
            .any(|waiting| matches!(waiting.trigger, Trigger::Manual | Trigger::Spec)),
        suspicion: None,
        asked: false,
        within: TURN,
    };
    let parts = session.parts(causes.keys().map(|employee| &**employee));
    let report = session.pass(ready, wanted, &looking).await;
    drop(looking);
    session.note_changes(&report);
    tracing::info!(
        integration = %session.key,
        people = causes.len(),
        ?trigger,
        on_evidence,
        took_ms = u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
        unseen = report.rest.unseen.len(),
        stop = report.stop.as_ref().map(|stop| stop.reason.as_str()),
        "pass over single people"
    );
    if on_evidence {
        refused(session, &report);
        if report.held.is_some() {
            session.mailbox.dirty.add_everybody(Trigger::Webhook, Instant::now());
        }
    } else {
        settle(session, ready, line, &causes, &report).await;
    }
    if parts.iter().any(Option::is_some)
        && parts != session.parts(causes.keys().map(|employee| &**employee))
    {
        // The plan that is held is another one now, and is said as a whole.
        session.mailbox.dirty.add_everybody(
            Trigger::Webhook,
            session.mailbox.next_everybody(APART).max(Instant::now()),
        );
    }
    session.shared.metrics.partial_pass(report.stop.as_ref().map(|stop| stop.reason));
}

/// A refused credential is not tried again and again: a full pass finds out whether there is another one by now, and
/// else says what is wrong.
fn refused(session: &Session, report: &Report) {
    if let Some(stop) = report.stop.as_ref().filter(|stop| state::refuses(stop.reason)) {
        session.place.refuse(stop.reason);
        session.mailbox.dirty.nudge();
    }
}

/// Puts those in line again who were not brought to an end.
async fn settle(session: &Session, ready: &Ready, line: Line, causes: &Causes, report: &Report) {
    let (dirty, now) = (&session.mailbox.dirty, Instant::now());
    refused(session, report);
    let longest = state::longest(ready.validated.interval);
    if let Some(stop) = report.stop.as_ref().filter(|_| report.tally.is_none()) {
        // Nobody was dealt with: all of them again, later each time, or when the service said.
        let most = if stop.reason.is_stalled() { longest } else { longest.min(RETRY * 6) };
        let wait = stop.wait.unwrap_or_else(|| session.refusals.back_off("", RETRY / 10, most));
        causes.iter().for_each(|(employee, waiting)| dirty.again(employee, *waiting, now + wait));
        return;
    }
    session.refusals.settled("");
    if let Some(tally) = &report.tally {
        session.note_revocations(&tally.over).await;
    }
    // First: whoever stands in line already is not put there again, and a change that is known waits for no further look.
    for (employee, class) in &report.rest.deferred {
        let Some(waiting) = causes.get(employee) else { continue };
        dirty.again(employee, Waiting { class: *class, looks: 0, ..*waiting }, now);
    }
    for employee in &report.rest.unread {
        let Some(waiting) = causes.get(employee) else { continue };
        dirty.again(
            employee,
            *waiting,
            now + session.refusals.back_off(employee, RETRY / 10, RETRY * 6),
        );
    }
    if !report.unwritten.people.is_empty() {
        // A listing shows what became of them, and a look at one of them alone would make the account anew.
        let wait = session.refusals.back_off(RECORDS, RETRY, longest);
        dirty.add_everybody(Trigger::Retry, now + wait);
    }
    retry(session, report, longest, |employee| causes.get(employee).copied());
    if report.tally.is_some() {
        look_again(session, causes, &report.rest.unseen);
    }
    if report.rest.renamed || report.rest.in_doubt {
        // Who reports to them, and who else is in Bob, is known only to a pass over all employees.
        dirty.add_everybody(Trigger::Webhook, session.mailbox.next_everybody(APART).max(now));
    }
    if report.held.is_some() && line == Line::Normal {
        // What is held is said of the integration as a whole, and approved as a whole.
        dirty.add_everybody(Trigger::Webhook, session.mailbox.next_everybody(APART).max(now));
    } else if report.held.is_some() {
        dirty.add_everybody(Trigger::Webhook, now);
    }
}

/// Puts those in line again whose change failed for now, or whose turn did not come: each backs off alone.
pub fn retry(
    session: &Session,
    report: &Report,
    longest: Duration,
    cause: impl Fn(&str) -> Option<Waiting>,
) {
    let now = Instant::now();
    // Whose turn did not come because the pass was stopped meets the same again if it comes at once.
    let stopped = report.stop.is_some();
    for (employee, failed) in &report.rest.unsettled {
        let known = cause(employee);
        let waiting = known.unwrap_or_else(|| Waiting::new(Trigger::Retry, Class::Mover, now));
        let (waiting, wait) = if *failed || stopped {
            let wait = session.refusals.back_off(employee, RETRY, longest);
            (Waiting { trigger: Trigger::Retry, looks: 0, ..waiting }, wait)
        } else {
            (Waiting { looks: 0, ..waiting }, Duration::from_secs(1))
        };
        session.mailbox.dirty.again(employee, waiting, now + wait);
    }
}

/// Puts those in line for a further look of whom an event spoke. What it announced may not be visible yet; and a change that
/// is visible may be an older one.
pub fn look_again(session: &Session, causes: &Causes, unseen: &[Box<str>]) {
    let dirty = &session.mailbox.dirty;
    let [.., last] = LOOK_AGAIN;
    let unseen: HashSet<&str> = unseen.iter().map(|id| &**id).collect();
    for (employee, waiting) in causes.iter().filter(|(_, waiting)| rests_on_bob(waiting.trigger)) {
        let looks = usize::from(waiting.looks);
        if unseen.contains(&**employee) {
            if let Some(pause) = LOOK_AGAIN.get(looks) {
                dirty.look_again(
                    employee,
                    Waiting { looks: waiting.looks + 1, ..*waiting },
                    waiting.latest + *pause,
                );
            }
        } else if looks < LOOK_AGAIN.len() && waiting.trigger == Trigger::Webhook {
            let looks = u8::try_from(LOOK_AGAIN.len()).unwrap_or(u8::MAX);
            dirty.look_again(employee, Waiting { looks, ..*waiting }, waiting.latest + last);
        }
    }
}

/// The same after a full pass that came to nothing: all who were told apart stand in line as if it had not been, except
/// those who only wait for access, where they are many.
pub fn look_later(session: &Session, causes: &Causes) {
    let (dirty, at) = (&session.mailbox.dirty, Instant::now() + RETRY);
    let people = causes.iter().map(|(employee, waiting)| (employee.clone(), *waiting)).collect();
    for (employee, waiting) in join_many(session, people, at, only_waits_for_access) {
        if rests_on_bob(waiting.trigger) {
            dirty.look_again(&employee, waiting, at);
        } else {
            dirty.again(&employee, waiting, at);
        }
    }
}

/// Whether the event speaks of something that Bob's reads may not show yet.
const fn rests_on_bob(trigger: Trigger) -> bool {
    matches!(trigger, Trigger::Webhook | Trigger::Transition)
}

/// Puts everybody in line whose date comes, at that instant, until the process stops. What came while no process ran is
/// found by the first pass, which begins with it.
pub async fn transitions(session: Arc<Session>, beat: Beat) {
    let mut stopping = session.shared.stopping.clone();
    let clock = session.shared.clock.clone();
    let mut since = clock.now();
    loop {
        // A clock that was set back brings the dates again.
        since = since.min(clock.now());
        let next = session.shared.roster.next_transition(&session.key, since.as_second());
        let at = next.and_then(|at| jiff::Timestamp::from_second(at).ok());
        let looked =
            clock.now().checked_add(SignedDuration::from_secs(30)).unwrap_or(jiff::Timestamp::MAX);
        tokio::select! {
            // Statuses are written all the time; a date that comes within the half minute is looked for again in time.
            () = beat.during(clock.sleep_until(at.map_or(looked, |at| at.min(looked)))) => {}
            () = session.mailbox.dates_changed() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let now = clock.now();
        let mut due = Vec::new();
        session.shared.roster.for_each(&session.key, |employee, entry| {
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
            session.mailbox.dirty.add(&employee, Trigger::Transition, class, began);
        }
    }
}
