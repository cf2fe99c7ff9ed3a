//! What earlier changes say about the next one. A refusal is about one employee. If several changes
//! in a row are refused and none of their sort went through, the others of that sort wait for the
//! next pass. That pass begins with the changes that were not tried. The same applies if the
//! provider cannot be reached.
//!
//! Suspensions do not wait for that. Only two things stop them: a refused credential, and a
//! provider that no longer answers any of them.

use parking_lot::{Mutex, MutexGuard};

use crate::{
    domain::plan::{Change, ChangeKind},
    engine::stop::{Stop, provider_stop, refusals_stop},
    provider::Error,
};

/// After this number of refusals in a row, changes of that sort wait.
pub const REFUSED: u32 = 20;
/// After this number of changes in a row that did not reach the provider, changes of that sort
/// wait.
pub const UNREACHABLE: u32 = 10;
/// The same number for suspensions.
pub const SUSPENSIONS_UNREACHABLE: u32 = 50;

/// The sort of a change. A failure of one change says something about others of its sort only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Takes access away.
    Suspension,
    /// Makes an account.
    Creation,
    /// Any other change.
    Update,
}

impl Sort {
    /// Returns the sort of a planned change.
    #[must_use]
    pub fn of(change: &Change) -> Self {
        match change.kind {
            ChangeKind::Create => Self::Creation,
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

/// What this pass found out.
#[derive(Debug, Default)]
pub struct Streaks {
    sorts: Mutex<[Streak; 3]>,
    credential: Mutex<Option<Stop>>,
}

impl Streaks {
    /// Returns whether changes of this sort are still tried.
    pub fn open(&self, sort: Sort) -> bool {
        self.credential().is_none() && self.sorts()[sort as usize].closed.is_none()
    }

    /// Returns whether this sort got no answers lately. Then one try is enough.
    pub fn is_silent(&self, sort: Sort) -> bool {
        self.sorts()[sort as usize].unreachable >= UNREACHABLE
    }

    /// Notes that a change, or a part of it, went through.
    pub fn went_through(&self, sort: Sort) {
        let streak = &mut self.sorts()[sort as usize];
        (streak.refused, streak.unreachable, streak.went_through) = (0, 0, true);
    }

    /// Notes that the provider answered and refused.
    pub fn refused(&self, sort: Sort, error: &Error) {
        let streak = &mut self.sorts()[sort as usize];
        streak.unreachable = 0;
        streak.refused += 1;
        if streak.refused >= REFUSED && !streak.went_through && sort != Sort::Suspension {
            streak.closed.get_or_insert_with(|| refusals_stop(error));
        }
    }

    /// Notes that the provider did not answer, or that its answer does not say what became of the
    /// change.
    pub fn unreachable(&self, sort: Sort, error: &Error) {
        let streak = &mut self.sorts()[sort as usize];
        streak.unreachable += 1;
        let most = if sort == Sort::Suspension { SUSPENSIONS_UNREACHABLE } else { UNREACHABLE };
        if streak.unreachable >= most {
            streak.closed.get_or_insert_with(|| provider_stop(error));
        }
    }

    /// Notes that changes of this sort cannot be made in this pass.
    pub fn close(&self, sort: Sort, stop: &Stop) {
        self.sorts()[sort as usize].closed.get_or_insert_with(|| stop.clone());
    }

    /// Notes that the provider refused the credential itself: nothing more is tried.
    pub fn credential_refused(&self, error: &Error) {
        self.credential().get_or_insert_with(|| provider_stop(error));
    }

    /// Returns why the rest was not tried, the most severe reason first.
    pub fn into_stop(self) -> Option<Stop> {
        let credential = self.credential.into_inner();
        let sorts = self.sorts.into_inner();
        let mut closed: Vec<Stop> = sorts.into_iter().filter_map(|streak| streak.closed).collect();
        // An outage comes first, because it hides refusals.
        closed.sort_by_key(|stop| stop.answered);
        credential.or_else(|| closed.into_iter().next())
    }

    fn sorts(&self) -> MutexGuard<'_, [Streak; 3]> {
        self.sorts.lock()
    }

    fn credential(&self) -> MutexGuard<'_, Option<Stop>> {
        self.credential.lock()
    }
}
