//! The targets: one contract, one folder per provider, and what the folders share.
//!
//! A provider's folder knows its attribute names, its default map, its wire and its error bodies.
//! It declares in its [`Catalog`] what it can do. No code outside of a folder asks which provider
//! it is. These parts are written once, for all providers:
//!
//! - `call`: one HTTP call, paced, with a token, judged, counted, repeated once with a fresh token
//!   after a 401.
//! - `limits`, `bursts`, `slowdown`: say which call is next. `token`: one caller asks for a token,
//!   and all wait for it. `assertion`: signed requests for tokens.
//! - `tries`: how often a call is tried, and how long the pauses are.
//! - `listing`: pages that failed or are too large, ids that come twice, listings that repeat
//!   without end. `remembered`: what a tenant defines itself.
//! - `answers`: what an answer means.
//!
//! The engine decides about retrying and reading back, so that they are the same for all.

pub mod answers;
pub mod assertion;
pub mod bursts;
pub mod call;
pub mod entra;
pub mod google;
pub mod jumpcloud;
pub mod limits;
pub mod okta;
pub mod onelogin;
pub mod passwords;
pub mod scim;
pub mod token;
pub mod tries;

mod directory;
#[cfg(test)]
mod fixtures;
mod json;
mod links;
mod listing;
mod prelude;
mod reader;
mod remembered;
mod rules;
mod slowdown;
mod table;
mod writer;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;

use self::{call::Ties, limits::Pacer};
use crate::{
    domain::{
        account::{Account, AccountState, AccountWrite},
        mapping::{Compare, Mapping},
        priority::Urgency,
    },
    http::secret::Secret,
};

/// One tenant of a provider.
///
/// Every method makes one or more HTTP calls, and each call has its own timeout. No method retries,
/// with two exceptions. A call gets a fresh token after a 401. One page of a listing is asked for a
/// few times if pages before it were read.
pub trait Provider: Send + Sync {
    /// Lists every account, page by page, into `sink`. The mapping says which attributes to read,
    /// and their order in [`Account::attributes`].
    fn list<'a>(
        &'a self,
        mapping: &'a Mapping,
        sink: &'a mut (dyn FnMut(Account<'_>) + Send),
    ) -> BoxFuture<'a, Result<Listing, Error>>;

    /// Looks up accounts by one key, in one call. The caller compares the answers and never trusts
    /// them blindly.
    fn find<'a>(
        &'a self,
        mapping: &'a Mapping,
        key: Key<'a>,
    ) -> BoxFuture<'a, Result<Vec<Account<'static>>, Error>>;

    /// Creates an account in one call. Further calls follow only if [`Capabilities`] say so, or if
    /// a username that bobsync chooses is taken ([`Mapping::numbers_username`]). A duplicate is
    /// [`Error::Duplicate`].
    fn create<'a>(
        &'a self,
        mapping: &'a Mapping,
        write: &'a AccountWrite,
        initial: &'a Initial<'a>,
    ) -> BoxFuture<'a, Result<Written, Error>>;

    /// Changes an account in one idempotent call.
    fn update<'a>(
        &'a self,
        mapping: &'a Mapping,
        id: &'a str,
        write: &'a AccountWrite,
        urgency: Urgency,
    ) -> BoxFuture<'a, Result<Written, Error>>;

    /// Returns what the service itself says about the tenant, which does not depend on the
    /// settings. Returns `None` if the service does not say, or has not said yet. The service is
    /// called only if `ask` is true.
    fn tenant(&self, ask: bool) -> BoxFuture<'_, Option<String>> {
        let _ = ask;
        Box::pin(std::future::ready(None))
    }

    /// Does for a new account what [`Provider::create`] does after the account is made. It is for
    /// an account of which the answer to the create was lost.
    fn finish<'a>(&'a self, _: &'a str, _: &'a Initial<'a>) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Returns the accounts among `ids` that are active and have no licence, in one call for at
    /// most [`Capabilities::page`] accounts. It is called only if [`Capabilities::licences`] is
    /// true.
    fn unlicensed<'a>(
        &'a self,
        mapping: &'a Mapping,
        ids: &'a [&'a str],
    ) -> BoxFuture<'a, Result<Vec<Box<str>>, Error>> {
        let _ = (mapping, ids);
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Returns what this provider can do.
    fn capabilities(&self) -> &'static Capabilities;
}

/// How the first login to a new account works. An account that is adopted or updated never gets any
/// of this. A provider without the capability in its [`Catalog`] is never asked for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Initial<'a> {
    /// The default password. It lives only as long as the requests that need it.
    pub password: Option<&'a Secret>,
    /// Whether the employee has to choose another password at the first login.
    pub change_at_first_login: bool,
}

/// A key to look up an account by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// The provider's own id.
    Id(&'a str),
    /// The mark.
    Mark(&'a str),
    /// The e-mail.
    Email(&'a str),
    /// The mark, or an e-mail that several accounts may have ([`Catalog::address`]).
    MarkOrAddress(&'a str, &'a str),
}

/// The result of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// How many accounts were seen, each id once.
    pub accounts: u32,
    /// Whether the pages fit together: no account was added or removed while listing. If the
    /// listing is not whole, a missing account is looked up before one is created.
    pub whole: bool,
    /// Rows of the mapping with a target that the provider does not have.
    pub unavailable: Vec<usize>,
}

/// A confirmed write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The account as the provider answered it; see [`Capabilities::answers_changes`].
    pub account: Account<'static>,
    /// The provider's request id, for its support.
    pub request_id: Option<String>,
    /// The part of the write that is not done although the rest is.
    pub left: Option<Left>,
}

/// A part of a write that was refused when another part was already done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Why it was refused.
    pub error: Error,
    /// The rows that were not written.
    pub rows: Vec<usize>,
    /// Whether access is taken and the account's sessions are still open.
    pub sessions: bool,
}

/// All ways in which a call can fail, sorted by what to do about it. No variant has an attribute
/// value: `said` is the provider's answer without any value that was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value is refused, permanently. A person has to be told.
    #[error("the provider refused {}: {said}", field.as_deref().unwrap_or("the change"))]
    Rejected {
        /// The provider's name of the attribute, if the answer names it.
        field: Option<String>,
        /// What the provider said, without values.
        said: String,
    },
    /// Another account has the e-mail or the username.
    #[error("another account has this {}", field.as_deref().unwrap_or("e-mail or username"))]
    Duplicate {
        /// The key that it has, if the provider says so.
        field: Option<String>,
    },
    /// As far as can be told there is an account of this employee, and the settings lead to another
    /// one. A person has to be told.
    #[error("{said}")]
    Conflict {
        /// What a person can do.
        said: String,
    },
    /// This credential may not change this account, permanently.
    #[error("the credential may not change this account: {said}")]
    Forbidden {
        /// What the provider said, without values.
        said: String,
    },
    /// Another system is the master of what the write changes.
    #[error("another system is the master of this account: {said}")]
    Mastered {
        /// What the provider said, without values.
        said: String,
    },
    /// The provider cannot take access from an account in this state. A person has to do it.
    #[error("{said}")]
    ByHand {
        /// What a person can do.
        said: String,
    },
    /// The settings or the keys of the Secret cannot be carried out.
    #[error("{said}")]
    Misconfigured {
        /// What is wrong, and what to do.
        said: String,
    },
    /// The credential may not make this kind of call at all, until its rights change.
    #[error("the credential lacks a permission: {said}")]
    Denied {
        /// What the provider said.
        said: String,
    },
    /// The credential itself is refused, also with a fresh token.
    #[error("the provider refused the credential: {said}")]
    Unauthorized {
        /// What the provider said.
        said: String,
    },
    /// The account does not exist, or does not exist any more.
    #[error("the account does not exist")]
    NotFound,
    /// There were too many calls. Nothing was applied.
    #[error("the provider throttles")]
    Throttled {
        /// When to come back, if the provider says so.
        wait: Option<Duration>,
    },
    /// The call did not reach the provider, or the answer says that nothing was applied. It is safe
    /// to try again.
    #[error("the provider is unavailable: {said}")]
    Unavailable {
        /// What happened, without values.
        said: String,
    },
    /// A write went out and no answer came back that can be trusted. It may be applied or not, so
    /// the account has to be read first.
    #[error("the outcome of the write is unknown: {said}")]
    Unknown {
        /// What happened, without values.
        said: String,
    },
}

impl Error {
    /// Returns what the provider said, or otherwise what the error means.
    #[must_use]
    pub fn said(&self) -> String {
        match self {
            Self::Rejected { said, .. }
            | Self::Conflict { said }
            | Self::Forbidden { said }
            | Self::Mastered { said }
            | Self::ByHand { said }
            | Self::Misconfigured { said }
            | Self::Denied { said }
            | Self::Unauthorized { said }
            | Self::Unavailable { said }
            | Self::Unknown { said } => said.clone(),
            Self::Duplicate { .. } | Self::NotFound | Self::Throttled { .. } => self.to_string(),
        }
    }

    /// Returns whether the same call may succeed soon.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unavailable { .. } | Self::Unknown { .. })
    }

    /// Returns the word for metrics, from a fixed list.
    #[must_use]
    pub const fn category(&self) -> &'static str {
        match self {
            Self::Rejected { .. } | Self::Misconfigured { .. } => "rejected",
            Self::Duplicate { .. } => "duplicate",
            Self::Conflict { .. } => "conflict",
            Self::Forbidden { .. } | Self::Mastered { .. } | Self::ByHand { .. } => "forbidden",
            Self::Denied { .. } => "denied",
            Self::Unauthorized { .. } => "unauthorized",
            Self::NotFound => "not_found",
            Self::Throttled { .. } => "throttled",
            Self::Unavailable { .. } => "unavailable",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// Where a tenant is and how it is reached, as made from a provider's settings. It has no secret.
/// Two destinations that print the same text are the same.
pub trait Destination: fmt::Debug + Send + Sync {
    /// Returns what is known of the provider without a connection.
    fn catalog(&self) -> &'static Catalog;

    /// Returns what tells one tenant from another.
    fn tenant(&self) -> String;

    /// Returns the key of the Secret with a value that is part of the tenant's name, because many
    /// customers share the address.
    fn shared_address(&self) -> Option<&'static str> {
        None
    }

    /// Returns the keys of the Secret that hold the credential.
    fn keys(&self) -> Keys;

    /// Returns the target that these settings reserve for the mark, so that no row may write it.
    fn reserved(&self) -> Option<&str> {
        None
    }

    /// Prepares the connection and calls nothing yet. All callers of this tenant share the pacer.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if the credential cannot be valid, [`Error::Unavailable`] if this
    /// machine cannot connect.
    fn connect(&self, credential: Credential, ties: Ties, pacer: Arc<Pacer>) -> Connected;
}

/// A prepared connection.
pub type Connected = Result<Box<dyn Provider>, Error>;

/// Keys of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Keys that have to be there.
    pub required: &'static [&'static str],
    /// Keys that are read if they are there.
    pub optional: &'static [&'static str],
}

/// What the Secret holds, by key.
#[derive(Clone, Debug, Default)]
pub struct Credential(BTreeMap<String, Secret>);

impl Credential {
    /// Returns a credential with these keys and values.
    #[must_use]
    pub fn new(values: BTreeMap<String, Secret>) -> Self {
        Self(values)
    }

    /// Returns the keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns the value of a key and removes it.
    pub fn take(&mut self, key: &str) -> Option<Secret> {
        self.0.remove(key)
    }

    /// Returns the value of a required key. It is empty if the key is missing, which the reader of
    /// the Secret has ruled out.
    pub fn required(&mut self, key: &str) -> Secret {
        self.take(key).unwrap_or_else(|| Secret::new(""))
    }
}

/// What the settings have to know about a provider before there is a connection.
#[derive(Clone, Copy, Debug)]
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
    /// The targets that have one fixed name, for suggestions. Targets with a part that tenants
    /// choose are not in the list.
    pub targets: &'static [&'static str],
    /// Returns how values of a target compare, or `None` if the provider has no such target.
    pub compare: fn(&str) -> Option<Compare>,
    /// Returns whether a target names another employee in words by which that employee's account
    /// cannot be found.
    pub relates: fn(&str) -> bool,
    /// Returns whether a target has the name of another employee: a reference to an employee gives
    /// its label there.
    pub labels: fn(&str) -> bool,
    /// Returns a pacer with the provider's published limits.
    pub pacer: fn() -> Pacer,
    /// What the provider can do.
    pub capabilities: Capabilities,
}

/// What a provider can do. The conformance suite skips a case only if this table says so.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a table of what can be done and what cannot")]
pub struct Capabilities {
    /// What happens with the password of a new account.
    pub initial_password: InitialPassword,
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
    /// Whether a taken value that no account with the e-mail explains is looked for by the mark too.
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
}

impl Capabilities {
    /// What a provider can do that has nothing special. A catalog names what differs.
    const PLAIN: Self = Self {
        initial_password: InitialPassword::Unsupported,
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
        },
    };
}

/// What happens with the password of a new account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialPassword {
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
