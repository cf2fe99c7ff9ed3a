//! What the controller remembers of every `EmployeeSync`: a compact row in place of the object. Fed by the watch and by
//! the controller's own writes; whichever is newer wins.

mod asked;
mod figures;
mod latest;
mod objects;
mod people;
mod reading;
mod standing;
mod tries;
#[cfg(test)]
mod versions_tests;

use std::{
    collections::BTreeMap,
    num::NonZeroU64,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use foldhash::HashMap;
use jiff::Timestamp;
use kube::ResourceExt as _;
use tokio::sync::Notify;

pub use self::{
    asked::Hold,
    latest::Latest,
    objects::{Owner, Tie, object_name, owner_reference, owners, version},
    people::Sums,
    reading::{digest, same},
    standing::{Counts, Standing},
};
use self::{
    objects::key_of,
    people::People,
    reading::{
        access, ended, kept, leaderless, managed_by_another, met, only_found, overrides, revoked,
        several, unready_since,
    },
};
use crate::{
    api::{
        EmployeeSync, SYNC_REQUESTED,
        employee_sync::{Access, Because, EvidenceKind, HISTORY, HistoryEntry, MatchedBy},
        key::IntegrationKey,
    },
    domain::{
        access::Why,
        drift::InPlace,
        ended::Ended,
        kept::Kept,
        known::{Met, Overrides, Revoked},
        missing::{Absence, Word},
    },
};

/// One `EmployeeSync`, as far as a pass needs it.
// Each is a fact of its own about one object, not a state in pieces.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Whether there is an object now. What is known of a person stays when somebody deletes the object, for the account
    /// is still there: a revocation, what the person waits for, what went out lately.
    pub exists: bool,
    /// Whether somebody has deleted the object and it is still there: nothing is written to it.
    pub going: bool,
    /// Whose the object is.
    pub owner: Owner,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.resourceVersion` as a number, to tell older news from newer.
    version: u64,
    /// What the spec asks for; `None` where it asks for nothing.
    pub overrides: Option<Box<Overrides>>,
    /// How far the person was dealt with before; `None` without a status.
    pub met: Option<Met>,
    /// Access as the status says.
    pub access: Option<Access>,
    /// How the employee stands, as the status says.
    pub standing: Standing,
    /// Whether the status says that another integration manages the person.
    managed_by_another: bool,
    /// Evidence that access is revoked at once.
    pub revoked: Option<Revoked>,
    /// The end of the employment that the status speaks of, which may lie ahead.
    ended: Option<Box<Ended>>,
    /// The account that bobsync has written to, and how it was found.
    pub account: Option<(Box<str>, MatchedBy)>,
    /// An account that was found by e-mail and is told of: nothing has been written to it, and nobody's it is.
    pub found: Option<Box<str>>,
    /// Whether the status says that several accounts are this person's.
    pub several: bool,
    /// When the read by id first said that the file is gone.
    pub file_deleted: Option<Timestamp>,
    /// When a change of each kind last went out.
    pub latest: Latest,
    /// Whether the status says that the start date brings access.
    pub awaited_start: bool,
    /// Whether the status says that the manager has no account.
    pub leaderless: bool,
    /// The part in a plan that is held, or was approved and is not through.
    pub part: Option<NonZeroU64>,
    /// What was last in place on the account, where the status keeps it.
    pub in_place: Option<Box<InPlace>>,
    /// Values that the provider keeps in another form than they were sent.
    pub kept: Option<Box<Kept>>,
    /// A sync request that is not answered yet.
    pub sync_requested: Option<Box<str>>,
    /// The sync request that was answered last.
    pub sync_handled: Option<Box<str>>,
    /// [`digest`] of the status in the API server.
    pub digest: u64,
    /// The next moment at which the decision changes by itself, in seconds of the epoch, and what access becomes.
    pub next: Option<(i64, Access)>,
    /// Since when the status says that something is not as decided, in seconds of the epoch; 0 where all is.
    unready_since: u32,
    /// Hash of the row of Bob that was last looked at; 0 where none was.
    pub row: u64,
    /// The lifecycle status that Bob last showed to this process, or that the status speaks of.
    pub lifecycle: Word,
    /// What reads by id have said, where Bob's answer does not have the person.
    pub absence: Absence,
    /// Whether the API server refuses the object, or its status.
    unrecorded: bool,
    /// Whether a status of ours is on its way: the watch may bring it before the answer does.
    writing: bool,
    /// Hash of the verdict that this status was written from; 0 where it is not known.
    pub verdict: u64,
}

/// What a watch event means for an integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing that a pass would do differently: our own write, or an echo of it.
    Nothing,
    /// The spec, a sync request or the status was changed by somebody, or the object went.
    Wake,
}

/// Every `EmployeeSync` of every integration.
#[derive(Clone, Default)]
pub struct Roster {
    rows: Arc<Mutex<Rows>>,
    /// Lines of histories that could not be written when their changes were made. Lost with the process.
    owed: Arc<Mutex<Owed>>,
    /// Notified of every pin that has an owner.
    owned_pin: Arc<Notify>,
}

type Rows = HashMap<IntegrationKey, People>;
type Owed = HashMap<IntegrationKey, HashMap<Box<str>, Vec<HistoryEntry>>>;

impl Roster {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in an object that the watch or a write brought.
    pub fn see(&self, object: &EmployeeSync) -> News {
        let Some((key, employee)) = key_of(object) else { return News::Nothing };
        let fresh = entry(object);
        let mut rows = self.rows();
        if fresh.tie() == Some(Tie::Untie) {
            self.owned_pin.notify_one();
        }
        let people = rows.entry(key).or_default();
        match people.get(&employee) {
            Some(known) if known.version >= fresh.version => News::Nothing,
            Some(known) if known.exists => {
                let same_status = known.digest == fresh.digest;
                let ours = same_status || known.writing;
                // An answer to a request is no request.
                let asked =
                    fresh.sync_requested.is_some() && known.sync_requested != fresh.sync_requested;
                let news = if known.generation == fresh.generation && ours && !asked {
                    News::Nothing
                } else {
                    News::Wake
                };
                let verdict = if same_status { known.verdict } else { 0 };
                let fresh = Entry { verdict, writing: known.writing, ..fresh.after(known) };
                people.put(employee, fresh);
                news
            }
            known => {
                // One that a person or Git wrote has neither a status nor an owner; the controller's own is on its way to a status.
                let written_by_somebody =
                    object.status.is_none() && object.owner_references().is_empty();
                let news = if written_by_somebody { News::Wake } else { News::Nothing };
                let fresh = known.map_or(fresh.clone(), |known| fresh.after(known));
                people.put(employee, fresh);
                news
            }
        }
    }

    /// A status of this person is about to be written, or was not written after all.
    pub fn writing(&self, key: &IntegrationKey, employee: &str, writing: bool) {
        if let Some(entry) = self.rows().get_mut(key).and_then(|people| people.aside(employee)) {
            entry.writing = writing;
        }
    }

    /// Nothing of this integration is about to be written any more: all writers have ended.
    pub fn settle(&self, key: &IntegrationKey) {
        let mut rows = self.rows();
        let Some(people) = rows.get_mut(key) else { return };
        let writing: Vec<Box<str>> = people
            .iter()
            .filter(|(_, entry)| entry.writing)
            .map(|(employee, _)| employee.into())
            .collect();
        for employee in writing {
            if let Some(entry) = people.aside(&employee) {
                entry.writing = false;
            }
        }
    }

    /// Takes in what the controller has just written, with the verdict behind it.
    pub fn wrote(&self, object: &EmployeeSync, verdict: u64) {
        let Some((key, employee)) = key_of(object) else { return };
        let fresh = Entry { verdict, ..entry(object) };
        let mut rows = self.rows();
        let people = rows.entry(key).or_default();
        match people.aside(&employee) {
            Some(known)
                if known.version > fresh.version
                    || !known.exists && known.version == fresh.version =>
            {
                known.writing = false
            }
            Some(known) => {
                let fresh = fresh.after(known);
                people.put(employee, fresh);
            }
            None => people.put(employee, fresh),
        }
    }

    /// The verdict behind a status that turned out to be written already.
    pub fn confirm(&self, key: &IntegrationKey, employee: &str, verdict: u64) {
        if let Some(entry) = self.rows().get_mut(key).and_then(|people| people.aside(employee)) {
            entry.verdict = verdict;
        }
    }

    /// Takes out an object that is gone. Gives its integration and its person: it comes back while the person is there.
    pub fn gone(&self, object: &EmployeeSync) -> Option<(IntegrationKey, Box<str>)> {
        let (key, employee) = key_of(object)?;
        let mut rows = self.rows();
        let people = rows.get_mut(&key)?;
        let version = version(object);
        // An older object of this name: the one that is known came after it.
        people.get(&employee).filter(|entry| entry.exists && entry.version <= version)?;
        people.lose(&employee, version);
        if people.is_empty() {
            rows.remove(&key);
        }
        drop(rows);
        Some((key, employee))
    }

    /// Takes out somebody whose object the controller itself has deleted: nothing is left to do.
    pub fn forget(&self, key: &IntegrationKey, employee: &str) {
        if let Some(people) = self.rows().get_mut(key) {
            people.remove(employee);
        }
    }

    /// Everybody of whom evidence of an immediate revocation stands, by `root.id`.
    #[must_use]
    pub fn revoked(&self, key: &IntegrationKey) -> BTreeMap<Box<str>, Revoked> {
        let mut revoked = BTreeMap::new();
        self.for_each(key, |employee, entry| {
            revoked.extend(entry.revoked.map(|at| (employee.into(), at)))
        });
        revoked
    }

    /// An immediate revocation that the integration's status keeps, of somebody whose own status is gone, or is an older one.
    pub fn remember(&self, key: &IntegrationKey, employee: &str, revoked: Revoked) {
        let mut rows = self.rows();
        let people = rows.entry(key.clone()).or_default();
        if people.get(employee).is_none() {
            people.put(employee.into(), Entry { generation: 1, ..Entry::default() });
        }
        if let Some(entry) = people.aside(employee).filter(|entry| entry.file_deleted.is_none()) {
            entry.revoked.get_or_insert(revoked);
        }
    }

    /// A revocation of somebody without an object has ended.
    pub fn forget_revocation(&self, key: &IntegrationKey, employee: &str) {
        if let Some(entry) = self.rows().get_mut(key).and_then(|people| people.aside(employee)) {
            entry.revoked = None;
            entry.writing = false;
        }
    }

    /// Notes that there is no account of this person, where none is on record; `None`: of anybody without an object, for a
    /// listing would have shown it.
    pub fn without_account(&self, key: &IntegrationKey, employee: Option<&str>) {
        let mut rows = self.rows();
        let Some(people) = rows.get_mut(key) else { return };
        let is_meant =
            |id: &str, entry: &Entry| employee.map_or(!entry.exists, |employee| employee == id);
        let unknown = |(id, entry): &(&str, &Entry)| {
            entry.is_unknown_against_evidence() && is_meant(id, entry)
        };
        let unknown: Vec<Box<str>> =
            people.iter().filter(unknown).map(|(id, _)| id.into()).collect();
        unknown
            .iter()
            .for_each(|id| people.change(id, |entry| entry.access = Some(Access::Absent)));
    }

    /// Forgets which accounts are on record: they are another tenant's.
    pub fn forget_accounts(&self, key: &IntegrationKey) {
        if let Some(people) = self.rows().get_mut(key) {
            people.sift(|_, entry| {
                (entry.account, entry.found, entry.in_place, entry.kept, entry.verdict) =
                    (None, None, None, None, 0);
                true
            });
        }
    }

    /// Forgets an integration that is gone, and with it all that no object tells. An object that outlives it, a revocation, and
    /// what they say, stay known until they go as well.
    pub fn leave(&self, key: &IntegrationKey) {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        let mut rows = self.rows();
        if let Some(people) = rows.get_mut(key) {
            people.leave();
            if people.is_empty() {
                rows.remove(key);
            }
        }
    }

    /// An integration of this name is there again.
    pub fn come(&self, key: &IntegrationKey) {
        self.rows().entry(key.clone()).or_default().come();
    }

    /// Forgets people whose objects went, but for revocations: their integration is a new one.
    pub fn forget_lost(&self, key: &IntegrationKey) {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        if let Some(people) = self.rows().get_mut(key) {
            people.sift(|_, entry| {
                if !entry.exists {
                    *entry = Entry { generation: 1, revoked: entry.revoked, ..Entry::default() };
                }
                entry.exists || entry.revoked.is_some()
            });
        }
    }

    /// Keeps these lines, newest first, for the next status of this person, in place of those kept before. Their changes
    /// count in the budgets from now on.
    pub fn owe(&self, key: &IntegrationKey, employee: &str, mut lines: Vec<HistoryEntry>) {
        lines.truncate(HISTORY);
        if let Some(people) = self.rows().get_mut(key) {
            people.change(employee, |entry| {
                let mut owed = Latest::default();
                lines.iter().for_each(|line| owed.take(line, entry.awaited_start));
                entry.latest = entry.latest.or_later(&owed);
            });
        }
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() {
            let left = owed.get_mut(key).map_or(0, |people| {
                people.remove(employee);
                people.len()
            });
            if left == 0 {
                owed.remove(key);
            }
        } else {
            owed.entry(key.clone()).or_default().insert(employee.into(), lines);
        }
    }

    /// Whether lines are kept for anybody of this integration.
    #[must_use]
    pub fn owes(&self, key: &IntegrationKey) -> bool {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner).contains_key(key)
    }

    /// The lines that are kept for this person, newest first.
    #[must_use]
    pub fn owed(&self, key: &IntegrationKey, employee: &str) -> Vec<HistoryEntry> {
        let owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        owed.get(key).and_then(|people| people.get(employee)).cloned().unwrap_or_default()
    }

    /// The newest version of all objects of `namespace` (all namespaces if `None`) that is known: a list that is asked for now
    /// is not older.
    #[must_use]
    pub fn newest(&self, namespace: Option<&str>) -> u64 {
        let rows = self.rows();
        let people = rows
            .iter()
            .filter(|(key, _)| namespace.is_none_or(|n| *n == *key.namespace))
            .map(|(_, people)| people);
        people.flat_map(|people| people.iter().map(|(_, entry)| entry.version)).max().unwrap_or(0)
    }

    /// After a complete list of `namespace` (all namespaces if `None`) that is of this `version` or a later one: everything that
    /// is not in it and not newer went unseen.
    pub fn keep_only(
        &self,
        namespace: Option<&str>,
        version: u64,
        listed: &std::collections::HashSet<(Arc<str>, Box<str>)>,
    ) -> Vec<IntegrationKey> {
        let (mut rows, mut woken) = (self.rows(), Vec::new());
        for (key, people) in
            rows.iter_mut().filter(|(key, _)| namespace.is_none_or(|n| *n == *key.namespace))
        {
            let unlisted = |employee: &str| {
                !listed.contains(&(key.namespace.clone(), object_name(&key.name, employee).into()))
            };
            let gone = |entry: &Entry| entry.exists && entry.version <= version;
            let lost: Vec<Box<str>> = people
                .iter()
                .filter(|(employee, entry)| gone(entry) && unlisted(employee))
                .map(|(employee, _)| employee.into())
                .collect();
            lost.iter().for_each(|employee| people.lose(employee, version));
            if !lost.is_empty() {
                woken.push(key.clone());
            }
        }
        rows.retain(|_, people| !people.is_empty());
        woken
    }

    /// These rows of Bob were looked at.
    pub fn looked<'a>(&self, key: &IntegrationKey, rows: impl Iterator<Item = (&'a str, u64)>) {
        let mut all = self.rows();
        let Some(people) = all.get_mut(key) else { return };
        for (employee, row) in rows {
            if let Some(entry) = people.aside(employee) {
                entry.row = row;
            }
        }
    }

    /// Bob shows these people, with these lifecycle statuses.
    pub fn shown<'a>(&self, key: &IntegrationKey, shown: impl Iterator<Item = (&'a str, Word)>) {
        let mut all = self.rows();
        let Some(people) = all.get_mut(key) else { return };
        for (employee, word) in shown {
            if let Some(entry) = people.aside(employee) {
                entry.absence = Absence::default();
                if word.is_known() {
                    entry.lifecycle = word;
                }
            }
        }
    }

    /// Bob does not show this person, and a read by id said this.
    pub fn absent(&self, key: &IntegrationKey, employee: &str, absence: Absence) {
        if let Some(entry) = self.rows().get_mut(key).and_then(|people| people.aside(employee)) {
            entry.absence = absence;
        }
    }

    /// The moment, in seconds of the epoch and after `since`, at which the next decision changes by itself.
    #[must_use]
    pub fn next_transition(&self, key: &IntegrationKey, since: i64) -> Option<i64> {
        let rows = self.rows();
        let moments = rows.get(key)?.iter().filter_map(|(_, entry)| entry.next).map(|(at, _)| at);
        moments.filter(|at| *at > since).min()
    }

    /// Looks at one entry where it is. `look` must not come back to the roster.
    pub fn with<T>(
        &self,
        key: &IntegrationKey,
        employee: &str,
        look: impl FnOnce(Option<&Entry>) -> T,
    ) -> T {
        look(self.rows().get(key).and_then(|people| people.get(employee)))
    }

    /// A copy of one entry.
    #[must_use]
    pub fn get(&self, key: &IntegrationKey, employee: &str) -> Option<Entry> {
        self.rows().get(key)?.get(employee).cloned()
    }

    /// Calls `look` for every entry of an integration.
    pub fn for_each(&self, key: &IntegrationKey, mut look: impl FnMut(&str, &Entry)) {
        if let Some(people) = self.rows().get(key) {
            people.iter().for_each(|(employee, entry)| look(employee, entry));
        }
    }

    /// Objects of all integrations.
    #[must_use]
    pub fn objects(&self) -> usize {
        self.rows().values().map(|people| people.sums().objects).sum()
    }

    /// Objects of one integration.
    #[must_use]
    pub fn count(&self, key: &IntegrationKey) -> usize {
        self.sums(key, |sums| sums.objects)
    }

    /// Returns what is told of every change that a sum of this integration rests on. It has one listener.
    #[must_use]
    pub fn news(&self, key: &IntegrationKey) -> Arc<Notify> {
        self.rows().entry(key.clone()).or_default().news()
    }

    /// Looks at the sums over the people of an integration. `look` must not come back to the roster.
    pub fn sums<T>(&self, key: &IntegrationKey, look: impl FnOnce(&Sums) -> T) -> T {
        match self.rows().get(key) {
            Some(people) => look(people.sums()),
            None => look(&Sums::default()),
        }
    }
}

fn entry(object: &EmployeeSync) -> Entry {
    let status = object.status.as_ref();
    let handled = status.and_then(|s| s.last_handled_sync_at.as_deref());
    let account = status.and_then(|s| s.account.as_ref());
    let only_found = status.is_some_and(only_found);
    let requested = object
        .metadata
        .annotations
        .as_ref()
        .and_then(|a| a.get(SYNC_REQUESTED))
        .map(String::as_str);
    Entry {
        exists: true,
        going: object.metadata.deletion_timestamp.is_some(),
        owner: Owner::of(object),
        generation: object.metadata.generation.unwrap_or(0),
        version: version(object),
        overrides: overrides(&object.spec),
        met: status.and_then(met),
        access: status.and_then(|status| access(object, status)),
        standing: status.map(Standing::of).unwrap_or_default(),
        managed_by_another: status.is_some_and(managed_by_another),
        revoked: status.and_then(|s| s.evidence.as_ref()).and_then(revoked),
        ended: status.and_then(ended),
        account: account.filter(|_| !only_found).map(|a| (a.id.as_str().into(), a.matched_by)),
        found: account.filter(|_| only_found).map(|a| a.id.as_str().into()),
        several: status.is_some_and(several),
        file_deleted: status
            .and_then(|s| s.evidence.as_ref())
            .filter(|e| e.kind == EvidenceKind::FileDeleted)
            .map(|e| e.observed_at.0),
        latest: status.map(Latest::of_status).unwrap_or_default(),
        awaited_start: status
            .and_then(|s| s.next_transition.as_ref())
            .is_some_and(|next| next.because == Because::StartDate),
        leaderless: status.is_some_and(leaderless),
        part: status
            .and_then(|s| u64::from_str_radix(s.held_part.as_deref()?, 16).ok())
            .and_then(NonZeroU64::new),
        in_place: status
            .map(|s| &s.last_applied)
            .filter(|list| !list.is_empty())
            .map(|list| Box::new(InPlace::from_list(list.iter().map(String::as_str)))),
        kept: status.and_then(kept),
        next: status
            .and_then(|s| s.next_transition.as_ref())
            .and_then(|next| Some((next.at.parse::<Timestamp>().ok()?.as_second(), next.access))),
        unready_since: status.map_or(0, unready_since),
        row: 0,
        lifecycle: status
            .and_then(ended)
            .filter(|e| e.why == Why::Terminated)
            .map_or(Word::default(), |_| Word::terminated()),
        absence: Absence::default(),
        sync_requested: requested.filter(|r| Some(*r) != handled).map(Into::into),
        sync_handled: handled.map(Into::into),
        digest: status.map_or(0, digest),
        unrecorded: false,
        writing: false,
        verdict: 0,
    }
}

impl Entry {
    /// The object went at this version: its spec says nothing any more. Another object of this name is newer.
    fn lose_object(&mut self, version: u64) {
        *self = Self {
            exists: false,
            going: false,
            owner: Owner::default(),
            generation: 1,
            version,
            overrides: None,
            sync_requested: None,
            sync_handled: None,
            digest: 0,
            writing: false,
            verdict: 0,
            ..self.clone()
        };
    }

    /// This one in place of `known`. An object without a status says nothing of the person, and one that has evidence alone
    /// says nothing of the account, so what was known stays.
    fn after(mut self, known: &Self) -> Self {
        (self.row, self.lifecycle, self.absence) =
            (known.row, known.lifecycle.or(self.lifecycle), known.absence);
        self.kept = self.kept_after(known);
        // The same object or another one: what went out has gone out.
        let latest = self.latest.or_later(&known.latest);
        if self.says_something() {
            return Self { latest, ..self };
        }
        Self {
            account: self.account.or_else(|| known.account.clone()),
            found: self.found.or_else(|| known.found.clone()),
            several: self.several || known.several,
            met: self.met.or(known.met),
            access: self.access.or(known.access),
            standing: if self.digest == 0 { known.standing } else { self.standing },
            managed_by_another: if self.digest == 0 {
                known.managed_by_another
            } else {
                self.managed_by_another
            },
            // Evidence has been written anew, or taken back.
            revoked: if self.digest == 0 { known.revoked } else { self.revoked },
            ended: self.ended.or_else(|| known.ended.clone()),
            latest,
            awaited_start: known.awaited_start,
            in_place: self.in_place.or_else(|| known.in_place.clone()),
            kept: known.kept.clone(),
            part: self.part.or(known.part),
            next: known.next,
            unready_since: known.unready_since,
            ..self
        }
    }

    /// Whether its status says how the person was dealt with.
    const fn says_something(&self) -> bool {
        self.met.is_some() || self.account.is_some() || self.found.is_some()
    }
}
