//! Accounts that were given access at a provider that hands out licences. The answer to the write
//! says that there is a licence even if no licence is left (developers.onelogin.com, "User
//! Resource": state 3). The accounts are read back in groups, because one read for each account
//! would double the calls of a first pass.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::Instant;

use super::{CONCURRENT, Run};
use crate::{
    api::employee_sync::Action,
    domain::{
        account::{Access, AccountState},
        matching::PersonIndex,
        plan::Change,
        priority::Queue,
    },
    engine::{intake::claims::WriteClaim, pass::outcome::Done},
    provider::{Error, Provider, call::BACK_IN_LINE},
};

/// After this number of new accounts in a row without a licence, the other ones wait for the next
/// pass.
pub(super) const UNLICENSED: u32 = 3;

/// The size of the first group. The groups grow, so that few accounts are made before it shows that
/// no licence is left.
const FIRST: usize = 5;
/// The size of the largest group. A process that is killed has told of all accounts except this
/// number.
const LARGEST: usize = 40;
/// The largest number of accounts that may be under way and unproven: one group is read while the
/// next one is filled.
const MOST: usize = 2 * LARGEST;
/// A group waits no longer than this for more accounts, and its read takes no longer than this. A
/// provider that asks for a pause of an hour must not keep finished changes untold for an hour.
const WITHIN: Duration = Duration::from_secs(5);

/// A change that landed. It is told once the account was read back.
pub(super) struct Unproven<'c> {
    pub(super) person: PersonIndex,
    pub(super) done: Box<Done>,
    pub(super) claim: WriteClaim<'c>,
}

/// The accounts that wait to be read back.
#[derive(Default)]
pub(super) struct Licences<'c> {
    waiting: Vec<Unproven<'c>>,
    /// When the group is read even if it is small.
    until: Option<Instant>,
    /// How many groups were read.
    groups: u32,
    /// The number of accounts in the group that is being read. It is 0 while no group is read.
    reading: usize,
    /// The number of changes under way that give access.
    giving: usize,
    /// Whether the provider has licences.
    limited: bool,
}

impl<'c> Licences<'c> {
    pub(super) fn new(provider: &dyn Provider) -> Self {
        Self { limited: provider.capabilities().licences, ..Self::default() }
    }

    /// Returns the change that goes next. Joiners wait while too many accounts are unproven. This
    /// bounds the number of accounts that are made after the last licence was taken, also if a read
    /// is slow.
    pub(super) fn next(&self, queue: &mut Queue, turns: u64) -> Option<usize> {
        let unproven = self.giving + self.waiting.len() + self.reading;
        if unproven < (FIRST << self.groups).clamp(CONCURRENT, MOST) {
            queue.next(turns)
        } else {
            queue.next_except_joiners(turns)
        }
    }

    /// Counts a change that begins.
    pub(super) fn began(&mut self, change: &Change) {
        self.giving += usize::from(self.limited && gives_access(change));
    }

    /// Counts a change that has ended.
    pub(super) fn over(&mut self, change: &Change) {
        self.giving -= usize::from(self.limited && gives_access(change));
    }

    /// Adds an account to the next group.
    pub(super) fn wait(&mut self, one: Unproven<'c>) {
        self.waiting.push(one);
        self.until = self.until.or_else(|| Some(Instant::now() + WITHIN));
    }

    /// Returns when a small group is to be read, unless one is being read.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until.filter(|_| self.reading == 0)
    }

    /// Returns the next group that is to be read, one at a time. `idle` says that no change is
    /// under way that could join it.
    pub(super) fn due(&mut self, idle: bool) -> Option<Vec<Unproven<'c>>> {
        let full = self.waiting.len() >= (FIRST << self.groups).min(LARGEST);
        let late = self.until.is_some_and(|until| until <= Instant::now());
        if self.reading > 0 || self.waiting.is_empty() || !(full || idle || late) {
            return None;
        }
        self.reading = self.waiting.len();
        self.until = None;
        self.groups = (self.groups + 1).min(LARGEST.ilog2());
        Some(std::mem::take(&mut self.waiting))
    }

    /// Notes that the group was read.
    pub(super) fn ended(&mut self) {
        self.reading = 0;
    }
}

/// Returns whether the change gives access to a new account or to one that had lost it.
fn gives_access(change: &Change) -> bool {
    change.write.access == Some(Access::Active)
}

impl<'c> Run<'_, '_, 'c> {
    /// Returns whether the account was given access and may have no licence for it.
    pub(super) fn may_lack_licence(&self, done: &Done) -> bool {
        let given = matches!(done.action, Action::Create | Action::Reactivate)
            && done.state == AccountState::Active;
        given && self.cx.provider.capabilities().licences
    }

    /// Reads a group of accounts and puts right what is told of those without a licence. If the
    /// read fails or takes too long, or the pass ends early, the next listing tells.
    pub(super) async fn with_licences(&self, mut group: Vec<Unproven<'c>>) -> Vec<Unproven<'c>> {
        let ids: Vec<&str> = group.iter().map(|one| &*one.done.account).collect();
        let read = tokio::time::timeout(WITHIN, self.unlicensed(&ids)).await;
        let Ok(Some(unlicensed)) = read else { return group };
        for Unproven { done, .. } in &mut group {
            let lacks = unlicensed.contains(&done.account);
            if lacks {
                done.state = AccountState::Unlicensed;
            }
            match (done.action, lacks) {
                (Action::Create, true) => drop(self.unlicensed.fetch_add(1, Ordering::Relaxed)),
                (Action::Create, false) => self.unlicensed.store(0, Ordering::Relaxed),
                _ => {}
            }
        }
        group
    }

    /// Returns those of these accounts that have no licence.
    async fn unlicensed(&self, ids: &[&str]) -> Option<Vec<Box<str>>> {
        // A read needs neither the Lease nor a turn: refused creates must not hold it back.
        while !(self.cx.pace.halted)() {
            match self.cx.provider.unlicensed(self.cx.planned.mapping, ids).await {
                Err(Error::Throttled { .. }) => (self.cx.pace.pause)(BACK_IN_LINE).await,
                answer => return answer.ok(),
            }
        }
        None
    }
}
