//! One listing of a tenant, page by page. A page that failed is asked for again, a page that is too
//! large is asked for in smaller ones, every id counts once, and a listing that repeats itself
//! ends.
//!
//! Only a provider's folder knows what a page is and where the next one begins.

use std::{borrow::Cow, collections::HashSet, future::Future, hash::Hash, time::Duration};

use reqwest::Url;
use tokio::time::Instant;

use sha2::{Digest as _, Sha256};

use super::{
    Error, Listing,
    answers::unreadable,
    call::BACK_IN_LINE,
    limits::LONGEST_WAIT,
    reader::{Page, UserReader},
    tries::Tries,
};
use crate::{
    domain::account::Account,
    http::client::{Answer, TOO_LARGE},
};

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

    /// Takes in a page. Accounts that are seen for the first time go into `sink`. Returns how many
    /// these are. `id` returns what tells one account from all others, in few bytes.
    ///
    /// # Errors
    /// An account without an id.
    pub(super) fn take(
        &mut self,
        reader: &UserReader<'_>,
        page: &Page<'_>,
        id: impl Fn(&str) -> Option<I>,
        sink: &mut (dyn FnMut(Account<'_>) + Send),
    ) -> Result<u64, Error> {
        let mut fresh = 0;
        for user in &page.users {
            let account = reader.account(user).ok_or_else(nameless)?;
            let id = id(&account.id).ok_or_else(nameless)?;
            if self.is_new(id) {
                fresh += 1;
                sink(account);
            }
        }
        Ok(fresh)
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

    /// Returns the result of the listing.
    pub(super) fn listing(&self, whole: bool, unavailable: Vec<usize>) -> Listing {
        Listing { accounts: self.accounts(), whole, unavailable }
    }

    /// Notes where the next page begins.
    ///
    /// # Errors
    /// A page began there before.
    pub(super) fn goes_to(&mut self, place: &str) -> Result<(), Error> {
        if self.places.insert(place.into()) { Ok(()) } else { Err(repeated()) }
    }
}

/// What the pages of a listing say about its end, if the provider counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PageCounts {
    /// How many accounts there are.
    pub(super) total: Option<u64>,
    /// How many pages there are.
    pub(super) pages: Option<u64>,
    /// Whether the page says that another one follows.
    pub(super) follows: bool,
}

/// What the pages of a counted listing have said so far.
#[derive(Debug)]
pub(super) struct CountedPages {
    asked: u64,
    /// How many pages were read, in the size that is asked for now.
    page: u64,
    rows: u64,
    first_total: Option<u64>,
    begun: bool,
    steady: bool,
    duplicates: bool,
}

impl CountedPages {
    /// Begins a listing in pages of `asked` accounts.
    pub(super) fn new(asked: usize) -> Self {
        Self {
            asked: asked as u64,
            page: 0,
            rows: 0,
            first_total: None,
            begun: false,
            steady: true,
            duplicates: false,
        }
    }

    /// Returns how many accounts were read. The next page begins after them.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Returns the number of the next page, if pages have `size` accounts. Smaller pages than
    /// before may begin with accounts that are known already. They never begin after the first
    /// account that is not.
    pub(super) const fn next(&self, size: usize) -> u64 {
        if size as u64 == self.asked { self.page + 1 } else { self.rows / size as u64 + 1 }
    }

    /// Sets the size of pages from the next one on.
    pub(super) const fn are_of(&mut self, size: usize) {
        self.page = self.next(size) - 1;
        self.asked = size as u64;
    }

    /// Takes in a page: `rows` is how many accounts it has, and `fresh` is how many of them are
    /// new. Returns whether to ask for another page.
    ///
    /// # Errors
    /// The same accounts come again and again.
    pub(super) fn more(
        &mut self,
        counts: PageCounts,
        rows: u64,
        fresh: u64,
    ) -> Result<bool, Error> {
        self.page += 1;
        self.rows += rows;
        self.duplicates |= fresh < rows;
        if !std::mem::replace(&mut self.begun, true) {
            self.first_total = counts.total;
        }
        self.steady &= counts.total == self.first_total;
        if rows == 0 {
            return Ok(false);
        }
        if let Some(pages) = counts.pages {
            return Ok(self.page < pages);
        }
        let more = match counts.total {
            Some(total) => self.rows < total,
            None => counts.follows || rows >= self.asked,
        };
        // Only the rows show the end, and no new ones come.
        if more && fresh == 0 { Err(repeated()) } else { Ok(more) }
    }

    /// Returns whether no account was added or removed between the pages. `ids` is how many
    /// different accounts were seen.
    pub(super) fn whole(&self, ids: u64) -> bool {
        self.steady && self.first_total.map_or(!self.duplicates, |total| total == ids)
    }

    /// Returns whether an account came twice.
    pub(super) const fn repeats(&self) -> bool {
        self.duplicates
    }
}

/// Returns an id in 16 bytes, which is the size of a GUID: a listing keeps many ids.
pub(super) fn short(id: &str) -> u128 {
    let digits: String = id.chars().filter(|c| *c != '-').collect();
    let number = u128::from_str_radix(&digits, 16).ok();
    number.filter(|_| matches!(digits.len(), 24 | 32)).unwrap_or_else(|| {
        let digest = Sha256::digest(id.as_bytes());
        digest.iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte))
    })
}

/// Returns the error of a listing with an account that has no id.
pub(super) fn nameless() -> Error {
    unreadable("the listing holds a user without an id")
}

/// Returns the address of a page with `size` users. A next page's link has the same parameters.
/// `name` is the parameter that says how many users a page has.
pub(super) fn sized<'p>(path: &'p str, name: &str, size: usize) -> Cow<'p, str> {
    let Some((before, query)) = path.split_once('?') else { return path.into() };
    let is_size = |known: &str| known.replace("%24", "$") == name;
    let with = |pair: &str| match pair.split_once('=') {
        Some((known, _)) if is_size(known) => format!("{known}={size}"),
        _ => pair.to_owned(),
    };
    let pairs: Vec<String> = query.split('&').map(with).collect();
    format!("{before}?{}", pairs.join("&")).into()
}

/// Returns the path and query of a link to the next page, if it leads to the address of the calls.
///
/// # Errors
/// [`Error::Unavailable`] if it leads to another address.
pub(super) fn path_of_link(origin: &str, link: &str) -> Result<String, Error> {
    let url = Url::parse(link).ok().filter(|url| url.origin().ascii_serialization() == origin);
    let url = url.ok_or_else(|| {
        unreadable(
            "the next page of the listing is said to be at another address, which is not called",
        )
    })?;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Ok(format!("{}{query}", url.path()))
}

/// Returns the error of a listing with pages that come again and again.
pub(super) fn repeated() -> Error {
    unreadable("the pages of the listing repeat themselves")
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
