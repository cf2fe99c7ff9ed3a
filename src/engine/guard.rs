//! Step 4: nothing is written before the whole plan was looked at. Splits it into what is released and what is held.
//!
//! Decisions never rest on absence (`domain::access`), and accounts with somebody else's mark never reach the plan
//! (`domain::matching`). What is left to hold here: more changes of a kind than its budget allows (`domain::guard`), and
//! what a listing that is too short would make us create twice.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    api::integration::Approved,
    cluster::roster::{IntegrationKey, Roster},
    domain::{
        budget::Kind,
        guard::{Held, Population, Sight, guard},
        matching::{Person, PersonIndex},
        plan::{Change, Kind as PlanKind, Plan},
        safety::ShortRead,
        settings::Settings,
    },
    provider::Listing,
};

/// What the step works with.
pub struct Guarding<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// What is known of every `EmployeeSync`, and with it what went out lately.
    pub roster: &'a Roster,
    /// The integration.
    pub key: &'a IntegrationKey,
    /// Sync requests of single people.
    pub requests: &'a HashMap<Box<str>, Box<str>>,
    /// Whether nothing will be written: a dry run shows the whole plan.
    pub dry_run: bool,
    /// Whether this integration has never seen a pass through that writes.
    pub first_pass: bool,
    /// The digest that a person approved and that has not been released yet.
    pub approved: Option<&'a str>,
    /// The plan that was released last, and what its digest was chained to.
    pub released: Option<&'a Approved>,
    /// The integration's uid: what the first digest is chained to, so that an approval dies with the integration.
    pub uid: &'a str,
    /// Whether the plan is about some of the people.
    pub some: bool,
    /// The time.
    pub now: Timestamp,
}

/// The plan after the guards.
#[derive(Debug, Default)]
pub struct Released {
    /// For each change of the plan: whether it may go out.
    pub go: Vec<bool>,
    /// What passes a budget.
    pub held: Held,
    /// What would be held if this were no dry run, in one sentence.
    pub would_hold: Option<String>,
    /// Why the provider's listing is not believed, if it is not.
    pub target_suspect: Option<String>,
}

/// Looks at the whole plan. Attributes that are frozen go out of it.
pub fn release(cx: &Guarding<'_>, plan: &mut Plan, people: &[Person], listing: &Listing) -> Released {
    let mut held = guard(&Sight {
        plan: &*plan,
        people,
        mapping: &cx.settings.mapping,
        budgets: cx.settings.budgets,
        field_blackout: cx.settings.field_blackout,
        spent: &|kind| cx.spent(kind),
        starts: &|person| {
            cx.roster.with(cx.key, people[person as usize].employee.id(), |entry| entry.is_some_and(|entry| entry.awaited_start))
        },
        explicit: &|person| {
            let id = people[person as usize].employee.id();
            cx.requests.contains_key(id) || cx.roster.with(cx.key, id, |entry| entry.is_some_and(|entry| entry.revoked.is_some()))
        },
        population: cx.some.then(|| cx.population()),
        first_pass: cx.first_pass,
        approved: cx.approved,
        released_before: cx.released.map_or(cx.uid, |released| &released.digest),
        continues: &|change| cx.continues(plan, people, change),
    });
    let would_hold = held.plan.as_ref().filter(|_| cx.dry_run).map(|plan| plan.because.clone());
    if cx.dry_run {
        held = Held { changes: vec![false; plan.changes.len()], ..Held::default() };
    }
    if !held.frozen.is_empty() {
        let of = |flags: &[bool]| -> HashSet<PersonIndex> {
            plan.changes.iter().zip(flags).filter(|(_, flag)| **flag).map(|(change, _)| change.person).collect()
        };
        let (held_people, continuing) = (of(&held.changes), of(&held.continued));
        plan.freeze(&held.frozen);
        held.changes = plan.changes.iter().map(|change| held_people.contains(&change.person)).collect();
        held.continued = plan.changes.iter().map(|change| continuing.contains(&change.person)).collect();
    }
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let known = count(people.iter().filter(|person| person.known_account.is_some()).count());
    let lost = plan
        .changes
        .iter()
        .filter(|change| {
            (change.kind == PlanKind::Create || change.look_up_first) && people[change.person as usize].known_account.is_some()
        })
        .count();
    // Of some of the people each was looked up: who is missing then is gone.
    let suspect = !cx.some && lost > 0 && ShortRead::default().is_suspect(known, known - count(lost).min(known));
    let created_again = |kind: PlanKind, person: u32| kind == PlanKind::Create && people[person as usize].known_account.is_some();
    Released {
        go: plan
            .changes
            .iter()
            .zip(&held.changes)
            .map(|(change, held)| !(*held || suspect && created_again(change.kind, change.person)))
            .collect(),
        held,
        would_hold,
        target_suspect: suspect.then(|| {
            format!(
                "the provider listed {} accounts, and {lost} of the {known} accounts that are known are not among them; nobody missing is created on its word alone",
                listing.accounts
            )
        }),
    }
}

impl Guarding<'_> {
    /// Whether the status of this person holds this change as a part of the plan that was released last: it was not brought
    /// through, because the process ended or a write failed.
    fn continues(&self, plan: &Plan, people: &[Person], change: &Change) -> bool {
        let Some(after) = self.released.and_then(|released| released.after.as_deref()) else { return false };
        let id = people[change.person as usize].employee.id();
        let part = self.roster.with(self.key, id, |entry| entry.and_then(|entry| entry.part));
        part.is_some_and(|part| part.get() == plan.part(change, None, &self.settings.mapping, people, after))
    }

    /// How many people there are, as the statuses know.
    fn population(&self) -> Population {
        let mut population = Population::default();
        self.roster.for_each(self.key, |_, entry| {
            population.managed += u32::from(entry.claims_account());
            population.accounts += u32::from(entry.claims_account() && entry.account.is_some());
        });
        population
    }

    /// How many people had a change of this kind within its window, approved ones aside. The statuses know, so the count
    /// outlives restarts and goes from replica to replica.
    fn spent(&self, kind: Kind) -> u32 {
        let window = self.settings.budgets.of(kind).map_or(Duration::ZERO, |budget| budget.per);
        let since = self.now.as_second().saturating_sub(i64::try_from(window.as_secs()).unwrap_or(i64::MAX));
        let mut spent = 0;
        self.roster.for_each(self.key, |_, entry| spent += u32::from(entry.latest.of(kind).is_some_and(|at| at > since)));
        spent
    }
}
