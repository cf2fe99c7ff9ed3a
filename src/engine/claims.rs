//! Who is being written to. Several passes of one integration run at the same time: one over everybody, which may take
//! hours, and short ones over single people, which must not wait for it. Where they meet, the pass that looked later
//! knows better: an earlier one begins no further write for that person, and one that it has begun ends first.

use std::{
    collections::BTreeSet,
    hash::BuildHasher as _,
    sync::{Mutex, MutexGuard, PoisonError},
};

use foldhash::{HashMap, HashSet};

/// When a pass began to look, counted up.
pub type Epoch = u64;

/// Locks for records: so many people share one.
const STRIPES: usize = 256;

/// Everybody of one integration.
#[derive(Debug)]
pub struct Claims {
    state: Mutex<State>,
    records: Vec<tokio::sync::Mutex<()>>,
    hasher: foldhash::fast::RandomState,
}

#[derive(Debug, Default)]
struct State {
    epoch: Epoch,
    /// Passes under way.
    open: BTreeSet<Epoch>,
    /// The latest pass over single people that looked at somebody.
    latest: HashMap<Box<str>, Epoch>,
    /// Changes under way, their record included.
    writing: HashSet<Box<str>>,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            records: (0..STRIPES).map(|_| tokio::sync::Mutex::default()).collect(),
            hasher: foldhash::fast::RandomState::default(),
        }
    }
}

/// A pass that is under way. Dropping it says that it has ended.
#[derive(Debug)]
pub struct Looking<'a> {
    of: &'a Claims,
    epoch: Epoch,
}

/// A change that is under way. Dropping it says that it has ended, and that its record is written.
#[derive(Debug)]
pub struct Writing<'a> {
    of: &'a Claims,
    employee: Box<str>,
}

impl Claims {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pass over everybody begins to look.
    pub fn everybody(&self) -> Looking<'_> {
        let mut state = self.lock();
        state.epoch += 1;
        let epoch = state.epoch;
        state.open.insert(epoch);
        Looking { of: self, epoch }
    }

    /// A pass over single people begins to look. The earlier ones begin nothing more for them.
    pub fn people<'p>(&self, people: impl Iterator<Item = &'p str>) -> Looking<'_> {
        let looking = self.everybody();
        self.lock().latest.extend(people.map(|employee| (employee.into(), looking.epoch)));
        looking
    }

    /// Whether a change of this person is under way: what is read now may be old in a moment.
    #[must_use]
    pub fn is_writing(&self, employee: &str) -> bool {
        self.lock().writing.contains(employee)
    }

    /// Held while a status of this person is read, changed and written back.
    pub async fn record(&self, employee: &str) -> tokio::sync::MutexGuard<'_, ()> {
        let stripe = usize::try_from(self.hasher.hash_one(employee)).unwrap_or(0) % STRIPES;
        self.records[stripe].lock().await
    }
}

impl<'a> Looking<'a> {
    /// Which pass this is.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether a later pass has looked at this person.
    #[must_use]
    pub fn is_outdated(&self, employee: &str) -> bool {
        self.of.lock().latest.get(employee).is_some_and(|latest| *latest > self.epoch)
    }

    /// Begins a change of this person; `None` if a later pass knows better.
    #[must_use]
    pub fn write(&self, employee: &str) -> Option<Writing<'a>> {
        let mut state = self.of.lock();
        if state.latest.get(employee).is_some_and(|latest| *latest > self.epoch) || !state.writing.insert(employee.into()) {
            return None;
        }
        Some(Writing { of: self.of, employee: employee.into() })
    }
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        let mut state = self.of.lock();
        state.open.remove(&self.epoch);
        // Only a pass that is under way and began earlier has to know.
        match state.open.first().copied() {
            None => state.latest.clear(),
            Some(first) => state.latest.retain(|_, latest| *latest > first),
        }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.of.lock().writing.remove(&self.employee);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pass_that_looked_later_knows_better() {
        let claims = Claims::default();
        let everybody = claims.everybody();
        let under_way = everybody.write("1").expect("free");
        let single = claims.people(["1", "2"].into_iter());
        assert!(claims.is_writing("1") && !claims.is_writing("2"));
        assert!(everybody.is_outdated("1") && everybody.is_outdated("2") && !everybody.is_outdated("3"));
        assert!(everybody.write("2").is_none(), "the later pass is waiting for its turn");
        assert!(single.write("1").is_none(), "somebody writes to 1");
        drop(under_way);
        let change = single.write("1").expect("its turn");
        assert!(single.write("1").is_none(), "one change at a time");
        drop(change);
        assert!(everybody.write("1").is_none(), "it looked earlier, and still does");
        assert!(everybody.write("3").is_some());
        drop(single);
        assert!(everybody.is_outdated("1"), "what the ended pass saw counts while this one is under way");
        drop(everybody);
        assert!(claims.lock().latest.is_empty(), "nothing is kept");
    }
}
