//! What a pass asks about one employee.

use jiff::Timestamp;

use super::{Entry, Latest, Roster, Standing};
use crate::{
    api::{employee_sync::Access, key::IntegrationKey, reasons::EmployeeReason},
    domain::known::{Met, Revoked},
};

/// How firmly an integration manages somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hold {
    /// Not at all.
    None,
    /// It will make an account.
    Intent,
    /// It has written to an account that is on record.
    Account,
}

impl Roster {
    /// Returns which of the other integrations manages everybody of this one who is not Ready for this reason; `None` if nobody is,
    /// or somebody is managed by none of them.
    #[must_use]
    pub fn who_manages_all(
        &self,
        key: &IntegrationKey,
        reason: EmployeeReason,
        others: &[IntegrationKey],
    ) -> Option<IntegrationKey> {
        let rows = self.rows();
        let is_so = |entry: &&Entry| entry.counted() == Standing::Unready(reason);
        let employees =
            rows.get(key)?.iter().filter(|(_, entry)| is_so(entry)).map(|(employee, _)| employee);
        let manages = |other: &&IntegrationKey, employee: &str| {
            rows.get(*other)
                .and_then(|people| people.get(employee))
                .is_some_and(|entry| entry.hold() > Hold::None)
        };
        let mut found = None;
        for employee in employees {
            found = Some(others.iter().find(|other| manages(other, employee))?);
        }
        found.cloned()
    }
}

impl Entry {
    /// What no read of Bob would show: a revocation, and since when the file is gone.
    #[must_use]
    pub fn evidence(&self) -> (Option<Revoked>, Option<Timestamp>) {
        (self.revoked, self.file_deleted)
    }

    /// Since when the status says that something is not as decided, in seconds of the epoch.
    #[must_use]
    pub fn unready_since(&self) -> Option<i64> {
        (self.unready_since != 0).then_some(i64::from(self.unready_since))
    }

    /// Since when this person waits for something, as far as the status says, in seconds of the epoch: since it is not as
    /// decided, or since the date that it names has come.
    #[must_use]
    pub fn waiting_since(&self, now: i64) -> Option<i64> {
        let date = self.next.map(|(at, _)| at).filter(|at| *at <= now);
        self.unready_since().into_iter().chain(date).min()
    }

    /// Whether evidence on record takes access from this person, and the status says that the account on record is open, or one
    /// of several may be.
    #[must_use]
    pub fn is_open_against_evidence(&self) -> bool {
        let evidence = self.revoked.is_some() || self.file_deleted.is_some();
        let hands_off = self.overrides.as_ref().is_some_and(|overrides| overrides.hands_off);
        let active = self.account.is_some() && self.access == Some(Access::Active);
        let open = active || self.several && self.access != Some(Access::Suspended);
        evidence && !hands_off && (open || self.is_unknown_against_evidence())
    }

    /// Whether Bob has revoked access from this person, and neither a status nor this process knows of an account: what is on
    /// record was deleted. The account is found by its mark.
    #[must_use]
    pub fn is_unknown_against_evidence(&self) -> bool {
        self.revoked.is_some() && self.access.is_none() && !self.says_something()
    }

    /// Whether its integration manages an account of this person, or will make one. One that only takes access from somebody
    /// whom its settings leave out does not.
    #[must_use]
    pub fn claims_account(&self) -> bool {
        let left_out = matches!(self.met, Some(Met::Unmanaged | Met::Waiting(_)));
        !left_out
            && matches!(self.access, Some(Access::NotYet | Access::Active | Access::Suspended))
    }

    /// How firmly its integration manages this person: with an account that it has written to, or as one who is about to make it.
    /// Who only says that another integration manages the person does not.
    #[must_use]
    pub fn hold(&self) -> Hold {
        match (self.claims_account(), self.account.is_some()) {
            _ if self.managed_by_another => Hold::None,
            (true, true) => Hold::Account,
            (true, false) => Hold::Intent,
            (false, _) => Hold::None,
        }
    }

    /// Whether the status says that access of this person's account is still to be taken, should it have to be.
    #[must_use]
    pub(super) fn is_open(&self) -> bool {
        let account = self.account.is_some() || self.found.is_some();
        account && !matches!(self.access, Some(Access::Suspended | Access::Absent))
    }

    /// The account to look at: the one that was written to, or the one that was found.
    #[must_use]
    pub fn known_account(&self) -> Option<&str> {
        self.account.as_ref().map(|(id, _)| &**id).or(self.found.as_deref())
    }

    /// Whether there is an account of this person that its integration manages.
    #[must_use]
    pub fn has_managed_account(&self) -> bool {
        self.claims_account() && self.account.is_some()
    }

    /// Whether the person was in Bob at some time; a pinned person may not be there yet.
    #[must_use]
    pub fn was_in_bob(&self) -> bool {
        self.met.is_some()
    }

    /// How it counts. An object that was deleted a moment ago comes back, and its employee stays counted until then: that
    /// statuses are missing shows in the difference to what the integration's status says.
    pub(super) fn counted(&self) -> Standing {
        match self.unrecorded {
            true => Standing::Unready(crate::api::reasons::EmployeeReason::NotRecorded),
            false if self.exists || self.claims_account() => self.standing,
            false => Standing::Uncounted,
        }
    }

    /// What the sums count of it.
    pub(super) fn summed(&self) -> (Standing, Latest, bool, bool) {
        (self.counted(), self.latest.clone(), self.claims_account(), self.has_managed_account())
    }
}
