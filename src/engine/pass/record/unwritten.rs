//! What the API server did not accept. If it refuses a status until a person changes something, the
//! employee counts as failing. The pass is still completed, and the account is still dealt with.

use super::{Recorder, Results};
use crate::{
    cluster::{
        roster::{Standing, object_name},
        status::WriteError,
    },
    engine::pass::{report::Report, verdict::Verdict},
};

/// The statuses and objects that could not be written in a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unwritten {
    /// The employees of these. The flag says whether the API server refuses the write until a
    /// person changes something there.
    pub people: Vec<(Box<str>, bool)>,
    /// The name of one refused object, and what the API server said.
    pub refused: Option<(String, String)>,
    /// The same for one that is tried again.
    pub failed: Option<(String, String)>,
}

impl Unwritten {
    /// Returns how many are refused.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.people.iter().filter(|(_, refused)| *refused).count()
    }

    /// Returns how many could not be written for now.
    #[must_use]
    pub fn for_now(&self) -> usize {
        self.people.len() - self.refused()
    }

    /// Returns which object is refused and what the API server said of it, or `None` if no object
    /// is refused.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let (object, answer) = self.refused.as_ref()?;
        Some(told(self.refused(), object, answer))
    }

    /// Returns the same for those that are tried again.
    #[must_use]
    pub fn told_for_now(&self) -> Option<String> {
        let count = self.for_now();
        let (object, answer) = self.failed.as_ref()?;
        let again = if count == 1 { "it is tried again" } else { "they are tried again" };
        Some(format!("{}; {again}", words(count, "could not be written", object, answer)))
    }
}

/// Returns that this many objects are refused: the name of one of them, and what the API server
/// said.
#[must_use]
pub fn told(count: usize, object: &str, answer: &str) -> String {
    format!(
        "{}. Change what that answer names (a quota, a policy, a webhook or a right); bobsync \
         writes it again by itself.",
        words(count, "cannot be written", object, answer).trim_end_matches('.')
    )
}

fn words(count: usize, what: &str, object: &str, answer: &str) -> String {
    match count {
        1 => format!("The EmployeeSync {object} {what}: {answer}"),
        count => format!("{count} EmployeeSyncs {what}, {object} among them: {answer}"),
    }
}

impl Recorder<'_> {
    /// Notes that something of this employee could not be written.
    pub(super) fn not_written(
        &self,
        employee: &str,
        verdict: Option<&Verdict<'_>>,
        error: &WriteError,
    ) {
        if error.is_gone() {
            return;
        }
        if error.is_followers() {
            tracing::debug!(integration = %self.integration.roster.key, employee,
                "another process leads now, and writes this status");
        } else {
            tracing::warn!(integration = %self.integration.roster.key, %error, employee,
                "a status could not be written; the next pass writes it");
            self.cluster.metrics.status_patch("EmployeeSync", "failed");
        }
        let mut results = self.results.lock();
        let unwritten = &mut results.unwritten;
        unwritten.people.push((employee.into(), error.is_refused()));
        let first = if error.is_refused() { &mut unwritten.refused } else { &mut unwritten.failed };
        first.get_or_insert_with(|| {
            (object_name(&self.integration.roster.key.name, employee), error.why().to_owned())
        });
        drop(results);
        let shown = verdict.is_some_and(|verdict| {
            matches!(verdict.standing(), Standing::Ready | Standing::Unready(_))
        });
        if error.is_refused() && shown {
            self.integration.roster.refused(employee, error.why());
        }
    }

    /// Writes the results of this recorder into the report of the pass.
    pub fn end(self, report: &mut Report) {
        if self.request.progress().is_some() {
            // An object that was refused for an employee who is not in Bob any more is not tried
            // again.
            let employees = self.planned.people.iter().map(|person| person.employee.id()).collect();
            self.integration.roster.refused_among(&employees);
        }
        let Results { tally, unsettled, unwritten, .. } = self.results.into_inner();
        report.rest.unsettled = unsettled;
        report.unwritten = unwritten;
        report.tally = Some(tally);
    }
}
