//! Evidence that no later read of Bob would show: what sets it in, and what ends it. Events of Bob
//! and passes both follow these rules. What is known when a status is written counts.

use jiff::{Timestamp, civil::Date};

use super::known::Revoked;

/// The evidence about one employee.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// The report of Bob that access is revoked at once.
    pub revoked: Option<Revoked>,
    /// When a read by id first said that the file is gone, or when Bob reported it.
    pub file_deleted: Option<Timestamp>,
}

/// What Bob reports about an employee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BobReport {
    /// Access is revoked at once.
    Revoked,
    /// The file is deleted.
    Deleted,
    /// The employee is active again.
    Activated,
}

/// What a pass has found of an employee.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Whether Bob does not show the employee, or was not asked.
    pub is_hidden: bool,
    /// When this pass found that the file is gone.
    pub deleted: Option<Timestamp>,
    /// The start date in Bob.
    pub start: Option<Date>,
}

impl Proof {
    /// Returns the evidence after Bob reported this at `at`, or `None` if it stays as it is.
    /// `known`: whether anything is known of the employee.
    #[must_use]
    pub fn after(self, report: BobReport, at: Timestamp, known: bool) -> Option<Self> {
        let is_without = self == Self::default();
        match report {
            BobReport::Revoked if is_without => {
                Some(Self { revoked: Some(Revoked { at, start: None }), ..self })
            }
            // For an employee who never had an object nothing is kept, because there is no account
            // to suspend. The status has room for one evidence, and a revocation suspends as well.
            // If the file is gone, its read by id shows that in time.
            BobReport::Deleted if is_without && known => {
                Some(Self { file_deleted: Some(at), ..self })
            }
            BobReport::Activated
                if self.file_deleted.is_none()
                    && self.revoked.is_some_and(|revoked| revoked.at <= at) =>
            {
                Some(Self::default())
            }
            BobReport::Revoked | BobReport::Deleted | BobReport::Activated => None,
        }
    }

    /// Returns the evidence after a pass has found this. An employee that Bob shows has a file, and
    /// a later start date belongs to another employment.
    #[must_use]
    pub fn with(self, found: &Found) -> Self {
        let file_deleted = self.file_deleted.or(found.deleted).filter(|_| found.is_hidden);
        let revoked = self
            .revoked
            .filter(|revoked| revoked.holds(found.start))
            .map(|at| Revoked { start: at.start.or(found.start), ..at });
        Self { revoked, file_deleted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn revoked(second: i64) -> Proof {
        Proof { revoked: Some(Revoked { at: at(second), start: None }), file_deleted: None }
    }

    fn deleted(second: i64) -> Proof {
        Proof { revoked: None, file_deleted: Some(at(second)) }
    }

    #[test]
    fn the_first_evidence_stays_until_bob_reports_a_later_activation() {
        let none = Proof::default();
        for (before, report, known, after) in [
            (none, BobReport::Revoked, true, Some(revoked(10))),
            (none, BobReport::Revoked, false, Some(revoked(10))),
            (none, BobReport::Deleted, true, Some(deleted(10))),
            (none, BobReport::Deleted, false, None),
            (none, BobReport::Activated, true, None),
            (revoked(5), BobReport::Revoked, true, None),
            (revoked(5), BobReport::Deleted, true, None),
            (revoked(5), BobReport::Activated, true, Some(none)),
            (revoked(10), BobReport::Activated, true, Some(none)),
            (revoked(11), BobReport::Activated, true, None),
            (deleted(5), BobReport::Revoked, true, None),
            (deleted(5), BobReport::Deleted, true, None),
            (deleted(5), BobReport::Activated, true, None),
        ] {
            assert_eq!(before.after(report, at(10), known), after, "{before:?} {report:?}");
        }
    }

    #[test]
    fn a_file_that_bob_shows_is_not_deleted_and_a_later_start_date_ends_a_revocation() {
        let day = |day| Some(jiff::civil::date(2026, 3, day));
        let found = |is_hidden, deleted: Option<i64>, start| Found {
            is_hidden,
            deleted: deleted.map(at),
            start,
        };
        let since =
            |start| Proof { revoked: Some(Revoked { at: at(5), start }), ..Proof::default() };
        for (before, found, after) in [
            (deleted(5), found(false, None, None), Proof::default()),
            (deleted(5), found(true, Some(9), None), deleted(5)),
            (Proof::default(), found(true, Some(9), None), deleted(9)),
            (Proof::default(), found(false, Some(9), None), Proof::default()),
            (since(None), found(false, None, day(2)), since(day(2))),
            (since(None), found(true, None, None), since(None)),
            (since(day(2)), found(false, None, day(1)), since(day(2))),
            (since(day(2)), found(false, None, day(3)), Proof::default()),
        ] {
            assert_eq!(before.with(&found), after, "{before:?} {found:?}");
        }
    }
}
