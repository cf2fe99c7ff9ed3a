//! One row of the provider, and what can be read and written of it.

use std::borrow::Cow;

/// Whether an account can be used, in the words that decisions need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountState {
    /// The account can be used.
    Active,
    /// An administrator or bobsync suspended the account.
    Suspended,
    /// The account was never activated. bobsync activates it for an active employee.
    Unactivated,
    /// The account is prepared, and an administrator activates it. bobsync leaves it so for an
    /// active employee.
    Staged,
    /// The account is active, and cannot be used because it has no licence. bobsync leaves it so
    /// for an active employee.
    Unlicensed,
    /// Another state of the provider, such as locked or a password state. bobsync leaves it so for
    /// an active employee.
    Other,
}

/// What decisions have to know of an account besides its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AccountPhase {
    /// Nothing special.
    #[default]
    Usual,
    /// The account has no access, and its attributes can be neither compared nor written before it
    /// gets access again.
    Deactivated,
    /// The account can be used, its owner has not logged in yet, and its password is still the one
    /// that it got before its activation.
    Unused,
}

/// Access as bobsync writes it to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// The account can be used.
    Active,
    /// The account cannot be used.
    Suspended,
}

/// An account as the provider shows it. Text attributes are in the order of the mapping's rows.
/// Texts are borrowed from the page where possible, because bobsync keeps almost nothing of an
/// account in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    /// The provider's own id.
    pub id: Cow<'a, str>,
    /// Bob's `root.id` in the account's mark, if the account has one.
    pub mark: Option<Cow<'a, str>>,
    /// The e-mail, as the provider has it.
    pub email: Option<Cow<'a, str>>,
    /// The username, as the provider has it.
    pub username: Option<Cow<'a, str>>,
    /// Whether the account can be used.
    pub state: AccountState,
    /// What else decisions have to know of the state.
    pub phase: AccountPhase,
    /// The values of the mapping's targets, in row order. `None` means that the provider has no
    /// value; an empty value and null are the same. For a target that refers to an employee, the
    /// value is the id of that account.
    pub attributes: Box<[Option<Cow<'a, str>>]>,
    /// Whether the provider says that the account is an administrator's. bobsync never writes such
    /// an account.
    pub administrator: bool,
    /// Whether another directory is the account's master, so that nothing can be written to it
    /// here.
    pub elsewhere: bool,
    /// What the provider folder needs again for an update that must not wipe values of others.
    /// Other code does not read it.
    pub foreign: Option<Cow<'a, str>>,
}

impl Account<'_> {
    /// Returns the same account with owned texts, so that it outlives the page.
    #[must_use]
    pub fn into_owned(self) -> Account<'static> {
        let own = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        Account {
            id: Cow::Owned(self.id.into_owned()),
            mark: own(self.mark),
            email: own(self.email),
            username: own(self.username),
            state: self.state,
            phase: self.phase,
            attributes: self.attributes.into_iter().map(own).collect(),
            administrator: self.administrator,
            elsewhere: self.elsewhere,
            foreign: own(self.foreign),
        }
    }
}

/// A new value of one target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum NewValue {
    /// This text. For a target that refers to an employee, it is the id of that account.
    Set(Box<str>),
    /// No value.
    Clear,
}

/// The occasion for giving or taking access, as far as a provider makes a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Occasion {
    /// Any other occasion.
    #[default]
    Other,
    /// Access is taken because the employment has ended.
    Leaves,
    /// Access is given to an account that bobsync made, and its owner has to choose another
    /// password at the first login.
    FirstLogin,
}

/// A write to the provider: a new account, or a change of one. It holds only what differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountWrite {
    /// Rows of the mapping, with the new value of each.
    pub attributes: Vec<(usize, NewValue)>,
    /// The mark to set.
    pub mark: Option<Box<str>>,
    /// The access to give or take.
    pub access: Option<Access>,
    /// The occasion for giving or taking access.
    pub occasion: Occasion,
    /// The [`Account::foreign`] of the account as it was read.
    pub foreign: Option<Box<str>>,
}

impl AccountWrite {
    /// Returns the text that a row gets, if it gets one.
    #[must_use]
    pub fn text(&self, row: usize) -> Option<&str> {
        self.attributes.iter().find_map(|(written, value)| match value {
            NewValue::Set(text) if *written == row => Some(&**text),
            NewValue::Set(_) | NewValue::Clear => None,
        })
    }

    /// Returns whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty() && self.mark.is_none() && self.access.is_none()
    }
}
