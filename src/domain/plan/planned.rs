//! A plan together with what it is about.

use super::{Change, EmployeePlan, Plan};
use crate::domain::{
    mapping::Mapping,
    matching::{Person, PersonIndex},
};

/// A plan, with the mapping and the employees that it is about.
#[derive(Clone, Debug)]
pub struct Planned<'a> {
    /// The mapping.
    pub mapping: &'a Mapping,
    /// The employees.
    pub people: &'a [Person],
    /// The plan.
    pub plan: Plan,
}

impl<'a> Planned<'a> {
    /// Returns the employee of this index.
    #[must_use]
    pub fn person(&self, person: PersonIndex) -> &'a Person {
        &self.people[person as usize]
    }

    /// Returns the `root.id` of the employee of this index.
    #[must_use]
    pub fn id(&self, person: PersonIndex) -> &'a str {
        self.person(person).employee.id()
    }

    /// Returns the result of the plan for this employee.
    #[must_use]
    pub fn standing(&self, person: PersonIndex) -> &EmployeePlan {
        &self.plan.standings[person as usize]
    }

    /// Returns the change of this employee, if there is one.
    #[must_use]
    pub fn change(&self, person: PersonIndex) -> Option<&Change> {
        self.standing(person).change.map(|change| &self.plan.changes[change])
    }
}
