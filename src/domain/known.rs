//! What is known of one employee in addition to Bob's row: what a person or Git wrote into the
//! `EmployeeSync`, and what its status keeps because no later read of Bob would show it.

use jiff::{Timestamp, civil::Date};

use super::{
    baseline::Baseline,
    employee::Employee,
    ended::Ended,
    settings::{ExistingEmployees, Settings, UserStatus},
};

/// The Bob field with the day on which the employee was entered.
pub const CREATED: &str = "root.creationDate";

/// What one `EmployeeSync` says about its employee.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What its spec asks for.
    pub overrides: Overrides,
    /// How far this integration has dealt with the employee before.
    pub met: Met,
    /// The report of Bob that access is revoked at once.
    pub revoked: Option<Revoked>,
    /// Whether a guard keeps the employee managed although the domains or the scope leave the
    /// employee out now.
    pub kept_in: bool,
    /// The end of the employment that is on record and has come. It counts only while Bob does not
    /// show the employee.
    pub ended: Option<Ended>,
}

/// What the spec of an `EmployeeSync` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Overrides {
    /// Whether to leave the account alone.
    pub hands_off: bool,
    /// The field of the spec that this version cannot read. The account is then left alone.
    pub unreadable: Option<Box<str>>,
    /// The value that replaces `provisioning.userStatus`.
    pub user_status: Option<UserStatus>,
    /// The values that replace those of the mapping: target and value. An empty value clears the
    /// attribute.
    pub attributes: Vec<(Box<str>, Box<str>)>,
}

/// How far this integration has dealt with the employee before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Met {
    /// Not at all, and the integration's first pass has ended. The employee came to Bob later, or
    /// had left before.
    #[default]
    New,
    /// Not at all, because no pass of the integration has ended yet.
    BeforeIntegration,
    /// It leaves the employee alone until something changes from this baseline.
    Waiting(Baseline),
    /// It left the employee alone because of the domains or the scope.
    Unmanaged,
    /// It managed the employee.
    Managed,
}

impl Met {
    /// Returns how far the integration has dealt with an employee without a status. `since` is the
    /// day (UTC) on which the first pass ended.
    ///
    /// With `existingEmployees: OnChange`, Bob's date of entry tells who was there before. The
    /// employee may appear late, because Bob did not show the employee, or because the
    /// `EmployeeSync` was deleted.
    #[must_use]
    pub fn without_record(
        settings: &Settings,
        employee: &Employee,
        first_pass: bool,
        since: Option<Date>,
    ) -> Self {
        let entered = || {
            let field = settings.mapping.fields.position(CREATED)?;
            employee.values.get(field).text()?.get(..10)?.parse::<Date>().ok()
        };
        let on_change = settings.existing_employees == ExistingEmployees::OnChange;
        let before = || since.zip(entered()).is_some_and(|(since, entered)| entered < since);
        if first_pass || on_change && before() { Self::BeforeIntegration } else { Self::New }
    }
}

/// The sentence that follows the name of another integration that manages the employee at the same
/// tenant.
pub const MANAGED_BY_ANOTHER: &str = " manages this employee at the same tenant";

/// Evidence of Bob's event `employee.access.revoked.immediately`. No read of Bob shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// When the event was received.
    pub at: Timestamp,
    /// The start date in Bob at that time. A later start date belongs to another employment.
    pub start: Option<Date>,
}

impl Revoked {
    /// Returns whether the revocation still holds if Bob has this start date.
    #[must_use]
    pub fn holds(self, start: Option<Date>) -> bool {
        match (self.start, start) {
            (Some(then), Some(now)) => now <= then,
            _ => true,
        }
    }
}
