//! When a change of each kind last went out to somebody: what budgets over time are counted from.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::{
    api::{
        EmployeeSyncStatus,
        employee_sync::{Action, Counted, HistoryEntry, OutcomeWord},
    },
    domain::budget::Kind,
};

/// When a change of each kind last went out, in seconds of the epoch; 0 for never. Out of the status's history, without
/// changes that a person approved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latest {
    disable: u32,
    reactivate: u32,
    create: u32,
    update: u32,
}

impl Latest {
    /// Takes in one change that was made, unless it was approved or let out beside the budgets. `start`: it is the access that the start date brings.
    pub(super) fn take(&mut self, change: &HistoryEntry, start: bool) {
        let slot = match change.action {
            _ if change.plan.is_some() || change.uncounted => return,
            Action::Suspend => &mut self.disable,
            Action::Reactivate if start => return,
            Action::Reactivate => &mut self.reactivate,
            Action::Create => &mut self.create,
            Action::Adopt if change.fields.is_empty() => return,
            Action::Adopt | Action::Update => &mut self.update,
        };
        *slot = (*slot).max(u32::try_from(change.at.0.as_second()).unwrap_or(0));
    }

    pub(super) fn of_status(status: &EmployeeSyncStatus) -> Self {
        let latest = Self::of_history(&status.history);
        status.counted.as_ref().map_or(latest, |counted| latest.or_later(Self::of_counted(counted)))
    }

    fn of_history(history: &[HistoryEntry]) -> Self {
        let mut latest = Self::default();
        for (index, change) in history.iter().enumerate() {
            if change.outcome == OutcomeWord::Succeeded {
                // Access that the start date brought after the creation was not given back.
                latest.take(change, is_a_start(&history[index + 1..]));
            }
        }
        latest
    }

    pub(super) fn or_later(self, other: Self) -> Self {
        Self {
            disable: self.disable.max(other.disable),
            reactivate: self.reactivate.max(other.reactivate),
            create: self.create.max(other.create),
            update: self.update.max(other.update),
        }
    }

    /// What a history of which lines are dropped says, to be kept beside the others; `None` if it says nothing.
    #[must_use]
    pub fn counted(history: &[HistoryEntry], before: Option<&Counted>) -> Option<Counted> {
        let latest = Self::of_history(history).or_later(before.map(Self::of_counted).unwrap_or_default());
        let time = |at: u32| (at != 0).then(|| Timestamp::from_second(i64::from(at)).ok().map(Time)).flatten();
        let counted = Counted {
            disabled_at: time(latest.disable),
            reactivated_at: time(latest.reactivate),
            created_at: time(latest.create),
            updated_at: time(latest.update),
        };
        (latest != Self::default()).then_some(counted)
    }

    fn of_counted(counted: &Counted) -> Self {
        let at = |time: &Option<Time>| time.as_ref().map_or(0, |time| u32::try_from(time.0.as_second()).unwrap_or(0));
        Self {
            disable: at(&counted.disabled_at),
            reactivate: at(&counted.reactivated_at),
            create: at(&counted.created_at),
            update: at(&counted.updated_at),
        }
    }

    /// These moments: of a suspension, a reactivation, a creation, an update.
    #[cfg(test)]
    pub(super) const fn at([disable, reactivate, create, update]: [u32; 4]) -> Self {
        Self { disable, reactivate, create, update }
    }

    /// The moment of the last change of this kind, in seconds of the epoch.
    #[must_use]
    pub fn of(self, kind: Kind) -> Option<i64> {
        let at = match kind {
            Kind::Disable => self.disable,
            Kind::Reactivate => self.reactivate,
            Kind::Create => self.create,
            Kind::Update => self.update,
        };
        (at != 0).then_some(i64::from(at))
    }
}

fn is_a_start(older: &[HistoryEntry]) -> bool {
    let access = older.iter().find(|change| matches!(change.action, Action::Create | Action::Suspend | Action::Reactivate));
    access.is_some_and(|change| change.action == Action::Create)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_let_out_beside_the_budgets_counts_in_none_also_when_its_line_is_dropped() {
        let line = |action: &str, at: &str, uncounted: bool| -> HistoryEntry {
            let line = serde_json::json!({"at": at, "action": action, "fields": ["title"], "trigger": "Interval", "outcome": "Succeeded", "uncounted": uncounted});
            serde_json::from_value(line).expect("a line")
        };
        let history = [
            line("Update", "2026-11-03T00:00:00Z", true),
            line("Suspend", "2026-11-02T00:00:00Z", false),
            line("Create", "2026-11-01T00:00:00Z", true),
        ];
        let latest = Latest::of_history(&history);
        let kinds = [Kind::Disable, Kind::Reactivate, Kind::Create, Kind::Update].map(|kind| latest.of(kind).is_some());
        assert_eq!(kinds, [true, false, false, false]);
        let counted = Latest::counted(&history, None).expect("the suspension");
        assert!(counted.disabled_at.is_some() && counted.created_at.is_none() && counted.updated_at.is_none());
    }
}
