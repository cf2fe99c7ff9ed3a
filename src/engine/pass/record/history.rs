//! The line that one change leaves in the history of its employee.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Recorder;
use crate::{
    api::employee_sync::{Action, HistoryEntry, OutcomeWord},
    api::time::to_the_second,
    domain::{budget, matching::PersonIndex, plan::ChangeKind},
    engine::pass::outcome::Outcome,
};

impl Recorder<'_> {
    /// Returns the history line for this outcome, or `None` if the history does not show such an
    /// outcome.
    pub(super) fn history(&self, index: PersonIndex, outcome: &Outcome) -> Option<HistoryEntry> {
        let (action, fields, word, request_id) = match outcome {
            Outcome::Done(done) if done.only_found => return None,
            Outcome::Done(done) => {
                (done.action, &done.fields, OutcomeWord::Succeeded, done.request_id.clone())
            }
            Outcome::Failed { action, fields, .. } => (*action, fields, OutcomeWord::Failed, None),
            Outcome::Seen(_) | Outcome::Waiting | Outcome::Outdated | Outcome::Busy => return None,
        };
        Some(HistoryEntry {
            at: Time(to_the_second(self.cluster.clock.now())),
            action,
            fields: fields
                .iter()
                .map(|row| self.integration.settings().mapping.rows[*row].target.to_string())
                .collect(),
            trigger: self
                .request
                .causes
                .get(self.planned.id(index))
                .map_or(self.request.trigger, |cause| cause.trigger),
            outcome: word,
            plan: self.approved_with(index).map(str::to_owned),
            uncounted: self.is_uncounted(index, action),
            request_id,
        })
    }

    /// Returns whether this change was released outside of the budgets, so that no budget counts it
    /// later.
    fn is_uncounted(&self, index: PersonIndex, action: Action) -> bool {
        self.planned.change(index).is_some_and(|change| match change.ruling.budget {
            // A create that met an existing account still used its place in the budgets.
            None => {
                let created = change.kind == ChangeKind::Create;
                !(created && matches!(action, Action::Suspend | Action::Reactivate))
            }
            // The start date gave the access. The other values that were written with it are an
            // update.
            Some(budget::BudgetKind::Update) => action == Action::Reactivate,
            Some(
                budget::BudgetKind::Create
                | budget::BudgetKind::Disable
                | budget::BudgetKind::Reactivate,
            ) => false,
        })
    }
}
