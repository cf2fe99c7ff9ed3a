//! The order in which employees get their changes. Every change has a class, which says how urgent
//! it is. Within a class, changes that failed before come last, and the one that has waited longest
//! comes first.
//!
//! The end of an employee's access waits for no other class. Each of the other classes gets a share
//! of the turns, so that many joiners do not keep a mover waiting without end.

use std::collections::BTreeSet;

use super::{
    account::Access,
    mapping::Mapping,
    matching::{Person, PersonIndex},
    plan::{Change, ChangeKind, Planned, Stage},
    why::Why,
};

/// How urgent a call is when calls are scarce, or a look at an employee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Urgency {
    /// Access may end. Such calls, and reads for them, may use the reserve.
    Urgent,
    /// Everything else.
    Normal,
}

/// How urgent a change is, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Bob reported that access is revoked at once.
    Revocation,
    /// Access ends.
    Leaver,
    /// Access begins.
    Joiner,
    /// Something changed that decides about access or about the employee's position.
    Mover,
    /// Anything else.
    Cosmetic,
}

impl Class {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 5] =
        [Self::Revocation, Self::Leaver, Self::Joiner, Self::Mover, Self::Cosmetic];

    /// Returns how urgent this class is. An employee waits in the line of this urgency.
    #[must_use]
    pub const fn urgency(self) -> Urgency {
        match self {
            Self::Revocation | Self::Leaver => Urgency::Urgent,
            Self::Joiner | Self::Mover | Self::Cosmetic => Urgency::Normal,
        }
    }

    /// Returns the word for metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
            Self::Leaver => "leaver",
            Self::Joiner => "joiner",
            Self::Mover => "mover",
            Self::Cosmetic => "cosmetic",
        }
    }

    /// Returns the class of a planned change. A new account without access is not a joiner, because
    /// no employee waits to use it.
    #[must_use]
    pub fn of(change: &Change, person: &Person, mapping: &Mapping) -> Self {
        if change.suspends() {
            return if person.decision.why == Why::AccessRevoked {
                Self::Revocation
            } else {
                Self::Leaver
            };
        }
        if change.write.access == Some(Access::Active) {
            return Self::Joiner;
        }
        let positional = |row: usize| {
            let keys = [mapping.email, mapping.username].contains(&row)
                || mapping.rows[row].compare.is_person();
            keys || mapping.fields_of(row).into_iter().any(is_position)
        };
        let moves = change.kind != ChangeKind::Update
            || change.manager.is_some()
            || change.write.mark.is_some();
        if moves || change.write.attributes.iter().any(|(row, _)| positional(*row)) {
            Self::Mover
        } else {
            Self::Cosmetic
        }
    }

    const fn is_urgent(self) -> bool {
        matches!(self, Self::Revocation | Self::Leaver)
    }
}

/// Returns whether this field of Bob decides about access or about the employee's position. These
/// fields are status, dates, e-mail and the work table.
#[must_use]
pub fn is_position(field: &str) -> bool {
    let phones = ["work.workPhone", "work.workMobile"];
    let tables = ["work.", "internal.", "employee."];
    field == "root.email"
        || (tables.iter().any(|table| field.starts_with(table)) && !phones.contains(&field))
}

/// How many turns of changes that are not urgent make a round. In a round, every fourth turn goes
/// to a mover and the last turn goes to a cosmetic change, if one is ready. The class decides about
/// all other turns, and about turns that no change takes.
const ROUND: u64 = 16;
const MOVERS: u64 = 4;

impl Item {
    const fn place(&self) -> (Class, bool, i64) {
        (self.class, self.failed, self.since)
    }
}

/// The changes of a plan that may go out, and which of them is next. A change may need another one,
/// because that one makes the manager's account or frees the e-mail. It becomes ready when the
/// other one has ended. Until then it lends its place to the other one.
#[derive(Debug)]
pub struct Queue {
    ready: [BTreeSet<PlaceInQueue>; Class::ALL.len()],
    /// How many changes of each class have not been taken.
    left: [usize; Class::ALL.len()],
    items: Vec<Item>,
    /// How many items are neither ready nor taken.
    blocked: usize,
    /// How many items are taken and have not ended: all of them, and those that are not urgent.
    under_way: (usize, u64),
}

/// Whether the change failed before, since when it waits, and its index in the items.
type PlaceInQueue = (bool, i64, usize);

#[derive(Debug)]
struct Item {
    /// Index into the changes of the plan.
    change: usize,
    class: Class,
    /// Whether the change failed before. Changes that did not fail go first, so that a failing
    /// change does not keep them waiting.
    failed: bool,
    since: i64,
    /// How many other changes have to end first.
    waits_for: u8,
    /// Indices of the items that wait for this one.
    lets_go: Vec<usize>,
    taken: bool,
}

impl Queue {
    /// Returns the queue of the changes that go out. `since` says from when on an employee waits,
    /// in seconds of the epoch. `failed` says whether a change failed when it was tried before.
    #[must_use]
    pub fn new(
        planned: &Planned<'_>,
        since: &dyn Fn(PersonIndex) -> i64,
        failed: &dyn Fn(&Change) -> bool,
    ) -> Self {
        let plan = &planned.plan;
        let mut place = vec![None; plan.changes.len()];
        let mut items: Vec<Item> = Vec::new();
        for (index, change) in plan.changes.iter().enumerate().filter(|(_, change)| change.goes()) {
            place[index] = Some(items.len());
            let class = Class::of(change, planned.person(change.person), planned.mapping);
            let (failed, since) = (failed(change), since(change.person));
            items.push(Item {
                change: index,
                class,
                failed,
                since,
                waits_for: 0,
                lets_go: Vec::new(),
                taken: false,
            });
        }
        let of = |person: PersonIndex| place[plan.standings.get(person as usize)?.change?];
        let needs: Vec<[Option<usize>; 2]> = items
            .iter()
            .map(|item| {
                let change = &plan.changes[item.change];
                let (manager, after) = (change.manager.and_then(of), change.after.and_then(of));
                match change.stage {
                    Stage::Suspend | Stage::Reactivate => [None, None],
                    Stage::GiveUp => [None, after],
                    Stage::Create | Stage::Rest => {
                        [manager, after.filter(|after| Some(*after) != manager)]
                    }
                }
            })
            .collect();
        for item in 0..items.len() {
            for needed in needs[item].into_iter().flatten().filter(|needed| *needed != item) {
                items[needed].lets_go.push(item);
                items[item].waits_for += 1;
            }
            lend(&mut items, &needs, item);
        }
        let mut queue = Self {
            ready: Default::default(),
            left: Default::default(),
            blocked: 0,
            under_way: (0, 0),
            items,
        };
        for item in 0..queue.items.len() {
            queue.left[queue.items[item].class as usize] += 1;
            if queue.items[item].waits_for == 0 {
                queue.make_ready(item)
            } else {
                queue.blocked += 1
            }
        }
        queue
    }

    /// Returns the change that goes next, if one can go before another one ends. `turns` is how
    /// many changes that are not urgent have gone before, in this plan and in others. It decides
    /// which class is next.
    pub fn next(&mut self, turns: u64) -> Option<usize> {
        self.take(turns, true)
    }

    /// Returns the change that goes next while no joiner may go.
    pub fn next_except_joiners(&mut self, turns: u64) -> Option<usize> {
        self.take(turns, false)
    }

    fn take(&mut self, turns: u64, joiners: bool) -> Option<usize> {
        if self.blocked > 0 && self.under_way.0 == 0 && self.ready.iter().all(BTreeSet::is_empty) {
            // The changes wait for each other. A wrong first change is better than none at all.
            let stuck = self.items.iter().enumerate().filter(|(_, item)| !item.taken);
            let first = stuck
                .min_by_key(|(_, item)| (item.class, item.failed, item.since, item.change))
                .map(|(item, _)| item)?;
            self.items[first].waits_for = 0;
            self.blocked -= 1;
            self.make_ready(first);
        }
        let class = self.turn(turns + self.under_way.1, joiners)?;
        let (_, _, item) = self.ready[class as usize].pop_first()?;
        self.items[item].taken = true;
        self.left[class as usize] -= 1;
        self.under_way.0 += 1;
        self.under_way.1 += u64::from(!class.is_urgent());
        Some(self.items[item].change)
    }

    /// Notes that this change has ended, whether it succeeded or failed. Returns whether it is one
    /// that turns count.
    pub fn ended(&mut self, change: usize) -> bool {
        let Ok(item) = self.items.binary_search_by_key(&change, |item| item.change) else {
            return false;
        };
        let counts = !self.items[item].class.is_urgent();
        self.under_way.0 -= 1;
        self.under_way.1 -= u64::from(counts);
        for waiting in std::mem::take(&mut self.items[item].lets_go) {
            let left = &mut self.items[waiting].waits_for;
            if *left > 0 {
                *left -= 1;
                if *left == 0 {
                    self.blocked -= 1;
                    self.make_ready(waiting);
                }
            }
        }
        counts
    }

    /// Returns for each class how many changes have not been taken, and since when the oldest ready
    /// change waits.
    #[must_use]
    pub fn depths(&self) -> [(usize, Option<i64>); Class::ALL.len()] {
        Class::ALL.map(|class| {
            let ready = &self.ready[class as usize];
            let oldest = [ready.first(), ready.range((true, i64::MIN, 0)..).next()];
            (
                self.left[class as usize],
                oldest.into_iter().flatten().map(|(_, since, _)| *since).min(),
            )
        })
    }

    fn make_ready(&mut self, item: usize) {
        let Item { class, failed, since, .. } = self.items[item];
        self.ready[class as usize].insert((failed, since, item));
    }

    /// Returns the class that is next.
    fn turn(&self, turn: u64, joiners: bool) -> Option<Class> {
        use Class::{Cosmetic, Joiner, Leaver, Mover, Revocation};
        let by_turn = match turn % ROUND {
            last if last == ROUND - 1 => [Cosmetic, Mover, Joiner],
            other if other % MOVERS == MOVERS - 1 => [Mover, Cosmetic, Joiner],
            _ => [Joiner, Mover, Cosmetic],
        };
        [Revocation, Leaver]
            .into_iter()
            .chain(by_turn)
            .filter(|class| joiners || *class != Joiner)
            .find(|class| !self.ready[*class as usize].is_empty())
    }
}

/// Gives each change that `item` waits for, directly or through others, a place that is not behind
/// the place of `item`.
fn lend(items: &mut [Item], needs: &[[Option<usize>; 2]], item: usize) {
    let mut lenders = vec![item];
    while let Some(lender) = lenders.pop() {
        let place = items[lender].place();
        for needed in needs[lender].into_iter().flatten() {
            if place < items[needed].place() {
                (items[needed].class, items[needed].failed, items[needed].since) = place;
                lenders.push(needed);
            }
        }
    }
}
