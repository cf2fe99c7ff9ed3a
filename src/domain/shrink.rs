//! Employees who would leave management at once. A mistake in `emailDomains` or `scope`, or in a
//! Bob value that the scope uses, makes bobsync do less: it does not end access any more, and
//! nothing fails. If more employees than the guard allows would leave, they stay managed until a
//! person approves it.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write as _,
};

use sha2::{Digest as _, Sha256};

use super::{access::Decision, budget::ScopeShrink, count::counted, why::Why};

/// How many employees the message names by their ids.
const NAMED: usize = 5;

/// Returns the setting that leaves the employee out. Returns `None` if the employee is managed, or
/// if the employment has ended.
#[must_use]
pub fn left_out(decision: &Decision) -> Option<Why> {
    let by_setting = matches!(decision.why, Why::DomainNotListed | Why::OutOfScope);
    (by_setting && !decision.managed).then_some(decision.why)
}

/// Returns whether the domains or the scope leave the employee out. This includes employees after
/// the end of the employment.
#[must_use]
pub fn is_by_setting(decision: &Decision) -> bool {
    let by_setting = |why: Option<Why>| matches!(why, Some(Why::DomainNotListed | Why::OutOfScope));
    !decision.managed && (by_setting(Some(decision.why)) || by_setting(decision.also))
}

/// The employees that the settings leave out, and those of them that were managed until now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shrink<'a> {
    /// How many employees were managed until now.
    managed: u32,
    /// The employees who were managed and are left out now.
    leaving: BTreeSet<&'a str>,
    /// All employees that the settings leave out, with the ones in `leaving`.
    left_out: BTreeSet<&'a str>,
    by_domain: u32,
    by_scope: u32,
}

impl<'a> Shrink<'a> {
    /// Takes in one employee. `managed` says whether bobsync managed the employee until now.
    pub fn see(&mut self, employee: &'a str, managed: bool, decision: &Decision) {
        self.managed += u32::from(managed);
        let Some(why) = left_out(decision) else { return };
        self.left_out.insert(employee);
        if managed && self.leaving.insert(employee) {
            *if why == Why::OutOfScope { &mut self.by_scope } else { &mut self.by_domain } += 1;
        }
    }

    /// Returns how many employees would leave management.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.leaving.len()).unwrap_or(u32::MAX)
    }

    /// Returns the ids of the employees who would leave.
    pub fn leaving(&self) -> impl Iterator<Item = &'a str> {
        self.leaving.iter().copied()
    }

    /// Returns whether more employees would leave than may. `before` is how many others left within
    /// the interval because of events. `managed` is how many employees are managed, if the look was
    /// at some of them only.
    #[must_use]
    pub fn is_over(&self, rule: ScopeShrink, before: u32, managed: Option<u32>) -> bool {
        let limit = rule.limit(managed.unwrap_or_else(|| self.managed.saturating_add(before)));
        !self.leaving.is_empty() && self.count().saturating_add(before) > limit
    }

    /// Returns the digest by which a person approves the shrink, after the release `after`. It
    /// covers all employees that the settings leave out. So it stays the same while approved
    /// employees leave one by one, and changes with any other employee.
    #[must_use]
    pub fn digest(&self, after: &str) -> String {
        let mut hash = Sha256::new().chain_update("scope\n");
        for employee in &self.left_out {
            hash.update(employee);
            hash.update("\n");
        }
        hash.chain_update(after).finalize().iter().fold(
            String::from("sha256:"),
            |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            },
        )
    }

    /// Returns why the shrink is held, in one sentence.
    #[must_use]
    pub fn because(&self, rule: ScopeShrink, before: u32) -> String {
        let mut by = Vec::new();
        for (count, setting) in
            [(self.by_domain, "provisioning.emailDomains"), (self.by_scope, "provisioning.scope")]
        {
            if count > 0 {
                by.push(format!("{count} by {setting}"));
            }
        }
        let already = if before == 0 {
            String::new()
        } else {
            format!(
                ", events have taken out {} within the interval",
                counted(before, "other", "others")
            )
        };
        let named: Vec<&str> = self.leaving().take(NAMED).collect();
        let more = self.leaving.len() - named.len();
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        format!(
            "ScopeShrink: {} of {} would leave management at once ({}){already}, and the limit is \
             {}; they stay managed ({}{more})",
            self.count(),
            counted(self.managed, "employee", "employees"),
            by.join(", "),
            rule.limit(self.managed.saturating_add(before)),
            named.join(", ")
        )
    }
}

/// What passes of one integration know of its scope in addition to the statuses.
#[derive(Debug, Default)]
pub struct ScopeMemory {
    /// The settings that the last full look judged, and whether that look keeps employees managed
    /// against the settings.
    judged: Option<(u64, bool)>,
    /// When events took employees out of management, in seconds of the epoch, by employee.
    left: HashMap<Box<str>, i64>,
}

/// What a partial pass may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartialVerdict {
    /// The employees leave.
    LetGo,
    /// They stay managed, because a full look holds the shrink.
    Held,
    /// They stay managed until a full look has judged it.
    Unjudged,
}

impl ScopeMemory {
    /// Notes whether a full look under these settings held the shrink.
    pub fn judge(&mut self, settings: u64, held: bool) {
        self.judged = Some((settings, held));
    }

    /// Returns how many other employees left after `since` because of events.
    #[must_use]
    pub fn left(&self, since: i64, shrink: &Shrink<'_>) -> u32 {
        let others = self
            .left
            .iter()
            .filter(|(employee, at)| **at > since && !shrink.leaving.contains(&***employee));
        u32::try_from(others.count()).unwrap_or(u32::MAX)
    }

    /// Judges a partial pass. Notes the employees who leave.
    pub fn partial(
        &mut self,
        settings: u64,
        shrink: &Shrink<'_>,
        rule: ScopeShrink,
        managed: u32,
        since: i64,
        now: i64,
    ) -> PartialVerdict {
        if self.judged == Some((settings, true)) {
            return PartialVerdict::Held;
        }
        self.left.retain(|_, at| *at > since);
        if self.judged != Some((settings, false))
            || shrink.is_over(rule, self.left(since, shrink), Some(managed))
        {
            return PartialVerdict::Unjudged;
        }
        self.left.extend(shrink.leaving().map(|employee| (Box::from(employee), now)));
        PartialVerdict::LetGo
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::Missing;

    const RULE: ScopeShrink = ScopeShrink { max_percent: 5, at_least: 1 };

    fn decided(why: Why, managed: bool) -> Decision {
        Decision {
            managed,
            existing: None,
            missing: Missing::Never,
            why,
            also: None,
            date: None,
            next: None,
        }
    }

    #[test]
    fn events_take_out_no_more_than_a_full_look_would() {
        let out = decided(Why::OutOfScope, false);
        let one = |id: &'static str| {
            let mut shrink = Shrink::default();
            shrink.see(id, true, &out);
            shrink
        };
        let mut memory = ScopeMemory::default();
        let some = |memory: &mut ScopeMemory, id, settings, now| {
            memory.partial(settings, &one(id), RULE, 20, now - 600, now)
        };
        assert_eq!(
            some(&mut memory, "1", 7, 1000),
            PartialVerdict::Unjudged,
            "no full look has judged it"
        );
        memory.judge(7, false);
        assert_eq!(some(&mut memory, "1", 8, 1000), PartialVerdict::Unjudged, "other settings");
        assert_eq!(some(&mut memory, "1", 7, 1000), PartialVerdict::LetGo);
        assert_eq!(
            some(&mut memory, "1", 7, 1001),
            PartialVerdict::LetGo,
            "the same employee counts once"
        );
        assert_eq!(some(&mut memory, "2", 7, 1002), PartialVerdict::Unjudged, "two of twenty");
        assert_eq!(some(&mut memory, "2", 7, 1602), PartialVerdict::LetGo, "an interval later");
        memory.judge(7, true);
        assert_eq!(some(&mut memory, "3", 7, 9000), PartialVerdict::Held);
    }

    #[test]
    fn an_ended_employment_is_no_employee_who_leaves_management() {
        let mut shrink = Shrink::default();
        shrink.see(
            "1",
            true,
            &Decision { also: Some(Why::OutOfScope), ..decided(Why::Terminated, false) },
        );
        shrink.see("2", true, &decided(Why::HandsOff, false));
        shrink.see("3", true, &decided(Why::NotInBob, false));
        shrink.see("4", false, &decided(Why::OutOfScope, false));
        assert_eq!((shrink.count(), shrink.managed), (0, 3));
        assert!(!shrink.is_over(ScopeShrink { max_percent: 0, at_least: 0 }, 0, None));
    }

    #[test]
    fn the_sentence_names_the_settings_the_counts_and_a_few_ids() {
        let mut shrink = Shrink::default();
        let ids: Vec<String> = (100..107).map(|id: u32| id.to_string()).collect();
        for (index, id) in ids.iter().enumerate() {
            shrink.see(
                id,
                true,
                &decided(if index == 0 { Why::OutOfScope } else { Why::DomainNotListed }, false),
            );
        }
        assert_eq!(
            shrink.because(RULE, 2),
            "ScopeShrink: 7 of 7 employees would leave management at once (6 by \
             provisioning.emailDomains, 1 by provisioning.scope), events have \
             taken out 2 others within the interval, and the limit is 1; they stay managed (100, \
             101, 102, 103, 104 and 2 more)"
        );
    }
}
