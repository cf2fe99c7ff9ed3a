//! One listing of a tenant, page by page. A page that failed is asked for again, a page that is too
//! large is asked for in smaller ones, every id counts once, and a listing that repeats itself
//! ends.
//!
//! Only a provider's folder knows what a page is and where the next one begins.

use std::{collections::HashSet, future::Future, hash::Hash, time::Duration};

use tokio::time::Instant;

use super::{Error, call::BACK_IN_LINE, limits::LONGEST_WAIT, tries::Tries};
use crate::http::client::{Answer, TOO_LARGE};

/// The most pages of a listing. No tenant has so many, so a listing that reaches this number
/// repeats itself.
const MOST_PAGES: u32 = 20_000;

/// How long one page is waited for while the provider refuses calls for their number. At its end
/// the provider may name [`LONGEST_WAIT`] once more.
const MOST_WAITING: Duration = LONGEST_WAIT.saturating_mul(2);

/// What the pages of one listing have shown so far.
#[derive(Debug)]
pub(super) struct Lister<I> {
    ids: foldhash::HashSet<I>,
    repeats: bool,
    pages: u32,
    /// How many accounts a page is asked to hold.
    size: usize,
    /// Where pages began, for providers that give a token or an address for the next page.
    places: HashSet<Box<str>>,
    /// Whether the first page is asked for again too.
    goes_on: bool,
}

impl<I: Eq + Hash> Lister<I> {
    /// Begins a listing in pages of `size` accounts.
    pub(super) fn new(size: usize) -> Self {
        let (ids, places) = (foldhash::HashSet::default(), HashSet::new());
        Self { ids, repeats: false, pages: 0, size, places, goes_on: false }
    }

    /// Begins a listing that continues after much was read before.
    pub(super) fn going_on(size: usize) -> Self {
        Self { goes_on: true, ..Self::new(size) }
    }

    /// Returns how many accounts a page is asked to hold now.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// Asks for the next page. `ask` makes the call for a page of that many accounts.
    ///
    /// A first page that fails is an outage, which is returned at once. A later page is asked for
    /// again: one of a hundred pages fails easily, and the others would be read in vain. After a
    /// refusal for the number of calls, the page is asked for when the pacer allows it. A page that
    /// is larger than the largest body is asked for with half as many accounts.
    ///
    /// # Errors
    /// The last failure of the page; [`Error::Unavailable`] if the listing does not end.
    pub(super) async fn page<F>(&mut self, ask: impl Fn(usize) -> F) -> Result<Answer, Error>
    where
        F: Future<Output = Result<Answer, Error>>,
    {
        if self.pages == MOST_PAGES {
            return Err(unreadable("the listing does not end"));
        }
        let later = self.goes_on || self.pages > 0;
        self.pages += 1;
        let (mut tries, mut waiting) = (if later { Tries::all() } else { Tries::at_most(1) }, None);
        loop {
            match ask(self.size).await {
                Err(Error::Unavailable { said }) if said == TOO_LARGE && self.size > 1 => {
                    self.size /= 2
                }
                Err(error @ Error::Unavailable { .. }) => {
                    let Some(pause) = tries.again() else { return Err(error) };
                    tokio::time::sleep(pause).await;
                }
                Err(error @ Error::Throttled { .. }) if later => {
                    if waiting.get_or_insert_with(Instant::now).elapsed() > MOST_WAITING {
                        return Err(error);
                    }
                    // The pacer keeps the next call back until the time that the provider named.
                    tokio::time::sleep(BACK_IN_LINE).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Takes in an account. Returns whether its id is seen for the first time.
    pub(super) fn is_new(&mut self, id: I) -> bool {
        let new = self.ids.insert(id);
        self.repeats |= !new;
        new
    }

    /// Returns how many accounts were seen, each id once.
    pub(super) fn accounts(&self) -> u32 {
        u32::try_from(self.ids.len()).unwrap_or(u32::MAX)
    }

    /// Returns whether an id was seen twice.
    pub(super) const fn repeats(&self) -> bool {
        self.repeats
    }

    /// Notes where the next page begins.
    ///
    /// # Errors
    /// A page began there before.
    pub(super) fn goes_to(&mut self, place: &str) -> Result<(), Error> {
        if self.places.insert(place.into()) { Ok(()) } else { Err(repeated()) }
    }
}

/// Returns the error of an answer that cannot be what was asked for.
pub(super) fn unreadable(said: &str) -> Error {
    Error::Unavailable { said: said.to_owned() }
}

/// Returns the error of a listing with pages that come again and again.
pub(super) fn repeated() -> Error {
    unreadable("the pages of the listing repeat themselves")
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
