//! When changes of each kind were sent to an employee. Budgets over time are counted from these
//! moments.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    api::{
        EmployeeSyncStatus,
        employee_sync::{Action, Counted, HISTORY, HistoryEntry, OutcomeWord},
    },
    domain::budget::BudgetKind,
};

/// How many moments of updates are kept: one more than a history has lines, for the line that was
/// removed for a new one.
const UPDATES: usize = HISTORY + 1;

/// When a change of each kind was last sent, in seconds of the epoch; 0 for never. Every update
/// counts, so that many changes of one employee's attributes do not count as one change. The
/// moments come from the status's history, without changes that a person approved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latest {
    disable: u32,
    reactivate: u32,
    create: u32,
    /// The moments in ascending order.
    updates: Box<[u32]>,
}

impl Latest {
    /// Takes in one change that was made, unless it was approved or sent outside the budgets.
    /// `start`: the change gives the access that the start date brings.
    pub(super) fn take(&mut self, change: &HistoryEntry, start: bool) {
        let at = u32::try_from(change.at.0.as_second()).unwrap_or(0);
        let slot = match change.action {
            _ if change.plan.is_some() || change.uncounted => return,
            Action::Suspend => &mut self.disable,
            Action::Reactivate if start => return,
            Action::Reactivate => &mut self.reactivate,
            Action::Create => &mut self.create,
            Action::Adopt if change.fields.is_empty() => return,
            Action::Adopt | Action::Update => {
                let mut all = self.updates.to_vec();
                all.push(at);
                self.updates = latest(all);
                return;
            }
        };
        *slot = (*slot).max(at);
    }

    pub(super) fn of_status(status: &EmployeeSyncStatus) -> Self {
        Self::of_history(&status.history)
            .or_later(&status.counted.as_ref().map(Self::of_counted).unwrap_or_default())
    }

    fn of_history(history: &[HistoryEntry]) -> Self {
        let mut all = Self::default();
        for (index, change) in history.iter().enumerate() {
            if change.outcome == OutcomeWord::Succeeded {
                // Access that the start date brought after the creation does not count as a
                // reactivation.
                all.take(change, is_a_start(&history[index + 1..]));
            }
        }
        all
    }

    /// Returns both together. A change that both know counts once.
    pub(super) fn or_later(&self, other: &Self) -> Self {
        Self {
            disable: self.disable.max(other.disable),
            reactivate: self.reactivate.max(other.reactivate),
            create: self.create.max(other.create),
            updates: merged(&self.updates, &other.updates),
        }
    }

    /// Returns what a history with removed lines says, to be stored next to the remaining lines;
    /// `None` if it says nothing.
    #[must_use]
    pub fn counted(history: &[HistoryEntry], before: Option<&Counted>) -> Option<Counted> {
        let known =
            Self::of_history(history).or_later(&before.map(Self::of_counted).unwrap_or_default());
        let time = |at: u32| {
            (at != 0).then(|| Timestamp::from_second(i64::from(at)).ok().map(Time)).flatten()
        };
        let counted = Counted {
            disabled_at: time(known.disable),
            reactivated_at: time(known.reactivate),
            created_at: time(known.create),
            updated_at: time(known.updates.last().copied().unwrap_or_default()),
        };
        (known != Self::default()).then_some(counted)
    }

    fn of_counted(counted: &Counted) -> Self {
        let at = |time: &Option<Time>| {
            time.as_ref().map_or(0, |time| u32::try_from(time.0.as_second()).unwrap_or(0))
        };
        Self {
            disable: at(&counted.disabled_at),
            reactivate: at(&counted.reactivated_at),
            create: at(&counted.created_at),
            updates: merged(&[], &[at(&counted.updated_at)]),
        }
    }

    /// Returns these moments: of a suspension, a reactivation, a creation, and updates.
    #[cfg(test)]
    pub(super) fn at([disable, reactivate, create]: [u32; 3], updates: &[u32]) -> Self {
        Self { disable, reactivate, create, updates: merged(&[], updates) }
    }

    /// Returns the moment of the last change of this kind, in seconds of the epoch.
    #[must_use]
    pub fn of(&self, kind: BudgetKind) -> Option<i64> {
        self.all(kind).last()
    }

    /// Returns the moments that count in the budget of this kind, in seconds of the epoch: every
    /// update, or the last change of another kind.
    pub fn all(&self, kind: BudgetKind) -> impl Iterator<Item = i64> {
        let all = match kind {
            BudgetKind::Disable => std::slice::from_ref(&self.disable),
            BudgetKind::Reactivate => std::slice::from_ref(&self.reactivate),
            BudgetKind::Create => std::slice::from_ref(&self.create),
            BudgetKind::Update => &self.updates[..],
        };
        all.iter().filter(|at| **at != 0).map(|at| i64::from(*at))
    }
}

/// Returns the moments of both lists. A moment that is in both lists appears as often as in the
/// list that has it more often.
fn merged(one: &[u32], other: &[u32]) -> Box<[u32]> {
    let mut all = one.to_vec();
    let mut rest = one.to_vec();
    for at in other {
        match rest.iter().position(|own| own == at) {
            Some(known) => {
                rest.swap_remove(known);
            }
            None => all.push(*at),
        }
    }
    latest(all)
}

/// Returns the latest of these moments, in ascending order.
fn latest(mut all: Vec<u32>) -> Box<[u32]> {
    all.retain(|at| *at != 0);
    all.sort_unstable();
    all.drain(..all.len().saturating_sub(UPDATES));
    all.into()
}

fn is_a_start(older: &[HistoryEntry]) -> bool {
    let access = older.iter().find(|change| {
        matches!(change.action, Action::Create | Action::Suspend | Action::Reactivate)
    });
    access.is_some_and(|change| change.action == Action::Create)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_let_out_beside_the_budgets_counts_in_none_also_when_its_line_is_dropped() {
        let line = |action: &str, at: &str, uncounted: bool| -> HistoryEntry {
            let line = serde_json::json!({"at": at, "action": action, "fields": ["title"],
                "trigger": "Interval", "outcome": "Succeeded", "uncounted": uncounted});
            serde_json::from_value(line).expect("a line")
        };
        let history = [
            line("Update", "2026-11-03T00:00:00Z", true),
            line("Suspend", "2026-11-02T00:00:00Z", false),
            line("Create", "2026-11-01T00:00:00Z", true),
        ];
        let latest = Latest::of_history(&history);
        let kinds =
            [BudgetKind::Disable, BudgetKind::Reactivate, BudgetKind::Create, BudgetKind::Update]
                .map(|kind| latest.of(kind).is_some());
        assert_eq!(kinds, [true, false, false, false]);
        let counted = Latest::counted(&history, None).expect("the suspension");
        assert!(
            counted.disabled_at.is_some()
                && counted.created_at.is_none()
                && counted.updated_at.is_none()
        );
    }

    #[test]
    fn each_update_of_one_employee_counts_also_when_some_lines_are_dropped() {
        let line = |minute: u32| -> HistoryEntry {
            let at = format!("2026-11-03T00:{minute:02}:00Z");
            let line = serde_json::json!({"at": at, "action": "Update", "fields": ["title"],
                "trigger": "Interval", "outcome": "Succeeded"});
            serde_json::from_value(line).expect("a line")
        };
        let count = |known: &Latest| known.all(BudgetKind::Update).count();
        assert_eq!(
            count(&Latest::of_history(&[line(1), line(1), line(0)])),
            3,
            "two in one second"
        );
        let twice = Latest::of_history(&[line(1), line(1)]);
        assert_eq!(
            twice.or_later(&Latest::of_history(&[line(1)])),
            twice,
            "what both know counts once"
        );
        let history: Vec<HistoryEntry> = (0..14).rev().map(line).collect();
        let status = |lines: &[HistoryEntry]| EmployeeSyncStatus {
            history: lines[..lines.len().min(HISTORY)].to_vec(),
            counted: Latest::counted(lines, None),
            ..EmployeeSyncStatus::default()
        };
        assert_eq!(count(&Latest::of_status(&status(&history[11..]))), 3);
        assert_eq!(count(&Latest::of_status(&status(&history))), 10);
        let later = Latest::of_status(&status(&history))
            .or_later(&Latest::of_status(&status(&history[4..])));
        assert_eq!(
            (count(&later), later.of(BudgetKind::Update)),
            (UPDATES, Some(history[0].at.0.as_second())),
            "a bound for what is kept"
        );
    }
}
