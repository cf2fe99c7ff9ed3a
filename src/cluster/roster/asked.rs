//! What a pass asks about one employee.

use std::sync::Arc;

use super::{Employees, Entry, Latest, Standing};
use crate::{
    api::{employee_sync::Access, key::IntegrationKey, reasons::EmployeeReason},
    domain::{evidence::Proof, known::Met},
};

/// How strongly an integration manages an employee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// It does not manage the employee.
    None,
    /// It will create an account.
    Intent,
    /// It has written to an account that is on record.
    Account,
}

impl Employees {
    /// Returns which of the other integrations manages every employee of this one who is not Ready
    /// for this reason. Returns `None` if there is no such employee, or if one of these employees
    /// is managed by none of the others.
    #[must_use]
    pub fn who_manages_all(
        &self,
        reason: EmployeeReason,
        others: &[Arc<Self>],
    ) -> Option<IntegrationKey> {
        let is_so = |entry: &Entry| entry.counted() == Standing::Unready(reason);
        let manages = |other: &&Arc<Self>, employee: &str| {
            other.with(employee, |entry| entry.is_some_and(|entry| entry.hold() > Hold::None))
        };
        // No two integrations are locked at once.
        let employees: Vec<Box<str>> = {
            let people = self.rows();
            if others.is_empty() || people.sums().counts.of(reason) == 0 {
                return None;
            }
            let so = people.iter().filter(|(_, entry)| is_so(entry));
            so.map(|(employee, _)| employee.into()).collect()
        };
        let mut found = None;
        for employee in employees {
            found = Some(others.iter().find(|other| manages(other, &employee))?);
        }
        found.map(|other| other.key.clone())
    }
}

impl Entry {
    /// Returns what no read of Bob would show.
    #[must_use]
    pub const fn proof(&self) -> Proof {
        Proof { revoked: self.revoked, file_deleted: self.file_deleted }
    }

    /// Returns since when the status says that something differs from the decision, in seconds of
    /// the epoch.
    #[must_use]
    pub fn unready_since(&self) -> Option<i64> {
        (self.unready_since != 0).then_some(i64::from(self.unready_since))
    }

    /// Returns since when this employee waits for something according to the status, in seconds of
    /// the epoch. The wait begins when something differs from the decision, or when the date in the
    /// status has come.
    #[must_use]
    pub fn waiting_since(&self, now: i64) -> Option<i64> {
        let date = self.next.map(|(at, _)| at).filter(|at| *at <= now);
        self.unready_since().into_iter().chain(date).min()
    }

    /// Returns whether evidence on record takes access from this employee, and the status says that
    /// the account on record is open, or that one of several may be open.
    #[must_use]
    pub fn is_open_against_evidence(&self) -> bool {
        let evidence = self.revoked.is_some() || self.file_deleted.is_some();
        let hands_off = self.overrides.as_ref().is_some_and(|overrides| overrides.hands_off);
        let active = self.account.is_some() && self.access == Some(Access::Active);
        let open = active || self.several && self.access != Some(Access::Suspended);
        evidence && !hands_off && (open || self.is_unknown_against_evidence())
    }

    /// Returns whether Bob has revoked access from this employee, and neither a status nor this
    /// process knows of an account, because the record was deleted. The account is found by its
    /// mark.
    #[must_use]
    pub fn is_unknown_against_evidence(&self) -> bool {
        self.revoked.is_some() && self.access.is_none() && !self.says_something()
    }

    /// Returns whether its integration manages an account of this employee, or will create one. An
    /// integration that only takes access from an employee that its settings exclude does not.
    #[must_use]
    pub fn claims_account(&self) -> bool {
        let left_out = matches!(self.met, Some(Met::Unmanaged | Met::Waiting(_)));
        !left_out
            && matches!(self.access, Some(Access::NotYet | Access::Active | Access::Suspended))
    }

    /// Returns how strongly its integration manages this employee: with an account that it has
    /// written to, or with one that it is about to create. An integration whose status only says
    /// that another one manages the employee does not.
    #[must_use]
    pub fn hold(&self) -> Hold {
        match (self.claims_account(), self.account.is_some()) {
            _ if self.managed_by_another => Hold::None,
            (true, true) => Hold::Account,
            (true, false) => Hold::Intent,
            (false, _) => Hold::None,
        }
    }

    /// Returns whether the status says that access of this employee's account is still open and
    /// would have to be taken.
    #[must_use]
    pub(super) fn is_open(&self) -> bool {
        let account = self.account.is_some() || self.found.is_some();
        account && !matches!(self.access, Some(Access::Suspended | Access::Absent))
    }

    /// Returns the account to look at: the one that was written to, or the one that was found.
    #[must_use]
    pub fn known_account(&self) -> Option<&str> {
        self.account.as_ref().map(|(id, _)| &**id).or(self.found.as_deref())
    }

    /// Returns whether this employee has an account that its integration manages.
    #[must_use]
    pub fn has_managed_account(&self) -> bool {
        self.claims_account() && self.account.is_some()
    }

    /// Returns whether the employee was in Bob at some time. A pinned employee may not be there
    /// yet.
    #[must_use]
    pub fn was_in_bob(&self) -> bool {
        self.met.is_some()
    }

    /// Returns the state that the employee is counted in. An object that was just deleted is made
    /// again, and its employee stays counted until then. Missing statuses show as a difference to
    /// the numbers in the integration's status.
    pub(super) fn counted(&self) -> Standing {
        match self.unrecorded {
            true => Standing::Unready(crate::api::reasons::EmployeeReason::NotRecorded),
            false if self.exists || self.claims_account() || self.has_ended_beside() => {
                self.standing
            }
            false => Standing::Uncounted,
        }
    }

    /// Returns whether the settings exclude the employee, and the ended employment takes the access
    /// of the account.
    fn has_ended_beside(&self) -> bool {
        let counts = matches!(self.standing, Standing::Ready | Standing::Unready(_));
        counts && self.met == Some(Met::Unmanaged) && self.account.is_some()
    }

    /// Returns the values that the sums count.
    pub(super) fn summed(&self) -> (Standing, Latest, bool, bool) {
        (self.counted(), self.latest.clone(), self.claims_account(), self.has_managed_account())
    }
}
