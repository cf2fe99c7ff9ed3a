//! What waits for its turn, in words.

use crate::domain::account::Access;

/// What will be done when the turn comes.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub enum Planned {
    /// A new account with this access.
    Create(Access),
    /// Access taken away.
    Suspend,
    /// Access given back.
    Reactivate,
    /// Attributes, or the mark.
    Update,
}

/// What is said of an employee who has to lose access and has not lost it.
pub const OPEN: &str = "Access is still open";

impl Planned {
    /// Returns what will be done, in words.
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
