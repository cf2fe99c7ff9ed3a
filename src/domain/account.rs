//! One row of the provider, and what can be asked of it.

use std::borrow::Cow;

/// Whether an account can be used, in the words that decisions need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountState {
    /// Can be used.
    Active,
    /// Suspended by an administrator or by us.
    Suspended,
    /// Never activated; an active employee's account is activated from here.
    Unactivated,
    /// Made ready, and an administrator activates it: an active employee's account is left so.
    Staged,
    /// Active, and of no use for want of a licence: an active employee's account is left so.
    Unlicensed,
    /// A state of the provider's own that an active employee's account is left in: locked, password states.
    Other,
}

/// Access as it is written to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// The account can be used.
    Active,
    /// The account cannot be used.
    Suspended,
}

/// An account as the provider tells it. Text attributes stand in the order of the mapping's rows. Texts are borrowed
/// from the page where they can be: of an account in a listing almost nothing is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    /// The provider's own id.
    pub id: Cow<'a, str>,
    /// Bob's `root.id`, if the account bears one.
    pub mark: Option<Cow<'a, str>>,
    /// The e-mail, as the provider has it.
    pub email: Option<Cow<'a, str>>,
    /// The username, as the provider has it.
    pub username: Option<Cow<'a, str>>,
    /// Whether it can be used.
    pub state: AccountState,
    /// The values of the mapping's targets, in row order; `None` where the provider has none (empty and null are one).
    /// For a target that refers to a person: the id of that account.
    pub attributes: Box<[Option<Cow<'a, str>>]>,
    /// Whether the provider says that it is an administrator's; such an account is never written.
    pub administrator: bool,
    /// Whether another directory is its master, so that nothing can be written to it here.
    pub elsewhere: bool,
    /// Whatever the provider needs again for an update that must not wipe what we do not own. Opaque here.
    pub foreign: Option<Cow<'a, str>>,
}

impl Account<'_> {
    /// The same, beyond the life of the page.
    #[must_use]
    pub fn into_owned(self) -> Account<'static> {
        let own = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
        Account {
            id: Cow::Owned(self.id.into_owned()),
            mark: own(self.mark),
            email: own(self.email),
            username: own(self.username),
            state: self.state,
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
    /// This text; for a target that refers to a person: the id of that account.
    Set(Box<str>),
    /// Nothing.
    Clear,
}

/// A write to the provider: a new account, or a change of one. Only what differs is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountWrite {
    /// Row of the mapping and the new value.
    pub attributes: Vec<(usize, NewValue)>,
    /// The mark to put on.
    pub mark: Option<Box<str>>,
    /// Access to give or take.
    pub access: Option<Access>,
    /// [`Account::foreign`] of the account as it was read.
    pub foreign: Option<Box<str>>,
}

impl AccountWrite {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attributes.is_empty() && self.mark.is_none() && self.access.is_none()
    }
}
