//! Passes over single people: at once, and beside the pass over everybody. Each line of the mailbox is served by itself,
//! so that a suspension waits for no update. What cannot be brought to an end stands in line again: what Bob does not
//! show yet after 5, 15 and 30 seconds, what failed ever more rarely, each person on their own.

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::SignedDuration;
use tokio::time::Instant;

use super::{
    dirty::{Causes, Line, Waiting},
    pass::Scope,
    report::Report,
    session::{Door, Opened, Session, Wanted, class_of_date},
};
use crate::{api::employee_sync::Trigger, domain::priority::Class, server::health::Beat};

/// When Bob is looked at again after an event whose change it does not show: its reads may be 20 s behind.
const LOOK_AGAIN: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(30)];
/// How long changes that are not urgent may begin, so that those who come meanwhile get their turn.
const TURN: Duration = Duration::from_secs(15);
/// A pass over single people that lasts for longer than this is stuck: a service asks for an hour at most.
const LONGEST: Duration = Duration::from_mins(90);
/// The wait after a pass without an answer, and the first one after a failed change.
pub const RETRY: Duration = Duration::from_secs(10);
/// The wait until a change that is under way has ended.
const SOON: Duration = Duration::from_millis(200);
/// How far apart passes over everybody are on average that events ask for, beside a multiple of what reading for the last one took.
const APART: Duration = Duration::from_secs(5);
/// So many people at most are looked at singly at once while a pass over everybody is under way.
const AT_ONCE: usize = 100;

/// Serves one line until the process stops.
pub async fn serve(session: Arc<Session>, line: Line, beat: Beat) {
    let mut stopping = session.shared.stopping.clone();
    loop {
        let next = async {
            session.shared.leadership.wait_to_lead().await;
            session.mailbox.dirty.wait(line).await;
        };
        tokio::select! {
            () = beat.during(next) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let door = tokio::select! {
            door = beat.during(door(&session)) => door,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        let taken = session.mailbox.dirty.take(line, Instant::now());
        // A closed door opens with a pass over everybody.
        let Some(opened) = door else { continue };
        beat.within(LONGEST, turn(&session, &opened, line, taken)).await;
    }
}

/// Waits while it is not known whether passes may begin.
async fn door(session: &Session) -> Option<Arc<Opened>> {
    let mut door = session.door.subscribe();
    // The sender lives as long as the session.
    let known = door.wait_for(|door| !matches!(door, Door::Pending)).await.ok()?;
    match &*known {
        Door::Open(opened) => Some(opened.clone()),
        Door::Pending | Door::Closed => None,
    }
}

async fn turn(session: &Session, opened: &Arc<Opened>, line: Line, taken: Vec<(Box<str>, Waiting)>) {
    let dirty = &session.mailbox.dirty;
    let most = session.most_single();
    let now = Instant::now();
    // Neither a date nor a person's wish waits for calmer times.
    let awaited = taken.iter().any(|(_, waiting)| matches!(waiting.trigger, Trigger::Transition | Trigger::Manual));
    let due = match line {
        Line::Normal if !awaited => session.mailbox.next_everybody(APART).max(now),
        Line::Urgent | Line::Normal => now,
    };
    if opened.validated.dry_run {
        // Whose address is taken shows in a listing, and otherwise only by trying.
        return dirty.join_everybody(taken, due);
    }
    if session.has_new_target(opened) {
        // Only a listing tells what the provider has.
        return dirty.join_everybody(taken, now);
    }
    let mut taken = taken;
    if taken.len() > most {
        if session.mailbox.is_on_everybody() {
            // Its end may be hours away, and nobody waits for it.
            for (employee, waiting) in taken.drain(AT_ONCE.max(most).min(taken.len())..) {
                dirty.again(&employee, waiting, now);
            }
        } else {
            // One read of everybody is cheaper, and the pass begins with who has to lose access. Whom nobody has looked at yet does
            // not wait until it may begin.
            let fresh = taken.iter().filter(|(_, waiting)| waiting.looks == 0).count();
            let (first, rest): (Vec<_>, Vec<_>) =
                taken.into_iter().partition(|(_, waiting)| waiting.looks == 0 && fresh <= most && due > now);
            dirty.join_everybody(rest, due);
            taken = first;
        }
    }
    let mut causes = Causes::default();
    for (employee, waiting) in taken {
        if session.mailbox.claims.is_writing(&employee) {
            // The earlier pass gives this person up, and its change ends first.
            drop(session.mailbox.claims.people(std::iter::once(&*employee)));
            dirty.again(&employee, waiting, now + SOON);
        } else {
            causes.insert(employee, waiting);
        }
    }
    // The trigger of those who have no cause of their own; there are none.
    let Some(trigger) = causes.values().map(|waiting| waiting.trigger).next() else { return };
    let wanted = Wanted {
        trigger,
        causes: &causes,
        announced: &causes,
        scope: Some(Scope::Some { line, unavailable: &opened.unavailable }),
        forgiving: causes.values().any(|waiting| matches!(waiting.trigger, Trigger::Manual | Trigger::Spec)),
        suspicion: None,
        asked: false,
        within: TURN,
    };
    let report = session.pass(opened, wanted).await;
    tracing::info!(
        integration = %session.key,
        people = causes.len(),
        ?trigger,
        took_ms = u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
        unseen = report.rest.unseen.len(),
        stop = report.stop.as_ref().map(|stop| stop.reason.as_str()),
        "pass over single people"
    );
    settle(session, line, &causes, &report).await;
    session.shared.metrics.partial_pass(&report);
}

/// Puts those in line again who were not brought to an end.
async fn settle(session: &Session, line: Line, causes: &Causes, report: &Report) {
    let (dirty, now) = (&session.mailbox.dirty, Instant::now());
    if report.stop.as_ref().is_some_and(|stop| stop.reason.is_stalled()) {
        // A refused credential is not tried again and again: the pass over everybody finds out whether there is another
        // one by now, and else says what is wrong and keeps quiet.
        session.door.send_replace(Door::Closed);
        return dirty.add_everybody(Trigger::Retry, now);
    }
    if report.stop.is_some() && report.tally.is_none() {
        // Nobody was dealt with: all of them again, later each time.
        let wait = session.refusals.back_off("", RETRY / 10, RETRY * 6);
        causes.iter().for_each(|(employee, waiting)| dirty.again(employee, *waiting, now + wait));
        return;
    }
    session.refusals.settled("");
    if let Some(tally) = &report.tally {
        let unsure: HashSet<&str> = report.rest.unseen.iter().chain(&report.rest.unread).map(|id| &**id).collect();
        let looked_at = causes.keys().map(|id| &**id).filter(|id| !unsure.contains(id));
        session.note_revocations(looked_at, &tally.revoked).await;
    }
    // First: whoever stands in line already is not put there again, and a change that is known waits for no further look.
    for (employee, class) in &report.rest.deferred {
        let Some(waiting) = causes.get(employee) else { continue };
        dirty.again(employee, Waiting { class: *class, looks: 0, ..*waiting }, now);
    }
    for employee in &report.rest.unread {
        let Some(waiting) = causes.get(employee) else { continue };
        dirty.again(employee, *waiting, now + session.refusals.back_off(employee, RETRY / 10, RETRY * 6));
    }
    retry(session, report, |employee| causes.get(employee).copied());
    if report.tally.is_some() {
        look_again(session, causes, &report.rest.unseen);
    }
    if report.rest.renamed {
        // Who reports to them is known to a pass over everybody alone.
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
pub fn retry(session: &Session, report: &Report, cause: impl Fn(&str) -> Option<Waiting>) {
    let now = Instant::now();
    for (employee, failed) in &report.rest.unsettled {
        let known = cause(employee);
        let waiting = known.unwrap_or_else(|| Waiting::new(Trigger::Retry, Class::Mover, now));
        let (waiting, wait) = if *failed {
            let wait = session.refusals.back_off(employee, RETRY, Duration::from_mins(10));
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
                dirty.look_again(employee, Waiting { looks: waiting.looks + 1, ..*waiting }, waiting.latest + *pause);
            }
        } else if looks < LOOK_AGAIN.len() && waiting.trigger == Trigger::Webhook {
            let looks = u8::try_from(LOOK_AGAIN.len()).unwrap_or(u8::MAX);
            dirty.look_again(employee, Waiting { looks, ..*waiting }, waiting.latest + last);
        }
    }
}

/// The same after a pass that read nothing: all of them, and as if it had not been.
pub fn look_later(session: &Session, causes: &Causes) {
    for (employee, waiting) in causes.iter().filter(|(_, waiting)| rests_on_bob(waiting.trigger)) {
        session.mailbox.dirty.look_again(employee, *waiting, Instant::now() + RETRY);
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
        let looked = clock.now().checked_add(SignedDuration::from_secs(30)).unwrap_or(jiff::Timestamp::MAX);
        tokio::select! {
            // Statuses are written all the time; a date that comes within the half minute is looked for again in time.
            () = beat.during(clock.sleep_until(at.map_or(looked, |at| at.min(looked)))) => {}
            () = session.mailbox.dates_changed() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let now = clock.now();
        let mut due = Vec::new();
        session.shared.roster.for_each(&session.key, |employee, entry| {
            if let Some((_, access)) = entry.next.filter(|(at, _)| *at > since.as_second() && *at <= now.as_second()) {
                due.push((Box::<str>::from(employee), class_of_date(access)));
            }
        });
        since = now.max(since);
        let began = Instant::now();
        for (employee, class) in due {
            session.mailbox.dirty.add(&employee, Trigger::Transition, class, began);
        }
    }
}
