//! What the guard says of each change of a plan.

use super::Change;
use crate::domain::budget::BudgetKind;

/// What the guard says of a change. Without a guard, every change goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ruling {
    /// The budget that counts the change. A change without one is released outside of the budgets.
    pub budget: Option<BudgetKind>,
    /// The approval that the change is part of.
    pub approval: Approval,
    /// Whether the change goes out, and why not.
    pub fate: Fate,
}

impl Ruling {
    /// Returns whether the guard holds the change.
    #[must_use]
    pub const fn is_held(self) -> bool {
        matches!(self.fate, Fate::Held)
    }
}

/// The approval of a person that a change is part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approval {
    /// No approval: the change needs none, or no person gave one.
    #[default]
    None,
    /// A held plan that this pass releases.
    Now,
    /// A plan that was released before and has not been carried out completely.
    Before,
    /// A held plan that this pass releases, and a plan that was released before.
    Again,
}

impl Approval {
    /// Returns whether the change is part of the held plan that this pass releases.
    #[must_use]
    pub const fn is_new(self) -> bool {
        matches!(self, Self::Now | Self::Again)
    }

    /// Returns whether the change is part of a plan that was released before.
    #[must_use]
    pub const fn goes_on(self) -> bool {
        matches!(self, Self::Before | Self::Again)
    }
}

/// Whether a change goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// It goes out.
    #[default]
    Goes,
    /// The guard holds it, because the plan exceeds a limit.
    Held,
    /// It would make an account again that a listing lacks, and the listing is not believed.
    Suspect,
    /// It waits for the line of its class.
    Deferred,
}

impl Change {
    /// Returns whether the change goes out.
    #[must_use]
    pub const fn goes(&self) -> bool {
        matches!(self.ruling.fate, Fate::Goes)
    }

    /// Returns whether the guard holds the change.
    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.ruling.is_held()
    }
}
