//! The targets: one contract, one folder per provider, and what they share.
//!
//! A provider's folder knows its attribute names, its default map, its wire, its error bodies, and declares in its
//! [`Catalog`] what it can do; nothing outside of it asks which provider it is. Written once, for all of them:
//!
//! - `call`: one HTTP call, paced, with a token, judged, counted, repeated once with a fresh token after a 401.
//! - `limits`, `bursts`: whose turn it is. `token`: one asks, all wait. `assertion`: signed requests for tokens.
//! - `tries`: how often a call is tried, and how long is waited in between.
//! - `listing`: pages that failed or are too large, ids seen once, listings that go in circles. `remembered`: what a tenant
//!   defines itself.
//! - `http`: timeouts, no redirects, bounded bodies. `reach`: why there is no answer. `answers`, `scrub`: what an answer means,
//!   and what of it may be said.
//!
//! Retrying and reading back are decisions of the engine, so that they are the same for all.

pub mod answers;
pub mod assertion;
pub mod bursts;
pub mod call;
pub mod entra;
pub mod google;
pub mod http;
pub mod jumpcloud;
pub mod limits;
pub mod onelogin;
pub mod passwords;
pub mod reach;
pub mod scrub;
pub mod token;
pub mod tries;

mod listing;
mod remembered;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;

use self::{call::Ties, http::Secret, limits::Pacer};
use crate::domain::{
    account::{Account, AccountState, AccountWrite},
    mapping::{Compare, Mapping},
};

/// Who is asked first when calls are scarce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Suspensions and reads: may use the reserve.
    Urgent,
    /// Everything else.
    Normal,
}

/// One provider tenant.
///
/// Every method is one or more HTTP calls with a timeout of their own; none retries on its own account, but for a
/// fresh token after a 401, and a few times for one page of a listing whose pages before it were read.
pub trait Provider: Send + Sync {
    /// Lists every account, page by page, into `sink`. The mapping says which attributes to read, and in which order
    /// they stand in [`Account::attributes`].
    fn list<'a>(&'a self, mapping: &'a Mapping, sink: &'a mut (dyn FnMut(Account<'_>) + Send)) -> BoxFuture<'a, Result<Listing, Error>>;

    /// Looks accounts up by one key: one call. Answers are compared by the caller, never believed blindly.
    fn find<'a>(&'a self, mapping: &'a Mapping, key: Key<'a>) -> BoxFuture<'a, Result<Vec<Account<'static>>, Error>>;

    /// Creates an account: one call, and further ones only where [`Capabilities`] say so, or a username that is chosen is
    /// taken ([`Mapping::numbers_username`]). A duplicate is [`Error::Duplicate`].
    fn create<'a>(
        &'a self,
        mapping: &'a Mapping,
        write: &'a AccountWrite,
        initial: &'a Initial<'a>,
    ) -> BoxFuture<'a, Result<Written, Error>>;

    /// Changes an account: one call, idempotent.
    fn update<'a>(
        &'a self,
        mapping: &'a Mapping,
        id: &'a str,
        write: &'a AccountWrite,
        urgency: Urgency,
    ) -> BoxFuture<'a, Result<Written, Error>>;

    /// What the service itself says of the tenant, whatever the settings call it; `None` where it does not say, or has not said
    /// yet. It is called only where `ask`.
    fn tenant(&self, ask: bool) -> BoxFuture<'_, Option<String>> {
        let _ = ask;
        Box::pin(std::future::ready(None))
    }

    /// Does for a new account what [`Provider::create`] does after it is made: for one whose answer to the create was lost.
    fn finish<'a>(&'a self, _: &'a str, _: &'a Initial<'a>) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Returns those of these accounts that are active and have no licence: one call for at most [`Capabilities::page`] of
    /// them. It is called only where [`Capabilities::licences`].
    fn unlicensed<'a>(&'a self, mapping: &'a Mapping, ids: &'a [&'a str]) -> BoxFuture<'a, Result<Vec<Box<str>>, Error>> {
        let _ = (mapping, ids);
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// What this provider can do.
    fn capabilities(&self) -> &'static Capabilities;
}

/// How the first login to a new account goes. Nothing that is adopted or updated ever gets any of this, and a provider
/// without the capability in its [`Catalog`] is never asked for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Initial<'a> {
    /// The default password; lives for the requests that need it, no longer.
    pub password: Option<&'a Secret>,
    /// Whether the person has to choose another password at the first login.
    pub change_at_first_login: bool,
}

/// What a key looks up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// The provider's own id.
    Id(&'a str),
    /// The mark.
    Mark(&'a str),
    /// The e-mail.
    Email(&'a str),
}

/// How a listing went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Accounts seen, each id once.
    pub accounts: u32,
    /// Whether the pages fit together: no account was added or removed while listing. Somebody who is missing from
    /// a listing that is not whole is looked up before an account is created.
    pub whole: bool,
    /// Mapping rows whose target the provider does not have.
    pub unavailable: Vec<usize>,
}

/// A confirmed write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The account as the provider answered it; see [`Capabilities::answers_changes`].
    pub account: Account<'static>,
    /// The provider's request id, for its support.
    pub request_id: Option<String>,
    /// What of the write is not done, although the rest is.
    pub left: Option<Left>,
}

/// A part of a write that was refused when another part was done already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Why.
    pub error: Error,
    /// The rows that were not written.
    pub rows: Vec<usize>,
    /// Whether access is taken and its sessions are still open.
    pub sessions: bool,
}

/// Every way in which a call can fail, sorted by what to do about it. No variant carries an attribute value: `said` is
/// what the provider answered with every value that was sent taken out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Permanent: a value is refused. Tell a person.
    #[error("the provider refused {}: {said}", field.as_deref().unwrap_or("the change"))]
    Rejected {
        /// The provider's name of the attribute, where it says which.
        field: Option<String>,
        /// What it said, without values.
        said: String,
    },
    /// Another account has the e-mail or the username.
    #[error("another account has this {}", field.as_deref().unwrap_or("e-mail or username"))]
    Duplicate {
        /// Which key, where the provider says.
        field: Option<String>,
    },
    /// As far as can be told there is an account of this person, and the settings lead to another one. Tell a person.
    #[error("{said}")]
    Conflict {
        /// What a person can do.
        said: String,
    },
    /// Permanent: this credential may not change this account.
    #[error("the credential may not change this account: {said}")]
    Forbidden {
        /// What the provider said, without values.
        said: String,
    },
    /// Permanent until the credential's rights change: it may not do this kind of call at all.
    #[error("the credential lacks a permission: {said}")]
    Denied {
        /// What the provider said.
        said: String,
    },
    /// The credential itself is refused, with a fresh token too.
    #[error("the provider refused the credential: {said}")]
    Unauthorized {
        /// What the provider said.
        said: String,
    },
    /// The account does not exist (any more).
    #[error("the account does not exist")]
    NotFound,
    /// Too many calls. Nothing was applied.
    #[error("the provider throttles")]
    Throttled {
        /// When to come back, where the provider says.
        wait: Option<Duration>,
    },
    /// The call did not reach the provider, or the answer says that nothing was applied. Safe to try again.
    #[error("the provider is unavailable: {said}")]
    Unavailable {
        /// What happened, without values.
        said: String,
    },
    /// A write went out and no trustworthy answer came back: it may be applied or not. Read back first.
    #[error("the outcome of the write is unknown: {said}")]
    Unknown {
        /// What happened, without values.
        said: String,
    },
}

impl Error {
    /// Returns what the provider said, or else what the error means.
    #[must_use]
    pub fn said(&self) -> String {
        match self {
            Self::Rejected { said, .. }
            | Self::Conflict { said }
            | Self::Forbidden { said }
            | Self::Denied { said }
            | Self::Unauthorized { said }
            | Self::Unavailable { said }
            | Self::Unknown { said } => said.clone(),
            Self::Duplicate { .. } | Self::NotFound | Self::Throttled { .. } => self.to_string(),
        }
    }

    /// A bounded word for metrics.
    #[must_use]
    pub const fn category(&self) -> &'static str {
        match self {
            Self::Rejected { .. } => "rejected",
            Self::Duplicate { .. } => "duplicate",
            Self::Conflict { .. } => "conflict",
            Self::Forbidden { .. } => "forbidden",
            Self::Denied { .. } => "denied",
            Self::Unauthorized { .. } => "unauthorized",
            Self::NotFound => "not_found",
            Self::Throttled { .. } => "throttled",
            Self::Unavailable { .. } => "unavailable",
            Self::Unknown { .. } => "unknown",
        }
    }
}

/// Where a tenant is and how it is reached: what a provider's settings come to. Holds no secret; two that print the same
/// are the same.
pub trait Destination: fmt::Debug + Send + Sync {
    /// What is known of the provider without a connection.
    fn catalog(&self) -> &'static Catalog;

    /// What tells one tenant from another.
    fn tenant(&self) -> String;

    /// The key of the Secret whose value belongs to the tenant's name, because many customers share the address.
    fn shared_address(&self) -> Option<&'static str> {
        None
    }

    /// The keys of the Secret that hold the credential.
    fn keys(&self) -> Keys;

    /// A target that these settings keep for the mark, so that no row may write it.
    fn reserved(&self) -> Option<&str> {
        None
    }

    /// Prepares the connection; nothing is called yet. The pacer is shared by all who call this tenant.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] where the credential cannot be one, [`Error::Unavailable`] where this machine cannot connect.
    fn connect(&self, credential: Credential, ties: Ties, pacer: Arc<Pacer>) -> Result<Box<dyn Provider>, Error>;
}

/// Keys of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Those that have to be there.
    pub required: &'static [&'static str],
    /// Those that are read if they are there.
    pub optional: &'static [&'static str],
}

/// What the Secret holds, by key.
#[derive(Clone, Debug, Default)]
pub struct Credential(BTreeMap<String, Secret>);

impl Credential {
    /// These keys and values.
    #[must_use]
    pub fn new(values: BTreeMap<String, Secret>) -> Self {
        Self(values)
    }

    /// Returns the keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The value of a key, moved out.
    pub fn take(&mut self, key: &str) -> Option<Secret> {
        self.0.remove(key)
    }

    /// The value of a required key; empty if it is not there, which the reader of the Secret has ruled out.
    pub fn required(&mut self, key: &str) -> Secret {
        self.take(key).unwrap_or_else(|| Secret::new(""))
    }
}

/// What the settings have to know of a provider before there is a connection.
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
    /// The target that people log in by; may be the e-mail.
    pub username: &'static str,
    /// The targets that have one name, for suggestions; those with a part that tenants choose are not among them.
    pub targets: &'static [&'static str],
    /// How values of a target compare; `None` if the provider has no such target.
    pub compare: fn(&str) -> Option<Compare>,
    /// Whether a target says who another person is, in words that this person's account is not found by.
    pub relates: fn(&str) -> bool,
    /// A pacer with the provider's published limits.
    pub pacer: fn() -> Pacer,
    /// What the provider can do.
    pub capabilities: Capabilities,
}

/// What a provider can do. The conformance suite skips a case only where this table says so.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a table of what can be done and what cannot")]
pub struct Capabilities {
    /// What becomes of the password of a new account.
    pub initial_password: InitialPassword,
    /// Whether a new account can ask for another password at the first login.
    pub change_at_first_login: ChangeAtFirstLogin,
    /// Whether an attribute can be emptied.
    pub clears: bool,
    /// The states in which an account can be found.
    pub states: &'static [AccountState],
    /// Where the mark is and how it is written, for documentation and messages.
    pub mark: &'static str,
    /// Accounts on the largest page of a listing.
    pub page: usize,
    /// Whether a listing tells that accounts came or went between its pages.
    pub listing_counts: bool,
    /// Whether searches and listings may not show for a while what was written.
    pub lags: bool,
    /// Whether an account can be looked up by its mark. Where not, one that was just made is looked up by its e-mail.
    pub searches_marks: bool,
    /// Whether tenants define attributes of their own that have to exist before they are written.
    pub defined_attributes: bool,
    /// Whether a refusal for the number of calls says when to come back.
    pub says_when: bool,
    /// Whether answers to writes bear a request id, for the provider's support.
    pub request_ids: bool,
    /// Whether the provider says which accounts are administrators'.
    pub tells_administrators: bool,
    /// Whether the answer to an update tells of the account; where not, what was not written is as it was known before.
    pub answers_changes: bool,
    /// Whether a manager is set by a call of its own.
    pub manager_apart: bool,
    /// Whether a suspension ends sessions by a call of its own.
    pub ends_sessions: bool,
    /// Whether an account can be active and of no use for want of a licence; [`Provider::unlicensed`] tells.
    pub licences: bool,
}

/// What becomes of the password of a new account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialPassword {
    /// The provider takes none.
    Unsupported,
    /// The default password if there is one; else the provider sees to it.
    Optional,
    /// The default password if there is one, else one that nobody knows.
    Generated,
}

/// Whether a new account can ask for another password at the first login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeAtFirstLogin {
    /// No.
    Unsupported,
    /// Only where it was made with a default password.
    WithDefaultPassword,
    /// Yes.
    Supported,
}
