//! The employees that a pass is about, and those that it did not finish.

use crate::{
    domain::priority::{Class, Urgency},
    engine::progress::Counting,
};

/// Receives the targets that the provider does not have, and the employees that Bob shows
/// unchanged.
pub type Listed<'a> = &'a (dyn Fn(Vec<Box<str>>, &[Box<str>]) + Sync);

/// The employees that a pass is about.
#[derive(Clone, Copy)]
pub enum Scope<'a> {
    /// All employees.
    Full {
        /// Receives the targets that the provider does not have and the employees without a change
        /// in Bob, as soon as both are known.
        listed: Listed<'a>,
        /// Counts how far the pass is.
        progress: &'a Counting,
    },
    /// The employees for which there is a cause.
    Partial {
        /// The line in which these employees waited. The urgent line waits for suspensions only.
        line: Urgency,
        /// The targets that the provider does not have.
        unavailable: &'a [Box<str>],
        /// Whether the pass does not ask Bob: it takes access by the evidence on record and does
        /// nothing else.
        on_evidence: bool,
    },
}

/// The employees that a partial pass did not finish.
#[derive(Clone, Debug, Default)]
pub struct Rest {
    /// The employees that Bob does not show with their change yet.
    pub unseen: Vec<Box<str>>,
    /// The employees for which Bob or the provider gave no answer.
    pub unread: Vec<Box<str>>,
    /// The employees with a change for the other line, each with the class of that change.
    pub deferred: Vec<(Box<str>, Class)>,
    /// The employees with an unfinished change. The flag says whether the change was tried and
    /// failed for now.
    pub unsettled: Vec<(Box<str>, bool)>,
    /// Whether only an answer about all employees can judge what Bob answered about one of them.
    pub in_doubt: bool,
    /// Whether an employee has another e-mail. The accounts of the employee's reports name the
    /// manager by that e-mail.
    pub renamed: bool,
}
