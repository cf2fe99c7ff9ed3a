//! What is known of one person beside Bob's row: what a person or Git wrote into the `EmployeeSync`, and what its status
//! keeps because no later read of Bob would show it.

use jiff::{Timestamp, civil::Date};

use super::{baseline::Baseline, ended::Ended, settings::UserStatus};

/// What one `EmployeeSync` says about its person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What its spec asks for.
    pub overrides: Overrides,
    /// Whether there is a status, and with it a decision made before.
    pub met: Met,
    /// Bob reported that access is revoked at once.
    pub revoked: Option<Revoked>,
    /// Whether a guard keeps the employee managed although the domains or the scope leave the employee out now.
    pub kept_in: bool,
    /// The end of the employment that is on record and has come. It speaks only where Bob does not show the employee.
    pub ended: Option<Ended>,
}

/// What its spec asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Overrides {
    /// Leave the account alone.
    pub hands_off: bool,
    /// What the spec asks for cannot be read, so the account is left alone.
    pub unreadable: bool,
    /// In place of `provisioning.userStatus`.
    pub user_status: Option<UserStatus>,
    /// In place of what the mapping gives: target and value; an empty value clears.
    pub attributes: Vec<(Box<str>, Box<str>)>,
}

/// How far this integration has dealt with the person before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Met {
    /// Never, and the integration's first pass is through: the person came to Bob later, or had left before.
    #[default]
    New,
    /// Never, because the integration has seen no pass through yet.
    BeforeIntegration,
    /// Left alone until something changes after this was read.
    Waiting(Baseline),
    /// Left alone by the domains or the scope.
    Unmanaged,
    /// Managed.
    Managed,
}

/// What is said of somebody whom another integration manages at the same tenant, after its name.
pub const MANAGED_BY_ANOTHER: &str = " manages this employee at the same tenant";

/// Evidence of Bob's event `employee.access.revoked.immediately`: no read shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// When it was received.
    pub at: Timestamp,
    /// The start date in Bob at that time; a later one is another employment.
    pub start: Option<Date>,
}

impl Revoked {
    /// Whether it still holds with this start date in Bob.
    #[must_use]
    pub fn holds(self, start: Option<Date>) -> bool {
        match (self.start, start) {
            (Some(then), Some(now)) => now <= then,
            _ => true,
        }
    }
}
