//! Secrets, read by name only with `get`. There is no list and no watch, so the controller needs no
//! right to see other Secrets.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{ByteString, api::core::v1::Secret as KubeSecret};
use kube::{Api, Client};

use super::connect::{CallError, bounded};
use crate::http::secret::Secret;

/// How long a read may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The requested keys of one Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretValues {
    /// The version of the Secret. It changes with every rotation, and if a Secret was deleted and
    /// made again.
    pub resource_version: String,
    /// Key and value of exactly the requested keys. Optional keys are included if they exist and
    /// are not empty. One newline at the end of a value is removed.
    pub values: BTreeMap<String, Secret>,
}

impl SecretValues {
    /// Takes the value of a requested key out.
    pub fn take(&mut self, key: &str) -> Option<Secret> {
        self.values.remove(key)
    }
}

/// Why a Secret cannot be used. It names the Secret and the key, and never a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is no Secret with this name.
    #[error("Secret {secret} does not exist in this namespace: create it")]
    NotFound {
        /// The name of the Secret.
        secret: String,
    },
    /// The Secret has no such key.
    #[error("Secret {secret} has no key {key}: add it")]
    KeyMissing {
        /// The name of the Secret.
        secret: String,
        /// The name of the key.
        key: String,
    },
    /// The key exists and its value is empty.
    #[error("key {key} of Secret {secret} is empty: give it a value")]
    KeyEmpty {
        /// The name of the Secret.
        secret: String,
        /// The name of the key.
        key: String,
    },
    /// The value of the key cannot be sent to any service.
    #[error("key {key} of Secret {secret} is not text in UTF-8: replace its value")]
    KeyNotText {
        /// The name of the Secret.
        secret: String,
        /// The name of the key.
        key: String,
    },
    /// The API server refused the read: the controller's role lacks `get` on Secrets here.
    #[error(
        "the controller may not read Secret {secret}: give it the verb get on secrets in this \
         namespace"
    )]
    Forbidden {
        /// The name of the Secret.
        secret: String,
    },
    /// The API server did not answer, or answered without a Secret. The read is tried again
    /// automatically.
    #[error("Secret {secret} cannot be read now: {why}")]
    Unavailable {
        /// The name of the Secret.
        secret: String,
        /// What happened.
        why: String,
    },
}

/// Reads these keys of a Secret with one `get`.
///
/// # Errors
/// [`SecretError`]; it names the first key that cannot be used.
pub async fn read(
    client: &Client,
    namespace: &str,
    name: &str,
    keys: &[&str],
) -> Result<SecretValues, SecretError> {
    read_some(client, namespace, name, keys, &[]).await
}

/// Reads these keys of a Secret with one `get`, and also those optional keys that exist and are not
/// empty.
///
/// # Errors
/// [`SecretError`]; it names the first key that cannot be used.
pub async fn read_some(
    client: &Client,
    namespace: &str,
    name: &str,
    required: &[&str],
    optional: &[&str],
) -> Result<SecretValues, SecretError> {
    let secrets: Api<KubeSecret> = Api::namespaced(client.clone(), namespace);
    let found = bounded(TIMEOUT, secrets.get(name)).await.map_err(|error| {
        let secret = name.to_owned();
        match error {
            error if error.is_not_found() => SecretError::NotFound { secret },
            CallError::Failed(kube::Error::Api(status)) if status.is_forbidden() => {
                SecretError::Forbidden { secret }
            }
            error => SecretError::Unavailable { secret, why: error.to_string() },
        }
    })?;
    pick(name, found, required, optional)
}

fn pick(
    name: &str,
    found: KubeSecret,
    required: &[&str],
    optional: &[&str],
) -> Result<SecretValues, SecretError> {
    let mut data = found.data.unwrap_or_default();
    // An optional value that was emptied counts as one that was removed.
    let filled = |key: &&str| data.get(*key).is_some_and(|value| !value.0.trim_ascii().is_empty());
    let there: Vec<&str> = optional.iter().copied().filter(filled).collect();
    let values = required
        .iter()
        .copied()
        .chain(there)
        .map(|key| {
            let (secret, owned) = (name.to_owned(), key.to_owned());
            let Some(ByteString(bytes)) = data.remove(key) else {
                return Err(SecretError::KeyMissing { secret, key: owned });
            };
            let Ok(text) = String::from_utf8(bytes) else {
                return Err(SecretError::KeyNotText { secret, key: owned });
            };
            // Editors and `echo` end a file with a newline, which is never part of the value.
            let text = text
                .strip_suffix('\n')
                .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
            if text.is_empty() {
                return Err(SecretError::KeyEmpty { secret, key: owned });
            }
            Ok((owned, Secret::new(text)))
        })
        .collect::<Result<_, _>>()?;
    Ok(SecretValues {
        resource_version: found.metadata.resource_version.unwrap_or_default(),
        values,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(data: &[(&str, &[u8])]) -> KubeSecret {
        let data = data
            .iter()
            .map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec())))
            .collect();
        let mut secret = KubeSecret { data: Some(data), ..KubeSecret::default() };
        secret.metadata.resource_version = Some("42".to_owned());
        secret
    }

    #[test]
    fn one_newline_at_the_end_is_not_part_of_a_value() {
        let found = secret(&[
            ("a", b"alpha\n"),
            ("b", b"beta\n\n"),
            ("c", b"gamma\r\n"),
            ("d", b" delta "),
            ("e", b"unasked"),
            ("g", b" \n"),
        ]);
        let mut read = pick("bob", found, &["a", "b", "c"], &["d", "f", "g"]).expect("all there");
        assert_eq!(read.resource_version, "42");
        assert_eq!(read.take("a").expect("asked").expose(), "alpha");
        assert_eq!(read.take("b").expect("asked").expose(), "beta\n");
        assert_eq!(read.take("c").expect("asked").expose(), "gamma");
        assert_eq!(read.take("d").expect("asked").expose(), " delta ");
        assert_eq!(read.take("f"), None, "an optional key may be missing");
        assert_eq!(read.take("g"), None, "or be empty");
        assert_eq!(read.take("e"), None, "what was not asked for is not kept");
    }

    #[test]
    fn a_key_that_cannot_be_used_is_named() {
        let data: &[(&str, &[u8])] = &[("user", b"u"), ("empty", b"\n"), ("binary", b"\xff\xfe")];
        let (secret_name, key) = ("bob".to_owned(), |key: &str| key.to_owned());
        let missing = pick("bob", secret(data), &["user", "token"], &[]);
        assert_eq!(
            missing,
            Err(SecretError::KeyMissing { secret: secret_name.clone(), key: key("token") })
        );
        let empty = pick("bob", secret(data), &["empty"], &[]);
        assert_eq!(
            empty,
            Err(SecretError::KeyEmpty { secret: secret_name.clone(), key: key("empty") })
        );
        let binary = pick("bob", secret(data), &["binary"], &[]);
        assert_eq!(
            binary,
            Err(SecretError::KeyNotText { secret: secret_name, key: key("binary") })
        );
        assert_eq!(
            pick("bob", KubeSecret::default(), &["x"], &[]).unwrap_err().to_string(),
            "Secret bob has no key x: add it"
        );
    }

    #[test]
    fn no_value_shows_itself() {
        let read = pick("bob", secret(&[("token", b"swordfish")]), &["token"], &[]).expect("there");
        assert!(!format!("{read:?}").contains("swordfish"));
        let error =
            pick("bob", secret(&[("token", b"swordfish"), ("x", b"")]), &["token", "x"], &[])
                .unwrap_err();
        assert!(!format!("{error:?} {error}").contains("swordfish"));
    }
}
