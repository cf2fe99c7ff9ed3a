//! What concerns an object alone, whatever it says of its employee.

use std::collections::HashSet;

use super::{Entry, IntegrationKey, Roster, key_of, version};
use crate::api::EmployeeSync;

impl Roster {
    /// Whether this very version of an object is known.
    #[must_use]
    pub fn knows(&self, object: &EmployeeSync) -> bool {
        let Some((key, employee)) = key_of(object) else { return false };
        self.with(&key, &employee, |entry| entry.is_some_and(|entry| entry.version == version(object)))
    }

    /// Notes that the API server refuses the object of this employee, or its status: whatever is on record is not how it stands.
    pub fn refused(&self, key: &IntegrationKey, employee: &str) {
        let mut rows = self.rows();
        let people = rows.entry(key.clone()).or_default();
        if people.get(employee).is_none() {
            people.put(employee.into(), Entry { generation: 1, ..Entry::default() });
        }
        people.change(employee, |entry| entry.unrecorded = true);
    }

    /// The same of all of these that are refused, and of no others, after a pass over everybody.
    pub fn refused_alone(&self, key: &IntegrationKey, unwritten: &[(Box<str>, bool)]) {
        let refused: HashSet<&str> = unwritten.iter().filter(|(_, refused)| *refused).map(|(employee, _)| &**employee).collect();
        let mut rows = self.rows();
        let Some(people) = rows.get_mut(key) else { return };
        let others = |(employee, entry): &(&str, &Entry)| entry.unrecorded && !refused.contains(employee);
        let over: Vec<Box<str>> = people.iter().filter(others).map(|(employee, _)| employee.into()).collect();
        over.iter().for_each(|employee| people.change(employee, |entry| entry.unrecorded = false));
    }
}
