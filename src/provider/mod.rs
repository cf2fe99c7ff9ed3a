//! The targets: one contract, one folder per provider, and what the folders share.
//!
//! A provider's folder knows its attribute names, its default map, its wire and its error bodies.
//! It declares in its [`Catalog`] what it can do. No code outside of a folder asks which provider
//! it is. These parts are written once, for all providers:
//!
//! - `directory`: what a folder implements. `prelude`: the vocabulary of the folders.
//! - `catalog`: what is known of a provider without a connection. `destination`: where a tenant is,
//!   and its credential. `identity`: the controller's own token. `error`: all ways in which a call
//!   can fail.
//! - `table`: the attributes of a provider's users. `reader` and `writer`: users and writes, by the
//!   table. `json`: JSON that is read without a tree.
//! - `rules`: what a refusal means, by a table. `answers`: what an answer means before that.
//! - `call`: one HTTP call, paced, with a token, judged, counted, repeated once with a fresh token
//!   after a 401.
//! - `limits`, `bursts`, `slowdown`: which call is next. `token`: one caller asks for a token, and
//!   all wait for it. `assertion`: signed requests for tokens.
//! - `tries`: how often a call is tried, and how long the pauses are.
//! - `lane`: writes that go together in one call.
//! - `listing`: pages that failed or are too large, ids that come twice, listings that repeat
//!   without end. `remembered`: what a tenant defines itself.
//! - `passwords`: the initial passwords of new accounts.
//!
//! This file is the contract. The engine decides about retrying and reading back, so that they are
//! the same for all.

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

mod catalog;
mod destination;
mod directory;
mod error;
#[cfg(test)]
mod fixtures;
mod identity;
mod json;
mod lane;
mod links;
mod listing;
mod prelude;
mod reader;
mod remembered;
mod rules;
mod slowdown;
mod table;
mod writer;

use futures::future::BoxFuture;

pub use self::{
    catalog::{Capabilities, Catalog, ChangeAtFirstLogin, NewPassword, Phrases},
    destination::{Connected, Credential, Destination, Keys},
    error::Error,
    identity::{Identity, TokenFile},
    table::Field,
};
use crate::{
    domain::{
        account::{Account, AccountWrite},
        mapping::Mapping,
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
    pub left: Option<LeftUndone>,
}

/// A part of a write that was refused when another part was already done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftUndone {
    /// Why it was refused.
    pub error: Error,
    /// The rows that were not written.
    pub rows: Vec<usize>,
    /// Whether access is taken and the account's sessions are still open.
    pub sessions: bool,
}
