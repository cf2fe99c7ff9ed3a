//! Says where a listing ends, and whether its pages fit together.

use crate::provider::{Error, listing::repeated};

/// What the pages have said so far. Every page says how many users there are in total.
#[derive(Debug, Default)]
pub(super) struct Pages {
    rows: u64,
    first_total: Option<u64>,
    unsteady: bool,
    duplicates: bool,
    begun: bool,
}

impl Pages {
    /// Returns how many users were read. The next page begins after them.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes in a page. `total` is how many users there are, `asked` is how many the page was asked
    /// to hold, `rows` is how many it holds, and `fresh` is how many of these are new. Returns
    /// whether to ask for another page.
    ///
    /// # Errors
    /// The same users come again and again.
    pub(super) fn more(
        &mut self,
        total: Option<u64>,
        asked: usize,
        rows: u64,
        fresh: u64,
    ) -> Result<bool, Error> {
        if !std::mem::replace(&mut self.begun, true) {
            self.first_total = total;
        }
        self.unsteady |= total != self.first_total;
        self.rows += rows;
        self.duplicates |= fresh < rows;
        if rows == 0 {
            return Ok(false);
        }
        let more = total.map_or(rows >= asked as u64, |total| self.rows < total);
        if more && fresh == 0 { Err(repeated()) } else { Ok(more) }
    }

    /// Returns whether no user was added or removed between the pages. `ids` is how many different
    /// users were seen.
    pub(super) fn whole(&self, ids: u64) -> bool {
        !self.unsteady && !self.duplicates && self.first_total.is_none_or(|total| total == ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_tells_the_end_and_without_it_the_length_of_a_page() {
        let mut pages = Pages::default();
        assert_eq!((pages.more(Some(150), 100, 100, 100), pages.rows()), (Ok(true), 100));
        assert_eq!((pages.more(Some(150), 100, 50, 50), pages.whole(150)), (Ok(false), true));
        // A server may return less than it was asked for.
        let mut pages = Pages::default();
        assert_eq!(
            (
                pages.more(Some(25), 100, 10, 10),
                pages.more(Some(25), 100, 10, 10),
                pages.more(Some(25), 100, 5, 5)
            ),
            (Ok(true), Ok(true), Ok(false))
        );
        assert_eq!(Pages::default().more(Some(100), 100, 100, 100), Ok(false));
        assert_eq!(
            (Pages::default().more(None, 100, 100, 100), Pages::default().more(None, 100, 99, 99)),
            (Ok(true), Ok(false))
        );
        assert_eq!(
            Pages::default().more(Some(7), 100, 0, 0),
            Ok(false),
            "whatever the total says, there is no more"
        );
    }

    #[test]
    fn a_listing_that_changed_under_way_is_not_whole_and_one_that_repeats_itself_is_none() {
        for (pages, ids, whole) in [
            (vec![(Some(150), 100, 100), (Some(149), 49, 49)], 149, false),
            (vec![(Some(150), 100, 100), (Some(150), 50, 49)], 149, false),
            (vec![(Some(150), 100, 100), (Some(151), 50, 50)], 150, false),
            (vec![(Some(150), 100, 100), (Some(150), 0, 0)], 100, false),
            (vec![(None, 100, 100), (None, 50, 50)], 150, true),
            (vec![(None, 100, 100), (None, 50, 49)], 149, false),
        ] {
            let mut all = Pages::default();
            for (total, rows, fresh) in &pages {
                all.more(*total, 100, *rows, *fresh).unwrap();
            }
            assert_eq!(all.whole(ids), whole, "{pages:?}");
        }
        let mut pages = Pages::default();
        assert_eq!(
            (pages.more(None, 100, 100, 100), pages.more(None, 100, 100, 0).is_err()),
            (Ok(true), true)
        );
    }
}
