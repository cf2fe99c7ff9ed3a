//! Says where a listing ends, and whether its pages fit together.

use crate::{
    http::client::Answer,
    provider::{Error, listing::repeated},
};

/// What the headers of the pages have said so far.
///
/// `OneLogin` counts pages in headers. If they are missing, an `After-Cursor` decides, and
/// otherwise the length of the page. The cursor itself is only an offset in another form and may
/// not be sent with a page number. `Link` points at another version of the interface.
#[derive(Debug)]
pub(super) struct Pages {
    asked: u64,
    /// How many pages were read, in the size that is asked for now.
    page: u64,
    rows: u64,
    first_total: Option<u64>,
    begun: bool,
    steady: bool,
    duplicates: bool,
}

impl Pages {
    /// Begins a listing in pages of `asked` users.
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

    /// Returns the number of the next page, if pages have `size` users. Smaller pages than before
    /// may begin with users who are known already. They never begin after the first user who is
    /// not.
    pub(super) const fn next(&self, size: usize) -> u64 {
        if size as u64 == self.asked { self.page + 1 } else { self.rows / size as u64 + 1 }
    }

    /// Sets the size of pages from the next one on.
    pub(super) const fn are_of(&mut self, size: usize) {
        self.page = self.next(size) - 1;
        self.asked = size as u64;
    }

    /// Takes in a page: `rows` is how many users it has, and `fresh` is how many of them are new.
    /// Returns whether to ask for another page.
    ///
    /// # Errors
    /// The same users come again and again.
    pub(super) fn more(&mut self, answer: &Answer, rows: u64, fresh: u64) -> Result<bool, Error> {
        self.page += 1;
        self.rows += rows;
        self.duplicates |= fresh < rows;
        let total = answer.number("total-count");
        if !std::mem::replace(&mut self.begun, true) {
            self.first_total = total;
        }
        self.steady &= total == self.first_total;
        if rows == 0 {
            return Ok(false);
        }
        if let Some(pages) = answer.number("total-pages") {
            return Ok(self.page < pages);
        }
        let more = match total {
            Some(total) => self.rows < total,
            None => {
                answer.header("after-cursor").is_some_and(|cursor| !cursor.is_empty())
                    || rows >= self.asked
            }
        };
        // Only the rows show the end, and no new ones come.
        if more && fresh == 0 { Err(repeated()) } else { Ok(more) }
    }

    /// Returns whether no account was added or removed between the pages. `ids` is how many
    /// different accounts were seen.
    pub(super) fn whole(&self, ids: u64) -> bool {
        match self.first_total {
            Some(total) => self.steady && total == ids,
            None => self.steady && !self.duplicates,
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::{StatusCode, header::HeaderMap};

    use super::*;

    fn page(headers: &[(&'static str, &'static str)]) -> Answer {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        Answer { status: StatusCode::OK, headers, body: bytes::Bytes::new() }
    }

    #[test]
    fn headers_are_trusted_before_the_length_of_a_page() {
        let capped = page(&[("total-pages", "3"), ("total-count", "120"), ("after-cursor", "x")]);
        let mut pages = Pages::new(100);
        let more: Vec<_> = [50, 50, 20].map(|rows| pages.more(&capped, rows, rows).unwrap()).into();
        assert_eq!((more, pages.whole(120)), (vec![true, true, false], true));

        let counted = page(&[("total-count", "100")]);
        assert!(!Pages::new(100).more(&counted, 100, 100).unwrap());
        let cursor = page(&[("after-cursor", "x")]);
        assert!(Pages::new(100).more(&cursor, 50, 50).unwrap());
        assert!(Pages::new(100).more(&page(&[]), 100, 100).unwrap());
        assert!(!Pages::new(100).more(&page(&[]), 99, 99).unwrap());
        assert!(!Pages::new(100).more(&page(&[("total-pages", "0")]), 0, 0).unwrap());
    }

    #[test]
    fn a_listing_that_changed_under_way_is_not_whole() {
        let mut pages = Pages::new(100);
        pages.more(&page(&[("total-count", "150")]), 100, 100).unwrap();
        pages.more(&page(&[("total-count", "149")]), 49, 49).unwrap();
        assert!(!pages.whole(149));

        let mut pages = Pages::new(100);
        pages.more(&page(&[("total-count", "150")]), 100, 100).unwrap();
        pages.more(&page(&[("total-count", "150")]), 50, 49).unwrap();
        assert!(!pages.whole(149), "one slipped through between the pages");

        let mut pages = Pages::new(100);
        pages.more(&page(&[("total-count", "150")]), 100, 100).unwrap();
        pages.more(&page(&[("total-count", "151")]), 50, 50).unwrap();
        assert!(!pages.whole(150), "one more came, on a page that was already read");

        let mut pages = Pages::new(100);
        pages.more(&page(&[]), 100, 100).unwrap();
        pages.more(&page(&[]), 50, 50).unwrap();
        assert!(pages.whole(150));
        pages.more(&page(&[]), 50, 49).unwrap();
        assert!(!pages.whole(199));
    }

    #[test]
    fn pages_that_repeat_themselves_end_the_listing_as_an_error() {
        let mut pages = Pages::new(100);
        assert!(pages.more(&page(&[]), 100, 100).unwrap());
        assert!(pages.more(&page(&[]), 100, 0).is_err());
    }
}
