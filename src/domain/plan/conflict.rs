//! Conflicts: which account or employee has the e-mail or the username that an employee's account
//! should have.

use crate::domain::matching::{Holder, Person, PersonIndex, Taken};

/// What already has the e-mail or the username that an employee's account should have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Conflict {
    /// This account, which has no mark and may not be adopted.
    Stranger(Box<str>),
    /// This account, with the mark of an employee who is not in Bob.
    Marked(Box<str>),
    /// This account of another employee in Bob.
    Employee {
        /// The account.
        account: Box<str>,
        /// Bob's id of the employee.
        employee: Box<str>,
    },
    /// Another employee, with this id, has the same e-mail in Bob and keeps the account.
    SameEmail(Box<str>),
    /// More than one account.
    Several,
}

impl Conflict {
    pub(super) fn new(taken: &Taken, people: &[Person]) -> Self {
        let id = |person: &PersonIndex| people[*person as usize].employee.id().into();
        match taken {
            Taken::By(person, account) => {
                Self::Employee { account: account.clone(), employee: id(person) }
            }
            Taken::ForGood(Holder::Stranger(account)) => Self::Stranger(account.clone()),
            Taken::ForGood(Holder::Marked(account)) => Self::Marked(account.clone()),
            Taken::ForGood(Holder::SameEmail(person)) => Self::SameEmail(id(person)),
            Taken::ForGood(Holder::Several) | Taken::No => Self::Several,
        }
    }
}
