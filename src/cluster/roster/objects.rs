//! What concerns an object alone, whatever it says of its employee.

use super::{Roster, key_of, version};
use crate::api::EmployeeSync;

impl Roster {
    /// Whether this very version of an object is known.
    #[must_use]
    pub fn knows(&self, object: &EmployeeSync) -> bool {
        let Some((key, employee)) = key_of(object) else { return false };
        self.with(&key, &employee, |entry| entry.is_some_and(|entry| entry.version == version(object)))
    }
}
