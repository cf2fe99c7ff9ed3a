//! What an event that Bob pushed means: who is dirty, and what is evidence. The server hands over a raw body; here it is
//! checked, read, and put into its integration's lines.
//!
//! Two kinds of event are evidence that no later read of Bob would show: an immediate revocation, and the deletion of a
//! file whose read by id may already fail. They stand in the status of the `EmployeeSync` before Bob hears 200. All
//! others are in memory only: what a crash loses, the first pass of the next process finds.

mod evidence;
mod noted;
mod received;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::Notify, time::Instant};

use super::{
    claims::Claims,
    dirty::{Depths, Dirty},
    revocations::{OLDEST_EVIDENCE, Revocations},
};
use crate::{
    api::{employee_sync::Trigger, key::IntegrationKey},
    bob::webhook::{self, Event, SigningSecrets},
    cluster::{
        leadership::Leadership,
        roster::{Entry, Roster},
        watch::Scope,
    },
    domain::{ledger::Ledger, priority::Class},
    engine::clock::Clock,
};

use noted::Noted;
pub use received::Received;
use received::class;

/// How many deliveries are remembered, so that a repeated one does nothing.
const REMEMBERED: usize = 4096;
/// Bob names no time zone; so far ahead is still now.
const AHEAD: SignedDuration = SignedDuration::from_hours(15);
/// So many full passes may follow each other when events ask for them.
const IN_A_ROW: usize = 3;
/// How long evidence may take to be written. Bob waits for its answer for ten seconds at most.
const RECORD_WITHIN: Duration = Duration::from_secs(8);

/// Takes in deliveries for every integration. Clones share it.
#[derive(Clone)]
pub struct Inbox(Arc<Inner>);

struct Inner {
    client: kube::Client,
    roster: Roster,
    clock: Clock,
    leadership: Leadership,
    mailboxes: Mutex<HashMap<IntegrationKey, Arc<Mailbox>>>,
    /// Namespaces whose integrations are not known yet (`None` in the set: all of them), and integrations that cannot be read.
    /// `None`: nothing is known.
    unlisted: Mutex<Option<(HashSet<Scope>, HashSet<IntegrationKey>)>>,
    /// Whether it was known of each integration what its deliveries are signed with.
    started: AtomicBool,
}

/// What one integration receives.
pub struct Mailbox {
    uid: String,
    /// The immediate revocations in the integration's status.
    revoked: Arc<dyn Revocations>,
    /// Who is to be looked at.
    pub dirty: Dirty,
    /// Who is being written to.
    pub claims: Claims,
    /// What passes let out that no status tells.
    pub ledger: Mutex<Ledger>,
    /// What its passes suspect.
    pub noted: Noted,
    /// What stands in the plans of passes that are under way, by pass.
    planned: Mutex<HashMap<u64, Depths>>,
    state: Mutex<State>,
    /// A pass is through: dates may be other ones.
    dates: Notify,
    /// A sync of one employee was requested since the last full pass began.
    asked: AtomicBool,
    /// Whether the settings take access from anybody.
    takes_access: AtomicBool,
}

#[derive(Default)]
struct State {
    /// When full passes last ended, the latest last, and how long the latest read.
    ended: VecDeque<Instant>,
    read_for: Duration,
    /// Whether one is under way.
    everybody: bool,
    secrets: Option<SigningSecrets>,
    /// Whether the Secret was looked for.
    secrets_known: bool,
    company: Option<u64>,
    /// By manager without an account: who reports to them and is in order but for that.
    leaderless: HashMap<Box<str>, HashSet<Box<str>>>,
    /// Who was looked at once because this manager turned out to have one.
    looked_for: HashMap<Box<str>, Box<str>>,
    /// When Bob last reported somebody activated.
    activated: HashMap<Box<str>, Timestamp>,
    remembered: HashSet<webhook::Tag>,
    order: VecDeque<webhook::Tag>,
}

impl Mailbox {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What deliveries are signed with from now on; `None`: none is taken.
    pub fn sign_with(&self, secrets: Option<SigningSecrets>) {
        let mut state = self.lock();
        state.secrets = secrets;
        state.secrets_known = true;
    }

    /// Bob's id of the company, as its people show it.
    pub fn company(&self, id: Option<u64>) {
        if id.is_some() {
            self.lock().company = id;
        }
    }

    /// So many changes of a pass wait for their turn, by class, the oldest since this second of the epoch.
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
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).insert(pass, depths);
    }

    /// A pass has ended, and nothing of its plan waits.
    pub fn plan_ended(&self, pass: u64) {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner).remove(&pass);
    }

    /// A full pass begins.
    pub fn everybody_begins(&self) {
        self.lock().everybody = true;
    }

    /// It has ended, and read Bob and the provider for so long.
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

    /// Whether a full pass is under way. It may last for hours, and nothing waits for its end.
    #[must_use]
    pub fn is_on_everybody(&self) -> bool {
        self.lock().everybody
    }

    /// A sync of one person is asked for.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Release);
    }

    /// Notes whether the settings take access from anybody.
    pub fn take_access(&self, takes: bool) {
        self.takes_access.store(takes, Ordering::Release);
    }

    /// Whether that has happened since the last full pass began.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// A full pass begins, which answers the requests so far.
    pub fn answer(&self) {
        self.asked.store(false, Ordering::Release);
    }

    /// Completes once dates may be other ones.
    pub async fn dates_changed(&self) {
        self.dates.notified().await;
    }

    /// When events may ask for the next full pass: a few may follow each other, on average they are `apart`, and
    /// reading for them takes a fifth of the time at most.
    #[must_use]
    pub fn next_everybody(&self, apart: Duration) -> Instant {
        let state = self.lock();
        let in_a_row = state.ended.front().filter(|_| state.ended.len() == IN_A_ROW);
        let fifth = state.ended.back().map(|ended| *ended + state.read_for * 4);
        let row = in_a_row
            .map(|first| *first + apart.saturating_mul(u32::try_from(IN_A_ROW).unwrap_or(1)));
        row.max(fifth).unwrap_or_else(Instant::now)
    }

    /// Bob reported somebody activated. The last few thousand are remembered.
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

    /// Whether Bob has reported somebody activated after this moment. A process knows those that it was told of.
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
    /// An inbox without integrations.
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

    fn mailboxes(&self) -> std::sync::MutexGuard<'_, HashMap<IntegrationKey, Arc<Mailbox>>> {
        self.0.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every integration that there is has a mailbox now.
    pub fn listed(&self) {
        self.unlisted(HashSet::new(), HashSet::new());
    }

    /// The same but for those of these namespaces, and for these, which cannot be read.
    pub fn unlisted(&self, scopes: HashSet<Scope>, unreadable: HashSet<IntegrationKey>) {
        *self.0.unlisted.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((scopes, unreadable));
    }

    fn is_listed(&self, key: &IntegrationKey) -> bool {
        let has = |scope: &Scope| scope.as_deref().is_none_or(|scope| *scope == *key.namespace);
        let unlisted = self.0.unlisted.lock().unwrap_or_else(PoisonError::into_inner);
        unlisted.as_ref().is_some_and(|(scopes, unreadable)| {
            !scopes.iter().any(has) && !unreadable.contains(key)
        })
    }

    /// Whether it is known what the deliveries of this integration are signed with. Before that every delivery is asked to come
    /// again: a process that does not know must not say that a signature is wrong.
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
            revoked,
            dirty: Dirty::default(),
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

    /// How many stand in line by class, and since when the oldest, over all integrations. Nobody waits for a process that does
    /// not lead.
    #[must_use]
    pub fn depths(&self) -> Depths {
        if !self.0.leadership.is_leader() {
            return Depths::default();
        }
        let mailboxes: Vec<_> = self.mailboxes().values().cloned().collect();
        let planned = |mailbox: &Arc<Mailbox>| -> Vec<Depths> {
            mailbox
                .planned
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .values()
                .copied()
                .collect()
        };
        let all = mailboxes
            .iter()
            .flat_map(|mailbox| planned(mailbox).into_iter().chain([mailbox.dirty.depths()]));
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

    /// Takes in one delivery. `signature`: the header `Bob-Signature`, if there is exactly one.
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
            && let Some(reason) = event.employee.is_none().then_some("it names nobody").or(at.err())
        {
            tracing::warn!(integration = %key, event = ?event.kind, reason, "an event from Bob is no evidence; Bob is read, and decides");
            received = Received::NotEvidence;
        }
        let Some(employee) = event.employee.as_deref() else {
            // Somebody, and Bob does not say who: everybody is looked at.
            mailbox.dirty.add_everybody(Trigger::Webhook, Instant::now());
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
                tracing::warn!(integration = %key, error, "evidence from Bob could not be written; Bob is asked to send it again");
                // What the employee's own status has of it is acted on before that.
                if self
                    .0
                    .roster
                    .with(key, employee, |entry| entry.is_some_and(Entry::is_open_against_evidence))
                {
                    mailbox.dirty.add(employee, Trigger::Webhook, class(event), Instant::now());
                }
                return Received::NotRecorded;
            }
        }
        mailbox.dirty.add(employee, Trigger::Webhook, class(event), Instant::now());
        received
    }
}

/// When the event happened, if it can be evidence: the second version of the envelope, and not so old that somebody
/// other than Bob must have kept it. Else why it cannot.
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
            "kept by somebody else"
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
