//! Budgets over time: how many changes of each kind may go out within a window.
//!
//! If the changes of one pass exceed a budget, all of them are held, because no order among them
//! would be right. Changes that come one by one go out until the window's budget is spent.

use std::time::Duration;

/// The kinds of changes that have a budget of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BudgetKind {
    /// A change that takes access away.
    Disable,
    /// A change that gives access back. The first day of an employee who was announced does not
    /// count.
    Reactivate,
    /// A new account.
    Create,
    /// Any other change of a value. Setting only the mark of an adopted account does not count.
    Update,
}

/// A limit within a sliding window: the larger of a share and a floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Share of the employees that the budget is about, in percent. The result is rounded up.
    pub max_percent: u32,
    /// The floor, for small companies.
    pub at_least: u32,
    /// The length of the window.
    pub per: Duration,
}

impl Budget {
    /// Returns how many changes fit into the window if there are `people` employees.
    #[must_use]
    pub fn limit(self, people: u32) -> u32 {
        larger(self.max_percent, people, self.at_least)
    }
}

/// Returns the larger of `percent` of `of`, rounded up, and `floor`.
#[must_use]
pub fn larger(percent: u32, of: u32, floor: u32) -> u32 {
    u32::try_from((u64::from(of) * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX).max(floor)
}

/// The budgets of an integration. `None` means that there is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// The limit for taking access away, as a share of managed accounts.
    pub disables: Option<Budget>,
    /// The limit for giving access back, as a share of managed accounts.
    pub reactivations: Option<Budget>,
    /// The limit for new accounts, as a share of the employees in scope.
    pub creates: Option<Budget>,
    /// The limit for changes of values, as a share of managed accounts.
    pub updates: Option<Budget>,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Budgets {
    /// Returns the contract's budgets: 5 % and 5 disables, 5 % and 10 reactivations, 30 % and 20
    /// updates a day, and no limit for creates.
    fn default() -> Self {
        let budget = |max_percent, at_least| Some(Budget { max_percent, at_least, per: DAY });
        Self {
            disables: budget(5, 5),
            reactivations: budget(5, 10),
            creates: None,
            updates: budget(30, 20),
        }
    }
}

impl Budgets {
    /// Returns the budget of this kind.
    #[must_use]
    pub const fn of(&self, kind: BudgetKind) -> Option<Budget> {
        match kind {
            BudgetKind::Disable => self.disables,
            BudgetKind::Reactivate => self.reactivations,
            BudgetKind::Create => self.creates,
            BudgetKind::Update => self.updates,
        }
    }
}

/// For how many employees one attribute may change at once: the larger of a share of the managed
/// accounts and a floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blackout {
    /// Share of the managed accounts in percent. The result is rounded up.
    pub max_percent: u32,
    /// The floor, for small companies.
    pub at_least: u32,
}

impl Default for Blackout {
    /// Returns the contract's default: 20 %, at least 10.
    fn default() -> Self {
        Self { max_percent: 20, at_least: 10 }
    }
}

impl Blackout {
    /// Returns for how many employees an attribute may change if there are `managed` managed
    /// accounts.
    #[must_use]
    pub fn limit(self, managed: u32) -> u32 {
        larger(self.max_percent, managed, self.at_least)
    }
}

/// How many employees may leave management at once: the larger of a share of the managed employees
/// and a floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeShrink {
    /// Share of the managed employees in percent. The result is rounded up.
    pub max_percent: u32,
    /// The floor, for small companies.
    pub at_least: u32,
}

impl Default for ScopeShrink {
    /// Returns the contract's default: 5 %, at least 10.
    fn default() -> Self {
        Self { max_percent: 5, at_least: 10 }
    }
}

impl ScopeShrink {
    /// Returns how many of `managed` employees may leave.
    #[must_use]
    pub fn limit(self, managed: u32) -> u32 {
        larger(self.max_percent, managed, self.at_least)
    }
}

/// The use of one budget in one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// How many changes are planned now.
    pub planned: u32,
    /// How many changes went out within the window before.
    pub spent: u32,
    /// How many changes fit into the window.
    pub limit: u32,
}

impl Usage {
    /// Returns whether the planned changes are too many.
    #[must_use]
    pub const fn is_over(self) -> bool {
        self.planned > 0 && self.planned.saturating_add(self.spent) > self.limit
    }

    /// Returns how many earlier changes have to leave the window before the planned ones fit,
    /// counting at least one planned change. Returns `None` if they fit now, or if they never fit
    /// by themselves.
    #[must_use]
    pub fn must_leave(self) -> Option<u32> {
        let planned = self.planned.max(1);
        let leaving = self.spent.saturating_add(planned).saturating_sub(self.limit);
        (leaving > 0 && planned <= self.limit).then_some(leaving)
    }

    /// Returns how many more changes fit into the window.
    #[must_use]
    pub const fn room(self) -> u32 {
        self.limit.saturating_sub(self.spent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_of_share_and_floor_is_the_limit() {
        let budget = Budget { max_percent: 5, at_least: 5, per: DAY };
        for (people, limit) in [(0, 5), (100, 5), (101, 6), (250, 13), (2417, 121)] {
            assert_eq!(budget.limit(people), limit, "{people}");
        }
    }

    #[test]
    fn a_drip_passes_until_the_window_is_spent_and_a_flood_is_held_whole() {
        let account = |planned, spent| Usage { planned, spent, limit: 5 };
        assert!(!account(5, 0).is_over() && !account(1, 4).is_over() && !account(0, 9).is_over());
        assert!(account(6, 0).is_over() && account(1, 5).is_over());
        assert_eq!((account(9, 2).room(), account(9, 7).room()), (3, 0));
        let leaves = [(0, 4), (0, 5), (2, 4), (1, 5), (5, 3), (6, 0)]
            .map(|(planned, spent)| account(planned, spent).must_leave());
        assert_eq!(leaves, [None, Some(1), Some(1), Some(1), Some(3), None]);
    }
}
