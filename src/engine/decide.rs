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
            let (overrides, known_account) = roster.with(key, employee.id(), |entry| {
                let overrides = Overrides { hands_off: entry.is_some_and(|entry| entry.suspend) };
                (overrides, entry.and_then(|entry| entry.account.as_ref()).map(|(id, _)| id.clone()))
            });
            Person { decision: decide(settings, overrides, &employee, now), known_account, employee }
        })
        .collect()
}
