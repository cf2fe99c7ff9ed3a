//! The state of every employee according to the statuses, counted. The numbers of an integration
//! are sums over these.

use std::collections::BTreeMap;

use crate::api::{
    EmployeeSyncStatus, conditions,
    employee_sync::Access,
    reasons::{DetailReason, EmployeeReason},
};

/// The state of one employee, according to the status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// The employee is in no number: there is no status, no account is to be managed, or the
    /// employee was never in Bob.
    #[default]
    Uncounted,
    /// The settings exclude the employee, and no ended employment takes access.
    Unmanaged,
    /// The employee is in scope and Ready.
    Ready,
    /// The employee is in scope and not Ready, for this reason.
    Unready(EmployeeReason),
}

impl Standing {
    /// Reads the state from a status.
    #[must_use]
    pub fn of(status: &EmployeeSyncStatus) -> Self {
        let Some(ready) = conditions::find(&status.conditions, conditions::Type::Ready) else {
            return Self::Uncounted;
        };
        let Some(reason) =
            EmployeeReason::ALL.iter().copied().find(|reason| reason.as_str() == ready.reason)
        else {
            return Self::Uncounted;
        };
        let not_managed = DetailReason::NotManaged.as_str();
        let says_so = |kind| {
            conditions::find(&status.conditions, kind)
                .is_some_and(|condition| condition.reason == not_managed)
        };
        let no_attributes =
            conditions::find(&status.conditions, conditions::Type::AttributesSynced).is_none();
        let left_alone = status.access == Some(Access::Unmanaged)
            || says_so(conditions::Type::AccessSynced)
            // The status of a managed account that is left as it is says something about its
            // attributes.
            || reason == EmployeeReason::HandsOff && status.account.is_some() && no_attributes
            || matches!(
                reason,
                EmployeeReason::DomainNotListed
                    | EmployeeReason::OutOfScope
                    | EmployeeReason::AwaitingChange
            );
        match (ready.status == "True", status.access) {
            _ if left_alone => Self::Unmanaged,
            (_, None) => Self::Uncounted,
            (true, Some(Access::Absent)) if status.account.is_none() => Self::Uncounted,
            (true, Some(_)) => Self::Ready,
            (false, Some(_)) => Self::Unready(reason),
        }
    }
}

/// The number of employees of an integration in each state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The number in scope and Ready.
    pub ready: u32,
    /// The number that the settings exclude.
    pub unmanaged: u32,
    /// The numbers in scope and not Ready, by reason. No reason has 0.
    unready: BTreeMap<EmployeeReason, u32>,
}

impl Counts {
    /// Returns the number of employees in scope.
    #[must_use]
    pub fn in_scope(&self) -> u32 {
        self.ready + self.unready.values().sum::<u32>()
    }

    /// Returns the number of employees who wait for their turn.
    #[must_use]
    pub fn pending(&self) -> u32 {
        self.of(EmployeeReason::Pending)
    }

    /// Returns the number of employees with a change that a guard holds.
    #[must_use]
    pub fn held(&self) -> u32 {
        self.of(EmployeeReason::Held)
    }

    /// Returns the number of employees with a frozen attribute.
    #[must_use]
    pub fn frozen(&self) -> u32 {
        self.of(EmployeeReason::Frozen)
    }

    /// Returns the number of employees with an object or a status that the API server refuses.
    #[must_use]
    pub fn not_recorded(&self) -> u32 {
        self.of(EmployeeReason::NotRecorded)
    }

    /// Returns the numbers of failing employees, by reason: a person has to act, or a retry is due.
    pub fn failing(&self) -> impl Iterator<Item = (EmployeeReason, u32)> {
        self.unready
            .iter()
            .map(|(reason, count)| (*reason, *count))
            .filter(|(reason, _)| reason.is_failure())
    }

    pub(super) fn of(&self, reason: EmployeeReason) -> u32 {
        self.unready.get(&reason).copied().unwrap_or(0)
    }

    /// Returns the same numbers with this many more employees in one state.
    #[cfg(test)]
    #[must_use]
    pub fn and(mut self, standing: Standing, more: u32) -> Self {
        (0..more).for_each(|_| self.count(standing, true));
        self
    }

    /// Counts one employee, or removes one from the count.
    pub(super) fn count(&mut self, standing: Standing, comes: bool) {
        let step =
            |count: &mut u32| *count = if comes { *count + 1 } else { count.saturating_sub(1) };
        match standing {
            Standing::Uncounted => {}
            Standing::Unmanaged => step(&mut self.unmanaged),
            Standing::Ready => step(&mut self.ready),
            Standing::Unready(reason) => {
                let count = self.unready.entry(reason).or_default();
                step(count);
                if *count == 0 {
                    self.unready.remove(&reason);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::api::{
        conditions::{ConditionUpdate, merge},
        employee_sync::{AccountRef, MatchedBy},
    };

    fn status(
        reason: EmployeeReason,
        access: Option<Access>,
        detail: Option<(conditions::Type, DetailReason)>,
    ) -> EmployeeSyncStatus {
        let ready = ConditionUpdate {
            kind: conditions::Type::Ready,
            status: reason.is_ready(),
            reason: reason.as_str(),
            message: String::new(),
        };
        let detail = detail.map(|(kind, reason)| ConditionUpdate {
            kind,
            status: true,
            reason: reason.as_str(),
            message: String::new(),
        });
        let wanted: Vec<ConditionUpdate> = [ready].into_iter().chain(detail).collect();
        let has_account = matches!(access, Some(Access::Active | Access::Suspended));
        EmployeeSyncStatus {
            access,
            account: has_account
                .then(|| AccountRef { id: "31".to_owned(), matched_by: MatchedBy::Mark }),
            conditions: merge(&[], &wanted, 1, Timestamp::UNIX_EPOCH),
            ..EmployeeSyncStatus::default()
        }
    }

    #[test]
    fn who_is_managed_counts_and_who_waits_is_told_from_who_fails() {
        use EmployeeReason as R;
        let of = |reason, access, detail| Standing::of(&status(reason, access, detail));
        let left = |kind| Some((kind, DetailReason::NotManaged));
        for (reason, access, detail, stands) in [
            (R::InSync, Some(Access::Active), None, Standing::Ready),
            (R::NotDue, Some(Access::NotYet), None, Standing::Ready),
            (
                R::HandsOff,
                Some(Access::Active),
                Some((conditions::Type::AttributesSynced, DetailReason::Equal)),
                Standing::Ready,
            ),
            (
                R::HandsOff,
                Some(Access::Active),
                Some((conditions::Type::AccessSynced, DetailReason::NotAsDecided)),
                Standing::Unmanaged,
            ),
            (
                R::HandsOff,
                Some(Access::Unmanaged),
                left(conditions::Type::AccessSynced),
                Standing::Unmanaged,
            ),
            (
                R::HandsOff,
                Some(Access::Active),
                left(conditions::Type::AccessSynced),
                Standing::Unmanaged,
            ),
            (R::DomainNotListed, Some(Access::Unmanaged), None, Standing::Unmanaged),
            (R::AwaitingChange, Some(Access::Unmanaged), None, Standing::Unmanaged),
            (R::MappingFailed, Some(Access::Unmanaged), None, Standing::Unmanaged),
            (R::InSync, Some(Access::Absent), None, Standing::Uncounted),
            (
                R::InSync,
                Some(Access::Suspended),
                left(conditions::Type::AttributesSynced),
                Standing::Ready,
            ),
            (
                R::Held,
                Some(Access::Active),
                left(conditions::Type::AttributesSynced),
                Standing::Unready(R::Held),
            ),
            (R::Pending, None, None, Standing::Uncounted),
            (R::Pending, Some(Access::Active), None, Standing::Unready(R::Pending)),
            (R::Conflict, Some(Access::NotYet), None, Standing::Unready(R::Conflict)),
        ] {
            assert_eq!(of(reason, access, detail), stands, "{reason} {access:?} {detail:?}");
        }
        assert_eq!(Standing::of(&EmployeeSyncStatus::default()), Standing::Uncounted);
        let mut counts = Counts::default();
        let all = [
            R::Pending,
            R::Held,
            R::Held,
            R::Frozen,
            R::Frozen,
            R::Frozen,
            R::Rejected,
            R::Retrying,
        ]
        .map(Standing::Unready);
        all.into_iter()
            .chain([Standing::Ready, Standing::Unmanaged])
            .for_each(|standing| counts.count(standing, true));
        assert_eq!((counts.in_scope(), counts.ready, counts.unmanaged), (9, 1, 1));
        assert_eq!((counts.pending(), counts.held(), counts.frozen()), (1, 2, 3));
        assert_eq!(counts.failing().collect::<Vec<_>>(), [(R::Retrying, 1), (R::Rejected, 1)]);
    }
}
