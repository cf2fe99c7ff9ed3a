//! What is known of the employees of one integration.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::{Entries, Entry, Sums, entry};
use crate::{
    api::{
        EmployeeSync,
        employee_sync::{Access, HistoryEntry},
        key::IntegrationKey,
    },
    domain::{
        known::Revoked,
        missing::{Absence, Word},
    },
};

/// The employees of one integration, as the roster knows them, behind a lock of their own. The
/// worker of the integration shares it with the watch and the inbox.
#[derive(Debug)]
pub struct Employees {
    /// The key of the integration.
    pub key: IntegrationKey,
    people: Mutex<Entries>,
}

impl Employees {
    pub(super) fn of(key: IntegrationKey) -> Self {
        Self { key, people: Mutex::default() }
    }

    /// Returns the employees. The caller must call no other method while it has them.
    pub(super) fn rows(&self) -> MutexGuard<'_, Entries> {
        self.people.lock()
    }

    /// Takes in what the controller has just written, with the verdict behind it.
    pub fn wrote(&self, object: &EmployeeSync, verdict: u64) {
        let fresh = Entry { verdict, ..entry(object) };
        self.rows().wrote(object.spec.employee_id.as_str().into(), fresh);
    }

    /// Notes whether a status of this employee is being written.
    pub fn writing(&self, employee: &str, writing: bool) {
        if let Some(entry) = self.rows().aside(employee) {
            entry.writing = writing;
        }
    }

    /// Notes that no status of this integration is being written any more: all writers have ended.
    pub fn settle(&self) {
        let mut people = self.rows();
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
    pub fn confirm(&self, employee: &str, verdict: u64) {
        self.rows().change(employee, |entry| (entry.verdict, entry.unrecorded) = (verdict, false));
    }

    /// Removes an employee after the controller itself has deleted the object: no work is left.
    pub fn forget(&self, employee: &str) {
        self.rows().remove(employee);
    }

    /// Returns every employee with evidence of an immediate revocation, by `root.id`.
    #[must_use]
    pub fn revoked(&self) -> BTreeMap<Box<str>, Revoked> {
        let mut revoked = BTreeMap::new();
        self.for_each(|employee, entry| {
            revoked.extend(entry.revoked.map(|at| (employee.into(), at)))
        });
        revoked
    }

    /// Stores an immediate revocation from the integration's status, for an employee with a status
    /// that is gone or older.
    pub fn remember(&self, employee: &str, revoked: Revoked) {
        let mut people = self.rows();
        if people.get(employee).is_none() {
            people.put(employee.into(), Entry { generation: 1, ..Entry::default() });
        }
        if let Some(entry) = people.aside(employee).filter(|entry| entry.file_deleted.is_none()) {
            entry.revoked.get_or_insert(revoked);
        }
    }

    /// Removes the revocation of an employee without an object, because it has ended.
    pub fn forget_revocation(&self, employee: &str) {
        if let Some(entry) = self.rows().aside(employee) {
            entry.revoked = None;
            entry.writing = false;
        }
    }

    /// Notes that this employee has no account, if none is on record. `None`: no employee without
    /// an object has one, because a listing would have shown it.
    pub fn without_account(&self, employee: Option<&str>) {
        let mut people = self.rows();
        let unknown: Vec<Box<str>> = match employee {
            Some(employee) => people
                .get(employee)
                .filter(|entry| entry.is_unknown_against_evidence())
                .map(|_| employee.into())
                .into_iter()
                .collect(),
            None => people
                .iter()
                .filter(|(_, entry)| !entry.exists && entry.is_unknown_against_evidence())
                .map(|(employee, _)| employee.into())
                .collect(),
        };
        unknown
            .iter()
            .for_each(|id| people.change(id, |entry| entry.access = Some(Access::Absent)));
    }

    /// Forgets the accounts on record, because they belong to another tenant.
    pub fn forget_accounts(&self) {
        self.rows().sift(|_, entry| {
            (entry.account, entry.found, entry.in_place, entry.kept, entry.verdict) =
                (None, None, None, None, 0);
            true
        });
    }

    /// Forgets employees without an object, except for revocations, because their integration is a
    /// new one.
    pub fn forget_lost(&self) {
        let mut people = self.rows();
        people.forget_owed();
        people.sift(|_, entry| {
            if !entry.exists {
                *entry = Entry { generation: 1, revoked: entry.revoked, ..Entry::default() };
            }
            entry.exists || entry.revoked.is_some()
        });
    }

    /// Stores these lines, newest first, for the next status of this employee. They replace the
    /// lines that were stored before. Their changes count in the budgets from now on. The lines are
    /// lost with the process.
    pub fn owe(&self, employee: &str, lines: Vec<HistoryEntry>) {
        self.rows().owe(employee, lines);
    }

    /// Returns whether lines are stored for an employee of this integration.
    #[must_use]
    pub fn owes(&self) -> bool {
        self.rows().owes()
    }

    /// Returns the lines that are stored for this employee, newest first.
    #[must_use]
    pub fn owed(&self, employee: &str) -> Vec<HistoryEntry> {
        self.rows().owed(employee)
    }

    /// Notes that these rows of Bob were looked at.
    pub fn looked<'a>(&self, rows: impl Iterator<Item = (&'a str, u64)>) {
        let mut people = self.rows();
        for (employee, row) in rows {
            if let Some(entry) = people.aside(employee) {
                entry.row = row;
            }
        }
    }

    /// Notes that Bob shows these employees, with these lifecycle statuses.
    pub fn shown<'a>(&self, shown: impl Iterator<Item = (&'a str, Word)>) {
        let mut people = self.rows();
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
    pub fn absent(&self, employee: &str, absence: Absence) {
        if let Some(entry) = self.rows().aside(employee) {
            entry.absence = absence;
        }
    }

    /// Returns the moment, in seconds of the epoch and after `since`, at which the next decision
    /// changes by itself.
    #[must_use]
    pub fn next_transition(&self, since: i64) -> Option<i64> {
        let people = self.rows();
        let moments = people.iter().filter_map(|(_, entry)| entry.next).map(|(at, _)| at);
        moments.filter(|at| *at > since).min()
    }

    /// Calls `look` with one entry, without a copy. `look` must not call a roster.
    pub fn with<T>(&self, employee: &str, look: impl FnOnce(Option<&Entry>) -> T) -> T {
        look(self.rows().get(employee))
    }

    /// Returns a copy of one entry.
    #[must_use]
    pub fn get(&self, employee: &str) -> Option<Entry> {
        self.rows().get(employee).cloned()
    }

    /// Calls `look` for every entry of the integration. `look` must not call a roster.
    pub fn for_each(&self, mut look: impl FnMut(&str, &Entry)) {
        self.rows().iter().for_each(|(employee, entry)| look(employee, entry));
    }

    /// Returns the number of objects of the integration.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sums(|sums| sums.objects)
    }

    /// Returns the notification of every change that affects a sum of this integration. It has one
    /// listener.
    #[must_use]
    pub fn news(&self) -> Arc<Notify> {
        self.rows().news()
    }

    /// Calls `look` with the sums over the employees of the integration. `look` must not call a
    /// roster.
    pub fn sums<T>(&self, look: impl FnOnce(&Sums) -> T) -> T {
        look(self.rows().sums())
    }
}
