//! What a provider's folder implements, in plain `async fn`s. [`Provider`] follows from it.

use std::future::ready;

use futures::future::BoxFuture;

use super::{
    Capabilities, Catalog, Error, Initial, Key, Listing, Provider, Written, answers::Sent,
};
use crate::domain::{
    account::{Account, AccountWrite},
    mapping::Mapping,
    priority::Urgency,
};

/// Takes the accounts of a listing.
pub type Sink<'s> = &'s mut (dyn FnMut(Account<'_>) + Send);

/// The accounts that a look-up finds.
pub type FoundAccounts = Vec<Account<'static>>;

/// The account that a read of one finds.
pub type One = Option<Account<'static>>;

/// A write, and the account that it is about.
#[derive(Clone, Copy)]
pub struct Of<'a> {
    pub mapping: &'a Mapping,
    pub write: &'a AccountWrite,
    /// The id of the account, if it exists.
    pub id: Option<&'a str>,
}

impl<'a> Of<'a> {
    /// Returns the write that makes an account.
    pub const fn new(mapping: &'a Mapping, write: &'a AccountWrite) -> Self {
        Self { mapping, write, id: None }
    }

    /// Returns a write to the account with this id.
    pub const fn change(mapping: &'a Mapping, write: &'a AccountWrite, id: &'a str) -> Self {
        Self { mapping, write, id: Some(id) }
    }

    /// Returns whether the write makes the account.
    pub const fn is_new(&self) -> bool {
        self.id.is_none()
    }

    /// Returns the write as what is sent.
    pub const fn sent(&self) -> Sent<'a> {
        Sent::Write(self.mapping, self.write)
    }
}

/// A new account.
#[derive(Clone, Copy)]
pub struct New<'a> {
    pub mapping: &'a Mapping,
    pub write: &'a AccountWrite,
    pub initial: &'a Initial<'a>,
}

/// A change of the account with this id.
#[derive(Clone, Copy)]
pub struct AccountChange<'a> {
    pub mapping: &'a Mapping,
    pub id: &'a str,
    pub write: &'a AccountWrite,
    pub urgency: Urgency,
}

/// One tenant of a provider. The methods mean what those of [`Provider`] mean.
pub trait Directory: Send + Sync {
    /// What is known of the provider without a connection.
    const CATALOG: &'static Catalog;

    /// See [`Provider::list`].
    fn list(
        &self,
        mapping: &Mapping,
        sink: Sink<'_>,
    ) -> impl Future<Output = Result<Listing, Error>> + Send;

    /// See [`Provider::find`]. The key is not empty.
    fn find(
        &self,
        mapping: &Mapping,
        key: Key<'_>,
    ) -> impl Future<Output = Result<FoundAccounts, Error>> + Send;

    /// See [`Provider::create`].
    fn create(&self, new: New<'_>) -> impl Future<Output = Result<Written, Error>> + Send;

    /// See [`Provider::update`].
    fn update(
        &self,
        change: AccountChange<'_>,
    ) -> impl Future<Output = Result<Written, Error>> + Send;

    /// See [`Provider::tenant`].
    fn tenant(&self, _ask: bool) -> impl Future<Output = Option<String>> + Send {
        ready(None)
    }

    /// See [`Provider::finish`].
    fn finish(
        &self,
        _id: &str,
        _initial: &Initial<'_>,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        ready(Ok(()))
    }

    /// See [`Provider::unlicensed`].
    fn unlicensed(
        &self,
        _mapping: &Mapping,
        _ids: &[&str],
    ) -> impl Future<Output = Result<Vec<Box<str>>, Error>> + Send {
        ready(Ok(Vec::new()))
    }
}

impl<D: Directory> Provider for D {
    fn list<'a>(
        &'a self,
        mapping: &'a Mapping,
        sink: &'a mut (dyn FnMut(Account<'_>) + Send),
    ) -> BoxFuture<'a, Result<Listing, Error>> {
        Box::pin(Directory::list(self, mapping, sink))
    }

    fn find<'a>(
        &'a self,
        mapping: &'a Mapping,
        key: Key<'a>,
    ) -> BoxFuture<'a, Result<Vec<Account<'static>>, Error>> {
        let (Key::Id(text) | Key::Mark(text) | Key::Email(text) | Key::MarkOrAddress(text, _)) =
            key;
        // A filter with an empty value may be no filter: the whole tenant would be the answer.
        if text.trim().is_empty() {
            let said = "an account cannot be looked up by an empty key".to_owned();
            return Box::pin(ready(Err(Error::Rejected { field: None, said })));
        }
        Box::pin(Directory::find(self, mapping, key))
    }

    fn create<'a>(
        &'a self,
        mapping: &'a Mapping,
        write: &'a AccountWrite,
        initial: &'a Initial<'a>,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        Box::pin(Directory::create(self, New { mapping, write, initial }))
    }

    fn update<'a>(
        &'a self,
        mapping: &'a Mapping,
        id: &'a str,
        write: &'a AccountWrite,
        urgency: Urgency,
    ) -> BoxFuture<'a, Result<Written, Error>> {
        Box::pin(Directory::update(self, AccountChange { mapping, id, write, urgency }))
    }

    fn tenant(&self, ask: bool) -> BoxFuture<'_, Option<String>> {
        Box::pin(Directory::tenant(self, ask))
    }

    fn finish<'a>(
        &'a self,
        id: &'a str,
        initial: &'a Initial<'a>,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(Directory::finish(self, id, initial))
    }

    fn unlicensed<'a>(
        &'a self,
        mapping: &'a Mapping,
        ids: &'a [&'a str],
    ) -> BoxFuture<'a, Result<Vec<Box<str>>, Error>> {
        Box::pin(Directory::unlicensed(self, mapping, ids))
    }

    fn capabilities(&self) -> &'static Capabilities {
        &D::CATALOG.capabilities
    }
}
