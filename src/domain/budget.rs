//! Budgets over time: how many changes of each kind may go out within a window. What is over a budget is held whole, for a
//! flood has no first victims; a drip passes until the window's budget is spent.

use std::time::Duration;

use super::plan::Change;

/// The kinds of changes that have a budget of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Access taken away.
    Disable,
    /// Access given back; a starter whose day has come is none.
    Reactivate,
    /// A new account.
    Create,
    /// Anything else that changes a value; stamping an adopted account is none.
    Update,
}

/// A larger-of-two limit within a sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Share of the people it is about, in percent, rounded up.
    pub max_percent: u32,
    /// A floor for small companies.
    pub at_least: u32,
    /// The window.
    pub per: Duration,
}

impl Budget {
    /// How many changes fit into the window where there are `people`.
    #[must_use]
    pub fn limit(self, people: u32) -> u32 {
        larger(self.max_percent, people, self.at_least)
    }
}

/// The larger of `percent` of `of`, rounded up, and a floor.
#[must_use]
pub fn larger(percent: u32, of: u32, floor: u32) -> u32 {
    u32::try_from((u64::from(of) * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX).max(floor)
}

/// The budgets of an integration; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Access taken away, of managed accounts.
    pub disables: Option<Budget>,
    /// Access given back, of managed accounts.
    pub reactivations: Option<Budget>,
    /// New accounts, of people in scope.
    pub creates: Option<Budget>,
    /// Values changed, of managed accounts.
    pub updates: Option<Budget>,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Budgets {
    /// The contract's: 5 % and 5 disables, 5 % and 10 reactivations, 30 % and 20 updates a day; no limit for creates.
    fn default() -> Self {
        let budget = |max_percent, at_least| Some(Budget { max_percent, at_least, per: DAY });
        Self { disables: budget(5, 5), reactivations: budget(5, 10), creates: None, updates: budget(30, 20) }
    }
}

impl Budgets {
    /// The budget of this kind.
    #[must_use]
    pub const fn of(&self, kind: Kind) -> Option<Budget> {
        match kind {
            Kind::Disable => self.disables,
            Kind::Reactivate => self.reactivations,
            Kind::Create => self.creates,
            Kind::Update => self.updates,
        }
    }
}

/// Which budget a change is counted against; `None` for a change that has none. `attributes`: how many it writes.
/// `starts`: the person's start date has come, and the status announced it.
#[must_use]
pub fn kind_of(change: &Change, attributes: usize, starts: bool) -> Option<Kind> {
    if change.suspends() {
        Some(Kind::Disable)
    } else if change.reactivates() && !starts {
        Some(Kind::Reactivate)
    } else if change.kind == super::plan::Kind::Create {
        Some(Kind::Create)
    } else if attributes == 0 {
        // The mark alone, a manager whose account came late, or the first day of somebody who was waited for.
        None
    } else {
        Some(Kind::Update)
    }
}

/// How many people one attribute may change for at once: the larger of a share of the managed accounts and a floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blackout {
    /// Share in percent, rounded up.
    pub max_percent: u32,
    /// A floor for small companies.
    pub at_least: u32,
}

impl Default for Blackout {
    /// The contract's: 20 %, at least 10.
    fn default() -> Self {
        Self { max_percent: 20, at_least: 10 }
    }
}

impl Blackout {
    /// How many people an attribute may change for where there are so many managed accounts.
    #[must_use]
    pub fn limit(self, managed: u32) -> u32 {
        larger(self.max_percent, managed, self.at_least)
    }
}

/// How one kind stands in one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Planned now.
    pub planned: u32,
    /// Done within the window before.
    pub spent: u32,
    /// What the window has room for.
    pub limit: u32,
}

impl Account {
    /// Whether the planned changes are too many.
    #[must_use]
    pub const fn is_over(self) -> bool {
        self.planned > 0 && self.planned.saturating_add(self.spent) > self.limit
    }

    /// How many of those that are spent have to leave the window before what is planned has room, one change at least; `None`
    /// where there is room now, or never by itself.
    #[must_use]
    pub fn must_leave(self) -> Option<u32> {
        let planned = self.planned.max(1);
        let leaving = self.spent.saturating_add(planned).saturating_sub(self.limit);
        (leaving > 0 && planned <= self.limit).then_some(leaving)
    }

    /// How many more changes the window has room for.
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
        let account = |planned, spent| Account { planned, spent, limit: 5 };
        assert!(!account(5, 0).is_over() && !account(1, 4).is_over() && !account(0, 9).is_over());
        assert!(account(6, 0).is_over() && account(1, 5).is_over());
        assert_eq!((account(9, 2).room(), account(9, 7).room()), (3, 0));
        let leaves = [(0, 4), (0, 5), (2, 4), (1, 5), (5, 3), (6, 0)].map(|(planned, spent)| account(planned, spent).must_leave());
        assert_eq!(leaves, [None, Some(1), Some(1), Some(1), Some(3), None]);
    }
}
