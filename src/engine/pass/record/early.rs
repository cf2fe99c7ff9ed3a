//! What the statuses say before an outcome is known, if that takes long. A status that says nothing
//! yet, or that all is in order, would hide that something waits.

use super::{JudgedEmployee, Recorder, Trouble, Write, WriteMoment};
use crate::domain::{
    access::Missing,
    matching::{Person, PersonIndex},
    plan::{Change, EmployeePlan, Manager, Plan},
};
use crate::engine::pass::outcome::Outcome;

/// Returns a plan of which nothing is known yet.
#[must_use]
pub fn unknown(people: &[Person]) -> Plan {
    let standing = EmployeePlan {
        account: None,
        manager: Manager::Nothing,
        block: None,
        change: None,
        drifted: Vec::new(),
        kept: Vec::new(),
        contested: Vec::new(),
        withheld: Vec::new(),
        beside: None,
        several: false,
        stays_open: false,
    };
    Plan { standings: vec![standing; people.len()], ..Plan::default() }
}

impl Recorder<'_> {
    /// Writes a status for every employee that has or will have an account and has no status yet.
    /// It says that the provider has not been listed.
    pub async fn unlisted(&self) {
        let mut writes = Vec::new();
        for (index, person) in (0..).zip(self.planned.people) {
            let will_have = person.decision.managed
                && person.decision.missing != Missing::Never
                && person.claimed_by.is_none();
            let is_new = self
                .integration
                .roster
                .with(person.employee.id(), |entry| entry.is_none_or(|entry| entry.digest == 0));
            if will_have && is_new {
                writes.extend(self.before_the_outcome(index, Trouble::Unlisted));
            }
        }
        self.write_all(writes).await;
    }

    /// Writes for each employee with an unfinished change of this pass that the change waits for
    /// its turn, if `which` accepts the change.
    pub async fn waiting(&self, which: impl Fn(&Change) -> bool) {
        let mut writes = Vec::new();
        for (index, _) in (0..).zip(self.planned.people) {
            if self.planned.change(index).is_some_and(&which)
                && !self.is_settled(index)
                && !self.only_waits_for_a_manager(index)
            {
                let trouble = self.trouble(index, Some(&Outcome::Waiting));
                writes.extend(self.before_the_outcome(index, trouble));
            }
        }
        self.write_all(writes).await;
    }

    fn before_the_outcome(&self, index: PersonIndex, trouble: Trouble) -> Option<Write<'_>> {
        let mut judged: JudgedEmployee<'_> = self.judge(index, trouble, None);
        // A request is answered when the pass has ended.
        judged.verdict.sync_handled.clone_from(&judged.seen.sync_handled);
        let write = self.draft(index, judged, None).filter(|write| !write.expired)?;
        Some(Write { moment: WriteMoment::Early, ..write })
    }

    /// Returns whether there is nothing to say of this person before an outcome: the outcome is
    /// known, or a later pass knows more.
    pub(super) fn is_settled(&self, index: PersonIndex) -> bool {
        let id = self.planned.id(index);
        self.results.lock().ended.contains(&index) || self.handle.is_outdated(id)
    }
}
