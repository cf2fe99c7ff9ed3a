//! The employees of one integration, and sums over them that are updated with every change. The
//! cost of one event must not grow with the size of the company.

use std::{collections::BTreeMap, sync::Arc};

use foldhash::HashMap;
use tokio::sync::Notify;

use super::{Counts, Entry, Latest, Tie, visited};
use crate::{
    api::employee_sync::{HISTORY, HistoryEntry},
    domain::budget::BudgetKind,
};

const KINDS: [BudgetKind; 4] =
    [BudgetKind::Disable, BudgetKind::Reactivate, BudgetKind::Create, BudgetKind::Update];

/// Sums over all employees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// The number of objects that exist.
    pub objects: usize,
    /// The number of employees with an account that is managed, now or later.
    pub managed: u32,
    /// The number of those employees who have an account.
    pub accounts: u32,
    /// The number of objects that have another owner than they should have.
    pub ties: usize,
    /// The number of employees in each state.
    pub counts: Counts,
    /// For each kind of change: how many count in its budget at which moment, in seconds of the
    /// epoch.
    latest: [BTreeMap<i64, u32>; KINDS.len()],
    /// The targets that employees pin, and how many employees pin each.
    pinned: BTreeMap<Box<str>, u32>,
}

impl Sums {
    /// Returns how many changes of this kind came after `since`. Every update counts; of another
    /// kind, the last change of each employee counts.
    #[must_use]
    pub fn spent(&self, kind: BudgetKind, since: i64) -> u32 {
        let place = KINDS.iter().position(|own| *own == kind).unwrap_or(0);
        self.latest[place].range(since.saturating_add(1)..).map(|(_, count)| *count).sum()
    }

    /// Returns when the change came that is the `nth`, counted from the oldest one after `since`.
    #[must_use]
    pub fn nth_spent(&self, kind: BudgetKind, since: i64, nth: u32) -> Option<i64> {
        let place = KINDS.iter().position(|own| *own == kind).unwrap_or(0);
        let mut left = nth;
        let mut moments = self.latest[place].range(since.saturating_add(1)..);
        moments.find_map(|(at, count)| {
            left = left.saturating_sub(*count);
            (left == 0).then_some(*at)
        })
    }

    /// Returns the targets that employees pin.
    pub fn pinned(&self) -> impl Iterator<Item = &str> {
        self.pinned.keys().map(|target| &**target)
    }

    fn count(&mut self, entry: &Entry, comes: bool) {
        let step = |sum: &mut u32| *sum = if comes { *sum + 1 } else { sum.saturating_sub(1) };
        if entry.exists {
            self.objects = if comes { self.objects + 1 } else { self.objects.saturating_sub(1) };
        }
        if entry.tie().is_some() {
            self.ties = if comes { self.ties + 1 } else { self.ties.saturating_sub(1) };
        }
        if entry.claims_account() {
            step(&mut self.managed);
        }
        if entry.has_managed_account() {
            step(&mut self.accounts);
        }
        self.counts.count(entry.counted(), comes);
        for (kind, moments) in KINDS.into_iter().zip(&mut self.latest) {
            for at in entry.latest.all(kind) {
                let count = moments.entry(at).or_default();
                step(count);
                if *count == 0 {
                    moments.remove(&at);
                }
            }
        }
        for (target, _) in entry.overrides.iter().flat_map(|overrides| &overrides.attributes) {
            let count = self.pinned.entry(target.clone()).or_default();
            step(count);
            if *count == 0 {
                self.pinned.remove(target);
            }
        }
    }
}

/// The employees of one integration, by `root.id`.
#[derive(Debug, Default)]
pub(super) struct Entries {
    rows: HashMap<Box<str>, Entry>,
    sums: Sums,
    news: Arc<Notify>,
    /// An object that the API server refused, and what it said. The latest refusal counts.
    pub refusal: Option<(Box<str>, Box<str>)>,
    /// History lines that could not be written when their changes were made.
    owed: HashMap<Box<str>, Vec<HistoryEntry>>,
    /// Whether their integration exists.
    integrated: bool,
    /// Whether the roster no longer has them.
    dropped: bool,
}

impl Entries {
    pub fn get(&self, employee: &str) -> Option<&Entry> {
        self.rows.get(employee)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.rows.iter().map(|(employee, entry)| {
            visited::one();
            (&**employee, entry)
        })
    }

    /// Returns the notification of every change that affects a sum.
    pub fn news(&self) -> Arc<Notify> {
        self.news.clone()
    }

    pub const fn sums(&self) -> &Sums {
        &self.sums
    }

    /// Returns the employees with an object that needs this change.
    pub fn to_tie(&self, wanted: Tie) -> Vec<Box<str>> {
        if self.sums.ties == 0 {
            return Vec::new();
        }
        let needs = |(_, entry): &(&str, &Entry)| entry.tie() == Some(wanted);
        self.iter().filter(needs).map(|(employee, _)| employee.into()).collect()
    }

    /// Returns an entry for changes that affect no sum.
    pub fn aside(&mut self, employee: &str) -> Option<&mut Entry> {
        self.rows.get_mut(employee)
    }

    /// Replaces what was known of an employee.
    pub fn put(&mut self, employee: Box<str>, entry: Entry) {
        self.sums.count(&entry, true);
        let fresh = entry.summed();
        let known = self.rows.insert(employee, entry);
        if known.as_ref().map(Entry::summed) != Some(fresh) {
            self.news.notify_one();
        }
        if let Some(known) = known {
            self.sums.count(&known, false);
        }
    }

    /// Changes the entry of a known employee.
    pub fn change(&mut self, employee: &str, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.rows.get_mut(employee) {
            self.sums.count(entry, false);
            let before = entry.summed();
            change(entry);
            self.sums.count(entry, true);
            if entry.summed() != before {
                self.news.notify_one();
            }
        }
    }

    /// Notes that an employee's object was deleted at this version. What is known of the employee
    /// stays. For an employee who is gone from Bob it stays as long as access is still to be taken.
    pub fn lose(&mut self, employee: &str, version: u64) {
        let gone = |entry: &Entry| {
            entry.file_deleted.is_some() && !entry.is_open()
                || !self.integrated && entry.revoked.is_none()
        };
        if self.rows.get(employee).is_some_and(gone) {
            self.remove(employee);
        } else {
            self.change(employee, |entry| entry.lose_object(version));
        }
    }

    /// Notes that the integration is gone: only objects and revocations stay known.
    pub fn leave(&mut self) {
        self.integrated = false;
        self.forget_owed();
        self.sift(|_, entry| entry.exists || entry.revoked.is_some());
        self.rows.shrink_to_fit();
    }

    /// Notes that the integration exists.
    pub const fn come(&mut self) {
        self.integrated = true;
    }

    /// Notes that the roster no longer has them, if their integration does not exist and nothing is
    /// known of any employee. Returns whether that is so.
    pub fn drop_if_empty(&mut self) -> bool {
        self.dropped |= !self.integrated && self.rows.is_empty();
        self.dropped
    }

    /// Returns whether the roster no longer has them.
    pub const fn is_dropped(&self) -> bool {
        self.dropped
    }

    /// Stores these lines for the next status of this employee, in place of those stored before.
    pub fn owe(&mut self, employee: &str, mut lines: Vec<HistoryEntry>) {
        lines.truncate(HISTORY);
        self.change(employee, |entry| {
            let mut owed = Latest::default();
            lines.iter().for_each(|line| owed.take(line, entry.awaited_start));
            entry.latest = entry.latest.or_later(&owed);
        });
        if lines.is_empty() {
            self.owed.remove(employee);
        } else {
            self.owed.insert(employee.into(), lines);
        }
    }

    /// Returns whether lines are stored for an employee.
    pub fn owes(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Returns the lines that are stored for this employee.
    pub fn owed(&self, employee: &str) -> Vec<HistoryEntry> {
        self.owed.get(employee).cloned().unwrap_or_default()
    }

    /// Forgets all stored lines.
    pub fn forget_owed(&mut self) {
        self.owed = HashMap::default();
    }

    pub fn remove(&mut self, employee: &str) {
        if let Some(known) = self.rows.remove(employee) {
            self.sums.count(&known, false);
            self.news.notify_one();
        }
    }

    /// Changes every entry, and removes those for which `keep` returns false.
    pub fn sift(&mut self, mut keep: impl FnMut(&str, &mut Entry) -> bool) {
        self.rows.retain(|employee, entry| {
            visited::one();
            keep(employee, entry)
        });
        self.sums = Sums::default();
        for entry in self.rows.values() {
            self.sums.count(entry, true);
        }
        self.news.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        api::{
            employee_sync::{Access, MatchedBy},
            reasons::EmployeeReason,
        },
        cluster::roster::{Latest, Standing},
        domain::known::Overrides,
    };

    fn entries() -> impl Strategy<Value = Entry> {
        let access = prop_oneof![
            Just(None),
            Just(Some(Access::Active)),
            Just(Some(Access::Unmanaged)),
            Just(Some(Access::NotYet))
        ];
        let pins =
            proptest::collection::vec(proptest::sample::select(&["title", "company"][..]), 0..3);
        let standing = prop_oneof![
            Just(Standing::Uncounted),
            Just(Standing::Unmanaged),
            Just(Standing::Ready),
            proptest::sample::select(EmployeeReason::ALL).prop_map(Standing::Unready),
        ];
        let facts = (any::<bool>(), access, any::<bool>(), standing);
        let times =
            (proptest::array::uniform3(0..5_u32), proptest::collection::vec(0..5_u32, 0..3));
        (facts, times, pins).prop_map(
            |((exists, access, account, standing), (at, updates), pins)| Entry {
                exists,
                access,
                standing,
                account: account.then(|| ("1".into(), MatchedBy::Mark)),
                latest: Latest::at(at, &updates),
                overrides: (!pins.is_empty()).then(|| {
                    let attributes =
                        pins.into_iter().map(|target| (target.into(), "x".into())).collect();
                    Box::new(Overrides { attributes, ..Overrides::default() })
                }),
                ..Entry::default()
            },
        )
    }

    proptest! {
        #[test]
        fn the_sums_are_those_over_everybody(
            steps in proptest::collection::vec((0..6_u8, 0..5_u8, entries()), 0..60)
        ) {
            let mut people = Entries::default();
            for (who, what, entry) in steps {
                let who = who.to_string();
                match what {
                    0 => people.remove(&who),
                    1 => people.change(&who, |known| *known = entry),
                    2 => people.lose(&who, 1),
                    3 if who == "0" => people.sift(|_, entry| {
                        entry.exists = true;
                        entry.access.is_some()
                    }),
                    _ => people.put(who.into(), entry),
                }
                let all: Vec<&Entry> = people.iter().map(|(_, entry)| entry).collect();
                let count = |holds: &dyn Fn(&Entry) -> bool| {
                    all.iter().filter(|entry| holds(entry)).count()
                };
                let sums = people.sums();
                prop_assert_eq!(sums.objects, count(&|entry| entry.exists));
                prop_assert_eq!(sums.managed as usize, count(&Entry::claims_account));
                prop_assert_eq!(sums.accounts as usize, count(&Entry::has_managed_account));
                let mut counts = Counts::default();
                all.iter().for_each(|entry| counts.count(entry.counted(), true));
                prop_assert_eq!(&sums.counts, &counts);
                for kind in KINDS {
                    for since in -1..6 {
                        let after = |entry: &&Entry| {
                            entry.latest.all(kind).filter(|at| *at > since).count()
                        };
                        let spent: usize = all.iter().map(after).sum();
                        prop_assert_eq!(sums.spent(kind, since) as usize, spent, "{:?} after {}",
                            kind,
                            since);
                    }
                }
                let pinned: std::collections::BTreeSet<&str> = all
                    .iter()
                    .flat_map(|entry| entry.overrides.iter().flat_map(|o| &o.attributes))
                    .map(|(target, _)| &**target)
                    .collect();
                prop_assert_eq!(
                    sums.pinned().collect::<Vec<_>>(),
                    pinned.into_iter().collect::<Vec<_>>()
                );
            }
        }
    }
}
