//! One listing of a tenant, page by page: a page that failed is asked for again, a page that is too large is asked for in
//! smaller ones, every id counts once, and a listing that goes in circles ends.
//!
//! What a page is and where the next one begins is known to a provider's folder only.

use std::{collections::HashSet, future::Future, hash::Hash, time::Duration};

use tokio::time::Instant;

use super::{
    Error,
    call::BACK_IN_LINE,
    http::{Answer, TOO_LARGE},
    limits::LONGEST_WAIT,
    tries::Tries,
};

/// No tenant has this many pages; a listing that reaches it goes in circles.
const MOST_PAGES: u32 = 20_000;

/// How long one page is waited for while the provider refuses calls for their number. The provider may name
/// [`LONGEST_WAIT`] once more when it is over.
const MOST_WAITING: Duration = LONGEST_WAIT.saturating_mul(2);

/// What the pages of one listing have told so far.
#[derive(Debug)]
pub(super) struct Lister<I> {
    ids: foldhash::HashSet<I>,
    repeats: bool,
    pages: u32,
    /// Accounts that a page is asked to hold.
    size: usize,
    /// Where pages began, for providers that hand out a token or an address for the next one.
    places: HashSet<Box<str>>,
    /// Whether the first page is asked for again as well.
    goes_on: bool,
}

impl<I: Eq + Hash> Lister<I> {
    /// Begins a listing in pages of `size` accounts.
    pub(super) fn new(size: usize) -> Self {
        let (ids, places) = (foldhash::HashSet::default(), HashSet::new());
        Self { ids, repeats: false, pages: 0, size, places, goes_on: false }
    }

    /// Begins a listing for which much was read before.
    pub(super) fn going_on(size: usize) -> Self {
        Self { goes_on: true, ..Self::new(size) }
    }

    /// Accounts that a page is asked to hold now.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// Asks for the next page. `ask` makes the call for a page of so many accounts.
    ///
    /// A first page that fails is an outage, told at once. A later one is asked for again: of a hundred pages one fails
    /// easily, and the others would be read in vain. After a refusal for the number of calls it is asked for when the
    /// pacer lets it. A page beyond the largest body is asked for with half as many accounts.
    ///
    /// # Errors
    /// The last failure of the page; [`Error::Unavailable`] where the listing does not end.
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
                Err(Error::Unavailable { said }) if said == TOO_LARGE && self.size > 1 => self.size /= 2,
                Err(error @ Error::Unavailable { .. }) => {
                    let Some(pause) = tries.again() else { return Err(error) };
                    tokio::time::sleep(pause).await;
                }
                Err(error @ Error::Throttled { .. }) if later => {
                    if waiting.get_or_insert_with(Instant::now).elapsed() > MOST_WAITING {
                        return Err(error);
                    }
                    // The pacer keeps the next call back until the time that was named.
                    tokio::time::sleep(BACK_IN_LINE).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Takes an account in; says whether its id is seen for the first time.
    pub(super) fn is_new(&mut self, id: I) -> bool {
        let new = self.ids.insert(id);
        self.repeats |= !new;
        new
    }

    /// Accounts seen, each id once.
    pub(super) fn accounts(&self) -> u32 {
        u32::try_from(self.ids.len()).unwrap_or(u32::MAX)
    }

    /// Whether an id was seen twice.
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

/// The error of an answer that cannot be what was asked for.
pub(super) fn unreadable(said: &str) -> Error {
    Error::Unavailable { said: said.to_owned() }
}

/// The error of a listing whose pages come again and again.
pub(super) fn repeated() -> Error {
    unreadable("the pages of the listing repeat themselves")
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
