//! The targets: one contract, one folder per provider, and the HTTP parts they share.
//!
//! A provider lists, finds, creates and updates accounts; it knows its attribute names, its default map, its error
//! bodies. Pacing (`limits`) and the plain HTTP rules (`http`: timeouts, no redirects, JSON only) are written once.
//! Retrying and reading back are decisions of the engine, so that they are the same for all.

pub mod http;
pub mod limits;
pub mod onelogin;

use std::time::Duration;

use futures::future::BoxFuture;

use self::http::Secret;
use crate::domain::{
    account::{Account, AccountWrite},
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

    /// Creates an account: one call. A duplicate is [`Error::Duplicate`].
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
    /// The account as the provider answered it.
    pub account: Account<'static>,
    /// The provider's request id, for its support.
    pub request_id: Option<String>,
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
    /// A bounded word for metrics.
    #[must_use]
    pub const fn category(&self) -> &'static str {
        match self {
            Self::Rejected { .. } => "rejected",
            Self::Duplicate { .. } => "duplicate",
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

/// What the settings have to know of a provider before there is a connection.
#[derive(Clone, Copy, Debug)]
pub struct Catalog {
    /// The provider's name, as messages and metrics say it.
    pub name: &'static str,
    /// Bob's default map: rows as the settings write them, in JSON and in the order of the contract.
    pub default_map: &'static str,
    /// Whether a new account takes a default password.
    pub default_password: bool,
    /// Whether a new account can ask for another password at the first login.
    pub change_password_on_first_login: bool,
    /// Targets that cannot be unmapped; the first is the e-mail, the second the username.
    pub required: [&'static str; 2],
    /// How values of a target compare; `None` if the provider has no such target.
    pub compare: fn(&str) -> Option<Compare>,
}
