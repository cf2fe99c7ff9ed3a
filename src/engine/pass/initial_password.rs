//! The initial password of new accounts.

use crate::{
    cluster::secrets,
    engine::stop::{Stop, secret_stop},
    http::secret::Secret,
};

/// Where the initial password of new accounts is. It is read when an account is about to be made,
/// and it is not kept.
pub struct InitialPassword {
    client: kube::Client,
    namespace: String,
    secret: Option<(String, String)>,
}

impl InitialPassword {
    /// Returns a reader of this key of this Secret, if the settings name one.
    #[must_use]
    pub fn new(client: &kube::Client, namespace: &str, secret: Option<(String, String)>) -> Self {
        Self { client: client.clone(), namespace: namespace.to_owned(), secret }
    }

    /// Reads the password with at most one `get`.
    ///
    /// # Errors
    /// A [`Stop`] that names the Secret and the key.
    pub async fn read(&self) -> Result<Option<Secret>, Stop> {
        let Some((name, key)) = &self.secret else { return Ok(None) };
        let read = secrets::read(&self.client, &self.namespace, name, &[key]).await;
        read.map(|mut values| values.take(key)).map_err(|error| secret_stop(&error))
    }
}
