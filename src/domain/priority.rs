//! Who comes first. Every change has a class by what is at stake, and within a class the one that has waited longest
//! goes first, after all those that did not fail before. An employee whose access ends waits for no other. Of the other classes each gets a share of the turns, so that an
//! endless row of joiners keeps no mover waiting for ever.

use std::collections::BTreeSet;

use super::{
    access::Why,
    account::Access,
    mapping::Mapping,
    matching::{Person, PersonIndex},
    plan::{Change, Kind, Plan, Stage},
};

/// What is at stake, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Access was revoked at once.
    Revocation,
    /// Access may end.
    Leaver,
    /// Access may begin.
    Joiner,
    /// Something changed that access or position rest on.
    Mover,
    /// Anything else.
    Cosmetic,
}

impl Class {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 5] = [Self::Revocation, Self::Leaver, Self::Joiner, Self::Mover, Self::Cosmetic];

    /// The word for metrics.
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

    /// The class of a planned change. An account that nobody may use yet makes nobody wait at a door: that is no joiner.
    #[must_use]
    pub fn of(change: &Change, person: &Person, mapping: &Mapping) -> Self {
        if change.suspends() {
            return if person.decision.why == Why::AccessRevoked { Self::Revocation } else { Self::Leaver };
        }
        if change.write.access == Some(Access::Active) {
            return Self::Joiner;
        }
        let positional = |row: usize| {
            let keys = [mapping.email, mapping.username].contains(&row) || mapping.rows[row].compare.is_person();
            keys || mapping.fields_of(row).into_iter().any(is_position)
        };
        let moves = change.kind != Kind::Update || change.manager.is_some() || change.write.mark.is_some();
        if moves || change.write.attributes.iter().any(|(row, _)| positional(*row)) { Self::Mover } else { Self::Cosmetic }
    }

    const fn is_urgent(self) -> bool {
        matches!(self, Self::Revocation | Self::Leaver)
    }
}

/// Whether access or a position rests on this field of Bob: status, dates, e-mail, the work table.
#[must_use]
pub fn is_position(field: &str) -> bool {
    let phones = ["work.workPhone", "work.workMobile"];
    let tables = ["work.", "internal.", "employee."];
    field == "root.email" || (tables.iter().any(|table| field.starts_with(table)) && !phones.contains(&field))
}

/// So many turns of changes that are not urgent make a round: every fourth goes to a mover, the last one to cosmetics, where
/// some wait; the other ones, and those that nobody takes, go by class.
const ROUND: u64 = 16;
const MOVERS: u64 = 4;

impl Item {
    const fn place(&self) -> (Class, bool, i64) {
        (self.class, self.failed, self.since)
    }
}

/// The changes of a plan that may go out, and which of them is next. A change that needs another one, because the
/// account of its manager or its e-mail comes with it, is ready once that one has ended, and lends it its place.
#[derive(Debug)]
pub struct Queue {
    ready: [BTreeSet<Place>; Class::ALL.len()],
    /// How many of each class have not been taken.
    left: [usize; Class::ALL.len()],
    items: Vec<Item>,
    /// Items that are neither ready nor taken.
    blocked: usize,
    /// Taken and not ended: all, and those of them that are not urgent.
    under_way: (usize, u64),
}

/// Whether it failed before, since when it waits, and where it stands in the plan.
type Place = (bool, i64, usize);

#[derive(Debug)]
struct Item {
    /// Index into the changes of the plan.
    change: usize,
    class: Class,
    /// Whether it failed before: those that did not go first, so that it keeps none of them waiting.
    failed: bool,
    since: i64,
    /// How many others have to end first.
    waits_for: u8,
    /// Who waits for this one.
    lets_go: Vec<usize>,
    taken: bool,
}

impl Queue {
    /// The changes for which `go` holds. `since`: from when on an employee waits, in seconds of the epoch. `failed`: whether the
    /// change failed when it was tried before.
    #[must_use]
    pub fn new(
        plan: &Plan,
        people: &[Person],
        mapping: &Mapping,
        go: &[bool],
        since: &dyn Fn(PersonIndex) -> i64,
        failed: &dyn Fn(&Change) -> bool,
    ) -> Self {
        let mut place = vec![None; plan.changes.len()];
        let mut items: Vec<Item> = Vec::new();
        for (index, change) in plan.changes.iter().enumerate().filter(|(index, _)| go[*index]) {
            place[index] = Some(items.len());
            let person = &people[change.person as usize];
            let class = Class::of(change, person, mapping);
            let (failed, since) = (failed(change), since(change.person));
            items.push(Item { change: index, class, failed, since, waits_for: 0, lets_go: Vec::new(), taken: false });
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
                    Stage::Create | Stage::Rest => [manager, after.filter(|after| Some(*after) != manager)],
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
        let mut queue = Self { ready: Default::default(), left: Default::default(), blocked: 0, under_way: (0, 0), items };
        for item in 0..queue.items.len() {
            queue.left[queue.items[item].class as usize] += 1;
            if queue.items[item].waits_for == 0 { queue.make_ready(item) } else { queue.blocked += 1 }
        }
        queue
    }

    /// The change that goes next, if one can go before another one ends. `turns`: how many that were not urgent have gone
    /// before, in this plan and in others; it says whose turn it is.
    pub fn next(&mut self, turns: u64) -> Option<usize> {
        if self.blocked > 0 && self.under_way.0 == 0 && self.ready.iter().all(BTreeSet::is_empty) {
            // They wait for each other. That nobody goes would be worse than the wrong one first.
            let stuck = self.items.iter().enumerate().filter(|(_, item)| !item.taken);
            let first = stuck.min_by_key(|(_, item)| (item.class, item.failed, item.since, item.change)).map(|(item, _)| item)?;
            self.items[first].waits_for = 0;
            self.blocked -= 1;
            self.make_ready(first);
        }
        let class = self.turn(turns + self.under_way.1)?;
        let (_, _, item) = self.ready[class as usize].pop_first()?;
        self.items[item].taken = true;
        self.left[class as usize] -= 1;
        self.under_way.0 += 1;
        self.under_way.1 += u64::from(!class.is_urgent());
        Some(self.items[item].change)
    }

    /// This change has ended, whatever came of it. Gives whether it was one that turns count.
    pub fn ended(&mut self, change: usize) -> bool {
        let Ok(item) = self.items.binary_search_by_key(&change, |item| item.change) else { return false };
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

    /// How many have not been taken, by class, and since when the oldest of those waits who wait for nobody else.
    #[must_use]
    pub fn depths(&self) -> [(usize, Option<i64>); Class::ALL.len()] {
        Class::ALL.map(|class| {
            let ready = &self.ready[class as usize];
            let oldest = [ready.first(), ready.range((true, i64::MIN, 0)..).next()];
            (self.left[class as usize], oldest.into_iter().flatten().map(|(_, since, _)| *since).min())
        })
    }

    fn make_ready(&mut self, item: usize) {
        let Item { class, failed, since, .. } = self.items[item];
        self.ready[class as usize].insert((failed, since, item));
    }

    /// Whose turn it is.
    fn turn(&self, turn: u64) -> Option<Class> {
        use Class::{Cosmetic, Joiner, Leaver, Mover, Revocation};
        let by_turn = match turn % ROUND {
            last if last == ROUND - 1 => [Cosmetic, Mover, Joiner],
            other if other % MOVERS == MOVERS - 1 => [Mover, Cosmetic, Joiner],
            _ => [Joiner, Mover, Cosmetic],
        };
        [Revocation, Leaver].into_iter().chain(by_turn).find(|class| !self.ready[*class as usize].is_empty())
    }
}

/// Whoever this one waits for, near and far, stands no further back than it does.
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
