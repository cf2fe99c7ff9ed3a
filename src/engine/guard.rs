//! Step 4: nothing is written before the whole plan was looked at. Splits it into what is released and what is held.
//!
//! Decisions never rest on absence (`domain::access`), and accounts with somebody else's mark never reach the plan
//! (`domain::matching`). What is left to hold here: more changes of a kind than its budget allows (`domain::guard`), and
//! what a listing that is too short would make us create twice.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU64,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use crate::{
    api::integration::Approved,
    cluster::roster::{Entry, IntegrationKey, Roster},
    domain::{
        budget::Kind,
        guard::{Held, Population, Sight, guard},
        ledger::Ledger,
        matching::{Person, PersonIndex},
        plan::{Change, Counts, Kind as PlanKind, Plan},
        safety::ShortRead,
        settings::Settings,
    },
    provider::Listing,
};

/// What the step works with.
// Each is a fact of its own about the pass, not a state in pieces.
#[allow(clippy::struct_excessive_bools)]
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
    /// What other passes let out that no status tells.
    pub ledger: &'a Mutex<Ledger>,
    /// Which pass this is.
    pub pass: u64,
    /// Whether events asked for it. What such passes let out is summed up over an interval, as a pass over everybody would
    /// have found it.
    pub events: bool,
    /// That interval.
    pub interval: Duration,
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
    /// How many changes of each kind of budget do not go out: they are held, or nothing is to be written.
    pub planned: Counts,
    /// Why the provider's listing is not believed, if it is not.
    pub target_suspect: Option<String>,
}

/// Looks at the whole plan. Attributes that are frozen go out of it.
pub fn release(cx: &Guarding<'_>, plan: &mut Plan, people: &[Person], listing: &Listing) -> Released {
    // From the count to the release nobody else counts.
    let mut ledger = cx.ledger.lock().unwrap_or_else(PoisonError::into_inner);
    let since = before(cx.now, cx.interval);
    let mut held = guard(&Sight {
        plan: &*plan,
        people,
        mapping: &cx.settings.mapping,
        budgets: cx.settings.budgets,
        field_blackout: cx.settings.field_blackout,
        spent: &|kind| cx.spent(kind, &ledger, plan, people),
        replaced_before: &|row| {
            let own: HashSet<&str> = of_row(plan, row).map(|change| people[change.person as usize].employee.id()).collect();
            ledger.replaced(&cx.settings.mapping.rows[row].target, since, &|employee| own.contains(employee))
        },
        starts: &|person| {
            // The day that was announced, and not one that was moved into the past.
            let come = |entry: &Entry| entry.awaited_start && entry.next.is_some_and(|(at, _)| at <= cx.now.as_second());
            cx.roster.with(cx.key, people[person as usize].employee.id(), |entry| entry.is_some_and(come))
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
        held_before: &|person| {
            let part = |entry: &Entry| entry.part.map(NonZeroU64::get);
            cx.some.then(|| cx.roster.with(cx.key, people[person as usize].employee.id(), |entry| entry.and_then(part))).flatten()
        },
    });
    let would_hold = held.plan.as_ref().filter(|_| cx.dry_run).map(|plan| plan.because.replace('\n', "; "));
    let mut planned = Counts::default();
    for kind in held.kinds.iter().zip(&held.changes).filter(|(_, held)| **held || cx.dry_run).filter_map(|(kind, _)| *kind) {
        match kind {
            Kind::Disable => planned.disables += 1,
            Kind::Reactivate => planned.reactivations += 1,
            Kind::Create => planned.creates += 1,
            Kind::Update => planned.updates += 1,
        }
    }
    if cx.dry_run {
        held = Held { changes: vec![false; plan.changes.len()], ..Held::default() };
    }
    let kinds: HashMap<PersonIndex, Kind> =
        plan.changes.iter().zip(&held.kinds).filter_map(|(change, kind)| Some((change.person, (*kind)?))).collect();
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
    let go: Vec<bool> = plan
        .changes
        .iter()
        .zip(&held.changes)
        .map(|(change, held)| !(*held || suspect && created_again(change.kind, change.person)))
        .collect();
    if !cx.dry_run {
        cx.note(&mut ledger, plan, people, (&go, &held, &kinds));
    }
    drop(ledger);
    Released {
        go,
        held,
        would_hold,
        planned,
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
        let id = people[change.person as usize].employee.id();
        let part = self.roster.with(self.key, id, |entry| entry.and_then(|entry| entry.part));
        let of = |after: &str| plan.part(change, None, &self.settings.mapping, people, after);
        self.released.zip(part).is_some_and(|(released, part)| released.plan_of(part.get(), of).is_some())
    }

    /// How many people there are, as the statuses know.
    fn population(&self) -> Population {
        self.roster.sums(self.key, |sums| Population { managed: sums.managed, accounts: sums.accounts })
    }

    /// How many people had a change of this kind within its window, approved ones aside. The statuses know, so the count
    /// outlives restarts and goes from replica to replica. With them those whose change another pass is making now.
    fn spent(&self, kind: Kind, ledger: &Ledger, plan: &Plan, people: &[Person]) -> u32 {
        let window = self.settings.budgets.of(kind).map_or(Duration::ZERO, |budget| budget.per);
        let since = before(self.now, window);
        let spent = self.roster.sums(self.key, |sums| sums.spent(kind, since));
        let own: HashSet<&str> = plan.changes.iter().map(|change| people[change.person as usize].employee.id()).collect();
        let told = |id: &str| self.roster.with(self.key, id, |entry| entry.is_some_and(|e| e.latest.of(kind).is_some_and(|at| at > since)));
        // An earlier pass gives up whoever is in this plan.
        spent + ledger.under_way(kind, &|employee| own.contains(employee) || told(employee))
    }

    /// Writes down what is about to go out. What a person approved counts nowhere.
    fn note(&self, ledger: &mut Ledger, plan: &Plan, people: &[Person], (go, held, kinds): (&[bool], &Held, &HashMap<PersonIndex, Kind>)) {
        let (mut open, now) = (Vec::new(), self.now.as_second());
        ledger.forget_before(before(self.now, self.interval));
        for (index, change) in plan.changes.iter().enumerate().filter(|(index, _)| go[*index]) {
            if held.approved.get(index) == Some(&true) || held.continued.get(index) == Some(&true) {
                continue;
            }
            let id = people[change.person as usize].employee.id();
            open.extend(kinds.get(&change.person).map(|kind| (id.into(), *kind)));
            let written = |row: &&usize| change.write.attributes.iter().any(|(own, _)| own == *row);
            for &row in change.replaced.iter().filter(written).filter(|_| self.events) {
                ledger.replace(&self.settings.mapping.rows[row].target, id, now);
            }
        }
        ledger.open(self.pass, open);
    }
}

/// Changes that replace or clear this row.
fn of_row(plan: &Plan, row: usize) -> impl Iterator<Item = &Change> {
    plan.changes.iter().filter(move |change| change.replaced.contains(&row))
}

/// So long before, in seconds of the epoch.
fn before(now: Timestamp, window: Duration) -> i64 {
    now.as_second().saturating_sub(i64::try_from(window.as_secs()).unwrap_or(i64::MAX))
}
