//! The meaning of the events that Bob pushes: which employees are to be looked at, and what is
//! evidence. The server hands over a raw body. Here it is checked, read, and put into the lines of
//! its integration.
//!
//! Two kinds of event are evidence that no later read of Bob would show: an immediate revocation,
//! and the deletion of a file whose read by id may already fail. They are written into the status
//! of the `EmployeeSync` before Bob receives 200. All other events are kept only in memory, because
//! the first pass of the next process finds what a crash loses.

mod evidence;
mod noted;
mod received;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::{
    claims::Claims,
    lines::{Depths, Lines},
    revocations::{OLDEST_EVIDENCE, Revocations},
};
use crate::{
    api::{employee_sync::Trigger, key::IntegrationKey},
    bob::webhook::{self, Event, SigningSecrets},
    cluster::{
        leadership::Leadership,
        roster::{Employees, Entry, Roster},
        watch::WatchScope,
    },
    domain::{ledger::Ledger, priority::Class},
    engine::clock::Clock,
};

use noted::Noted;
pub use received::Received;
use received::class;

/// How many deliveries are remembered, so that a repeated one has no effect.
const REMEMBERED: usize = 4096;
/// How far in the future a time may be and still count as now. Bob names no time zone.
const AHEAD: SignedDuration = SignedDuration::from_hours(15);
/// How many full passes may follow each other if events ask for them.
const IN_A_ROW: usize = 3;
/// How long the write of evidence may take. Bob waits for its answer for ten seconds at most.
const RECORD_WITHIN: Duration = Duration::from_secs(8);

/// Receives deliveries for every integration. All clones share it.
#[derive(Clone)]
pub struct Inbox(Arc<Inner>);

struct Inner {
    client: kube::Client,
    roster: Roster,
    clock: Clock,
    leadership: Leadership,
    mailboxes: Mutex<HashMap<IntegrationKey, Arc<Mailbox>>>,
    /// Namespaces whose integrations are not known yet (`None` in the set: all namespaces), and
    /// integrations that cannot be read. `None`: nothing is known yet.
    unlisted: Mutex<Option<(HashSet<WatchScope>, HashSet<IntegrationKey>)>>,
    /// Whether it has been known for every integration what its deliveries are signed with.
    started: AtomicBool,
}

/// The mailbox of one integration.
pub struct Mailbox {
    uid: String,
    /// What is known of the employees.
    employees: Arc<Employees>,
    /// The immediate revocations in the integration's status.
    revoked: Arc<dyn Revocations>,
    /// The employees to look at.
    pub lines: Lines,
    /// The changes under way.
    pub claims: Claims,
    /// The changes that passes released and that no status shows yet, and when values were
    /// replaced.
    pub ledger: Mutex<Ledger>,
    /// What its passes suspect.
    pub noted: Noted,
    /// The changes that wait in the plans of passes under way, by pass.
    planned: Mutex<HashMap<u64, Depths>>,
    state: Mutex<State>,
    /// Notified when a pass has ended, because dates may have changed.
    dates: Notify,
    /// Whether a sync of one employee was requested since the last full pass began.
    asked: AtomicBool,
    /// Whether the settings take access from employees.
    takes_access: AtomicBool,
}

#[derive(Default)]
struct State {
    /// When full passes last ended, the latest last.
    ended: VecDeque<Instant>,
    read_for: Duration,
    /// Whether a full pass is under way.
    everybody: bool,
    secrets: Option<SigningSecrets>,
    /// Whether the Secret has been read.
    secrets_known: bool,
    company: Option<u64>,
    /// By manager without an account: the employees who report to the manager and lack nothing
    /// else.
    awaiting_manager: HashMap<Box<str>, HashSet<Box<str>>>,
    /// The employees who were looked at once because their manager turned out to have an account,
    /// each with that manager.
    looked_for: HashMap<Box<str>, Box<str>>,
    /// When Bob last reported each employee activated.
    activated: HashMap<Box<str>, Timestamp>,
    remembered: HashSet<webhook::Tag>,
    order: VecDeque<webhook::Tag>,
}

impl Mailbox {
    fn lock(&self) -> parking_lot::MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Sets what deliveries are signed with from now on; `None`: no delivery is accepted.
    pub fn sign_with(&self, secrets: Option<SigningSecrets>) {
        let mut state = self.lock();
        state.secrets = secrets;
        state.secrets_known = true;
    }

    /// Stores Bob's id of the company, as its employees show it.
    pub fn company(&self, id: Option<u64>) {
        if id.is_some() {
            self.lock().company = id;
        }
    }

    /// Stores how many changes of a pass wait for their turn, by class. The age of the oldest
    /// begins at this second of the epoch.
    pub fn plan_waits(
        &self,
        pass: u64,
        depths: [(usize, Option<i64>); Class::ALL.len()],
        now: Timestamp,
    ) {
        let began = |since: i64| {
            let ago = Duration::from_secs(
                u64::try_from(now.as_second().saturating_sub(since)).unwrap_or(0),
            );
            let now = Instant::now();
            now.checked_sub(ago).unwrap_or(now)
        };
        let depths = depths.map(|(count, oldest)| (count, oldest.filter(|_| count > 0).map(began)));
        self.planned.lock().insert(pass, depths);
    }

    /// Removes the plan of a pass that has ended.
    pub fn plan_ended(&self, pass: u64) {
        self.planned.lock().remove(&pass);
    }

    /// Notes that a full pass begins.
    pub fn everybody_begins(&self) {
        self.lock().everybody = true;
    }

    /// Notes that the full pass has ended, and how long it read Bob and the provider.
    pub fn everybody_ended(&self, read_for: Duration) {
        let mut state = self.lock();
        state.everybody = false;
        state.read_for = read_for;
        state.ended.push_back(Instant::now());
        if state.ended.len() > IN_A_ROW {
            state.ended.pop_front();
        }
        drop(state);
        self.dates.notify_one();
    }

    /// Returns whether a full pass is under way. It may take hours, so no caller waits for its end.
    #[must_use]
    pub fn is_on_everybody(&self) -> bool {
        self.lock().everybody
    }

    /// Notes that a sync of one employee is requested.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Release);
    }

    /// Notes whether the settings take access from employees.
    pub fn take_access(&self, takes: bool) {
        self.takes_access.store(takes, Ordering::Release);
    }

    /// Returns whether a sync of one employee was requested since the last full pass began.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Notes that a full pass begins, which answers the requests so far.
    pub fn answer(&self) {
        self.asked.store(false, Ordering::Release);
    }

    /// Completes once dates may have changed.
    pub async fn dates_changed(&self) {
        self.dates.notified().await;
    }

    /// Returns when events may ask for the next full pass. A few may follow each other. On average
    /// they are `apart` from each other, and reading takes at most a fifth of the time.
    #[must_use]
    pub fn next_everybody(&self, apart: Duration) -> Instant {
        let state = self.lock();
        let in_a_row = state.ended.front().filter(|_| state.ended.len() == IN_A_ROW);
        let fifth = state.ended.back().map(|ended| *ended + state.read_for * 4);
        let row = in_a_row
            .map(|first| *first + apart.saturating_mul(u32::try_from(IN_A_ROW).unwrap_or(1)));
        row.max(fifth).unwrap_or_else(Instant::now)
    }

    /// Remembers that Bob reported an employee activated. The last few thousand reports are
    /// remembered.
    fn was_activated(&self, employee: &str, at: Timestamp) {
        let mut state = self.lock();
        if state.activated.len() >= REMEMBERED {
            let oldest = state
                .activated
                .iter()
                .min_by_key(|(_, at)| **at)
                .map(|(employee, _)| employee.clone());
            oldest.map(|oldest| state.activated.remove(&oldest));
        }
        let last = state.activated.entry(employee.into()).or_insert(at);
        *last = at.max(*last);
    }

    /// Returns whether Bob has reported an employee activated after this moment. A process only
    /// knows the reports that it received.
    fn is_activated_since(&self, employee: &str, at: Timestamp) -> bool {
        self.lock().activated.get(employee).is_some_and(|activated| *activated > at)
    }

    fn came_before(&self, tag: &webhook::Tag) -> bool {
        self.lock().remembered.contains(tag)
    }

    fn remember(&self, tag: webhook::Tag) {
        let mut state = self.lock();
        if state.remembered.insert(tag) {
            state.order.push_back(tag);
        }
        if state.order.len() > REMEMBERED
            && let Some(oldest) = state.order.pop_front()
        {
            state.remembered.remove(&oldest);
        }
    }
}

impl Inbox {
    /// Returns an inbox without integrations.
    #[must_use]
    pub fn new(client: kube::Client, roster: Roster, clock: Clock, leadership: Leadership) -> Self {
        Self(Arc::new(Inner {
            client,
            roster,
            clock,
            leadership,
            mailboxes: Mutex::default(),
            unlisted: Mutex::default(),
            started: false.into(),
        }))
    }

    fn mailboxes(&self) -> parking_lot::MutexGuard<'_, HashMap<IntegrationKey, Arc<Mailbox>>> {
        self.0.mailboxes.lock()
    }

    /// Notes that every existing integration has a mailbox now.
    pub fn listed(&self) {
        self.unlisted(HashSet::new(), HashSet::new());
    }

    /// Notes the same, except for the integrations of these namespaces, and except for these
    /// integrations, which cannot be read.
    pub fn unlisted(&self, scopes: HashSet<WatchScope>, unreadable: HashSet<IntegrationKey>) {
        *self.0.unlisted.lock() = Some((scopes, unreadable));
    }

    fn is_listed(&self, key: &IntegrationKey) -> bool {
        let has =
            |scope: &WatchScope| scope.as_deref().is_none_or(|scope| *scope == *key.namespace);
        let unlisted = self.0.unlisted.lock();
        unlisted.as_ref().is_some_and(|(scopes, unreadable)| {
            !scopes.iter().any(has) && !unreadable.contains(key)
        })
    }

    /// Returns whether it is known what the deliveries of this integration are signed with. Until
    /// then Bob is asked to send every delivery again, because a process that does not know the
    /// secret must not call a signature wrong.
    fn has_started(&self, key: &IntegrationKey) -> bool {
        if !self.is_listed(key) {
            return false;
        }
        let started = self.0.started.load(Ordering::Acquire)
            || self.mailboxes().values().all(|mailbox| mailbox.lock().secrets_known);
        self.0.started.store(started, Ordering::Release);
        started
    }

    /// Opens a mailbox for an integration, in place of an older one.
    #[must_use]
    pub fn open(
        &self,
        key: &IntegrationKey,
        uid: String,
        revoked: Arc<dyn Revocations>,
    ) -> Arc<Mailbox> {
        let mailbox = Arc::new(Mailbox {
            uid,
            employees: self.0.roster.of(key),
            revoked,
            lines: Lines::default(),
            claims: Claims::default(),
            ledger: Mutex::default(),
            noted: Noted::default(),
            planned: Mutex::default(),
            state: Mutex::default(),
            dates: Notify::new(),
            asked: AtomicBool::new(false),
            takes_access: AtomicBool::new(false),
        });
        self.mailboxes().insert(key.clone(), mailbox.clone());
        mailbox
    }

    /// Closes the mailbox of an integration that is gone.
    pub fn close(&self, key: &IntegrationKey) {
        self.mailboxes().remove(key);
    }

    /// Returns how many employees are in the lines by class, and since when the oldest, over all
    /// integrations. A process that does not lead reports no waiting employee.
    #[must_use]
    pub fn depths(&self) -> Depths {
        if !self.0.leadership.is_leader() {
            return Depths::default();
        }
        let mailboxes: Vec<_> = self.mailboxes().values().cloned().collect();
        let planned = |mailbox: &Arc<Mailbox>| -> Vec<Depths> {
            mailbox.planned.lock().values().copied().collect()
        };
        let all = mailboxes
            .iter()
            .flat_map(|mailbox| planned(mailbox).into_iter().chain([mailbox.lines.depths()]));
        all.fold(Depths::default(), |mut sum, depths| {
            for ((count, oldest), (more, since)) in sum.iter_mut().zip(depths) {
                *count += more;
                *oldest = match (*oldest, since) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
            }
            sum
        })
    }

    /// Handles one delivery. `signature`: the header `Bob-Signature`, if there is exactly one.
    pub async fn receive(
        &self,
        namespace: &str,
        name: &str,
        signature: Option<&[u8]>,
        body: &[u8],
    ) -> Received {
        if !self.0.leadership.is_leader() {
            return Received::NotLeading;
        }
        let key = IntegrationKey { namespace: namespace.into(), name: name.into() };
        if !self.has_started(&key) {
            return Received::Starting;
        }
        let mailbox = self.mailboxes().get(&key).cloned();
        let secrets = mailbox.as_ref().and_then(|mailbox| mailbox.lock().secrets.clone());
        let signed =
            signature.and_then(|signature| webhook::verify(secrets.as_ref(), signature, body));
        let (Some(mailbox), Some(tag)) = (mailbox, signed) else { return Received::Refused };
        if mailbox.came_before(&tag) {
            return Received::Duplicate;
        }
        let Ok(event) = Event::read(body) else { return Received::Unreadable };
        let received = self.take_in(&key, &mailbox, &event).await;
        if received != Received::NotRecorded {
            mailbox.remember(tag);
        }
        received
    }

    async fn take_in(&self, key: &IntegrationKey, mailbox: &Mailbox, event: &Event) -> Received {
        if !event.kind.is_about_people() {
            return Received::Ignored;
        }
        let known = mailbox.lock().company;
        if event.company.zip(known).is_some_and(|(said, known)| said != known) {
            return Received::OtherCompany;
        }
        let at = believable(event, self.0.clock.now());
        let mut received = Received::Queued;
        if event.kind.is_evidence()
            && let Some(reason) =
                event.employee.is_none().then_some("it names no employee").or(at.err())
        {
            tracing::warn!(integration = %key, event = ?event.kind, reason,
                "an event from Bob is not evidence; bobsync reads Bob instead");
            received = Received::NotEvidence;
        }
        let Some(employee) = event.employee.as_deref() else {
            // The event does not say which employee it is about, so all employees are looked at.
            mailbox.lines.add_everybody(Trigger::Webhook, Instant::now());
            return received;
        };
        if let Ok(at) = at {
            let recorded = tokio::time::timeout(
                RECORD_WITHIN,
                self.record(key, mailbox, employee, event.kind, at),
            )
            .await;
            let error = match recorded {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the API server did not answer in time".to_owned()),
            };
            if let Some(error) = error {
                tracing::warn!(integration = %key, error,
                    "evidence from Bob could not be written; Bob is asked to send it again");
                // Evidence in the employee's own status is acted on before Bob sends it again.
                if mailbox
                    .employees
                    .with(employee, |entry| entry.is_some_and(Entry::is_open_against_evidence))
                {
                    mailbox.lines.add(employee, Trigger::Webhook, class(event), Instant::now());
                }
                return Received::NotRecorded;
            }
        }
        mailbox.lines.add(employee, Trigger::Webhook, class(event), Instant::now());
        received
    }
}

/// Returns when the event happened, if it can be evidence, and otherwise why it cannot. Evidence
/// needs the second version of the envelope. It must not be so old that only a sender other than
/// Bob can have kept it.
fn believable(event: &Event, now: Timestamp) -> Result<Timestamp, &'static str> {
    let at = event.at.unwrap_or(now);
    let age = now.duration_since(at);
    if event.legacy {
        Err("it came in the old envelope (v1)")
    } else if age > OLDEST_EVIDENCE {
        Err("it is older than four days")
    } else if age < -AHEAD {
        Err("its time is more than 15 hours ahead")
    } else {
        Ok(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, data: &str) -> Event {
        let at = "2026-10-14T09:21:07.118204";
        Event::read(
            format!("{{\"type\":\"{kind}\",\"triggeredAt\":\"{at}\",\"data\":{data}}}").as_bytes(),
        )
        .expect("an event")
    }

    #[test]
    fn what_is_at_stake_follows_from_the_type_and_the_fields() {
        for (kind, data, at_stake) in [
            ("employee.access.revoked.immediately", "{}", Class::Revocation),
            ("employee.deleted", "{}", Class::Leaver),
            ("employee.left", "{}", Class::Leaver),
            ("employee.inactivated", "{}", Class::Leaver),
            ("employee.temporaryLeave", "{}", Class::Leaver),
            ("employee.created", "{}", Class::Joiner),
            ("employee.joined", "{}", Class::Joiner),
            ("employee.activated", "{}", Class::Joiner),
            ("employee.updated", "{}", Class::Mover),
            (
                "employee.updated",
                "{\"fieldUpdates\":[{\"id\":\"root.firstName\"},{\"id\":\"work.department\"}]}",
                Class::Mover,
            ),
            (
                "employee.updated",
                "{\"fieldUpdates\":[\"work.workPhone\",\"about.hobbies\"]}",
                Class::Cosmetic,
            ),
            ("table.entry.created", "{\"tableId\":\"lifecycle\"}", Class::Mover),
        ] {
            assert_eq!(class(&event(kind, data)), at_stake, "{kind} {data}");
        }
    }

    #[test]
    fn an_old_event_is_no_evidence_and_neither_is_the_first_version() {
        let now = |text: &str| text.parse::<Timestamp>().unwrap();
        let revoked = event("employee.access.revoked.immediately", "{\"employeeId\":\"7\"}");
        assert_eq!(believable(&revoked, now("2026-10-14T09:21:08Z")).ok(), revoked.at);
        assert!(
            believable(&revoked, now("2026-10-17T09:21:08Z")).is_ok(),
            "Bob repeats for three days"
        );
        assert!(
            believable(&revoked, now("2026-10-18T10:00:00Z")).unwrap_err().contains("four days"),
            "kept by another caller"
        );
        assert!(believable(&revoked, now("2026-10-13T22:00:00Z")).is_ok(), "the zone is not told");
        assert!(
            believable(&revoked, now("2026-10-13T02:00:00Z"))
                .unwrap_err()
                .contains("15 hours ahead")
        );
        assert!(
            believable(&Event { legacy: true, ..revoked.clone() }, now("2026-10-14T09:21:08Z"))
                .unwrap_err()
                .contains("v1")
        );
        assert!(
            believable(&Event { at: None, ..revoked }, now("2026-10-18T10:00:00Z")).is_ok(),
            "no time is no reason to lose it"
        );
    }
}
