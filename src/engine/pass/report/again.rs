//! What the status says of the next try, if a pass was stopped or left work undone.

use jiff::{SignedDuration, Timestamp};

use super::Report;
use crate::api::{conditions::followed_by, reasons::IntegrationReason, time::to_the_second};

/// Returns the second in which the next try is due.
pub(super) fn due(report: &Report) -> Option<Timestamp> {
    let at = report.again.filter(|_| {
        report.stop.is_some()
            || crate::engine::pass::report::reason(report) == IntegrationReason::Progressing
    })?;
    Some(to_the_second(at.checked_add(SignedDuration::from_millis(999)).unwrap_or(at)))
}

/// Returns the message with what is known of the next try.
pub(super) fn with_next_try(message: &str, report: &Report) -> String {
    let Some(at) = due(report) else { return message.to_owned() };
    let sooner = match crate::engine::pass::report::reason(report) {
        IntegrationReason::SecretNotFound
        | IntegrationReason::BobUnauthorized
        | IntegrationReason::ProviderUnauthorized => {
            ", and within a minute when the Secret changes"
        }
        IntegrationReason::InvalidSettings | IntegrationReason::EndpointNotAllowed => {
            ", and at once when the spec changes"
        }
        _ => "",
    };
    followed_by(message, &format!("Next try at {at}{sooner}."))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        api::{ProvisioningIntegrationStatus, conditions},
        engine::{
            pass::{
                execute::Cut,
                record::Tally,
                report::{BobFound, ProviderFound},
            },
            stop::Stop,
        },
    };

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);
    const DUE: &str = "2027-01-15T08:00:41Z";

    fn after(report: &Report) -> ProvisioningIntegrationStatus {
        crate::engine::pass::report::after(
            &ProvisioningIntegrationStatus::default(),
            report,
            &BTreeMap::new(),
            3,
            NOW,
        )
    }

    fn tried_again() -> Report {
        Report { again: Some(NOW + SignedDuration::from_millis(40_250)), ..Report::default() }
    }

    #[test]
    fn every_reason_that_is_tried_again_says_when() {
        let stops = IntegrationReason::ALL
            .iter()
            .filter(|reason| !reason.is_ready() && **reason != IntegrationReason::PlanHeld);
        for reason in stops {
            let stop = Some(Stop::new(*reason, "It is so"));
            let bob = BobFound { answered: Some(false), ..BobFound::default() };
            let provider = ProviderFound { answered: Some(false), ..ProviderFound::default() };
            let status = after(&Report { stop, bob, provider, ..tried_again() });
            assert_eq!(
                status.next_try_at.map(|at| at.0.to_string()).as_deref(),
                Some(DUE),
                "{reason}"
            );
            let told = |kind| {
                conditions::find(&status.conditions, kind).expect("the condition").message.clone()
            };
            let kinds = [
                "Ready",
                "BobConnected",
                "ProviderConnected",
                if reason.is_stalled() { "Stalled" } else { "Reconciling" },
            ];
            for kind in kinds {
                assert!(
                    told(kind).starts_with(&format!("It is so. Next try at {DUE}")),
                    "{reason} {kind}: {}",
                    told(kind)
                );
            }
            let secret = ["SecretNotFound", "BobUnauthorized", "ProviderUnauthorized"]
                .contains(&reason.as_str());
            assert_eq!(told("Ready").contains("when the Secret changes"), secret, "{reason}");
        }
    }

    #[test]
    fn what_is_in_order_says_nothing_of_a_next_try() {
        let tally = Some(Tally { in_scope: 3, ready: 2, retry: true, ..Tally::default() });
        let bob = BobFound { in_bob: Some(3), ..BobFound::default() };
        let converged = after(&Report { tally: tally.clone(), bob: bob.clone(), ..tried_again() });
        assert_eq!(
            (converged.next_try_at, &*converged.conditions[0].message),
            (None, "2 of 3 employees in scope are in sync.")
        );
        let unfinished = after(&Report { tally, bob, cut: Some(Cut::Halted), ..tried_again() });
        assert_eq!(unfinished.conditions[0].reason, "Progressing");
        assert!(
            unfinished.conditions[0].message.ends_with(&format!("Next try at {DUE}.")),
            "{:?}",
            unfinished.conditions[0]
        );
    }
}
