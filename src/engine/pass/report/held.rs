//! What the status says of a plan that a guard holds.

use super::{Report, kept};
use crate::{
    api::{
        ProvisioningIntegrationStatus,
        conditions::{self, Wanted},
        integration::PlanSummary,
        reasons::DetailReason,
    },
    domain::{count::counted, guard::HeldPlan},
};

/// Returns what is held, for `status.plan`. If a shrinking scope is held, its digest comes first,
/// because the rest of what is held depends on which employees are managed.
pub(super) fn summary(report: &Report) -> Option<PlanSummary> {
    let counts = report.held.as_ref().map(|held| held.counts).unwrap_or_default();
    let digest = match (&report.scope, &report.held) {
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
        leaving: report.scope.as_ref().map_or(0, |scope| scope.leaving),
        held_because: Some(because(report)),
    })
}

fn because(report: &Report) -> String {
    let scope = report.scope.as_ref().map(|scope| &*scope.because);
    let held = report.held.as_ref().map(|held| &*held.because);
    let both: Vec<&str> = scope.into_iter().chain(held).collect();
    both.join("\n")
}

/// Returns the sentence for a person, without the full stop.
pub(super) fn message(report: &Report) -> String {
    let because = because(report);
    if let Some(scope) = &report.scope {
        let next = if report.held.is_some() {
            "; the rest needs an approval of its own after that"
        } else {
            ""
        };
        return format!(
            "{because}\nNo employee leaves management until spec.approvedPlan is {}, or the \
             setting is corrected{next}",
            scope.digest
        );
    }
    let Some(HeldPlan { digest, .. }) = &report.held else { return String::new() };
    let more = match report.absent.unconfirmed {
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
        "{because}\nNo part of it is written until spec.approvedPlan is {digest}, or the cause is \
         gone{more}"
    )
}

/// Returns the condition `PlanHeld`.
pub(super) fn condition(report: &Report, before: &ProvisioningIntegrationStatus) -> Option<Wanted> {
    let kind = conditions::Type::PlanHeld;
    if report.tally.is_none() || report.dry_run {
        return kept(kind, before);
    }
    let reason = match (&report.scope, &report.held) {
        (Some(_), _) => DetailReason::ScopeShrink,
        (None, Some(held)) if held.restored => DetailReason::RestoredWithoutStatus,
        (None, Some(held)) if held.only_fields => DetailReason::FieldBlackout,
        (None, Some(_)) => DetailReason::BudgetExceeded,
        (None, None) => {
            return Some(Wanted {
                kind,
                status: false,
                reason: DetailReason::NothingHeld.as_str(),
                message: String::new(),
            });
        }
    };
    Some(Wanted { kind, status: true, reason: reason.as_str(), message: message(report) + "." })
}
