//! What a pass amounts to, counted along the way.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{api::reasons::EmployeeReason, engine::verdict::Verdict};

/// What a pass amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Managed, with an account now or later.
    pub in_scope: u32,
    /// In scope and Ready.
    pub ready: u32,
    /// In scope and not Ready for another reason than waiting.
    pub failing: u32,
    /// In scope and waiting.
    pub pending: u32,
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
    /// Counts how an employee stands.
    pub(super) fn count(&mut self, verdict: &Verdict<'_>) {
        let reason = verdict.reason();
        match Standing::of(verdict) {
            Standing::Unmanaged => self.unmanaged += 1,
            Standing::Nowhere => {}
            standing => {
                self.in_scope += 1;
                match standing {
                    Standing::Ready => self.ready += 1,
                    Standing::Pending => self.pending += 1,
                    _ => {
                        self.failing += 1;
                        *self.reasons.entry(reason).or_default() += 1;
                        self.retry |= reason == EmployeeReason::Retrying;
                    }
                }
            }
        }
    }
}

/// How an employee counts.
pub(super) enum Standing {
    Unmanaged,
    Ready,
    Pending,
    Failing,
    /// No account, and none is due.
    Nowhere,
}

impl Standing {
    pub(super) fn of(verdict: &Verdict<'_>) -> Self {
        let reason = verdict.reason();
        if !verdict.decision.managed && (reason.is_ready() || !verdict.decision.only_ends_access()) {
            Self::Unmanaged
        } else if !verdict.in_scope() && reason.is_ready() {
            Self::Nowhere
        } else if reason.is_ready() {
            Self::Ready
        } else if matches!(reason, EmployeeReason::Pending | EmployeeReason::Held) {
            Self::Pending
        } else {
            Self::Failing
        }
    }
}
