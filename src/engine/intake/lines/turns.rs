//! When each employee in the lines is to be served, sorted, so that an event does not cost a look
//! at everyone who waits.

use std::collections::BTreeSet;

use foldhash::{HashMap, HashSet};
use tokio::time::Instant;

use super::{Urgency, Waiting};

/// The employees in the lines.
#[derive(Debug, Default)]
pub(super) struct QueuedEmployees {
    waiting: HashMap<Box<str>, Waiting>,
    turns: [Turns; 2],
}

/// When the employees of one line have their turn.
#[derive(Debug, Default)]
struct Turns {
    /// Those with a time of their own.
    timed: BTreeSet<(Instant, Box<str>)>,
    /// Those who have their turn with the window of the line.
    with_window: HashSet<Box<str>>,
}

impl Turns {
    fn come(&mut self, employee: &str, waiting: &Waiting) {
        match waiting.own_turn() {
            Some(at) => drop(self.timed.insert((at, employee.into()))),
            None => drop(self.with_window.insert(employee.into())),
        }
    }

    fn go(&mut self, employee: &str, waiting: &Waiting) {
        match waiting.own_turn() {
            Some(at) => drop(self.timed.remove(&(at, employee.into()))),
            None => drop(self.with_window.remove(employee)),
        }
    }
}

impl Waiting {
    /// Returns when this employee has a turn apart from the window of the line.
    fn own_turn(&self) -> Option<Instant> {
        self.wakes.or(self.not_before)
    }
}

impl QueuedEmployees {
    /// Returns how many employees are in the lines.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Returns why this employee is in a line.
    pub fn get(&self, employee: &str) -> Option<&Waiting> {
        self.waiting.get(employee)
    }

    /// Returns why each employee is in a line.
    pub fn values(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.values()
    }

    /// Puts an employee into the line of this class, in place of what was known.
    pub fn put(&mut self, employee: &str, waiting: Waiting) {
        if let Some(known) = self.waiting.insert(employee.into(), waiting) {
            self.turns[known.class.urgency().index()].go(employee, &known);
        }
        self.turns[waiting.class.urgency().index()].come(employee, &waiting);
    }

    /// Takes out the employees that `goes` accepts.
    pub fn take(&mut self, goes: impl Fn(&str, &Waiting) -> bool) -> Vec<(Box<str>, Waiting)> {
        let taken: Vec<_> =
            self.waiting.extract_if(|employee, waiting| goes(employee, waiting)).collect();
        for (employee, waiting) in &taken {
            self.turns[waiting.class.urgency().index()].go(employee, waiting);
        }
        taken
    }

    /// Returns whether an employee of this line has a turn with its window.
    pub fn waits_for_window(&self, line: Urgency) -> bool {
        !self.turns[line.index()].with_window.is_empty()
    }

    /// Returns the first turn of an employee of this line that `may` accepts. `window` is the end
    /// of the line's window.
    pub fn first_turn(
        &self,
        line: Urgency,
        window: Option<Instant>,
        may: impl Fn(&str, &Waiting) -> bool,
    ) -> Option<Instant> {
        let may = |employee: &str| {
            self.waiting.get(employee).is_some_and(|waiting| may(employee, waiting))
        };
        let turns = &self.turns[line.index()];
        let own = turns.timed.iter().find(|(_, employee)| may(employee)).map(|(at, _)| *at);
        let shared = window.filter(|_| turns.with_window.iter().any(|employee| may(employee)));
        own.into_iter().chain(shared).min()
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use proptest::prelude::*;

    use super::*;
    use crate::{api::employee_sync::Trigger, domain::priority::Class};

    fn waiting(class: Class, now: Instant, own: Option<u64>, wakes: Option<u64>) -> Waiting {
        let at = |seconds: Option<u64>| seconds.map(|after| now + Duration::from_secs(after));
        Waiting {
            not_before: at(own),
            wakes: at(wakes.filter(|_| own.is_some())),
            ..Waiting::new(Trigger::Webhook, class, now)
        }
    }

    proptest! {
        #[test]
        fn the_first_turn_is_that_of_a_look_at_all_who_wait(
            steps in prop::collection::vec(
                (0u8..12, 0usize..5, prop::option::of(0u64..9), prop::option::of(0u64..9)), 0..60),
            window in prop::option::of(0u64..9),
        ) {
            let (now, mut people) = (Instant::now(), QueuedEmployees::default());
            let window = window.map(|after| now + Duration::from_secs(after));
            for (id, class, own, wakes) in steps {
                people.put(&id.to_string(), waiting(Class::ALL[class], now, own, wakes));
                if id == 11 {
                    let soon = now + Duration::from_secs(4);
                    let come = |waiting: &Waiting| waiting.not_before.is_some_and(|at| at <= soon);
                    people.take(|employee, waiting| employee.len() == 1 && come(waiting));
                }
                for line in [Urgency::Urgent, Urgency::Normal] {
                    let may = |employee: &str, _: &Waiting| employee != "3";
                    let mut all: Vec<Instant> = Vec::new();
                    let mut shares = false;
                    for (employee, waiting) in &people.waiting {
                        if waiting.class.urgency() == line {
                            shares |= waiting.not_before.is_none();
                            let own = waiting.wakes.or(waiting.not_before).or(window);
                            all.extend(own.filter(|_| may(employee, waiting)));
                        }
                    }
                    prop_assert_eq!(people.first_turn(line, window, may), all.into_iter().min());
                    prop_assert_eq!(people.waits_for_window(line), shares);
                }
            }
        }
    }

    #[test]
    fn the_first_turn_costs_the_same_however_many_wait() {
        let (now, mut people) = (Instant::now(), QueuedEmployees::default());
        for id in 0..20_000_u64 {
            let own = (id % 3 > 0).then_some(id);
            people.put(&id.to_string(), waiting(Class::Mover, now, own, None));
        }
        let looks = Cell::new(0);
        let may = |_: &str, _: &Waiting| {
            looks.set(looks.get() + 1);
            true
        };
        let first = people.first_turn(Urgency::Normal, Some(now + Duration::from_hours(1)), may);
        assert_eq!((first, looks.get()), (Some(now + Duration::from_secs(1)), 2));
    }
}
