//! Changes that wait for their turn, in words.

use crate::domain::account::Access;

/// The change that will be made when its turn comes.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum PlannedChange {
    /// A new account with this access.
    Create(Access),
    /// Access is taken away.
    Suspend,
    /// Access is given back.
    Reactivate,
    /// Attributes, or the mark of bobsync, are written.
    Update,
}

/// The text for an employee who has to lose access and has not lost it yet.
pub const OPEN: &str = "Access is still open";

impl PlannedChange {
    /// Returns the text that says what will be done.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Create(Access::Active) => "create the account, active",
            Self::Create(Access::Suspended) => "create the account, suspended",
            Self::Suspend => "suspend the account",
            Self::Reactivate => "reactivate the account",
            Self::Update => "update the account",
        }
    }
}
