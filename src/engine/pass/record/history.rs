//! The line that one change leaves in the history of its employee.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Recorder;
use crate::{
    api::employee_sync::{Action, HistoryEntry, OutcomeWord},
    cluster::status::to_the_second,
    domain::{budget, matching::PersonIndex, plan::Kind},
    engine::pass::outcome::Outcome,
};

impl Recorder<'_> {
    /// Returns the line of the history for this outcome, if it is one that is told there.
    pub(super) fn history(&self, index: PersonIndex, outcome: &Outcome) -> Option<HistoryEntry> {
        let (action, fields, word, request_id) = match outcome {
            Outcome::Done(done) => {
                (done.action, &done.fields, OutcomeWord::Succeeded, done.request_id.clone())
            }
            Outcome::Failed { action, fields, .. } => (*action, fields, OutcomeWord::Failed, None),
            Outcome::Seen(_) | Outcome::Waiting | Outcome::Outdated | Outcome::Busy => return None,
        };
        Some(HistoryEntry {
            at: Time(to_the_second(self.clock.now())),
            action,
            fields: fields
                .iter()
                .map(|row| self.validated.settings.mapping.rows[*row].target.to_string())
                .collect(),
            trigger: self
                .causes
                .get(self.people[index as usize].employee.id())
                .map_or(self.trigger, |cause| cause.trigger),
            outcome: word,
            plan: self.approved_with(index).map(str::to_owned),
            uncounted: self.is_uncounted(index, action),
            request_id,
        })
    }

    /// Returns whether this change was let out beside the budgets, so that none counts it later.
    fn is_uncounted(&self, index: PersonIndex, action: Action) -> bool {
        let created = self.plan.standings[index as usize]
            .change
            .is_some_and(|change| self.plan.changes[change].kind == Kind::Create);
        self.approved.kinds.is_some_and(|kinds| match kinds.get(&index) {
            // A create that met an account took its place in the budgets all the same.
            None => !(created && matches!(action, Action::Suspend | Action::Reactivate)),
            // The start date brought the access; what else came with it is an update.
            Some(budget::Kind::Update) => action == Action::Reactivate,
            Some(budget::Kind::Create | budget::Kind::Disable | budget::Kind::Reactivate) => false,
        })
    }
}
