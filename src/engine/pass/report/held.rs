//! What the status says of a plan that a guard holds.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{Report, kept};
use crate::{
    api::{
        ProvisioningIntegrationStatus,
        conditions::{self, ConditionUpdate, merge},
        integration::{BudgetStates, PlanSummary},
        reasons::{DetailReason, IntegrationReason},
    },
    domain::{count::counted, guard::HeldPlan},
};

/// Returns what is held, for `status.plan`. If a shrinking scope is held, its digest comes first,
/// because the rest of what is held depends on which employees are managed.
pub(super) fn summary(report: &Report) -> Option<PlanSummary> {
    let counts = report.guards.held.as_ref().map(|held| held.counts).unwrap_or_default();
    let digest = match (&report.guards.scope, &report.guards.held) {
        (Some(scope), _) => scope.digest.clone(),
        (None, Some(held)) => held.digest.clone(),
        (None, None) => return None,
    };
    Some(PlanSummary {
        digest,
        creates: counts.creates,
        reactivations: counts.reactivations,
        updates: counts.updates,
        disables: counts.disables,
        leaving: report.guards.scope.as_ref().map_or(0, |scope| scope.leaving),
        leaving_employees: report
            .guards
            .scope
            .as_ref()
            .map(|scope| scope.employees.clone())
            .unwrap_or_default(),
        held_because: Some(because(report)),
    })
}

fn because(report: &Report) -> String {
    let scope = report.guards.scope.as_ref().map(|scope| &*scope.because);
    let held = report.guards.held.as_ref().map(|held| &*held.because);
    let both: Vec<&str> = scope.into_iter().chain(held).collect();
    both.join("; ")
}

/// Returns the sentence for a person, without the full stop.
pub(super) fn message(report: &Report) -> String {
    let because = because(report);
    if let Some(scope) = &report.guards.scope {
        let next = if report.guards.held.is_some() {
            "; the rest needs an approval of its own after that"
        } else {
            ""
        };
        return format!(
            "{because}. No employee leaves management until spec.approvedPlan is {}, or the \
             setting is corrected{next}",
            scope.digest
        );
    }
    let Some(HeldPlan { digest, .. }) = &report.guards.held else { return String::new() };
    let more = match report.bob.absent.unconfirmed {
        0 => String::new(),
        count => format!(
            "; {} missing from Bob's answer, and the next passes ask Bob about each, so wait with \
             an approval: the digest changes with each one that was really deleted",
            counted(
                u32::try_from(count).unwrap_or(u32::MAX),
                "more employee is",
                "more employees are"
            )
        ),
    };
    format!(
        "{because}. No part of it is written until spec.approvedPlan is {digest}, or the cause is \
         gone{more}"
    )
}

/// Returns the status from the moment at which a person's approval released the held plan: nothing
/// is held any more, and the changes go out one after another.
#[must_use]
pub fn released(
    before: &ProvisioningIntegrationStatus,
    now: Timestamp,
) -> ProvisioningIntegrationStatus {
    let mut status = ProvisioningIntegrationStatus { plan: None, ..before.clone() };
    for budget in status.budgets.iter_mut().flat_map(|budgets| {
        let BudgetStates { disables, reactivations, creates, updates } = budgets;
        [disables, reactivations, creates, updates].into_iter().flatten()
    }) {
        budget.planned = 0;
    }
    let say = |kind, status, reason, message: &str| ConditionUpdate {
        kind,
        status,
        reason,
        message: message.to_owned(),
    };
    let (progressing, message) =
        (IntegrationReason::Progressing.as_str(), "The approved plan goes out.");
    let wanted = [
        say(conditions::Type::Ready, false, progressing, message),
        say(conditions::Type::Reconciling, true, progressing, message),
        say(conditions::Type::PlanHeld, false, DetailReason::NothingHeld.as_str(), ""),
    ];
    for fresh in merge(&before.conditions, &wanted, 0, now) {
        for known in status.conditions.iter_mut().filter(|known| known.type_ == fresh.type_) {
            *known = Condition { observed_generation: known.observed_generation, ..fresh.clone() };
        }
    }
    status
}

/// Returns the condition `PlanHeld`.
pub(super) fn condition(
    report: &Report,
    before: &ProvisioningIntegrationStatus,
) -> Option<ConditionUpdate> {
    let kind = conditions::Type::PlanHeld;
    if report.tally.is_none() || report.about.dry_run {
        return kept(kind, before);
    }
    let reason = match (&report.guards.scope, &report.guards.held) {
        (Some(_), _) => DetailReason::ScopeShrink,
        (None, Some(held)) if held.restored => DetailReason::RestoredWithoutStatus,
        (None, Some(held)) if held.only_fields => DetailReason::FieldBlackout,
        (None, Some(_)) => DetailReason::BudgetExceeded,
        (None, None) => {
            return Some(ConditionUpdate {
                kind,
                status: false,
                reason: DetailReason::NothingHeld.as_str(),
                message: String::new(),
            });
        }
    };
    Some(ConditionUpdate {
        kind,
        status: true,
        reason: reason.as_str(),
        message: message(report) + ".",
    })
}
