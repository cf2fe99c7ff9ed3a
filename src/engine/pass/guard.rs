//! Step 4: the guard looks at the whole plan before any write. It splits the plan into what is
//! released and what is held.
//!
//! Decisions never rest on absence (`domain::access`), and accounts with the mark of another
//! employee never reach the plan (`domain::matching`). The guard holds two things: more changes of
//! a kind than its budget allows (`domain::guard`), and accounts that would be created twice
//! because a listing is too short.

use std::{collections::HashSet, num::NonZeroU64, time::Duration};

use jiff::Timestamp;
use parking_lot::Mutex;

use super::context::{Begins, Requests};
use crate::{
    api::integration::Approved,
    cluster::roster::{Employees, Entry},
    domain::{
        budget::BudgetKind,
        guard::{GuardFacts, Held, Population, Sight, guard},
        ledger::Ledger,
        lost::{Lost, LostMemory, MissingAccounts, Moment},
        matching::{Person, PersonIndex},
        plan::{Approval, Change, ChangeCounts, ChangeKind, Fate, Planned},
        safety::ShortRead,
    },
    engine::settings::validate::Validated,
    provider::Listing,
};

/// What the step works with.
pub struct Guarding<'a> {
    /// What is known of the employees, including the changes that went out lately.
    pub roster: &'a Employees,
    /// The validated settings.
    pub validated: &'a Validated,
    /// The sync requests of single employees.
    pub requests: &'a Requests,
    /// What follows from the beginning of the integration.
    pub begins: Begins,
    /// What a person approved.
    pub approvals: Approvals<'a>,
    /// What other passes know and do.
    pub others: OtherPasses<'a>,
    /// The sort of the pass.
    pub sort: PassSort,
    /// When this pass looks at the accounts.
    pub moment: Moment,
}

/// What a person approved.
#[derive(Clone, Copy, Debug)]
pub struct Approvals<'a> {
    /// The digest that a person approved and that has not been released yet.
    pub approved_digest: Option<&'a str>,
    /// The plan that was released last, and what its digest was chained to.
    pub last: Option<&'a Approved>,
    /// What the next digest is chained to: the digest that was released last, or the uid of the
    /// integration before the first release. An approval is therefore not valid for a later
    /// integration of the same name.
    pub released_before: &'a str,
}

/// What a pass shares with the other passes of its integration.
#[derive(Clone, Copy)]
pub struct OtherPasses<'a> {
    /// What other passes know of accounts that are gone.
    pub lost: &'a Mutex<LostMemory>,
    /// The changes that other passes released and that no status shows.
    pub ledger: &'a Mutex<Ledger>,
    /// The number of this pass.
    pub pass: u64,
}

/// The sort of a pass.
#[derive(Clone, Copy, Debug, Default)]
pub struct PassSort {
    /// Whether the plan is about some of the employees.
    pub is_partial: bool,
    /// Whether events started the pass. What such passes release is summed over an interval,
    /// because a full pass would find all of it at once.
    pub by_events: bool,
}

/// What the guards decided about the plan. The ruling on each change is with the change.
#[derive(Debug, Default)]
pub struct Released {
    /// What is held because it exceeds a budget.
    pub held: Held,
    /// What would be held without the dry run, in one sentence.
    pub would_hold: Option<String>,
    /// Whether only a look at all employees can judge the accounts that are gone.
    pub in_doubt: bool,
    /// For each kind of budget, how many changes do not go out: a guard holds them, or the pass
    /// writes nothing.
    pub planned: ChangeCounts,
    /// Why the provider's listing is not believed, if it is not.
    pub target_suspect: Option<String>,
}

/// Returns why a listing with gaps is not believed, if the provider's listings should have none.
fn gaps(cx: &Guarding<'_>, listing: &Listing) -> Option<String> {
    let capabilities = &cx.validated.target.catalog().capabilities;
    (capabilities.suspects_gaps && !listing.whole && !cx.sort.is_partial).then(|| {
        "The pages of the provider's listing do not fit together: accounts came or went in \
         between, or pages are missing. bobsync creates no account only because it is missing from \
         this listing"
            .to_owned()
    })
}

/// Looks at the whole plan, puts the ruling on each change, and removes frozen attributes.
pub fn release(cx: &Guarding<'_>, planned: &mut Planned<'_>, listing: &Listing) -> Released {
    let dry_run = cx.validated.dry_run;
    // No other pass counts between this count and the release.
    let mut ledger = cx.others.ledger.lock();
    let (mut held, rulings) = guard(&Sight {
        planned,
        facts: &PlanFacts { cx, ledger: &ledger, planned },
        budgets: cx.validated.settings.budgets,
        field_blackout: cx.validated.settings.field_blackout,
        population: cx.sort.is_partial.then(|| cx.population()),
        first_pass: cx.begins.no_writing_pass_yet,
        restored: cx.begins.restored,
        approved: cx.approvals.approved_digest,
        released_before: cx.approvals.released_before,
    });
    let would_hold = held.plan.as_ref().filter(|_| dry_run).map(|plan| plan.because.clone());
    let stays = rulings.iter().filter(|ruling| ruling.fate == Fate::Held || dry_run);
    let stays = counted(stays.filter_map(|ruling| ruling.budget));
    if dry_run {
        held = Held::default();
    } else {
        let changes = planned.plan.changes.iter_mut().zip(rulings);
        changes.for_each(|(change, ruling)| change.ruling = ruling);
        if !held.frozen.is_empty() {
            planned.freeze(&held.frozen);
        }
    }
    let (verdict, lost) = cx.lost(planned);
    let suspect = verdict != MissingAccounts::Gone;
    for change in planned.plan.changes.iter_mut().filter(|_| suspect) {
        let again = change.kind == ChangeKind::Create
            && planned.people[change.person as usize].known_account.is_some();
        if again && change.goes() {
            change.ruling.fate = Fate::Suspect;
        }
    }
    if !dry_run {
        cx.note(&mut ledger, planned);
    }
    drop(ledger);
    Released {
        held,
        would_hold,
        planned: stays,
        in_doubt: verdict == MissingAccounts::Unjudged,
        target_suspect: (suspect && !cx.sort.is_partial)
            .then(|| missing_accounts(listing.accounts, lost, cx.known(planned.people)))
            .or_else(|| gaps(cx, listing)),
    }
}

/// Returns why a listing without so many recorded accounts is not believed, and what helps.
#[must_use]
pub fn missing_accounts(listed: u32, lost: usize, known: u32) -> String {
    format!(
        "The provider listed {listed} accounts, and {lost} of the {known} recorded accounts are \
         missing, in the listing and by their ids; bobsync creates none of them again until a pass \
         half an interval later finds the same, or until a sync of the integration is requested. \
         Check which accounts the credential may see"
    )
}

/// Returns how many changes there are of each kind of budget.
fn counted(kinds: impl Iterator<Item = BudgetKind>) -> ChangeCounts {
    let mut counts = ChangeCounts::default();
    for kind in kinds {
        match kind {
            BudgetKind::Disable => counts.disables += 1,
            BudgetKind::Reactivate => counts.reactivations += 1,
            BudgetKind::Create => counts.creates += 1,
            BudgetKind::Update => counts.updates += 1,
        }
    }
    counts
}

impl Guarding<'_> {
    /// Judges the accounts on record that are missing. Also returns how many are missing.
    fn lost(&self, planned: &Planned<'_>) -> (MissingAccounts, usize) {
        let again = |change: &&Change| change.kind == ChangeKind::Create || change.look_up_first;
        let lost =
            planned.plan.changes.iter().filter(again).map(|change| planned.person(change.person));
        let missing = lost
            .filter(|person| person.known_account.is_some())
            .map(|person| person.employee.id())
            .collect();
        let lost = Lost { known: self.known(planned.people), missing };
        let mut memory = self.others.lost.lock();
        let judge = if self.sort.is_partial { LostMemory::partial } else { LostMemory::full };
        (judge(&mut memory, ShortRead::default(), &lost, self.moment), lost.missing.len())
    }

    /// Returns how many accounts are on record.
    fn known(&self, people: &[Person]) -> u32 {
        if self.sort.is_partial {
            return self.population().accounts;
        }
        u32::try_from(people.iter().filter(|person| person.known_account.is_some()).count())
            .unwrap_or(u32::MAX)
    }

    /// Returns how many employees there are according to the statuses.
    fn population(&self) -> Population {
        self.roster.sums(|sums| Population { managed: sums.managed, accounts: sums.accounts })
    }

    /// Notes in the ledger what is about to go out. Approved changes do not count.
    fn note(&self, ledger: &mut Ledger, planned: &Planned<'_>) {
        let (mut open, now) = (Vec::new(), self.moment.now.as_second());
        ledger.forget_before(before(self.moment.now, self.validated.interval));
        let counted = |change: &&Change| change.ruling.approval == Approval::None;
        let released = planned.plan.changes.iter().filter(|change| change.goes()).filter(counted);
        for change in released {
            // Changes that a first pass may make without a limit do not count.
            let Some(budget) = change.ruling.budget else { continue };
            let id = planned.id(change.person);
            open.push((id.into(), budget));
            let written = |row: &&usize| change.write.attributes.iter().any(|(own, _)| own == *row);
            for &row in change.replaced.iter().filter(written).filter(|_| self.sort.by_events) {
                ledger.replace(&planned.mapping.rows[row].target, id, now);
            }
        }
        ledger.open(self.others.pass, now, open);
    }
}

/// What the roster and the ledger know of the employees of a plan.
struct PlanFacts<'a> {
    cx: &'a Guarding<'a>,
    ledger: &'a Ledger,
    planned: &'a Planned<'a>,
}

impl PlanFacts<'_> {
    /// Calls `look` with what is known of an employee.
    fn entry<T>(&self, person: PersonIndex, look: impl FnOnce(&Entry) -> Option<T>) -> Option<T> {
        self.cx.roster.with(self.planned.id(person), |entry| entry.and_then(look))
    }

    fn is(&self, person: PersonIndex, look: impl FnOnce(&Entry) -> bool) -> bool {
        self.entry(person, |entry| look(entry).then_some(())).is_some()
    }

    /// Returns the `root.id`s of the employees with such a change.
    fn employees(&self, wanted: impl Fn(&Change) -> bool) -> HashSet<&str> {
        let changes = self.planned.plan.changes.iter().filter(|change| wanted(change));
        changes.map(|change| self.planned.id(change.person)).collect()
    }

    /// Returns the time at which the window of a budget begins, in seconds of the epoch.
    fn since(&self, kind: BudgetKind) -> i64 {
        let budget = self.cx.validated.settings.budgets.of(kind);
        before(self.cx.moment.now, budget.map_or(Duration::ZERO, |budget| budget.per))
    }
}

impl GuardFacts for PlanFacts<'_> {
    /// Approved changes do not count. The count comes from the statuses, so it survives restarts
    /// and is the same for every replica. Changes that another pass is making now are added.
    fn spent(&self, kind: BudgetKind) -> u32 {
        let (roster, since) = (self.cx.roster, self.since(kind));
        let spent = roster.sums(|sums| sums.spent(kind, since));
        let own = self.employees(|_| true);
        // An earlier update says nothing about an update that was released later.
        let from = |released: i64| {
            if kind == BudgetKind::Update { since.max(released.saturating_sub(1)) } else { since }
        };
        let last =
            |id: &str| roster.with(id, |entry| entry.and_then(|entry| entry.latest.of(kind)));
        let told = |id: &str, released: i64| last(id).is_some_and(|at| at > from(released));
        // An earlier pass gives up the employees of this plan.
        spent
            + self.ledger.under_way(kind, &|employee, released| {
                own.contains(employee) || told(employee, released)
            })
    }

    fn updated(&self) -> u32 {
        let since = self.since(BudgetKind::Update);
        let mut people = 0;
        let after =
            |entry: &Entry| entry.latest.of(BudgetKind::Update).is_some_and(|at| at > since);
        self.cx.roster.for_each(|_, entry| people += u32::from(after(entry)));
        people
    }

    fn replaced_before(&self, row: usize) -> u32 {
        let own = self.employees(|change| change.replaced.contains(&row));
        let target = &self.planned.mapping.rows[row].target;
        let since = before(self.cx.moment.now, self.cx.validated.interval);
        self.ledger.replaced(target, since, &|employee| own.contains(employee))
    }

    fn starts(&self, person: PersonIndex) -> bool {
        // Only the announced day counts. A day that was moved into the past does not.
        let now = self.cx.moment.now.as_second();
        self.is(person, |entry| entry.awaited_start && entry.next.is_some_and(|(at, _)| at <= now))
    }

    fn awaiting_manager(&self, person: PersonIndex) -> bool {
        self.is(person, |entry| entry.awaiting_manager)
    }

    fn explicit(&self, person: PersonIndex) -> bool {
        self.cx.requests.contains_key(self.planned.id(person))
            || self.is(person, |entry| entry.revoked.is_some())
    }

    fn held_before(&self, person: PersonIndex) -> Option<u64> {
        if !self.cx.sort.is_partial {
            return None;
        }
        self.entry(person, |entry| entry.part.map(NonZeroU64::get))
    }

    /// The status of the employee keeps such a change as a part of that plan. It was not finished,
    /// because the process ended or a write failed.
    fn continues(&self, change: &Change) -> bool {
        let Some(released) = self.cx.approvals.last else { return false };
        let of = |after: &str| self.planned.part(change, None, after);
        self.entry(change.person, |entry| entry.part)
            .is_some_and(|part| released.plan_of(part.get(), of).is_some())
    }
}

/// Returns the time that lies `window` before `now`, in seconds of the epoch.
pub(super) fn before(now: Timestamp, window: Duration) -> i64 {
    now.as_second().saturating_sub(i64::try_from(window.as_secs()).unwrap_or(i64::MAX))
}
