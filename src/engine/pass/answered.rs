//! What an answer of Bob says about employees, whether it came to a full or to a partial pass.

use std::hash::BuildHasher as _;

use jiff::{SignedDuration, Timestamp};

use crate::{
    cluster::roster::Entry,
    domain::{
        employee::{Employee, LIFECYCLE},
        missing::Word,
        settings::Settings,
    },
    engine::settings::validate::COMPANY,
};

/// How long Bob may still show an employee after it reported the deletion.
const LAG: SignedDuration = SignedDuration::from_secs(60);

/// Returns the employees with their lifecycle statuses, as the roster remembers them.
pub fn shown(employees: &[Employee]) -> impl Iterator<Item = (&str, Word)> {
    employees
        .iter()
        .filter(|employee| !employee.is_without_a_row())
        .map(|employee| (employee.id(), Word::of(employee.values.get(LIFECYCLE))))
}

/// Returns the id of the company in Bob, if it was asked for.
#[must_use]
pub fn company(settings: &Settings, employees: &[Employee]) -> Option<u64> {
    let field = settings.mapping.fields.position(COMPANY)?;
    employees.iter().find_map(|employee| employee.values.get(field).text()?.parse().ok())
}

/// Returns a hash of all values that Bob was asked for about an employee. It is never 0.
#[must_use]
pub fn row(employee: &Employee) -> u64 {
    foldhash::quality::FixedState::default().hash_one(&employee.values).max(1)
}

/// Returns whether Bob has just reported the deletion of the file. Reads may not show the deletion
/// yet.
#[must_use]
pub fn is_just_deleted(entry: &Entry, now: Timestamp) -> bool {
    entry.file_deleted.is_some_and(|at| now.duration_since(at).abs() < LAG)
}
