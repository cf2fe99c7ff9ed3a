//! What is known of a provider without a connection: its targets, default map and limits, and what
//! it can do.

use super::{
    limits::Pacer,
    table::{Field, Table},
};
use crate::domain::{account::AccountState, mapping::Compare};

/// What the settings have to know about a provider before there is a connection.
#[derive(Clone, Copy)]
pub struct Catalog {
    /// The provider's name, as messages say it.
    pub name: &'static str,
    /// The provider's name in metrics.
    pub label: &'static str,
    /// The default map: rows as the settings write them, in JSON and in the order of the contract.
    pub default_map: &'static str,
    /// Targets that cannot be unmapped.
    pub required: &'static [&'static str],
    /// The target that holds the e-mail by which accounts are adopted.
    pub email: &'static str,
    /// The target that people log in with. It may be the e-mail.
    pub username: &'static str,
    /// The target of an e-mail that decides only where no account has the username, because several
    /// accounts may have the same. `None` if e-mails are unique.
    pub address: Option<&'static str>,
    /// The targets.
    pub(super) table: &'static Table,
    /// Returns a pacer with the provider's published limits.
    pub pacer: fn() -> Pacer,
    /// What the provider can do.
    pub capabilities: Capabilities,
}

impl Catalog {
    /// Returns the part of a catalog that follows from the table. A catalog names the rest.
    pub(super) const fn of(table: &'static Table, pacer: fn() -> Pacer) -> Self {
        let [email, username] = table.names;
        Self {
            name: "",
            label: "",
            default_map: "",
            required: &[],
            email,
            username,
            address: None,
            table,
            pacer,
            capabilities: Capabilities::PLAIN,
        }
    }

    /// Returns every target, and every family of targets of which tenants choose a part.
    #[must_use]
    pub const fn targets(&self) -> &'static [Field] {
        self.table.fields
    }

    /// Returns how values of a target compare, or `None` if the provider has no such target.
    #[must_use]
    pub fn compare(&self, target: &str) -> Option<Compare> {
        self.table.locate(target).map(|place| place.field.compare)
    }

    /// Returns whether a target names another employee in words by which that employee's account
    /// cannot be found.
    #[must_use]
    pub fn relates(&self, target: &str) -> bool {
        self.table.locate(target).is_some_and(|place| place.field.relates)
    }

    /// Returns whether a target has the name of another employee: a reference to an employee gives
    /// its label there.
    #[must_use]
    pub fn labels(&self, target: &str) -> bool {
        self.table.locate(target).is_some_and(|place| place.field.labels)
    }
}

/// What a provider can do. The conformance suite skips a case only if this table says so.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a table of what can be done and what cannot")]
pub struct Capabilities {
    /// What happens with the password of a new account.
    pub initial_password: NewPassword,
    /// Whether a new account can ask for another password at the first login.
    pub change_at_first_login: ChangeAtFirstLogin,
    /// Whether an attribute can be cleared.
    pub clears: bool,
    /// Whether a text may have characters beyond three bytes of UTF-8, such as emoji.
    pub emoji: bool,
    /// The states in which an account can be found.
    pub states: &'static [AccountState],
    /// Whether the settings choose the attribute of the mark freely, so that it may be one that
    /// another system uses.
    pub chosen_mark: bool,
    /// Where the mark is and how it is written, for documentation and messages.
    pub mark: &'static str,
    /// How many accounts the largest page of a listing has.
    pub page: usize,
    /// Whether a listing shows that accounts were added or removed between its pages.
    pub listing_counts: bool,
    /// Whether searches and listings may need a while to show what was written.
    pub lags: bool,
    /// Whether an account can be looked up by its mark. If not, a new account is looked up by its
    /// e-mail.
    pub searches_marks: bool,
    /// Whether tenants define attributes of their own, which have to exist before they are written.
    pub defined_attributes: bool,
    /// Whether a refusal because of the number of calls says when to come back.
    pub says_when: bool,
    /// Whether the service says which tenant it is. If not, the settings alone tell tenants apart.
    pub names_tenant: bool,
    /// Whether a listing that is not whole is reported as suspect.
    pub suspects_gaps: bool,
    /// Whether a taken value is looked for by the mark too, if no account has the e-mail.
    pub looks_twice: bool,
    /// Whether answers to writes have a request id, for the provider's support.
    pub request_ids: bool,
    /// Whether the provider says which accounts are administrators' accounts.
    pub tells_administrators: bool,
    /// Whether the answer to an update shows the account. If not, what was not written counts as it
    /// was known before.
    pub answers_changes: bool,
    /// Whether a separate call sets a manager.
    pub manager_apart: bool,
    /// Whether calls of their own give and take access. The account is read before and after them,
    /// and after a change that finds no account.
    pub access_apart: bool,
    /// Whether a suspension ends sessions by a separate call.
    pub ends_sessions: bool,
    /// Whether an account can be active and unusable because it has no licence.
    /// [`Provider::unlicensed`] finds such accounts.
    pub licences: bool,
    /// What messages say where the providers differ.
    pub phrases: Phrases,
}

/// Parts of messages that are true of one provider and not of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Phrases {
    /// What else may have an e-mail that an employee should have: follows "another account".
    pub address_holders: &'static str,
    /// What may have a taken e-mail or username that no look-up shows.
    pub hidden_holders: &'static str,
    /// How an account gets another master than bobsync.
    pub mastered: &'static str,
    /// What else a person can do if an account bears a mark of no employee: follows "correct the
    /// mark there".
    pub other_mark: &'static str,
    /// How people log in to a new account if the provider takes no password.
    pub without_password: &'static str,
}

impl Capabilities {
    /// What a provider can do that has nothing special. A catalog names what differs.
    pub(super) const PLAIN: Self = Self {
        initial_password: NewPassword::Unsupported,
        change_at_first_login: ChangeAtFirstLogin::Unsupported,
        clears: true,
        emoji: true,
        states: &[AccountState::Active, AccountState::Suspended],
        mark: "",
        chosen_mark: false,
        page: 100,
        listing_counts: false,
        lags: false,
        searches_marks: true,
        defined_attributes: false,
        says_when: false,
        names_tenant: true,
        suspects_gaps: false,
        looks_twice: false,
        request_ids: false,
        tells_administrators: false,
        answers_changes: true,
        manager_apart: false,
        access_apart: false,
        ends_sessions: false,
        licences: false,
        phrases: Phrases {
            address_holders: "",
            hidden_holders: "an account that bobsync cannot see",
            mastered: "it is synchronised from there",
            other_mark: "",
            without_password: "",
        },
    };
}

/// What happens with the password of a new account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewPassword {
    /// The provider takes no password.
    Unsupported,
    /// The default password is used if there is one. Otherwise the provider handles it.
    Optional,
    /// The default password is used if there is one. Otherwise bobsync generates one that no person
    /// knows.
    Generated,
}

/// Whether a new account can ask for another password at the first login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeAtFirstLogin {
    /// It cannot.
    Unsupported,
    /// It can only if it was made with a default password.
    WithDefaultPassword,
    /// It can.
    Supported,
}
