//! Step 3: everybody is decided on. Calls the pure decision and brings along what the roster knows: what the person's
//! `EmployeeSync` asks for, and what its status keeps.

use jiff::{Timestamp, civil::Date};

use super::validate::CREATED;
use crate::{
    api::employee_sync::Access,
    cluster::roster::{Entry, IntegrationKey, Roster},
    domain::{
        access::{Decision, Why, decide, unless_waiting},
        baseline::{Baseline, mapped},
        employee::{Employee, FieldIndex},
        known::{Known, Met},
        mapping::Mapping,
        matching::Person,
        settings::{ExistingEmployees, Settings},
    },
};

/// What the step works with, the same for everybody.
pub struct Deciding<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// What is known of every `EmployeeSync`.
    pub roster: &'a Roster,
    /// The integration.
    pub key: &'a IntegrationKey,
    /// Whether the provider ends sessions by a call of its own.
    pub ends_sessions: bool,
    /// Integrations of the same tenant that come before this one.
    pub elders: &'a [IntegrationKey],
    /// All other integrations of the same tenant.
    pub peers: &'a [IntegrationKey],
    /// Whether this integration has never seen a pass through.
    pub first_pass: bool,
    /// Whether statuses are gone that there were at the last pass.
    pub forgotten: bool,
    /// The day on which its first pass was through (UTC).
    pub since: Option<Date>,
    /// The time.
    pub now: Timestamp,
}

/// Decides for everybody.
#[must_use]
pub fn everybody(cx: &Deciding<'_>, employees: Vec<Employee>) -> Vec<Person> {
    let mapped = mapped(&cx.settings.mapping);
    employees.into_iter().map(|employee| cx.one(employee, &mapped, false)).collect()
}

/// Decides for an employee whom a guard keeps managed although the settings leave the employee out.
#[must_use]
pub fn as_managed(cx: &Deciding<'_>, employee: Employee) -> Person {
    cx.one(employee, &mapped(&cx.settings.mapping), true)
}

impl Deciding<'_> {
    fn one(&self, mut employee: Employee, mapped: &[FieldIndex], kept_in: bool) -> Person {
        let (mut known, known_account, (access, several), (in_place, kept), unmet) = self.roster.with(self.key, employee.id(), |entry| {
            let account = entry.and_then(|entry| entry.account.as_ref()).map(|(id, _)| id.clone());
            let access = (entry.and_then(|entry| entry.access), entry.is_some_and(|entry| entry.several));
            let in_place = entry.filter(|_| self.settings.report_drift).and_then(|entry| entry.in_place.clone());
            let kept = entry.and_then(|entry| entry.kept.clone());
            (
                known(entry, self.now, || self.unmet(&employee)),
                account,
                access,
                (in_place, kept),
                entry.is_none_or(|entry| entry.met.is_none()),
            )
        });
        known.kept_in = kept_in;
        let mut unknown_target = None;
        if !known.overrides.attributes.is_empty() {
            unknown_target = pin(&mut employee, &known, &self.settings.mapping);
        }
        let (decision, baseline) = self.decision(&known, &employee, mapped);
        let scope = self.settings.scope.as_ref().filter(|_| !employee.unread);
        let scope_failure = scope.and_then(|scope| scope.holds(&employee).err());
        Person {
            decision,
            baseline,
            in_place,
            kept,
            known_account,
            several,
            known_active: access == Some(Access::Active),
            sessions_open: self.ends_sessions && matches!(access, Some(Access::Active | Access::NotYet | Access::Absent)),
            // Whom the settings leave out, another integration may manage, and then decides alone.
            claimed_by: self.claimed_by(if decision.managed { self.elders } else { self.peers }, employee.id()),
            scope_failure: scope_failure.map(|why| why.to_string().into()),
            unknown_target,
            forgotten: self.forgotten && unmet,
            employee,
        }
    }

    /// The decision, and for somebody who waits for a change what Bob says now.
    fn decision(&self, known: &Known, employee: &Employee, mapped: &[FieldIndex]) -> (Decision, Option<Box<Baseline>>) {
        let decision = decide(self.settings, known, employee, self.now);
        let dealt_with = matches!(known.met, Met::Managed | Met::Unmanaged);
        if dealt_with || self.settings.existing_employees == ExistingEmployees::NextPass {
            return (decision, None);
        }
        let now_says = match known.met {
            // Bob does not show the employee, which is no change.
            Met::Waiting(before) if employee.unread => before,
            Met::Waiting(_) | Met::New | Met::BeforeIntegration | Met::Unmanaged | Met::Managed => {
                Baseline::of(self.settings, mapped, employee, self.now)
            }
        };
        let decision = unless_waiting(self.settings, known, decision, Some(now_says));
        let waits = [Some(decision.why), decision.also].contains(&Some(Why::AwaitingChange));
        (decision, waits.then(|| Box::new(now_says)))
    }

    /// How somebody stands of whom no status speaks. With `existingEmployees: OnChange` Bob's date of entry tells who was there
    /// before the integration, should their `EmployeeSync` have been deleted since.
    fn unmet(&self, employee: &Employee) -> Met {
        let entered = || {
            let field = self.settings.mapping.fields.position(CREATED)?;
            employee.values.get(field).text()?.get(..10)?.parse::<Date>().ok()
        };
        let on_change = self.settings.existing_employees == ExistingEmployees::OnChange;
        let before = || self.since.zip(entered()).is_some_and(|(since, entered)| entered < since);
        if self.first_pass || on_change && before() { Met::BeforeIntegration } else { Met::New }
    }

    /// The first of these that manages this person's account, or will make it.
    fn claimed_by(&self, others: &[IntegrationKey], employee: &str) -> Option<Box<str>> {
        let manages = |other: &&IntegrationKey| self.roster.with(other, employee, |entry| entry.is_some_and(Entry::claims_account));
        others.iter().find(manages).map(|other| other.to_string().into())
    }
}

/// What the object of one person says.
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

/// Puts what is pinned for this person to the rows of the mapping. Gives the targets that have no row: the provider does
/// not have them.
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
