//! Step 3: decides for every employee. The step calls the pure decision and gives it what the
//! roster knows: what the spec of the person's `EmployeeSync` asks for, and what its status keeps.

use std::cell::OnceCell;

use jiff::Timestamp;

use super::context::{Integration, Neighbour, Past};

use crate::{
    api::employee_sync::{Access, Action, HistoryEntry, MatchedBy, OutcomeWord},
    cluster::roster::{Employees, Entry, Hold},
    domain::{
        access::{Decision, InScope, decide_with, in_scope, unless_waiting},
        account::Access::Suspended,
        baseline::{Baseline, mapped},
        employee::{Employee, FieldIndex},
        known::{Known, Met},
        mapping::Mapping,
        matching::Person,
        set_back::Window,
        settings::ExistingEmployees,
        why::Why,
    },
    engine::settings::tenants::Other,
};

/// What the step works with. It is the same for all employees.
pub struct Deciding<'a> {
    /// The integration.
    pub integration: Integration<'a>,
    /// What is known of earlier passes.
    pub past: Past,
    /// Whether the provider ends sessions by a separate call.
    pub ends_sessions: bool,
    /// Whether owners of new accounts have to choose another password at the first login.
    pub change_at_first_login: bool,
    /// The present time.
    pub now: Timestamp,
}

/// Decides for all employees.
#[must_use]
pub fn all(cx: &Deciding<'_>, employees: Vec<Employee>) -> Vec<Person> {
    let mapped = mapped(&cx.integration.settings().mapping);
    employees.into_iter().map(|employee| cx.one(employee, &mapped, false)).collect()
}

/// Decides for an employee that a guard keeps managed although the settings leave the employee out.
#[must_use]
pub fn as_managed(cx: &Deciding<'_>, employee: Employee) -> Person {
    cx.one(employee, &mapped(&cx.integration.settings().mapping), true)
}

impl Deciding<'_> {
    fn one(&self, mut employee: Employee, mapped: &[FieldIndex], kept_in: bool) -> Person {
        let settings = self.integration.settings();
        let (mut known, (known_account, found_by), (access, several), (in_place, kept), unmet) =
            self.integration.roster.with(employee.id(), |entry| {
                let account = entry.and_then(|entry| entry.account.clone()).unzip();
                let access = (
                    entry.and_then(|entry| entry.access),
                    entry.is_some_and(|entry| entry.several),
                );
                let in_place = entry
                    .filter(|_| settings.report_drift)
                    .and_then(|entry| entry.in_place.clone());
                let kept = entry.and_then(|entry| entry.kept.clone()).map(|mut kept| {
                    kept.look(
                        Window::of(&settings.budgets, self.now),
                        entry.is_some_and(|entry| entry.sync_requested.is_some()),
                    );
                    kept
                });
                (
                    known(entry, self.now, || {
                        let Past { no_pass_yet, first_pass_day, .. } = self.past;
                        Met::without_record(settings, &employee, no_pass_yet, first_pass_day)
                    }),
                    account,
                    access,
                    (in_place, kept),
                    entry.is_none_or(|entry| entry.met.is_none()),
                )
            });
        known.kept_in = kept_in;
        let mut unknown_target = None;
        if !known.overrides.attributes.is_empty() {
            unknown_target = pin(&mut employee, &known, &settings.mapping);
        }
        // The scope is evaluated at most once, however often it is asked for.
        let answer = OnceCell::new();
        let holds = || answer.get_or_init(|| in_scope(settings, &employee)).clone();
        let (mut decision, baseline) = self.decision(&known, &employee, mapped, &holds);
        let mut claimed_by = self.claimed_by(decision.managed, employee.id());
        if claimed_by.is_some_and(|other| other.idle) && decision.existing == Some(Suspended) {
            // The integration that manages the person cannot do it now, and no other one would take
            // the access of a leaver.
            (claimed_by, decision.managed) = (None, false);
        }
        let scope_failure = if employee.unread { None } else { holds().and_then(Result::err) };
        Person {
            decision,
            baseline,
            in_place,
            kept,
            known_account,
            several,
            known_active: access == Some(Access::Active),
            sessions_open: self.ends_sessions
                && matches!(access, Some(Access::Active | Access::NotYet | Access::Absent))
                && !self.is_suspended_unrecorded(employee.id()),
            first_login: self.change_at_first_login && found_by == Some(MatchedBy::Created),
            claimed_by: claimed_by.map(|other| other.key.to_string().into()),
            scope_failure: scope_failure.map(|why| why.to_string().into()),
            unknown_target,
            forgotten: self.past.statuses_lost && unmet,
            employee,
        }
    }

    /// Returns whether this process took the employee's access, with all sessions, and could not
    /// record it: the status still shows the access from before.
    fn is_suspended_unrecorded(&self, employee: &str) -> bool {
        let about_access = |line: &HistoryEntry| {
            matches!(line.action, Action::Create | Action::Suspend | Action::Reactivate)
        };
        let owed = if self.integration.roster.owes() {
            self.integration.roster.owed(employee)
        } else {
            Vec::new()
        };
        owed.into_iter().find(about_access).is_some_and(|line| {
            line.action == Action::Suspend && line.outcome == OutcomeWord::Succeeded
        })
    }

    /// Returns the decision. For an employee that waits for a change it also returns what Bob says
    /// now.
    fn decision(
        &self,
        known: &Known,
        employee: &Employee,
        mapped: &[FieldIndex],
        holds: &dyn Fn() -> InScope,
    ) -> (Decision, Option<Box<Baseline>>) {
        let settings = self.integration.settings();
        let decision = decide_with(settings, known, employee, self.now, holds);
        let dealt_with = matches!(known.met, Met::Managed | Met::Unmanaged);
        if dealt_with || settings.existing_employees == ExistingEmployees::NextPass {
            return (decision, None);
        }
        let now_says = match known.met {
            // Bob does not show the employee, and that is no change.
            Met::Waiting(before) if employee.unread => before,
            Met::Waiting(_) | Met::New | Met::BeforeIntegration | Met::Unmanaged | Met::Managed => {
                Baseline::of(settings, mapped, employee, self.now)
            }
        };
        let decision = unless_waiting(settings, known, decision, Some(now_says));
        let waits = [Some(decision.why), decision.also].contains(&Some(Why::AwaitingChange));
        (decision, waits.then(|| Box::new(now_says)))
    }

    /// Returns the integration that manages this person instead of this one. The accounts on record
    /// decide: the integration that has written to an account keeps the person. If both have
    /// written to one, or neither has, the older one keeps the person. If the settings of this
    /// integration leave the person out, any other integration may manage the person.
    fn claimed_by(&self, managed: bool, employee: &str) -> Option<&Other> {
        let hold = |roster: &Employees| {
            roster.with(employee, |entry| entry.map_or(Hold::None, Entry::hold))
        };
        let own = if managed { hold(self.integration.roster) } else { Hold::None };
        let manages = |neighbour: &&Neighbour| {
            let theirs = hold(&neighbour.employees);
            theirs > Hold::None
                && (!managed
                    || theirs == Hold::Account && theirs > own
                    || theirs >= own.max(Hold::Intent) && neighbour.other.elder)
        };
        self.integration.others.iter().find(manages).map(|neighbour| &neighbour.other)
    }
}

/// Returns what the object of one person says.
fn known(entry: Option<&Entry>, now: Timestamp, unmet: impl FnOnce() -> Met) -> Known {
    let Some(entry) = entry else { return Known { met: unmet(), ..Known::default() } };
    Known {
        overrides: entry.overrides.as_deref().cloned().unwrap_or_default(),
        met: entry.met.unwrap_or_else(unmet),
        revoked: entry.revoked,
        ended: entry.ended(now),
        kept_in: false,
    }
}

/// Assigns the values that are pinned for this person to the rows of the mapping. Returns the
/// targets without a row: the provider does not have them.
fn pin(employee: &mut Employee, known: &Known, mapping: &Mapping) -> Option<Box<str>> {
    let mut unknown: Vec<&str> = Vec::new();
    let mut pins = Vec::with_capacity(known.overrides.attributes.len());
    for (target, value) in &known.overrides.attributes {
        match mapping.position(target) {
            Some(row) => pins.push((row, value.clone())),
            None => unknown.push(target),
        }
    }
    employee.pins = Some(pins.into());
    (!unknown.is_empty()).then(|| unknown.join(", ").into())
}
