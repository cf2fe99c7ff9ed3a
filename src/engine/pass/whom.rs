//! Whom a pass is about, and whom it did not bring to an end.

use super::Pass;
use crate::{
    domain::priority::Class,
    engine::{intake::dirty::Line, progress::Counting},
};

/// Told of targets that the provider does not have, and of people whom Bob shows as before.
pub type Listed<'a> = &'a (dyn Fn(Vec<Box<str>>, &[Box<str>]) + Sync);

/// Whom a pass is about.
#[derive(Clone, Copy)]
pub enum Scope<'a> {
    /// Everybody.
    Everybody {
        /// Told which targets the provider does not have, and of whom Bob shows no change, as soon as that is known.
        listed: Listed<'a>,
        /// Told how far the pass is.
        progress: &'a Counting,
    },
    /// Those for whom there is a cause.
    Some {
        /// The line they stood in. The urgent one waits for nothing but suspensions.
        line: Line,
        /// Targets that the provider does not have.
        unavailable: &'a [Box<str>],
        /// Whether Bob is left out: evidence on record takes access, and nothing else is done.
        on_evidence: bool,
    },
}

/// People whom a pass over some of them did not bring to an end.
#[derive(Clone, Debug, Default)]
pub struct Rest {
    /// Bob does not show the change yet.
    pub unseen: Vec<Box<str>>,
    /// Bob or the provider gave no answer.
    pub unread: Vec<Box<str>>,
    /// Their changes are for the other line: what is at stake in them.
    pub deferred: Vec<(Box<str>, Class)>,
    /// Changes that were not brought to an end: whether they were tried and failed for now.
    pub unsettled: Vec<(Box<str>, bool)>,
    /// What Bob answered about an employee can be judged only by an answer about all of them.
    pub in_doubt: bool,
    /// Somebody has another e-mail, and the accounts of whoever reports to them name them by it.
    pub renamed: bool,
}

impl Pass<'_> {
    /// Returns where a pass over everybody counts what it has done.
    pub(super) const fn progress(&self) -> Option<&Counting> {
        match self.scope {
            Scope::Everybody { progress, .. } => Some(progress),
            Scope::Some { .. } => None,
        }
    }
}
