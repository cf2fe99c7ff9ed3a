//! What the changes before say of the next one. A refusal concerns one employee. Only where several in a row are refused,
//! and none of their kind went through, the others of that kind wait for the next pass; it begins with those that were not
//! tried. The same holds where the provider cannot be reached.
//!
//! Suspensions wait for nothing of that: only a credential that is refused itself stops them, and a provider that answers
//! none of them any more.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    domain::plan::{Change, Kind},
    engine::stop::{Stop, provider_stop, refusals_stop},
    provider::Error,
};

/// So many refusals in a row, and changes of that kind wait.
pub const REFUSED: u32 = 20;
/// So many changes in a row that did not reach the provider, and changes of that kind wait.
pub const UNREACHABLE: u32 = 10;
/// The same of suspensions.
pub const SUSPENSIONS_UNREACHABLE: u32 = 50;

/// What kind of change, as far as one speaks for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Takes access away.
    Suspension,
    /// Makes an account.
    Creation,
    /// Anything else.
    Update,
}

impl Sort {
    /// The sort of a planned change.
    #[must_use]
    pub fn of(change: &Change) -> Self {
        match change.kind {
            Kind::Create => Self::Creation,
            _ if change.suspends() => Self::Suspension,
            _ => Self::Update,
        }
    }
}

#[derive(Debug, Default)]
struct Streak {
    refused: u32,
    unreachable: u32,
    went_through: bool,
    closed: Option<Stop>,
}

/// What was found out in this pass.
#[derive(Debug, Default)]
pub struct Streaks {
    sorts: Mutex<[Streak; 3]>,
    credential: Mutex<Option<Stop>>,
}

impl Streaks {
    /// Whether changes of this sort are still tried.
    pub fn open(&self, sort: Sort) -> bool {
        self.credential().is_none() && self.sorts()[sort as usize].closed.is_none()
    }

    /// Whether this sort has met nothing but silence lately: then one try is enough.
    pub fn is_silent(&self, sort: Sort) -> bool {
        self.sorts()[sort as usize].unreachable >= UNREACHABLE
    }

    /// A change went through, or a part of it.
    pub fn went_through(&self, sort: Sort) {
        let streak = &mut self.sorts()[sort as usize];
        (streak.refused, streak.unreachable, streak.went_through) = (0, 0, true);
    }

    /// The provider answered and refused.
    pub fn refused(&self, sort: Sort, error: &Error) {
        let streak = &mut self.sorts()[sort as usize];
        streak.unreachable = 0;
        streak.refused += 1;
        if streak.refused >= REFUSED && !streak.went_through && sort != Sort::Suspension {
            streak.closed.get_or_insert_with(|| refusals_stop(error));
        }
    }

    /// The provider did not answer, or with nothing that says what became of the change.
    pub fn unreachable(&self, sort: Sort, error: &Error) {
        let streak = &mut self.sorts()[sort as usize];
        streak.unreachable += 1;
        let most = if sort == Sort::Suspension { SUSPENSIONS_UNREACHABLE } else { UNREACHABLE };
        if streak.unreachable >= most {
            streak.closed.get_or_insert_with(|| provider_stop(error));
        }
    }

    /// Changes of this sort cannot be made in this pass.
    pub fn close(&self, sort: Sort, stop: &Stop) {
        self.sorts()[sort as usize].closed.get_or_insert_with(|| stop.clone());
    }

    /// The credential itself is refused: nothing more is tried.
    pub fn credential_refused(&self, error: &Error) {
        self.credential().get_or_insert_with(|| provider_stop(error));
    }

    /// Why the rest was not tried, the most severe first.
    pub fn into_stop(self) -> Option<Stop> {
        let credential = self.credential.into_inner().unwrap_or_else(PoisonError::into_inner);
        let sorts = self.sorts.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut closed: Vec<Stop> = sorts.into_iter().filter_map(|streak| streak.closed).collect();
        // An outage hides what is refused.
        closed.sort_by_key(|stop| stop.answered);
        credential.or_else(|| closed.into_iter().next())
    }

    fn sorts(&self) -> MutexGuard<'_, [Streak; 3]> {
        self.sorts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn credential(&self) -> MutexGuard<'_, Option<Stop>> {
        self.credential.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
