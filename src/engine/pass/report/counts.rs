//! The numbers of an integration. They are put over what its passes said, because they are sums
//! over all its employees, and partial passes change them too.

use std::fmt::Write as _;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::{
    api::{
        ProvisioningIntegrationStatus,
        conditions::{self, ConditionUpdate, merge},
        integration::{BudgetStates, EmployeeCounts},
        key::IntegrationKey,
        reasons::{DetailReason, EmployeeReason, IntegrationReason},
    },
    cluster::roster::Counts,
    domain::count::counted,
};

/// The sums that the roster gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reckoned {
    /// How many employees are in each state, or `None` while it is not known which objects are
    /// missing.
    pub counts: Option<Counts>,
    /// The other integration that manages all employees in conflict, if there is one.
    pub taken_by: Option<IntegrationKey>,
    /// What the API server said of the objects that it refuses.
    pub not_written: Option<String>,
    /// The state of every budget, or `None` while the settings are not known.
    pub budgets: Option<BudgetStates>,
}

/// If fewer employees than this fail for one reason, the settings are not taken for the cause.
const SOME: u32 = 2;

/// Returns what passes said, with the present numbers.
#[must_use]
pub fn with_counts(
    status: &ProvisioningIntegrationStatus,
    reckoned: &Reckoned,
    generation: i64,
    now: Timestamp,
) -> ProvisioningIntegrationStatus {
    let mut status = status.clone();
    if let Some(budgets) = &reckoned.budgets {
        status.budgets = Some(budgets.clone());
    }
    let (Some(before), Some(counts)) = (&status.employees, &reckoned.counts) else { return status };
    let failing: u32 = counts.failing().map(|(_, count)| count).sum();
    status.employees = Some(EmployeeCounts {
        in_bob: before.in_bob,
        in_scope: counts.in_scope(),
        ready: counts.ready,
        failing,
        pending: counts.pending(),
        held: counts.held(),
        frozen: counts.frozen(),
    });
    let mut put = |wanted: ConditionUpdate| {
        for fresh in merge(&status.conditions, &[wanted], generation, now) {
            match status.conditions.iter_mut().find(|known| known.type_ == fresh.type_) {
                Some(known) => {
                    *known = Condition { observed_generation: known.observed_generation, ..fresh }
                }
                None => status.conditions.push(fresh),
            }
        }
    };
    put(employees_failing(&counts.failing().collect::<Vec<_>>(), reckoned.not_written.as_deref()));
    let Some(ready) = conditions::find(&status.conditions, conditions::Type::Ready)
        .map(|ready| ready.reason.clone())
    else {
        return status;
    };
    let is = |reason: IntegrationReason| reason.as_str() == ready;
    if is(IntegrationReason::InvalidSettings) {
        for kind in [conditions::Type::Ready, conditions::Type::Stalled] {
            let known = status.conditions.iter_mut().find(|known| known.type_ == kind.as_str());
            known.into_iter().for_each(|known| with_share(&mut known.message, counts));
        }
        return status;
    }
    let mut put = |wanted: ConditionUpdate| {
        for fresh in merge(&status.conditions, &[wanted], generation, now) {
            if let Some(known) =
                status.conditions.iter_mut().find(|known| known.type_ == fresh.type_)
            {
                *known = Condition { observed_generation: known.observed_generation, ..fresh };
            }
        }
    };
    if !is(IntegrationReason::Converged) && !is(IntegrationReason::DryRun) {
        return status;
    }
    if let Some((reason, message)) = one_cause(counts, reckoned.taken_by.as_ref()) {
        put(ConditionUpdate {
            kind: conditions::Type::Ready,
            status: false,
            reason: reason.as_str(),
            message: message.clone(),
        });
        let stalled = reason.is_stalled();
        if stalled {
            put(ConditionUpdate {
                kind: conditions::Type::Stalled,
                status: true,
                reason: reason.as_str(),
                message,
            });
        } else {
            put(ConditionUpdate {
                kind: conditions::Type::Reconciling,
                status: true,
                reason: reason.as_str(),
                message,
            });
        }
    } else if is(IntegrationReason::Converged) {
        let message = in_sync(counts.ready, counts.in_scope(), failing);
        put(ConditionUpdate {
            kind: conditions::Type::Ready,
            status: true,
            reason: IntegrationReason::Converged.as_str(),
            message,
        });
    }
    status
}

/// The words of a message about a provider that refused several changes in a row.
const REFUSES: &str = "refuses one change after another, and accepts none of that kind";
/// The words between the share of failing employees and the message of the pass.
const FAIL: &str = " in scope fail. ";

/// Returns the message about a provider that refused several changes in a row. `said` is its last
/// answer.
pub(super) fn refuses(said: &str) -> String {
    let said = said.trim_end_matches('.');
    format!(
        "The provider {REFUSES}. Its last answer: {said}. Correct the mapping, the values in Bob, \
         or what the provider refuses."
    )
}

/// Puts the number of refused employees before such a message. It replaces an older number.
fn with_share(message: &mut String, counts: &Counts) {
    if !message.contains(REFUSES) {
        return;
    }
    let said = message.split_once(FAIL).map_or(&**message, |(_, said)| said);
    let rejected =
        counts.failing().filter(|(reason, _)| *reason == EmployeeReason::Rejected).map(|(_, n)| n);
    let rejected: u32 = rejected.sum();
    let in_scope = counted(counts.in_scope(), "employee", "employees");
    *message = format!("{rejected} of {in_scope}{FAIL}{said}");
}

/// Returns how many of the employees in scope are in sync, and how many fail.
pub(super) fn in_sync(ready: u32, in_scope: u32, failing: u32) -> String {
    let in_sync = format!(
        "{ready} of {} in sync",
        counted(in_scope, "employee in scope is", "employees in scope are")
    );
    match failing {
        0 => format!("{in_sync}."),
        failing => format!("{in_sync}, {}.", counted(failing, "fails", "fail")),
    }
}

/// Returns how many employees fail, by reason.
pub(super) fn employees_failing(
    reasons: &[(EmployeeReason, u32)],
    not_written: Option<&str>,
) -> ConditionUpdate {
    let kind = conditions::Type::EmployeesFailing;
    let failing: u32 = reasons.iter().map(|(_, count)| count).sum();
    if failing == 0 {
        return ConditionUpdate {
            kind,
            status: false,
            reason: DetailReason::NoneFailing.as_str(),
            message: String::new(),
        };
    }
    let mut message = counted(failing, "employee fails:", "employees fail:");
    for (reason, count) in reasons {
        let _ = write!(message, " {count} {reason},");
    }
    message.pop();
    message.push('.');
    // The status of an employee who is not recorded cannot say it.
    if reasons.iter().any(|(reason, _)| *reason != EmployeeReason::NotRecorded) {
        message.push_str(" `kubectl get esync -o wide` shows what helps each of them.");
    }
    if let Some(told) = not_written
        .filter(|_| reasons.iter().any(|(reason, _)| *reason == EmployeeReason::NotRecorded))
    {
        let _ = write!(message, " {told}");
    }
    ConditionUpdate { kind, status: true, reason: DetailReason::SomeFailing.as_str(), message }
}

/// Returns why an integration can do nothing at all: all employees in scope fail for one cause.
/// That cause is then in the settings and not with the employees.
fn one_cause(
    counts: &Counts,
    taken_by: Option<&IntegrationKey>,
) -> Option<(IntegrationReason, String)> {
    let mut failing = counts.failing();
    let (cause, count) = failing.next().filter(|(_, count)| *count == counts.in_scope())?;
    if let Some(other) = taken_by.filter(|_| cause == EmployeeReason::Conflict) {
        let message = format!(
            "The integration {other} manages all {count} employees in scope at the same tenant, so \
             this one does nothing. Let only one of the two do so: give them different scopes, or \
             suspend or delete one."
        );
        return Some((IntegrationReason::TenantTaken, message));
    }
    if count < SOME {
        return None;
    }
    let reason = match cause {
        EmployeeReason::Forbidden => IntegrationReason::ProviderForbidden,
        EmployeeReason::Retrying => IntegrationReason::ProviderUnavailable,
        EmployeeReason::Rejected
        | EmployeeReason::Conflict
        | EmployeeReason::Ambiguous
        | EmployeeReason::MissingAttribute
        | EmployeeReason::MappingFailed
        | EmployeeReason::ManagedElsewhere
        | EmployeeReason::NotRecorded
        | EmployeeReason::NoLicence
        | EmployeeReason::Contested => IntegrationReason::InvalidSettings,
        // A leaver with an account that a person has to suspend is no mistake in the settings. The
        // other reasons are no failures.
        EmployeeReason::SuspendByHand
        | EmployeeReason::NoIntegration
        | EmployeeReason::InSync
        | EmployeeReason::NotDue
        | EmployeeReason::AwaitingChange
        | EmployeeReason::Drifted
        | EmployeeReason::DomainNotListed
        | EmployeeReason::OutOfScope
        | EmployeeReason::HandsOff
        | EmployeeReason::Pending
        | EmployeeReason::Held
        | EmployeeReason::Frozen => return None,
    };
    Some((
        reason,
        format!(
            "All {count} employees in scope fail, and all for the same cause: {cause}. {}",
            if cause == EmployeeReason::Retrying {
                "bobsync tries again by itself. If it lasts, look at the provider's status page."
            } else {
                "The settings or the rights of the credential are probably the cause: `kubectl get \
                 esync -o wide` shows what helps in each case."
            }
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cluster::roster::Standing, domain};

    fn counts(standings: &[(Standing, u32)]) -> Counts {
        standings
            .iter()
            .fold(Counts::default(), |counts, (standing, count)| counts.and(*standing, *count))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn said(reason: IntegrationReason) -> ProvisioningIntegrationStatus {
        let ready = reason.is_ready();
        let wanted = [
            (conditions::Type::Ready, ready),
            (conditions::Type::Reconciling, !ready),
            (conditions::Type::Stalled, reason.is_stalled()),
            (conditions::Type::EmployeesFailing, false),
        ];
        let wanted = wanted.map(|(kind, status)| ConditionUpdate {
            kind,
            status,
            reason: reason.as_str(),
            message: "As it was.".to_owned(),
        });
        let employees =
            Some(EmployeeCounts { in_bob: 9, in_scope: 7, ready: 7, ..EmployeeCounts::default() });
        ProvisioningIntegrationStatus {
            conditions: merge(&[], &wanted, 3, at(100)),
            employees,
            ..ProvisioningIntegrationStatus::default()
        }
    }

    fn shown(
        reason: IntegrationReason,
        reckoned: &Reckoned,
    ) -> (EmployeeCounts, Vec<(String, String, String)>) {
        let status = with_counts(&said(reason), reckoned, 3, at(200));
        let words = |c: &Condition| (c.status.clone(), c.reason.clone(), c.message.clone());
        (status.employees.expect("counts"), status.conditions.iter().map(words).collect())
    }

    #[test]
    fn how_many_are_refused_is_said_with_the_numbers_of_now() {
        let (rejected, pending) =
            (unready(EmployeeReason::Rejected), unready(EmployeeReason::Pending));
        let mut message = refuses("the provider refused title: no");
        for (list, share) in
            [([(rejected, 3), (pending, 4)], "3 of 7 "), ([(rejected, 6), (pending, 1)], "6 of 7 ")]
        {
            with_share(&mut message, &counts(&list));
            assert!(
                message.starts_with(&format!("{share}employees in scope fail. The provider")),
                "{message}"
            );
            assert_eq!(message.matches(" of 7 ").count(), 1, "{message}");
        }
        let mut other = "In spec.mapping: it is so.".to_owned();
        with_share(&mut other, &counts(&[(rejected, 3)]));
        assert_eq!(other, "In spec.mapping: it is so.");
    }

    #[test]
    fn the_words_of_the_guards_are_reasons() {
        let words = [domain::guard::BUDGET, domain::guard::BLACKOUT];
        assert_eq!(
            words,
            [DetailReason::BudgetExceeded, DetailReason::FieldBlackout].map(DetailReason::as_str)
        );
    }

    fn unready(reason: EmployeeReason) -> Standing {
        Standing::Unready(reason)
    }

    #[test]
    fn the_numbers_are_those_of_now_and_held_and_frozen_do_not_fail() {
        let list = [
            (Standing::Ready, 4),
            (unready(EmployeeReason::Held), 2),
            (unready(EmployeeReason::Frozen), 3),
        ];
        let reckoned = Reckoned { counts: Some(counts(&list)), ..Reckoned::default() };
        let (employees, conditions) = shown(IntegrationReason::Converged, &reckoned);
        let wanted = EmployeeCounts {
            in_bob: 9,
            in_scope: 9,
            ready: 4,
            failing: 0,
            pending: 0,
            held: 2,
            frozen: 3,
        };
        assert_eq!(employees, wanted);
        assert_eq!(
            (&*conditions[0].0, &*conditions[0].2),
            ("True", "4 of 9 employees in scope are in sync.")
        );
        assert_eq!((&*conditions[3].0, &*conditions[3].1), ("False", "NoneFailing"));
        let list = [
            (Standing::Ready, 4),
            (unready(EmployeeReason::Rejected), 2),
            (unready(EmployeeReason::Conflict), 1),
        ];
        let reckoned = Reckoned { counts: Some(counts(&list)), ..Reckoned::default() };
        let (employees, conditions) = shown(IntegrationReason::PlanHeld, &reckoned);
        assert_eq!((employees.failing, &*conditions[0].2), (3, "As it was."));
        assert_eq!(
            conditions[3].2,
            "3 employees fail: 2 Rejected, 1 Conflict. `kubectl get esync -o wide` shows what \
             helps each of them."
        );
        let before = said(IntegrationReason::Converged);
        assert_eq!(
            with_counts(&before, &Reckoned::default(), 3, at(200)),
            before,
            "nothing is known"
        );
    }

    #[test]
    fn an_integration_of_which_everybody_fails_for_one_cause_is_not_ready() {
        let other = IntegrationKey { namespace: "people".into(), name: "older".into() };
        let of = |list: &[(Standing, u32)], taken: bool, reason| {
            let reckoned = Reckoned {
                counts: Some(counts(list)),
                taken_by: taken.then(|| other.clone()),
                ..Reckoned::default()
            };
            shown(reason, &reckoned).1
        };
        let conflict = unready(EmployeeReason::Conflict);
        for reason in [IntegrationReason::Converged, IntegrationReason::DryRun] {
            let taken = of(&[(conflict, 7), (Standing::Unmanaged, 2)], true, reason);
            assert_eq!(
                (&*taken[0].0, &*taken[0].1, &*taken[2].0, &*taken[2].1),
                ("False", "TenantTaken", "True", "TenantTaken")
            );
            assert!(taken[0].2.contains("people/older") && taken[1].0 == "False", "{taken:?}");
        }
        let word =
            |list: &[(Standing, u32)]| of(list, false, IntegrationReason::Converged)[0].1.clone();
        assert_eq!(
            word(&[(conflict, 7), (Standing::Ready, 1)]),
            "Converged",
            "one employee of its own"
        );
        assert_eq!(word(&[(conflict, 7)]), "InvalidSettings");
        assert_eq!(
            word(&[(conflict, 1)]),
            "Converged",
            "one employee may fail for a reason of the employee's own"
        );
        assert_eq!(
            word(&[(conflict, 4), (unready(EmployeeReason::Rejected), 4)]),
            "Converged",
            "two causes"
        );
        assert_eq!(word(&[(unready(EmployeeReason::Forbidden), 7)]), "ProviderForbidden");
        assert_eq!(word(&[(unready(EmployeeReason::Retrying), 7)]), "ProviderUnavailable");
        assert_eq!(
            word(&[(unready(EmployeeReason::SuspendByHand), 7)]),
            "Converged",
            "a person has to suspend each"
        );
        assert_eq!(
            word(&[(unready(EmployeeReason::Held), 7)]),
            "Converged",
            "a guard says so itself"
        );
        assert_eq!(word(&[]), "Converged", "a scope without an employee");
        // An integration that comes back has not looked at its employees yet.
        assert_eq!(word(&[(unready(EmployeeReason::NoIntegration), 7)]), "Converged");
        let others = [EmployeeReason::SuspendByHand, EmployeeReason::NoIntegration];
        for reason in EmployeeReason::ALL
            .iter()
            .filter(|reason| reason.is_failure() && !others.contains(reason))
        {
            assert_ne!(word(&[(unready(*reason), 7)]), "Converged", "{reason}");
        }
        let forbidden = of(&[(conflict, 7)], true, IntegrationReason::BobForbidden);
        assert_eq!(forbidden[0].1, "BobForbidden", "what a pass has met comes first");
    }
}
