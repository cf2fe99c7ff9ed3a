//! What is counted while a pass writes down what it found.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{api::reasons::EmployeeReason, cluster::roster::Standing};

/// The totals of a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many employees have an account now or later that is managed, or whose access an ended
    /// employment takes.
    pub in_scope: u32,
    /// How many are in scope and Ready.
    pub ready: u32,
    /// How many are in scope and waiting.
    pub pending: u32,
    /// How many are in scope with a change that a guard holds.
    pub held: u32,
    /// How many are in scope with a frozen attribute.
    pub frozen: u32,
    /// How many the settings leave alone.
    pub unmanaged: u32,
    /// The employees with an immediate revocation that no longer holds, because another employment
    /// has begun.
    pub over: BTreeSet<Box<str>>,
    /// The number of failing employees by reason.
    pub reasons: BTreeMap<EmployeeReason, u32>,
    /// How many changes were made and tried.
    pub changes: Changes,
    /// When the earliest transition ahead happens.
    pub next_transition: Option<Timestamp>,
    /// Whether an employee is to be tried again soon.
    pub retry: bool,
}

/// How many changes were made and tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// How many accounts were created.
    pub created: u32,
    /// How many accounts were updated or adopted.
    pub updated: u32,
    /// How many times access was given back.
    pub reactivated: u32,
    /// How many times access was taken.
    pub disabled: u32,
    /// How many changes failed.
    pub failed: u32,
}

impl Tally {
    /// Counts one employee.
    pub(super) fn count(&mut self, standing: Standing) {
        match standing {
            Standing::Uncounted => return,
            Standing::Unmanaged => {
                self.unmanaged += 1;
                return;
            }
            Standing::Ready => self.ready += 1,
            Standing::Unready(EmployeeReason::Pending) => self.pending += 1,
            Standing::Unready(EmployeeReason::Held) => self.held += 1,
            Standing::Unready(EmployeeReason::Frozen) => self.frozen += 1,
            Standing::Unready(reason) => {
                *self.reasons.entry(reason).or_default() += 1;
                self.retry |= reason == EmployeeReason::Retrying;
            }
        }
        self.in_scope += 1;
    }

    /// Returns how many employees in scope fail.
    #[must_use]
    pub fn failing(&self) -> u32 {
        self.reasons.values().sum()
    }

    /// Returns whether a change was made or tried.
    #[must_use]
    pub const fn changed(&self) -> bool {
        let Changes { created, updated, reactivated, disabled, failed } = self.changes;
        created + updated + reactivated + disabled + failed > 0
    }
}
