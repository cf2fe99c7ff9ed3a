//! Values that were sent and have not been seen in place yet. Only this process knows them.

use super::{Employees, Entry};
use crate::domain::kept::Kept;

impl Employees {
    /// Remembers what was sent to this employee's account and not yet seen to be in place.
    pub fn tried(&self, employee: &str, kept: Option<&Kept>) {
        if let Some(entry) = self.rows().aside(employee) {
            let known =
                entry.kept.take().map(|known| *known).unwrap_or_default().with_writes_of(kept);
            entry.kept = (!known.is_empty()).then(|| Box::new(known));
        }
    }
}

impl Entry {
    /// Returns what this status says of values that are kept in another form or set back, with the
    /// writes that were known.
    pub(super) fn kept_after(&mut self, known: &Self) -> Option<Box<Kept>> {
        let memory = known.kept.as_deref().filter(|known| known.has_memory());
        if self.kept.is_none() && memory.is_none() {
            return None;
        }
        let kept = self.kept.take().map(|kept| *kept).unwrap_or_default().with_memory_of(memory);
        (!kept.is_empty()).then(|| Box::new(kept))
    }
}
