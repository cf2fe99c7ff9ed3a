//! The changes that are under way, by employee. Several passes of one integration run at the same
//! time: one over all employees, which may take hours, and short ones over single employees, which
//! must not wait for it. If two of them meet, the pass that looked later has the newer data. The
//! earlier pass begins no further write for that employee. A write that it has begun ends first.

use std::{collections::BTreeSet, hash::BuildHasher as _};

use foldhash::{HashMap, HashSet};
use parking_lot::{Mutex, MutexGuard};

/// The number of a pass, in the order in which passes began to look.
pub type Epoch = u64;

/// The number of locks for records. Several employees share one lock.
const STRIPES: usize = 256;

/// The passes and changes of one integration.
#[derive(Debug)]
pub struct Claims {
    state: Mutex<State>,
    records: Vec<tokio::sync::Mutex<()>>,
    hasher: foldhash::fast::RandomState,
}

#[derive(Debug, Default)]
struct State {
    epoch: Epoch,
    /// The passes that are under way.
    open: BTreeSet<Epoch>,
    /// The latest partial pass that looked at each employee.
    latest: HashMap<Box<str>, Epoch>,
    /// The employees with a change under way, its record included.
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

/// A pass that is under way. Dropping it marks the pass as ended.
#[derive(Debug)]
pub struct PassHandle<'a> {
    of: &'a Claims,
    epoch: Epoch,
}

/// The reason why a pass may not begin a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A later pass has looked at this employee and has newer data. This pass has nothing left to
    /// do here.
    Outdated,
    /// A write for this employee is under way. What was read here may be old by now, and the
    /// employee is looked at again.
    Busy,
}

/// A change that is under way. Dropping it marks the change as ended and its record as written.
#[derive(Debug)]
pub struct WriteClaim<'a> {
    of: &'a Claims,
    employee: Box<str>,
}

impl Claims {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Begins a full pass.
    pub fn begin_full(&self) -> PassHandle<'_> {
        let mut state = self.lock();
        state.epoch += 1;
        let epoch = state.epoch;
        state.open.insert(epoch);
        PassHandle { of: self, epoch }
    }

    /// Begins a partial pass. Earlier passes begin nothing more for its employees. Returns those
    /// with a change under way now: what is read of them may soon be old, so they are to be looked
    /// at again.
    pub fn begin_partial<'p>(
        &self,
        people: impl Iterator<Item = &'p str>,
    ) -> (PassHandle<'_>, Vec<Box<str>>) {
        let mut state = self.lock();
        state.epoch += 1;
        let epoch = state.epoch;
        state.open.insert(epoch);
        let mut busy = Vec::new();
        for employee in people {
            state.latest.insert(employee.into(), epoch);
            if state.writing.contains(employee) {
                busy.push(employee.into());
            }
        }
        (PassHandle { of: self, epoch }, busy)
    }

    /// Locks the record of this employee. The lock is held while the status is read, changed and
    /// written back.
    pub async fn record(&self, employee: &str) -> tokio::sync::MutexGuard<'_, ()> {
        let stripe = usize::try_from(self.hasher.hash_one(employee)).unwrap_or(0) % STRIPES;
        self.records[stripe].lock().await
    }
}

impl<'a> PassHandle<'a> {
    /// Returns the number of this pass.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Returns whether a later pass has looked at this employee.
    #[must_use]
    pub fn is_outdated(&self, employee: &str) -> bool {
        self.of.lock().latest.get(employee).is_some_and(|latest| *latest > self.epoch)
    }

    /// Locks the record of this employee. The lock is held while the status is read, changed and
    /// written back.
    pub async fn record(&self, employee: &str) -> tokio::sync::MutexGuard<'_, ()> {
        self.of.record(employee).await
    }

    /// Begins a change of this employee.
    ///
    /// # Errors
    /// [`Refused`]: a later pass has newer data, or a write is under way.
    pub fn write(&self, employee: &str) -> Result<WriteClaim<'a>, Refused> {
        let mut state = self.of.lock();
        if state.latest.get(employee).is_some_and(|latest| *latest > self.epoch) {
            return Err(Refused::Outdated);
        }
        if !state.writing.insert(employee.into()) {
            return Err(Refused::Busy);
        }
        Ok(WriteClaim { of: self.of, employee: employee.into() })
    }
}

impl Drop for PassHandle<'_> {
    fn drop(&mut self) {
        let mut state = self.of.lock();
        state.open.remove(&self.epoch);
        // Only a pass that is under way and began earlier needs this entry.
        match state.open.first().copied() {
            None => state.latest.clear(),
            Some(first) => state.latest.retain(|_, latest| *latest > first),
        }
    }
}

impl Drop for WriteClaim<'_> {
    fn drop(&mut self) {
        self.of.lock().writing.remove(&self.employee);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_pass_that_looked_later_knows_better() {
        let claims = Claims::default();
        let everybody = claims.begin_full();
        let under_way = everybody.write("1").expect("free");
        let (single, busy) = claims.begin_partial(["1", "2"].into_iter());
        assert_eq!(busy, ["1".into()], "a pass writes to 1");
        assert!(
            everybody.is_outdated("1") && everybody.is_outdated("2") && !everybody.is_outdated("3")
        );
        assert_eq!(
            everybody.write("2").err(),
            Some(Refused::Outdated),
            "the later pass is waiting for its turn"
        );
        assert_eq!(
            single.write("1").err(),
            Some(Refused::Busy),
            "the change that was begun ends first"
        );
        drop(under_way);
        let change = single.write("1").expect("its turn");
        assert_eq!(single.write("1").err(), Some(Refused::Busy), "one change at a time");
        drop(change);
        assert_eq!(
            everybody.write("1").err(),
            Some(Refused::Outdated),
            "it looked earlier, and still does"
        );
        assert!(everybody.write("3").is_ok());
        drop(single);
        assert!(
            everybody.is_outdated("1"),
            "what the ended pass saw counts while this one is under way"
        );
        drop(everybody);
        assert!(claims.lock().latest.is_empty(), "nothing is kept");
    }

    #[test]
    fn a_pass_over_everybody_that_meets_a_write_of_an_earlier_one_is_told_that_it_is_under_way() {
        let claims = Claims::default();
        let (single, _) = claims.begin_partial(["1"].into_iter());
        let under_way = single.write("1").expect("free");
        let everybody = claims.begin_full();
        assert_eq!(
            everybody.write("1").err(),
            Some(Refused::Busy),
            "no pass has looked later: giving 1 up would lose what was seen"
        );
        drop(under_way);
        assert!(everybody.write("1").is_ok());
    }

    /// What a model of the rules needs to know about one pass.
    struct Open<'a> {
        handle: PassHandle<'a>,
        began: u64,
        writing: Vec<(u8, WriteClaim<'a>)>,
    }

    #[derive(Clone, Debug)]
    enum Step {
        Everybody,
        People(Vec<u8>),
        Write(usize, u8),
        EndWrite(usize),
        End(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            1 => Just(Step::Everybody),
            2 => proptest::collection::vec(0..4_u8, 1..4).prop_map(Step::People),
            6 => (0..8_usize, 0..4_u8).prop_map(|(pass, employee)| Step::Write(pass, employee)),
            3 => (0..8_usize).prop_map(Step::EndWrite),
            2 => (0..8_usize).prop_map(Step::End),
        ];
        proptest::collection::vec(step, 1..60)
    }

    proptest! {
        /// The model keeps every look. In every order: at most one write for one employee is under
        /// way; `Outdated` is returned exactly if a later pass has looked; `Busy` is returned
        /// exactly if no later pass has looked and a write is under way; and a partial pass learns
        /// at its beginning of every write that is under way.
        #[test]
        fn both_answers_are_right_in_every_order(steps in steps()) {
            let claims = Claims::default();
            let mut open: Vec<Open<'_>> = Vec::new();
            let (mut clock, mut looked) = (0, [0_u64; 4]);
            for step in steps {
                let writing = |open: &[Open<'_>], employee: u8| {
                    let all = open.iter().flat_map(|pass| &pass.writing);
                    all.filter(|(id, _)| *id == employee).count()
                };
                match step {
                    Step::Everybody => {
                        clock += 1;
                        let handle = claims.begin_full();
                        open.push(Open { handle, began: clock, writing: Vec::new() });
                    }
                    Step::People(people) => {
                        clock += 1;
                        let ids: Vec<String> = people.iter().map(u8::to_string).collect();
                        let (handle, busy) = claims.begin_partial(ids.iter().map(String::as_str));
                        for (employee, id) in people.iter().zip(&ids) {
                            looked[usize::from(*employee)] = clock;
                            let is_busy = busy.contains(&id.as_str().into());
                            prop_assert_eq!(is_busy, writing(&open, *employee) > 0);
                        }
                        open.push(Open { handle, began: clock, writing: Vec::new() });
                    }
                    Step::Write(pass, employee) if !open.is_empty() => {
                        let pass = pass % open.len();
                        let expected = if looked[usize::from(employee)] > open[pass].began {
                            Some(Refused::Outdated)
                        } else if writing(&open, employee) > 0 {
                            Some(Refused::Busy)
                        } else {
                            None
                        };
                        let answer = open[pass].handle.write(&employee.to_string());
                        prop_assert_eq!(answer.as_ref().err().copied(), expected);
                        if let Ok(claim) = answer {
                            open[pass].writing.push((employee, claim));
                        }
                        prop_assert!(writing(&open, employee) <= 1);
                    }
                    Step::EndWrite(pass) if !open.is_empty() => {
                        let pass = pass % open.len();
                        open[pass].writing.pop();
                    }
                    Step::End(pass) if !open.is_empty() => {
                        let pass = pass % open.len();
                        open.swap_remove(pass);
                    }
                    Step::Write(..) | Step::EndWrite(_) | Step::End(_) => {}
                }
            }
            drop(open);
            prop_assert!(claims.lock().latest.is_empty() && claims.lock().writing.is_empty(),
                "nothing is kept");
        }
    }
}
