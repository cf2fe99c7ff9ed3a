//! Step 3: everybody is decided on. Only calls the pure decision and brings along what the roster knows.

use jiff::Timestamp;

use crate::{
    cluster::roster::{IntegrationKey, Roster},
    domain::{
        access::decide,
        employee::Employee,
        matching::Person,
        settings::{Overrides, Settings},
    },
};

/// Decides for everybody.
#[must_use]
pub fn everybody(settings: &Settings, employees: Vec<Employee>, roster: &Roster, key: &IntegrationKey, now: Timestamp) -> Vec<Person> {
    employees
        .into_iter()
        .map(|employee| {
            let entry = roster.get(key, employee.id());
            let overrides = Overrides { hands_off: entry.as_ref().is_some_and(|entry| entry.suspend) };
            Person {
                decision: decide(settings, overrides, &employee, now),
                known_account: entry.and_then(|entry| entry.account).map(|(id, _)| id),
                employee,
            }
        })
        .collect()
}
