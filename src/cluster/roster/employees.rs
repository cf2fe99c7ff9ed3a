//! What is known of the employees of one integration.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::Notify;

use super::{Entry, Latest, Roster, Sums};
use crate::{
    api::{
        employee_sync::{Access, HISTORY, HistoryEntry},
        key::IntegrationKey,
    },
    domain::{
        known::Revoked,
        missing::{Absence, Word},
    },
};

/// The employees of one integration, as the roster knows them.
#[derive(Clone, Copy)]
pub struct Employees<'a> {
    /// What is known of the employees of all integrations.
    pub all: &'a Roster,
    /// The key of the integration.
    pub key: &'a IntegrationKey,
}

impl Roster {
    /// Returns what is known of the employees of this integration.
    #[must_use]
    pub const fn of<'a>(&'a self, key: &'a IntegrationKey) -> Employees<'a> {
        Employees { all: self, key }
    }
}

impl Employees<'_> {
    /// Notes whether a status of this employee is being written.
    pub fn writing(self, employee: &str, writing: bool) {
        if let Some(entry) =
            self.all.rows().get_mut(self.key).and_then(|people| people.aside(employee))
        {
            entry.writing = writing;
        }
    }

    /// Notes that no status of this integration is being written any more: all writers have ended.
    pub fn settle(self) {
        let mut rows = self.all.rows();
        let Some(people) = rows.get_mut(self.key) else { return };
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

    /// Stores the verdict behind a status that was already written.
    pub fn confirm(self, employee: &str, verdict: u64) {
        if let Some(people) = self.all.rows().get_mut(self.key) {
            people.change(employee, |entry| (entry.verdict, entry.unrecorded) = (verdict, false));
        }
    }

    /// Removes an employee after the controller itself has deleted the object: no work is left.
    pub fn forget(self, employee: &str) {
        if let Some(people) = self.all.rows().get_mut(self.key) {
            people.remove(employee);
        }
    }

    /// Returns every employee with evidence of an immediate revocation, by `root.id`.
    #[must_use]
    pub fn revoked(self) -> BTreeMap<Box<str>, Revoked> {
        let mut revoked = BTreeMap::new();
        self.for_each(|employee, entry| {
            revoked.extend(entry.revoked.map(|at| (employee.into(), at)))
        });
        revoked
    }

    /// Stores an immediate revocation from the integration's status, for an employee with a status
    /// that is gone or older.
    pub fn remember(self, employee: &str, revoked: Revoked) {
        let mut rows = self.all.rows();
        let people = rows.entry(self.key.clone()).or_default();
        if people.get(employee).is_none() {
            people.put(employee.into(), Entry { generation: 1, ..Entry::default() });
        }
        if let Some(entry) = people.aside(employee).filter(|entry| entry.file_deleted.is_none()) {
            entry.revoked.get_or_insert(revoked);
        }
    }

    /// Removes the revocation of an employee without an object, because it has ended.
    pub fn forget_revocation(self, employee: &str) {
        if let Some(entry) =
            self.all.rows().get_mut(self.key).and_then(|people| people.aside(employee))
        {
            entry.revoked = None;
            entry.writing = false;
        }
    }

    /// Notes that this employee has no account, if none is on record. `None`: no employee without
    /// an object has one, because a listing would have shown it.
    pub fn without_account(self, employee: Option<&str>) {
        let mut rows = self.all.rows();
        let Some(people) = rows.get_mut(self.key) else { return };
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

    /// Forgets the accounts on record, because they belong to another tenant.
    pub fn forget_accounts(self) {
        if let Some(people) = self.all.rows().get_mut(self.key) {
            people.sift(|_, entry| {
                (entry.account, entry.found, entry.in_place, entry.kept, entry.verdict) =
                    (None, None, None, None, 0);
                true
            });
        }
    }

    /// Forgets an integration that is gone, and everything that no object shows. Objects and
    /// revocations that outlive the integration stay known, with what they say, until they are gone
    /// as well.
    pub fn leave(self) {
        self.all.owed.lock().remove(self.key);
        let mut rows = self.all.rows();
        if let Some(people) = rows.get_mut(self.key) {
            people.leave();
            if people.is_empty() {
                rows.remove(self.key);
            }
        }
    }

    /// Notes that an integration of this name exists again.
    pub fn come(self) {
        self.all.rows().entry(self.key.clone()).or_default().come();
    }

    /// Forgets employees without an object, except for revocations, because their integration is a
    /// new one.
    pub fn forget_lost(self) {
        self.all.owed.lock().remove(self.key);
        if let Some(people) = self.all.rows().get_mut(self.key) {
            people.sift(|_, entry| {
                if !entry.exists {
                    *entry = Entry { generation: 1, revoked: entry.revoked, ..Entry::default() };
                }
                entry.exists || entry.revoked.is_some()
            });
        }
    }

    /// Stores these lines, newest first, for the next status of this employee. They replace the
    /// lines that were stored before. Their changes count in the budgets from now on.
    pub fn owe(self, employee: &str, mut lines: Vec<HistoryEntry>) {
        lines.truncate(HISTORY);
        if let Some(people) = self.all.rows().get_mut(self.key) {
            people.change(employee, |entry| {
                let mut owed = Latest::default();
                lines.iter().for_each(|line| owed.take(line, entry.awaited_start));
                entry.latest = entry.latest.or_later(&owed);
            });
        }
        let mut owed = self.all.owed.lock();
        if lines.is_empty() {
            let left = owed.get_mut(self.key).map_or(0, |people| {
                people.remove(employee);
                people.len()
            });
            if left == 0 {
                owed.remove(self.key);
            }
        } else {
            owed.entry(self.key.clone()).or_default().insert(employee.into(), lines);
        }
    }

    /// Returns whether lines are stored for an employee of this integration.
    #[must_use]
    pub fn owes(self) -> bool {
        self.all.owed.lock().contains_key(self.key)
    }

    /// Returns the lines that are stored for this employee, newest first.
    #[must_use]
    pub fn owed(self, employee: &str) -> Vec<HistoryEntry> {
        let owed = self.all.owed.lock();
        owed.get(self.key).and_then(|people| people.get(employee)).cloned().unwrap_or_default()
    }

    /// Notes that these rows of Bob were looked at.
    pub fn looked<'a>(self, rows: impl Iterator<Item = (&'a str, u64)>) {
        let mut all = self.all.rows();
        let Some(people) = all.get_mut(self.key) else { return };
        for (employee, row) in rows {
            if let Some(entry) = people.aside(employee) {
                entry.row = row;
            }
        }
    }

    /// Notes that Bob shows these employees, with these lifecycle statuses.
    pub fn shown<'a>(self, shown: impl Iterator<Item = (&'a str, Word)>) {
        let mut all = self.all.rows();
        let Some(people) = all.get_mut(self.key) else { return };
        for (employee, word) in shown {
            if let Some(entry) = people.aside(employee) {
                entry.absence = Absence::default();
                if word.is_known() {
                    entry.lifecycle = word;
                }
            }
        }
    }

    /// Notes that Bob does not show this employee, and what a read by id returned.
    pub fn absent(self, employee: &str, absence: Absence) {
        if let Some(entry) =
            self.all.rows().get_mut(self.key).and_then(|people| people.aside(employee))
        {
            entry.absence = absence;
        }
    }

    /// Returns the moment, in seconds of the epoch and after `since`, at which the next decision
    /// changes by itself.
    #[must_use]
    pub fn next_transition(self, since: i64) -> Option<i64> {
        let rows = self.all.rows();
        let moments =
            rows.get(self.key)?.iter().filter_map(|(_, entry)| entry.next).map(|(at, _)| at);
        moments.filter(|at| *at > since).min()
    }

    /// Calls `look` with one entry, without a copy. `look` must not call the roster.
    pub fn with<T>(self, employee: &str, look: impl FnOnce(Option<&Entry>) -> T) -> T {
        look(self.all.rows().get(self.key).and_then(|people| people.get(employee)))
    }

    /// Returns a copy of one entry.
    #[must_use]
    pub fn get(self, employee: &str) -> Option<Entry> {
        self.all.rows().get(self.key)?.get(employee).cloned()
    }

    /// Calls `look` for every entry of an integration.
    pub fn for_each(self, mut look: impl FnMut(&str, &Entry)) {
        if let Some(people) = self.all.rows().get(self.key) {
            people.iter().for_each(|(employee, entry)| look(employee, entry));
        }
    }

    /// Returns the number of objects of one integration.
    #[must_use]
    pub fn count(self) -> usize {
        self.sums(|sums| sums.objects)
    }

    /// Returns the notification of every change that affects a sum of this integration. It has one
    /// listener.
    #[must_use]
    pub fn news(self) -> Arc<Notify> {
        self.all.rows().entry(self.key.clone()).or_default().news()
    }

    /// Calls `look` with the sums over the employees of an integration. `look` must not call the
    /// roster.
    pub fn sums<T>(self, look: impl FnOnce(&Sums) -> T) -> T {
        match self.all.rows().get(self.key) {
            Some(people) => look(people.sums()),
            None => look(&Sums::default()),
        }
    }
}
