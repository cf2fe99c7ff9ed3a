//! What is counted while a pass writes down what it found.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::reasons::EmployeeReason;

/// What a pass amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Managed, with an account now or later.
    pub in_scope: u32,
    /// In scope and Ready.
    pub ready: u32,
    /// In scope and waiting.
    pub pending: u32,
    /// In scope with a change that a guard holds.
    pub held: u32,
    /// In scope with an attribute that is frozen.
    pub frozen: u32,
    /// Left alone by the settings.
    pub unmanaged: u32,
    /// People of whom an immediate revocation does not hold any more, because another employment has begun.
    pub over: BTreeSet<Box<str>>,
    /// Failing people by reason.
    pub reasons: BTreeMap<EmployeeReason, u32>,
    /// Accounts created.
    pub created: u32,
    /// Accounts updated or adopted.
    pub updated: u32,
    /// Access given back.
    pub reactivated: u32,
    /// Access taken away.
    pub disabled: u32,
    /// Changes that failed.
    pub failed: u32,
    /// The earliest transition ahead.
    pub next_transition: Option<Timestamp>,
    /// Whether somebody is to be tried again soon.
    pub retry: bool,
}

impl Tally {
    /// How many in scope fail.
    #[must_use]
    pub fn failing(&self) -> u32 {
        self.reasons.values().sum()
    }

    /// Whether a change was made or tried.
    #[must_use]
    pub const fn changed(&self) -> bool {
        self.created + self.updated + self.reactivated + self.disabled + self.failed > 0
    }
}
