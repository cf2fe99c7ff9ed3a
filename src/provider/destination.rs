//! Where a tenant is, and what its Secret holds.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{Catalog, Error, Identity, Provider, call::Hooks, limits::Pacer};
use crate::http::secret::Secret;

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

    /// Returns whether a Secret with these keys has no secret, so that the credential is the
    /// controller's own identity.
    fn takes_identity(&self, _keys: &[&str]) -> bool {
        false
    }

    /// Prepares the connection and calls nothing yet. All callers of this tenant share the pacer.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] if the credential cannot be valid, [`Error::Unavailable`] if this
    /// machine cannot connect.
    fn connect(&self, credential: Credential, hooks: Hooks, pacer: Arc<Pacer>) -> Connected;
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

/// What the Secret holds, by key, and the controller's own identity.
#[derive(Clone, Debug, Default)]
pub struct Credential {
    values: BTreeMap<String, Secret>,
    identity: Identity,
}

impl Credential {
    /// Returns a credential with these keys and values.
    #[must_use]
    pub fn new(values: BTreeMap<String, Secret>) -> Self {
        Self { values, identity: Identity::default() }
    }

    /// Returns the same credential, in a controller with this identity.
    #[must_use]
    pub fn with_identity(self, identity: Identity) -> Self {
        Self { identity, ..self }
    }

    /// Returns the controller's own identity.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns the keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Returns the value of a key and removes it.
    pub fn take(&mut self, key: &str) -> Option<Secret> {
        self.values.remove(key)
    }

    /// Returns the value of a required key. It is empty if the key is missing, which the reader of
    /// the Secret has ruled out.
    pub fn required(&mut self, key: &str) -> Secret {
        self.take(key).unwrap_or_else(|| Secret::new(""))
    }
}
