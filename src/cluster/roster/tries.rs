//! Values that were sent and not yet seen to be in place: known to this process alone.

use super::{Entry, Roster};
use crate::{api::key::IntegrationKey, domain::kept::Kept};

impl Roster {
    /// Remembers what was sent to this employee's account and not yet seen to be in place.
    pub fn tried(&self, key: &IntegrationKey, employee: &str, kept: Option<&Kept>) {
        if let Some(entry) = self.rows().get_mut(key).and_then(|people| people.aside(employee)) {
            entry.kept = with_tries(entry.kept.take(), kept);
        }
    }
}

impl Entry {
    /// Returns what this status says of values that are kept in another form, with the tries that were known.
    pub(super) fn kept_after(&mut self, known: &Self) -> Option<Box<Kept>> {
        with_tries(self.kept.take(), known.kept.as_deref())
    }
}

fn with_tries(kept: Option<Box<Kept>>, known: Option<&Kept>) -> Option<Box<Kept>> {
    if kept.is_none() && !known.is_some_and(Kept::has_tries) {
        return None;
    }
    let kept = kept.map(|kept| *kept).unwrap_or_default().with_tries_of(known);
    (!kept.is_empty()).then(|| Box::new(kept))
}
