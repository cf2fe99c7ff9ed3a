//! How changes end.

use crate::{
    api::employee_sync::{Action, MatchedBy},
    domain::{account::AccountState, kept::Answered, safety::ProtectedBy},
};

/// How one change ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The provider confirmed it.
    Done(Box<Done>),
    /// It could not be done; `access` tells whether access was brought in order all the same.
    Failed {
        /// Why.
        failure: Failure,
        /// What was asked.
        action: Action,
        /// The rows of the attributes that were sent, by the provider's names.
        fields: Vec<usize>,
        /// The account as it is now, where it is known.
        account: Option<(Box<str>, AccountState)>,
    },
    /// Nothing had to be written: the account that the listing does not have is in this state, or is gone.
    Seen(Option<AccountState>),
    /// Its turn did not come.
    Waiting,
    /// Another pass that looked later deals with this person.
    Outdated,
    /// A write to this person was under way: the person is looked at again once it has ended.
    Busy,
}

/// A confirmed change.
#[derive(Clone, Debug)]
pub struct Done {
    /// What was done.
    pub action: Action,
    /// How the account was found.
    pub matched_by: MatchedBy,
    /// The rows of the attributes that were sent, by the provider's names.
    pub fields: Vec<usize>,
    /// The account's id.
    pub account: Box<str>,
    /// Whether it can be used now.
    pub state: AccountState,
    /// Whether the manager is set, where one was to be set.
    pub manager_pending: bool,
    /// The provider's request id.
    pub request_id: Option<String>,
    /// What the provider refused of the change, and its rows: they were left out, and the rest went out without them.
    pub refused: Option<(Failure, Vec<usize>)>,
    /// What was seen of the values afterwards; of a new account only those that are kept in another form.
    pub answered: Vec<Answered>,
}

/// Why a change could not be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The provider refused a value.
    Rejected(String),
    /// Another account has the e-mail or username, or belongs to somebody else.
    Conflict(String),
    /// Several accounts match.
    Ambiguous,
    /// The account turned out to be one that is never written.
    Protected(ProtectedBy),
    /// Another directory turned out to be the account's master.
    ManagedElsewhere,
    /// The credential may not change this account.
    Forbidden(String),
    /// Access is taken, and the credential may not end the sessions that are open.
    Sessions(String),
    /// Tried again by itself.
    Retrying(String),
}
