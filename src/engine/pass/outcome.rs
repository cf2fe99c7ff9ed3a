//! How changes end.

use crate::{
    api::employee_sync::{Action, MatchedBy},
    domain::{account::AccountState, kept::Answered, safety::ProtectedBy},
};

/// How one change ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The provider confirmed the change.
    Done(Box<Done>),
    /// The change failed. `account` says which state the account is in now, if that is known.
    Failed {
        /// Why the change failed.
        failure: Failure,
        /// What the change was to do.
        action: Action,
        /// The rows of the attributes that were sent, by the provider's names.
        fields: Vec<usize>,
        /// The id and the state of the account now, if they are known.
        account: Option<(Box<str>, AccountState)>,
    },
    /// No write was needed. The listing lacks the account; a look-up found it in this state, or
    /// gone.
    Seen(Option<AccountState>),
    /// The turn of the change did not come.
    Waiting,
    /// Another pass that looked later deals with this person.
    Outdated,
    /// A write to this person was under way. The person is looked at again when that write has
    /// ended.
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
    /// The id of the account.
    pub account: Box<str>,
    /// The state of the account now: whether it can be used.
    pub state: AccountState,
    /// Whether the manager is still to be set.
    pub manager_pending: bool,
    /// The provider's request id.
    pub request_id: Option<String>,
    /// Whether no call was made, because the account was found as it should be. The history does
    /// not show it.
    pub only_found: bool,
    /// What the provider refused of the change, and the refused rows. They were left out, and the
    /// rest was sent without them.
    pub refused: Option<(Failure, Vec<usize>)>,
    /// What was seen of the values after the write. For a new account it has only the values that
    /// the provider keeps in another form.
    pub answered: Vec<Answered>,
}

/// What the provider refused of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusedPart {
    /// A value of a row, or one of several.
    Value,
    /// Something that no row gives, such as the initial password. The text says what to do.
    Other,
}

/// Why a change could not be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The provider refused a value.
    Rejected(String, RefusedPart),
    /// Another account has the e-mail or username, or the account belongs to another person.
    Conflict(String),
    /// Several accounts match.
    Ambiguous,
    /// The account proved to be one that bobsync never writes to.
    Protected(ProtectedBy),
    /// The account proved to be managed by another directory.
    ManagedElsewhere,
    /// The credential may not change this account.
    Forbidden(String),
    /// The provider cannot suspend an account in this state, so a person has to do it.
    ByHand(String),
    /// Access is taken, but the credential may not end the open sessions.
    Sessions(String),
    /// The change is tried again without action by a person.
    Retrying(String),
}
