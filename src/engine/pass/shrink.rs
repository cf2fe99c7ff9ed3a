//! Between the decisions and the plan: if the settings would take too many employees out of
//! management at once, these employees stay managed.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::{Early, Pass, decide, execute::Cut, guard::before, report::Report};
use crate::{
    cluster::roster::Entry,
    domain::{
        expression::Expression,
        known::Met,
        matching::Person,
        shrink::{PartialVerdict, Shrink, is_by_setting},
    },
};

/// A shrinking scope that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldScope {
    /// The digest by which a person approves it.
    pub digest: String,
    /// The number of employees that would leave management.
    pub leaving: u32,
    /// The first of them, by Bob's id.
    pub employees: Vec<String>,
    /// Why it is held, in one sentence.
    pub because: String,
}

/// How many of these employees the status names.
const NAMED: usize = 1_000;

impl Pass<'_> {
    /// Judges how many employees the settings leave out. Employees that may not leave are decided
    /// again, as if the settings still managed them. Returns the digest of what was released now.
    pub(super) async fn keep_in(
        &self,
        people: &mut [Person],
        report: &mut Report,
    ) -> Result<Option<String>, Early> {
        if self.request.is_partial() {
            self.keep_in_partial(people, report);
            return Ok(None);
        }
        let settings = self.integration.settings();
        let rule = settings.scope_shrink;
        let shrink = self.shrink(people);
        let since = before(self.cluster.clock.now(), self.integration.validated.interval);
        let left = self.scope_memory(|memory| memory.left(since, &shrink));
        let after =
            self.memory.last_approval.map_or(self.integration.uid, |released| &released.digest);
        let over = shrink.is_over(rule, left, None);
        // What was approved before continues after an interruption, for exactly the same employees.
        let continues = || {
            self.memory.last_approval.is_some_and(|last| {
                last.leaving
                    && last
                        .after
                        .as_deref()
                        .is_some_and(|after| shrink.digest(after) == last.digest)
            })
        };
        if !over || !self.integration.validated.dry_run && continues() {
            self.scope_memory(|memory| memory.judge(self.scope_settings(), false));
            return Ok(None);
        }
        let digest = shrink.digest(after);
        if self.memory.approved_digest == Some(&digest) && !self.integration.validated.dry_run {
            if !(self.release)(digest.clone(), true).await {
                // No change of the plan may go out.
                return Err(Early::Cut(Cut::Unrecorded));
            }
            self.scope_memory(|memory| memory.judge(self.scope_settings(), false));
            return Ok(Some(digest));
        }
        report.guards.scope = Some(HeldScope {
            digest,
            leaving: shrink.count(),
            employees: shrink.leaving().take(NAMED).map(str::to_owned).collect(),
            because: shrink.because(rule, left),
        });
        self.scope_memory(|memory| memory.judge(self.scope_settings(), true));
        self.stay(people);
        Ok(None)
    }

    /// Judges the same in a partial pass: employees leave only as far as a full pass would have let
    /// them leave.
    fn keep_in_partial(&self, people: &mut [Person], report: &mut Report) {
        let settings = self.integration.settings();
        let shrink = self.shrink(people);
        if shrink.count() == 0 {
            return;
        }
        let now = self.cluster.clock.now();
        let since = before(now, self.integration.validated.interval);
        let now = now.as_second();
        let managed = self.integration.roster.sums(|sums| sums.managed);
        let verdict = self.scope_memory(|memory| {
            memory.partial(
                self.scope_settings(),
                &shrink,
                settings.scope_shrink,
                managed,
                since,
                now,
            )
        });
        if verdict != PartialVerdict::LetGo {
            report.rest.in_doubt |= verdict == PartialVerdict::Unjudged;
            self.stay(people);
        }
    }

    /// Returns the employees that the settings leave out now.
    fn shrink<'b>(&self, people: &'b [Person]) -> Shrink<'b> {
        let mut shrink = Shrink::default();
        for person in people.iter().filter(|person| !person.employee.is_without_a_row()) {
            let id = person.employee.id();
            shrink.see(id, self.was_managed(id), &person.decision);
        }
        shrink
    }

    fn was_managed(&self, employee: &str) -> bool {
        let managed = |entry: &Entry| entry.met == Some(Met::Managed);
        self.integration.roster.with(employee, |entry| entry.is_some_and(managed))
    }

    /// Decides again for the employees that were managed and that the settings leave out now. Ended
    /// employments are included.
    fn stay(&self, people: &mut [Person]) {
        let deciding = self.deciding();
        for person in people.iter_mut().filter(|person| is_by_setting(&person.decision)) {
            if self.was_managed(person.employee.id()) {
                *person = decide::as_managed(&deciding, person.employee.clone());
            }
        }
    }

    fn scope_memory<T>(
        &self,
        with: impl FnOnce(&mut crate::domain::shrink::ScopeMemory) -> T,
    ) -> T {
        with(&mut self.concurrent.mailbox.noted.scope.lock())
    }

    /// Returns a hash that is equal for settings that leave out the same employees.
    fn scope_settings(&self) -> u64 {
        let settings = self.integration.settings();
        let mut hash = DefaultHasher::new();
        (&settings.email_domains, settings.scope.as_ref().map(Expression::source)).hash(&mut hash);
        hash.finish()
    }
}
